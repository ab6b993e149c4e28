"""shape: an operation held against the org's describe, so that one bad value cannot spoil a batch."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, cast

from pipeline.delivery.cast import Unfit
from pipeline.delivery.cast import cast as cast_value
from pipeline.operation import Json, Operation, fold
from pipeline.options import Lookup
from pipeline.salesforce.describe import Field, ObjectDescribe

_SEPARATORS = re.compile(r"[_\-\s]")
_TEXT_TYPES: Final = frozenset({"string", "phone", "url", "combobox", "textarea", "picklist", "encryptedstring"})
_LONGEST_NAME: Final = 60  # characters of a name that are shown; an API name has at most 43
_MOST_REMEMBERED: Final = 4096  # trait names of one object; a sender that invents names must not fill the memory


@dataclass(frozen=True, slots=True)
class Dropped:
    """A value that was left out: the trait or field it came under, and why. Nothing of the value itself.

    Names come from events, so they are cut and escaped (`shown_name`) before they stand here.
    """

    name: str
    reason: str
    is_unknown: bool = False  # a trait for which the org has no field

    @property
    def told(self) -> str:
        """Say it in one sentence, the same for all that was left out for the same reason."""
        return f"trait `{self.name}` {self.reason}" if self.is_unknown else f"`{self.name}`: {self.reason}"


def shown_name(name: str) -> str:
    """Return a name out of an event as a counter or a screen can bear it: short, printable, without backticks."""
    cut = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    if cut.isprintable() and "`" not in cut:
        return cut
    return "".join(one if one.isprintable() and one != "`" else f"\\u{ord(one):04x}" for one in cut)


@dataclass(frozen=True, slots=True)
class Shaped:
    """An operation's values as the org takes them, by API name. A `refusal` says why it can never be written."""

    match: Mapping[str, Json] = field(default_factory=dict)
    fields: Mapping[str, Json] = field(default_factory=dict)
    on_create: Mapping[str, Json] = field(default_factory=dict)
    lookups: Mapping[str, Lookup] = field(default_factory=dict)  # reference field → the record to point it to
    reads: tuple[str, ...] = ()  # of a read: the fields to return
    dropped: tuple[Dropped, ...] = ()
    refusal: str | None = None


def shape(operation: Operation, describe: ObjectDescribe) -> Shaped:
    """Name, cast and trim what an operation writes, by the fields the org has. Never raises.

    Traits find their field here (see `Traits`); fields that the rule named win over them, and what is matched on wins
    over both. What the org has no field for, or no room for, is left out with a reason.
    """
    said = operation.options.get("refusal")
    if said is not None:
        return Shaped(refusal=str(said))
    match, refusal = shape_match(operation.match, describe, any_will_do=operation.options.get("join") == "or")
    if refusal is not None:
        return Shaped(refusal=refusal)
    clears = operation.options.get("clear_nulls") is True
    dropped: list[Dropped] = []
    fields = _shape_fields(operation.fields, describe, dropped, clears=clears)
    traits = traits_of(describe)
    for name, value in operation.traits.items():
        target = traits.field_of(name)
        if target is None:
            reason = f"had no field `{custom_name(shown_name(name))}` on {describe.name}"
            dropped.append(Dropped(shown_name(name), reason, is_unknown=True))
        elif target.name not in fields:
            _take(fields, name, value, target, dropped, clears=clears)
    fields.update({name: value for name, value in match.items() if name in fields and not is_lookup(value)})
    on_create = _shape_fields(operation.on_create, describe, dropped, clears=False)
    lookups = _shape_lookups(operation, describe, dropped)
    reads = _shape_reads(operation, describe, dropped)
    return Shaped(match, fields, on_create, lookups, reads, tuple(dropped))


