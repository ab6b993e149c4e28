"""References: fields that point to another record, named by what that record is looked up by."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pipeline.delivery.merge import Part
from pipeline.operation import Json, record_key
from pipeline.options import Lookup


@dataclass(frozen=True, slots=True)
class Reference:
    """One record that others point to: `key` names it as its own inbox does."""

    object: str
    key: str
    match: Mapping[str, Json] = field(compare=False, repr=False)


def references_of(part: Part) -> list[Reference]:
    """Return the records that an operation points to, in what it matches on and in what it writes."""
    lookups = [*part.lookups.values(), *(cast("Lookup", one) for one in part.match.values() if isinstance(one, dict))]
    return [_reference(lookup) for lookup in lookups]


def resolve(part: Part, found: Mapping[Reference, str | None]) -> tuple[Part | None, list[str]]:
    """Put the Ids in place; returns the operation and the names of the fields for whose record there is none.

    The operation is None where its own record is matched by one that does not exist.
    """
    missing: list[str] = []
    match: dict[str, Json] = {}
    for name, value in part.match.items():
        match[name] = found[_reference(cast("Lookup", value))] if isinstance(value, dict) else value
    fields, on_create = dict(part.fields), dict(part.on_create)
    for name, lookup in part.lookups.items():
        record_id = found[_reference(lookup)]
        if record_id is None:
            missing.append(name)
        elif lookup.get("on_create"):
            on_create[name] = record_id
        else:
            fields[name] = record_id
    if None in match.values():
        return None, missing
    return replace(part, match=match, fields=fields, on_create=on_create, lookups={}), missing


def _reference(lookup: Lookup | Mapping[str, Any]) -> Reference:
    return Reference(lookup["object"], record_key(lookup["match"]), lookup["match"])
