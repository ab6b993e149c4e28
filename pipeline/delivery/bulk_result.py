"""What became of the rows of a bulk job, and what that does to the keys they were for."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pipeline.delivery.answers import jitter
from pipeline.delivery.outcome import Buried, LookAgain, Paused, RetryAt, in_words, may_be_anothers_fault, of_record
from pipeline.delivery.pack import Write
from pipeline.delivery.work import Work
from pipeline.salesforce.bulk_csv import cells_of, columns_of, digest_of, errors_of
from pipeline.salesforce.errors import ErrorDetail

_DUPLICATES = "DUPLICATES_DETECTED"  # a job cannot say whether to save them all the same; a collection can


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
        self._results: dict[str | bytes, list[Result]] = {}
        self.rest_succeeded = False  # whether a row without a result of its own was written

    def __len__(self) -> int:
        """Return how many results there are that no row was given yet."""
        return sum(map(len, self._results.values()))

    def add(self, rows: Iterable[Mapping[str, str]]) -> None:
        """Take the rows of a result file. Raises KeyError where a column of Salesforce's is missing."""
        for row in rows:
            sent = columns_of(row)
            name = sent.get("Id", row["sf__Id"]) if self._kind == "update" else digest_of(sent)
            self._results.setdefault(name, []).append(Result(row["sf__Id"], row.get("sf__Error", "")))

    def of(self, write: Write) -> Result | None:
        """Return what became of a write, each result once; None where Salesforce has not said."""
        name: str | bytes = str(write.record_id)
        if self._kind != "update":
            name = digest_of(cells_of(write.record) or {})
        waiting = self._results.get(name)
        if waiting:
            return waiting.pop()
        return Result(str(write.record_id)) if self.rest_succeeded else None


NO_RESULTS = Outcomes("insert")


def take(work: Work, outcomes: Outcomes, *, delay_s: float) -> Paused | None:
    """Settle a key by what became of its row; returns why delivery has to pause, if so.

    A row of which nothing is known is looked up and written again, after `delay_s`. What was refused and is not done
    with goes the usual way from now on, where a request can be halved: its attempt counts.
    """
    write = work.next_write()
    if write is None:
        return None
    result = outcomes.of(write)
    if result is None:
        work.verdict = RetryAt(delay_s, "the bulk job did not get to it", counts_attempt=False)
        return None
    if not result.error:
        work.succeeded(write, result.record_id or None, is_new=write.kind == "create")
        if work.is_open:
            work.verdict = RetryAt(0, "there is more to write", counts_attempt=False)
        return None
    return _refused(work, errors_of(result.error))


def _refused(work: Work, errors: tuple[ErrorDetail, ...]) -> Paused | None:
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