def shape_match(
    match: Mapping[str, Json], describe: ObjectDescribe, *, any_will_do: bool = False
) -> tuple[dict[str, Json], str | None]:
    """Return a match by API names with cast values, and why it can never find a record, if so.

    For an operation's own match, and for that of a `Lookup` by the describe of the object it looks in. Where any field
    of it selects the record, one value that can be looked for is enough.
    """
    shaped: dict[str, Json] = {}
    refusals: list[str] = []
    for name, value in match.items():
        target = _find(describe, name)
        if target is None:
            refusals.append(f"{describe.name} has no field {name} to match on")
            continue
        if not (target.filterable or target.type == "id"):
            refusals.append(f"{target.name} cannot be matched on: it is not filterable")
            continue
        try:
            shaped[target.name] = _match_value(value, target, describe)
        except Unfit as unfit:
            refusals.append(f"the value to match {target.name} by does not fit: {unfit}")
    if refusals and not (shaped and any_will_do):
        return {}, "; ".join(refusals)
    return shaped, None


def cast_lookups(shaped: Shaped, operation: Operation, described: Callable[[str], ObjectDescribe]) -> Shaped:
    """Cast what other records are looked up by to the types of their own fields, which SOQL insists on.

    A field whose record can never be found is left out; an operation that is matched by such a record is refused.
    Raises what `described` raises.
    """
    match, lookups, dropped, refusals = dict(shaped.match), dict(shaped.lookups), [*shaped.dropped], []
    for name, lookup in shaped.lookups.items():
        lookups[name], refusal = _cast_lookup(lookup, described)
        if refusal is not None:
            del lookups[name]
            dropped.append(Dropped(name, refusal))
    for name, value in shaped.match.items():
        if is_lookup(value):
            found, refusal = _cast_lookup(cast("Lookup", value), described)
            match[name] = cast("Json", found)
            if refusal is not None:
                del match[name]
                refusals.append(refusal)
    if refusals and not (match and operation.options.get("join") == "or"):
        return replace(shaped, refusal="; ".join(refusals))
    return replace(shaped, match=match, lookups=lookups, dropped=tuple(dropped))


def _cast_lookup(lookup: Lookup, described: Callable[[str], ObjectDescribe]) -> tuple[Lookup, str | None]:
    match, refusal = shape_match(lookup["match"], described(lookup["object"]))
    return {**lookup, "match": match}, refusal


def createable(values: Mapping[str, Json], describe: ObjectDescribe) -> dict[str, Json]:
    """Return those of a new record's values that this user may write on creation."""
    return {name: value for name, value in values.items() if (one := describe.find(name)) and one.createable}


def updateable(values: Mapping[str, Json], describe: ObjectDescribe) -> dict[str, Json]:
    """Return those values that this user may write on an existing record."""
    return {name: value for name, value in values.items() if (one := describe.find(name)) and one.updateable}


def missing_required(fields: Mapping[str, Json], describe: ObjectDescribe) -> list[str]:
    """Return the fields without which Salesforce refuses a new record, and which `fields` does not give."""
    return [name for name in describe.required if fields.get(name) is None]


def is_lookup(value: Json) -> bool:
    """Tell whether a match value is not a value but names, as a `Lookup` does, the record whose Id it is."""
    return isinstance(value, dict) and value.keys() == {"object", "match"}


def custom_name(trait: str) -> str:
    """Return the API name of the custom field a trait means: itself, if it is one."""
    return trait if _is_custom(trait) else f"{trait}__c"


def _is_custom(name: str) -> bool:
    return name[-3:].lower() == "__c"


class Traits:
    """Which field of an object a trait means, remembered for as long as the describe is.

    A trait with the exact API name of a writable standard field is that field. One that ends in `__c` is the field of
    that name. Any other is `<trait>__c`: in the exact case, else without regard to case, else to camelCase and
    snake_case.
    """

    __slots__ = ("_by_loose_name", "_known", "describe")

    def __init__(self, describe: ObjectDescribe) -> None:
        self.describe = describe
        self._known: dict[str, Field | None] = {}
        self._by_loose_name: dict[str, Field] = {}
        for name, one in describe.fields.items():
            if _is_custom(name):
                self._by_loose_name.setdefault(_loose(name), one)

    def field_of(self, trait: str) -> Field | None:
        """Return the field, writable or not, or None where the org has none."""
        if trait in self._known:
            return self._known[trait]
        found = self._find(trait)
        if len(self._known) < _MOST_REMEMBERED:
            self._known[trait] = found
        return found

    def _find(self, trait: str) -> Field | None:
        exact = self.describe.fields.get(trait)
        if exact is not None and not _is_custom(trait) and _is_writable(exact):
            return exact
        name = custom_name(trait)
        return _find(self.describe, name) or self._by_loose_name.get(_loose(name))


