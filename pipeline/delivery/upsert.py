"""Upserts that need no lookup: Salesforce finds the record itself, by a field that is an external ID."""

from typing import Final

from pipeline.delivery.merge import Change
from pipeline.delivery.shape import is_lookup, missing_required
from pipeline.salesforce.describe import Field, ObjectDescribe

# Types of external IDs that a user can write: text, email and number (Salesforce Help, "Custom Field Attributes").
_TYPES: Final = frozenset({"string", "email", "double", "int"})
# With these a rule chooses among the records that match, which only a lookup shows.
_CHOICES: Final = frozenset({"join", "on_multiple", "on_converted"})


def is_upsert_key(field: Field) -> bool:
    """Tell whether records can be upserted by a field, as far as its describe says."""
    return field.external_id and field.type in _TYPES and _always_writable(field)


def upsert_key(change: Change, describe: ObjectDescribe) -> str | None:
    """Name the external ID by which a change can be written without a lookup; None where it takes one.

    One write has to do for a record that exists and for one that does not: it may say nothing that goes to one of the
    two only, and nothing that depends on what is found. A new record without what the object requires would be refused
    in Salesforce's words, and with it what is merged behind the operation that would have made it.
    """
    if change.verb != "upsert" or len(change.match) != 1 or change.options.keys() & _CHOICES:
        return None
    ((name, value),) = change.match.items()
    key = describe.fields.get(name)
    if key is None or not is_upsert_key(key) or is_lookup(value):
        return None
    first = change.parts[0]
    if first.on_create or name not in first.fields or missing_required(first.fields, describe):
        return None
    for part in change.parts:
        if part.fields.get(name, value) != value:
            return None  # another spelling, which an upsert would not write to the record that it finds
        if not all((field := describe.fields.get(one)) and _always_writable(field) for one in part.fields):
            return None
    return name


def _always_writable(field: Field) -> bool:
    return field.createable and field.updateable
