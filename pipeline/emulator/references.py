"""What a record points at: parents found by an external Id, Ids that must exist, and owners that must be active."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.emulator import errors
from pipeline.emulator.drafts import Draft, Link
from pipeline.emulator.errors import RecordError
from pipeline.emulator.schema import Field, Schema, SObject
from pipeline.emulator.store import Store
from pipeline.emulator.values import wrong_type_id

# The record type that every record has whose object defines none.
MASTER_RECORD_TYPE = "012000000000000AAA"


def check(store: Store, one: SObject, drafts: Sequence[Draft]) -> None:
    """Put Ids in the place of parents named by external Id, and refuse Ids that name no record that is there."""
    for draft in drafts:
        for link in draft.links:
            _follow(store, draft, link)
        draft.links.clear()
    pointers = [
        (draft, one.references[name], value)
        for draft in drafts
        for name in draft.values.keys() & one.references.keys()
        if isinstance(value := draft.values[name], str) and value != MASTER_RECORD_TYPE
    ]
    alive = _alive(store, {value for _, _, value in pointers})
    for draft, reference, value in pointers:
        problem = _problem(store.schema, reference, value, alive)
        if problem is not None:
            draft.problems.append(problem)


def _alive(store: Store, record_ids: set[str]) -> dict[str, bool]:
    """Return, for the Ids that name a record, whether it is outside the recycle bin."""
    by_object: dict[str, list[str]] = {}
    for record_id in sorted(record_ids):
        one = store.schema.by_id(record_id)
        if one is not None:
            by_object.setdefault(one.name, []).append(record_id)
    found: dict[str, bool] = {}
    for name, group in by_object.items():
        one = store.schema.objects[name]
        rows = store.rows(one, ("IsDeleted",) if one.has_deleted else (), group)
        found.update({record_id: not any(row) for record_id, row in rows.items()})
    return found


def _problem(schema: Schema, reference: Field, value: str, alive: Mapping[str, bool]) -> RecordError | None:
    target = schema.by_id(value)
    if target is not None and target.name not in reference.reference_to:
        return wrong_type_id(reference, value)
    if value not in alive:
        return errors.no_such_reference(reference.name)
    return None if alive[value] else errors.deleted()


def _follow(store: Store, draft: Draft, link: Link) -> None:
    """Put the Id of the record with a key value into the draft, or say why there is none."""
    reference, target, key, value = link
    name = target or reference.reference_to[0]
    one = store.schema.get(name)
    known = one.field(key) if one is not None else None
    if one is None or known is None or not known.is_key:
        message = f"Field name provided, {key} is not an External ID or indexed field for {name}"
        draft.problems.append(RecordError("INVALID_FIELD", message, ()))
        return
    if value is None or known.name == "Id":
        draft.values[reference.name] = None if value is None else str(value)
        return
    shown = str(value)
    found = [record_id for _, record_id in store.matching(one, known, [shown])]
    if len(found) == 1:
        draft.values[reference.name] = found[0]
    elif found:
        draft.problems.append(errors.several_found(known.label, found))
    else:
        message = f"Foreign key external ID: {shown.lower()} not found for field {known.name} in entity {one.name}"
        draft.problems.append(RecordError("INVALID_FIELD", message))


def check_owners(store: Store, one: SObject, drafts: Sequence[Draft]) -> None:
    """Refuse owners that are inactive users."""
    owners = {value for draft in drafts if isinstance(value := draft.values.get("OwnerId"), str)}
    rows = store.rows(store.schema.objects["User"], ("IsActive",), sorted(owners))
    inactive = {owner for owner, (is_active,) in rows.items() if not is_active}
    for draft in drafts:
        owner = draft.values.get("OwnerId")
        if owner in inactive:
            message = f"operation performed with inactive user [{owner}] as owner of {one.name.lower()}"
            draft.problems.append(RecordError("INACTIVE_OWNER_OR_USER", message, ("OwnerId",)))
