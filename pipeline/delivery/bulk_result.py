"""What became of the rows of a bulk job, and what that does to the keys they were for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline.delivery.answers import jitter
from pipeline.delivery.outcome import Buried, LookAgain, Paused, RetryAt, in_words, may_be_anothers_fault, of_record
from pipeline.delivery.work import Work
from pipeline.inbox.bulk_jobs import Row
from pipeline.salesforce.bulk_csv import digest_of
from pipeline.salesforce.errors import ErrorDetail

NOT_REACHED: Final = "the bulk job did not get to it"
_DUPLICATES: Final = "DUPLICATES_DETECTED"  # a job cannot say whether to save them all the same; a collection can


class Result(NamedTuple):
    """What became of one row: the record's Id, or Salesforce's reasons."""

    record_id: str
    error: str = ""


class Outcomes:
    """The results of a job. The order of rows says nothing: an update is told by its Id, a new record by all it has.

    Rows that are the same to the last cell are interchangeable.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._results: dict[str, list[Result]] = {}
        self.rest_succeeded = False  # whether a row without a result of its own was written

    def __len__(self) -> int:
        """Return how many results there are that no row was given yet."""
        return sum(map(len, self._results.values()))

    def add(self, rows: Iterable[Mapping[str, str]]) -> None:
        """Take the rows of a result file. Raises KeyError where a column of Salesforce's is missing."""
        for row in rows:
            record_id = row["sf__Id"]
            name = (row.get("Id") or record_id) if self._kind == "update" else digest_of(row)
            self._results.setdefault(name, []).append(Result(record_id, row.get("sf__Error", "")))

    def of(self, row: Row) -> Result | None:
        """Return what became of a row, each result once; None where Salesforce has not said."""
        waiting = self._results.get(row.record_id or row.digest)
        if waiting:
            return waiting.pop()
        return Result(row.record_id) if self.rest_succeeded else None


NO_RESULTS = Outcomes("insert")


@dataclass(slots=True)
class Sorted:
    """The keys of a job by what became of their rows."""

    strangers: list[str] = field(default_factory=list)  # which have no row in this job
    not_reached: dict[str, Row] = field(default_factory=dict)  # of which Salesforce says nothing
    written: dict[str, tuple[Row, str]] = field(default_factory=dict)  # and the Id of the record
    refused: dict[str, Result] = field(default_factory=dict)


def sort(rows: Mapping[str, Row | None], outcomes: Outcomes, kind: str) -> Sorted:
    """Sort the keys of a job of a kind by what became of their rows."""
    found = Sorted()
    for key, row in rows.items():
        if row is None or row.kind != kind:
            found.strangers.append(key)
            continue
        result = outcomes.of(row)
        if result is None:
            found.not_reached[key] = row
        elif result.error:
            found.refused[key] = result
        else:
            found.written[key] = (row, result.record_id)
    return found


def refused(work: Work, errors: tuple[ErrorDetail, ...]) -> Paused | None:
    """Settle a key whose row was refused; returns why delivery has to pause, if so.

    What is not done with goes the usual way from now on, where a request can be halved: its attempt counts.
    """
    if work.next_write() is None:
        return None
    reason = in_words(errors)
    if may_be_anothers_fault(errors) or any(error.code == _DUPLICATES for error in errors):
        work.verdict = RetryAt(0, reason)
        return None
    decision = of_record(errors, attempts=work.claim.attempts, jitter=jitter())
    match decision:
        case Paused():
            work.verdict = RetryAt(0, reason, counts_attempt=False)
            return decision
        case LookAgain():
            work.is_known = False
            work.verdict = RetryAt(0, reason)
        case Buried() if len(work.changes[0].parts) > 1:
            work.verdict = RetryAt(0, reason)
        case _:
            work.failed(decision)
    return None
