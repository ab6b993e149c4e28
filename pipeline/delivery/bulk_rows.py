"""The rows of a bulk job: which keys it can write, and how."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.delivery.bulk_lookup import Lookups, lookup_of
from pipeline.delivery.work import Work
from pipeline.inbox.bulk_jobs import Row
from pipeline.inbox.claims import Claim
from pipeline.operation import Json
from pipeline.salesforce.bulk import MOST_BYTES, Kind
from pipeline.salesforce.bulk_csv import Table, cells_of
from pipeline.salesforce.describe import ObjectDescribe


@dataclass(slots=True)
class Gathered:
    """Claims as they come: those of the job, which are all looked up alike, and the others."""

    lookups: Lookups | None = None
    others: list[Claim] = field(default_factory=list)  # for the usual way
    apart: list[str] = field(default_factory=list)  # keys for another job, as they are looked up otherwise

    def sort(self, claims: Iterable[Claim], describe: ObjectDescribe) -> list[Claim]:
        """Return the claims that are for the job, and keep the others."""
        fit: list[Claim] = []
        for claim in claims:
            wanted = lookup_of(claim, describe)
            self.lookups = self.lookups or wanted
            if wanted is None:
                self.others.append(claim)
            elif wanted == self.lookups:
                fit.append(claim)
            else:
                self.apart.append(claim.key)
        return fit


class Rows:
    """The rows of the records to create, and of those to update: a job does one or the other."""

    def __init__(self) -> None:
        self.tables: dict[Kind, Table] = {"insert": Table(), "update": Table()}
        self.keys: dict[Kind, list[str]] = {"insert": [], "update": []}
        self._ids: set[str] = set()

    def add(self, work: Work) -> Row | None:
        """Add the row of a key; None where it cannot be written by one row, or not in this job."""
        plain = _plain(work)
        if plain is None:
            return None
        kind, record_id, cells = plain
        # The rows of a job are written in no order, so a record stands in it once.
        if record_id in self._ids or self.tables[kind].size > MOST_BYTES:
            return None
        if record_id:
            self._ids.add(record_id)
        self.tables[kind].add(cells)
        self.keys[kind].append(work.claim.key)
        return Row(work.claim.taken, kind, record_id)


def _plain(work: Work) -> tuple[Kind, str, dict[str, str]] | None:
    """Return how a key is written by one row, the record's Id ("" for a new one) and the cells; None if it is not."""
    if not work.is_open or work.buried or len(work.changes) > 1 or work.is_waiting_for_lookup:
        return None
    write = work.next_write()
    if write is None or write.kind not in {"create", "update"} or work.buried or work.writes_twice:
        return None
    fields: dict[str, Json] = {name: value for name, value in write.record.items() if name != "id"}
    cells = cells_of(fields)
    if not cells:
        return None
    if write.kind == "create":
        return "insert", "", cells
    return "update", str(write.record_id), {"Id": str(write.record_id), **cells}
