"""Answers: what an answer of Salesforce does to the keys it is about. Each returns why delivery has to pause, if so."""

import random
from collections.abc import Iterable, Sequence

from pipeline.delivery.outcome import (
    Buried,
    LookAgain,
    Paused,
    RetryAt,
    Split,
    in_words,
    is_uncertain,
    may_be_anothers_fault,
    of_failure,
    of_part,
    of_record,
    retry,
)
from pipeline.delivery.pack import Collection
from pipeline.delivery.work import Work
from pipeline.salesforce.errors import ErrorDetail, SalesforceError
from pipeline.salesforce.record_result import RecordResult


def take_results(collection: Collection, works: Sequence[Work], results: Sequence[RecordResult]) -> Paused | None:
    """Take the results of a collection that was carried out, record by record, also beyond one that makes it pause."""
    if len(results) > 1 and all(not one.success and may_be_anothers_fault(one.errors) for one in results):
        halve(works, in_words(results[0].errors), size=len(works))
        return None
    paused: Paused | None = None
    for write, work, result in zip(collection.writes, works, results, strict=True):
        if result.success:
            work.succeeded(write, result.id, is_new=write.kind == "create" or bool(result.created))
            continue
        decision = of_record(result.errors, attempts=work.claim.attempts, jitter=jitter())
        if isinstance(decision, Paused):
            paused = paused or decision
        elif isinstance(decision, LookAgain) and write.kind == "delete":
            work.succeeded(write, None)  # it is gone, as was asked
        else:
            work.failed(decision)
    return paused


def split(works: Sequence[Work], errors: Sequence[ErrorDetail], *, size: int) -> Paused | None:
    """Deal with a collection or query of `size` records refused as a whole: halve it, and bury what is alone."""
    decision = of_part(errors)
    if isinstance(decision, Split):
        halve(works, decision.reason, size=size)
        return None
    return _decide(works, decision)


def split_writes(collection: Collection, works: Sequence[Work], errors: Sequence[ErrorDetail]) -> Paused | None:
    """Deal with a collection of writes refused as a whole. What it would have upserted is looked up first."""
    paused = split(works, errors, size=len(works))
    for work in works:
        work.is_refused_unseen = work.is_refused_unseen or collection.kind == "upsert"
    return paused


def halve(works: Sequence[Work], reason: str, *, size: int) -> None:
    """Let keys travel in collections and queries half as large; bury them where `size`, that of the last, was one."""
    for work in works:
        if size > 1:
            work.company = min(work.company, size // 2)
        else:
            work.failed(Buried(reason))


def write_failed(works: Sequence[Work], error: SalesforceError, *, uncertain_delay_s: float) -> Paused | None:
    """Deal with a request of writes that got no answer, or was refused as a whole.

    One whose answer was lost may still be at work for `uncertain_delay_s`; nothing is looked up again before that.
    """
    if not is_uncertain(error):
        return failed(works, error)
    for work in works:
        if work.is_open:
            work.unanswered(uncertain_delay_s)
    decision = of_failure(error)
    return decision if isinstance(decision, Paused) else None


def failed(works: Sequence[Work], error: SalesforceError) -> Paused | None:
    """Deal with a request that got no answer, or was refused as a whole, and changed nothing."""
    left = [work for work in works if work.is_open]
    decision = of_failure(error)
    if not isinstance(decision, Split):
        return _decide(left, decision)
    for work in left:
        if len(left) > 1:
            work.together = min(work.together, len(left) // 2)
        else:
            work.failed(Buried(decision.reason))
    return None


def put_off(work: Work) -> None:
    """Let a key wait that a batch has no more time for. One that has come no further has used an attempt up."""
    reason = "more to do than one batch may"
    if len(work.open_positions()) < work.claim.taken:
        work.verdict = RetryAt(0, reason, counts_attempt=False)
        return
    decision = retry(reason, attempts=work.claim.attempts, jitter=jitter())
    if isinstance(decision, RetryAt):
        work.verdict = decision
    while work.is_open:
        work.give_up(decision.reason)


def _decide(works: Sequence[Work], decision: RetryAt | Paused) -> Paused | None:
    if isinstance(decision, Paused):
        return decision
    for work in works:
        if decision.counts_attempt:
            work.failed(retry(decision.reason, attempts=work.claim.attempts, jitter=jitter()))
        else:
            work.failed(decision)
    return None


def blame(works: Iterable[Work], error: Exception, *, sent: Iterable[Work], uncertain_delay_s: float) -> None:
    """Deal with a mistake of ours: an attempt of each key, buried with the error's type when it was tried often enough.

    Of `sent` the write may have been carried out, or may still be.
    """
    reason, uncertain = f"the pipeline failed on it: {type(error).__name__}", {id(work) for work in sent}
    for work in works:
        if not work.is_open:
            continue
        decision = retry(reason, attempts=work.claim.attempts, jitter=jitter())
        if id(work) not in uncertain:
            work.failed(decision)
        elif isinstance(decision, RetryAt):
            work.unanswered(max(decision.delay_s, uncertain_delay_s), counts_attempt=True)
        else:
            work.give_up(f"{decision.reason}; the write may have been carried out")


def jitter() -> float:
    """Return a number from 0 to 1 that spreads retries."""
    return random.random()  # noqa: S311  (spreads retries, guards nothing)
