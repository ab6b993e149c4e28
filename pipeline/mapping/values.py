"""From a configured Value to a function of the event: paths, templates, constants, defaults and lookups."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from pipeline.destination import Value, Values
from pipeline.mapping.paths import MISSING, Found, Getter, Missing, compile_path
from pipeline.operation import Json
from pipeline.options import Lookup

_PLACE = re.compile(r"\{\{|\}\}|\{(?P<path>[^{}]*)\}|[{}]")
_NOTHING = re.compile(r"[\s\x00-\x1f\x7f-\x9f]*")
_USER_ID: Final = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")

Event: TypeAlias = Mapping[str, Json]


def is_blank(value: Found) -> bool:
    """Tell whether a value counts as missing: absent, null, or text without a visible character."""
    return value is None or isinstance(value, Missing) or (isinstance(value, str) and is_blank_text(value))


def is_blank_text(text: str) -> bool:
    """Tell whether a text has no visible character, which Salesforce stores as null."""
    return not text or ((text[0] <= " " or not text.isprintable()) and _NOTHING.fullmatch(text) is not None)


@dataclass(frozen=True, slots=True)
class CompiledValues:
    """What a rule's `fields`, `on_create` or `match` give for an event."""

    getters: tuple[tuple[str, Getter], ...]
    lookups: tuple[tuple[str, str, str, Getter], ...]  # field, object, field of that object, value

    def values(self, event: Event, *, keep_nulls: bool = False) -> dict[str, Json]:
        """Return field → value; a null, where `keep_nulls` asks for it, as None."""
        found: dict[str, Json] = {}
        for name, get in self.getters:
            value = get(event)
            if not is_blank(value) or (keep_nulls and value is None):
                found[name] = value  # type: ignore[assignment]  # a Missing is blank, so it never gets here
        return found

    def lookups_of(self, event: Event, *, on_create: bool = False) -> dict[str, Lookup]:
        """Return reference field → the record it is to point to, where the event says which."""
        found: dict[str, Lookup] = {}
        for name, other, by, get in self.lookups:
            value = get(event)
            if isinstance(value, str | int | float) and not is_blank(value):
                found[name] = {"object": other, "match": {by: value}}
                if on_create:
                    found[name]["on_create"] = True
        return found


def compile_values(values: Values) -> CompiledValues:
    """Compile what a rule says about its fields. Raises ValueError for a path or template that is none."""
    getters = [(name, compile_value(value)) for name, value in values.items() if not value.lookup]
    lookups = [
        (name, value.lookup, value.by or "Id", compile_value(value)) for name, value in values.items() if value.lookup
    ]
    return CompiledValues(tuple(getters), tuple(lookups))


def compile_value(value: Value) -> Getter:
    """Return a function that finds the value in an event, or MISSING, or None where the first path holds null."""
    if value.template is not None:
        return _or_default(compile_template(value.template), value.default)
    if not value.paths:
        constant = value.constant
        return lambda _event: constant
    getters = [compile_path(path) for path in value.paths]
    return _or_default(getters[0] if len(getters) == 1 else _first_of(getters), value.default)


def compile_template(text: str) -> Getter:
    """Compile `Order {properties.id}`; braces are written twice to stand for themselves.

    A template with a path that holds no text, number or boolean gives MISSING, because half a sentence in a record is
    worse than none. Raises ValueError for a brace that is neither doubled nor closed.
    """
    parts: list[str | Getter] = []
    end = 0
    for place in _PLACE.finditer(text):
        parts.append(text[end : place.start()])
        end = place.end()
        if place["path"] is not None:
            parts.append(compile_path(place["path"]))
        elif len(place[0]) == 2:  # noqa: PLR2004  (a doubled brace)
            parts.append(place[0][0])
        else:
            raise ValueError(
                f"the template {text!r} has a lone {place[0]}; write {place[0] * 2} for the character itself"
            )
    parts.append(text[end:])

    def fill(event: Event) -> Found:
        filled: list[str] = []
        for part in parts:
            if isinstance(part, str):
                filled.append(part)
                continue
            value = part(event)
            if is_blank(value) or isinstance(value, dict | list):
                return MISSING
            filled.append(str(value).lower() if isinstance(value, bool) else str(value))
        return "".join(filled)

    return fill


def static_options(*, owner: str | None, record_type: str | None, of: str) -> tuple[dict[str, Json], dict[str, Lookup]]:
    """Return what a rule's owner and record type add to new records: on_create fields, and lookups.

    An owner that is an Id goes in as it is; a username is looked up among the users. A developer name of a record type
    is unique only within its object.
    """
    fields: dict[str, Json] = {}
    lookups: dict[str, Lookup] = {}
    if owner:
        if _USER_ID.fullmatch(owner):
            fields["OwnerId"] = owner
        else:
            lookups["OwnerId"] = {"object": "User", "match": {"Username": owner}, "on_create": True}
    if record_type:
        match: dict[str, Json] = {"DeveloperName": record_type, "SobjectType": of}
        lookups["RecordTypeId"] = {"object": "RecordType", "match": match, "on_create": True}
    return fields, lookups


def _first_of(getters: list[Getter]) -> Getter:
    def get(event: Event) -> Found:
        found: Found = MISSING
        for getter in getters:
            value = getter(event)
            if not is_blank(value):
                return value
            if found is MISSING:
                found = value
        return found

    return get


def _or_default(get: Getter, default: Json) -> Getter:
    if default is None:
        return get

    def get_or_default(event: Event) -> Found:
        value = get(event)
        return default if is_blank(value) else value

    return get_or_default
