"""The rows of a bulk job: which keys it can write, and how."""

from collections import Counter

from pipeline.delivery.pack import Write
from pipeline.delivery.work import Work
from pipeline.inbox.bulk_jobs import Row
from pipeline.inbox.clock import write_clock
from pipeline.salesforce.bulk import MOST_BYTES, Kind
from pipeline.salesforce.bulk_csv import Table, cells_of, digest_of


class Rows:
    """The rows of the records to create, and of those to update: a job does one or the other."""

    def __init__(self, *, is_traced: bool) -> None:
        self.tables: dict[Kind, Table] = {"insert": Table(), "update": Table()}
        self.keys: dict[Kind, list[str]] = {"insert": [], "update": []}
        self._is_traced = is_traced
        self._ids: set[str] = set()

    def add(self, work: Work) -> Row | None:
        """Add the row of a key; None where it cannot be written by one row, or not in this job."""
        plain = _plain(work)
        if plain is None:
            return None
        kind, write, cells = plain
        record_id = str(write.record_id or "")
        # The rows of a job are written in no order, so a record stands in it once.
        if record_id in self._ids or self.tables[kind].size > MOST_BYTES:
            return None
        if record_id:
            self._ids.add(record_id)
        self.tables[kind].add(cells)
        self.keys[kind].append(work.claim.key)
        work.succeeded(write, record_id or None, is_new=kind == "insert")
        settlement = work.settle()  # as it is once the row is written
        return Row(
            taken=work.claim.taken,
            kind=kind,
            record_id=record_id,
            digest=digest_of(cells) if kind == "insert" else "",
            clock="" if settlement.clock is None else write_clock(settlement.clock),
            ids=tuple(one.id for one in work.claim.operations) if self._is_traced else (),
            left_out=Counter(work.left_out(settlement)),
        )


def _plain(work: Work) -> tuple[Kind, Write, dict[str, str]] | None:
    """Return how a key is written by one row, and its cells; None if it is not."""
    if not work.is_open or work.buried or len(work.changes) > 1 or work.is_waiting_for_lookup:
        return None
    write = work.next_write()
    if write is None or write.kind not in {"create", "update"} or work.buried or work.writes_twice:
        return None
    cells = cells_of({name: value for name, value in write.record.items() if name != "id"})
    if not cells:
        return None
    return (
        ("insert", write, cells) if write.kind == "create" else ("update", write, {"Id": str(write.record_id), **cells})
    )
