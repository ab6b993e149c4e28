"""Merging records: the losers go to the recycle bin with the winner's Id, and what pointed at them points at it.

Source: SOAP API guide, merge(), and Object Reference, MasterRecordId: "If this record was deleted as the result of a
merge, this field contains the ID of the record that was kept".
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.emulator import errors
from pipeline.emulator.errors import RecordError
from pipeline.emulator.schema import SObject
from pipeline.emulator.store import Store, quote
from pipeline.emulator.values import Stored, datetime_text

# Records that one call may merge into the winner (SOAP API guide: merge()).
MOST_LOSERS = 2


def merge(store: Store, one: SObject, master: str, losers: Sequence[str], now: float) -> list[RecordError]:
    """Merge records into ``master``; return why they cannot be, or the empty list."""
    found = store.rows(one, ("IsDeleted",) if one.has_deleted else (), [master, *losers])
    if not one.mergeable:
        return [RecordError("INVALID_TYPE", f"{one.name} cannot be merged")]
    if not 1 <= len(losers) <= MOST_LOSERS or master in losers or len(set(losers)) != len(losers):
        message = f"between 1 and {MOST_LOSERS} other records can be merged into a record"
        return [RecordError("INVALID_ID_FIELD", message)]
    for record_id in (master, *losers):
        if record_id not in found:
            return [errors.no_such_reference()]
        if found[record_id][0]:
            return [errors.deleted()]
    stamp = datetime_text(now)
    with store.transaction():
        for child, field in store.schema.children(one.name):
            if field.name != "MasterRecordId":
                column = quote(field.name)
                marks = ", ".join("?" * len(losers))
                sql = f"UPDATE {quote(child.name)} SET {column} = ? WHERE {column} IN ({marks})"  # noqa: S608 - names of the describe
                store.execute(sql, (master, *losers))
        stamps: dict[str, Stored] = {"LastModifiedDate": stamp, "SystemModstamp": stamp}
        gone: dict[str, Stored] = {"IsDeleted": 1, "MasterRecordId": master, **stamps}
        store.update(one, [(loser, dict(gone)) for loser in losers])
        store.update(one, [(master, dict(stamps))])
    return []