_traits: dict[str, Traits] = {}  # by object; a refreshed describe is another one and takes the place of the old


def traits_of(describe: ObjectDescribe) -> Traits:
    """Return the resolver of a describe, the same one as long as the describe is the same."""
    known = _traits.get(describe.name)
    if known is None or known.describe is not describe:
        known = _traits[describe.name] = Traits(describe)
    return known


def _loose(name: str) -> str:
    return _SEPARATORS.sub("", name.lower().removesuffix("__c"))


def _find(describe: ObjectDescribe, name: str) -> Field | None:
    return describe.fields.get(name) or describe.find(name)


def _is_writable(one: Field) -> bool:
    return one.createable or one.updateable


def _shape_fields(
    values: Mapping[str, Json], describe: ObjectDescribe, dropped: list[Dropped], *, clears: bool
) -> dict[str, Json]:
    shaped: dict[str, Json] = {}
    for name, value in values.items():
        target = _find(describe, name)
        if target is None:
            dropped.append(Dropped(name, f"{describe.name} has no field {name}"))
        else:
            _take(shaped, name, value, target, dropped, clears=clears)
    return shaped


def _take(
    shaped: dict[str, Json], name: str, value: Json, target: Field, dropped: list[Dropped], *, clears: bool
) -> None:
    """Put one value under its field's API name, or note why not. A blank is no value; a null is one if it clears."""
    if not _is_writable(target):
        dropped.append(Dropped(shown_name(name), f"{target.name} cannot be written by this user"))
    elif value is None:
        if clears and target.nillable:
            shaped[target.name] = None
    else:
        try:
            written = cast_value(value, target)
        except Unfit as unfit:
            dropped.append(Dropped(shown_name(name), f"{target.name} is of type {target.type}: {unfit}"))
        else:
            if written is not None:
                shaped[target.name] = written


def _match_value(value: Json, target: Field, describe: ObjectDescribe) -> Json:
    """Cast a value to look for. What has to be altered to fit would find, or become, another record."""
    if is_lookup(value):
        return value  # the record that it names is not known yet
    if isinstance(value, dict | list):
        raise Unfit("an object or a list selects no record")
    written = cast_value(value, target)
    if written is None:
        raise Unfit("it is blank")
    if target.type == "id" and describe.key_prefix and not str(written).startswith(describe.key_prefix):
        raise Unfit(f"it is not the Id of a record of {describe.name}")
    if target.type in _TEXT_TYPES and fold(written) != fold(value):
        if len(fold(value)) > target.length:
            raise Unfit(f"it is longer than {target.length} characters")
        raise Unfit("it holds characters that Salesforce does not store")
    return written


def _shape_lookups(operation: Operation, describe: ObjectDescribe, dropped: list[Dropped]) -> dict[str, Lookup]:
    lookups: dict[str, Lookup] = {}
    for name, lookup in cast("Mapping[str, Lookup]", operation.options.get("lookups") or {}).items():
        target = _find(describe, name)
        if target is None:
            dropped.append(Dropped(name, f"{describe.name} has no field {name}"))
        elif not _is_writable(target):
            dropped.append(Dropped(name, f"{target.name} cannot be written by this user"))
        elif target.type != "reference":
            dropped.append(Dropped(name, f"{target.name} is of type {target.type}, not a reference to a record"))
        else:
            lookups[target.name] = lookup
    return lookups


def _shape_reads(operation: Operation, describe: ObjectDescribe, dropped: list[Dropped]) -> tuple[str, ...]:
    """Name the fields that a read returns as the org spells them; one unknown name would spoil the whole query."""
    wanted = cast("list[str]", operation.options.get("read") or [])
    found = {name: _find(describe, name) for name in wanted}
    dropped += [Dropped(name, f"{describe.name} has no field {name}") for name, one in found.items() if one is None]
    return tuple(dict.fromkeys(one.name for one in found.values() if one is not None))
