"""Spending: the terms on which a batch, or a step of a bulk job, makes its calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import SoftTimeLimitExceeded
from celery.utils.log import get_task_logger
from redis.exceptions import RedisError

from pipeline.tasks.drain import is_draining

if TYPE_CHECKING:
    from pipeline.delivery.outcome import Paused
    from pipeline.delivery.report import Report
    from pipeline.inbox.inbox import Inbox
    from pipeline.tasks.runtime import Runtime

log = get_task_logger(__name__)

# What a batch is expected to cost, taken before its keys are claimed: one lookup and one write.
CALLS: Final = 2
# To start a bulk job, and to ask what became of it: all at once, because none is added where calls are scarce.
CALLS_OF_JOB: Final = 3


@dataclass(slots=True)
class Terms:
    """What a deliverer is told, and what it says in the end."""

    for_deliverer: dict[str, Any]
    paused: "Paused | None" = None


@contextmanager
def spending(
    inbox: "Inbox", token: str, report: "Report", done: "Report", runtime: "Runtime", *, keys: int, taken: int
) -> Iterator[Terms]:
    """Give a deliverer its terms for so many keys, and take what it has `done` to the report and the figures.

    `taken` are the calls that the gate has granted for it. Afterwards those it did not need are given back, and the
    circuit is opened or closed.
    """
    terms = Terms(
        {
            # The first calls were taken before the claim; what a batch needs beyond them is asked for one by one.
            "may_spend": lambda: done.calls < taken or runtime.gate.spend_one(inbox.object),
            "is_waiting": lambda other, key: runtime.inbox(other).holds(key),
            "is_ending": is_draining,
            "now_ms": runtime.clock.now_ms,
            # A write whose answer was lost is given the time that an answer is waited for.
            "uncertain_delay_s": runtime.settings.destination.salesforce.timeout,
            "interruptions": (SoftTimeLimitExceeded, RedisError),
        }
    )
    try:
        yield terms
    except SoftTimeLimitExceeded:
        done.why = "cut short"
        return
    finally:
        report.add(done)
        runtime.gate.give_back(max(0, taken - done.calls), token)
        if keys or done.claimed:  # a bulk job is told by its operations, and a look at it is no batch
            runtime.tally.count_batch(keys or done.claimed, done)
        runtime.tally.write(runtime.redis)
    paused = terms.paused
    if paused is None:
        if done.calls:  # a batch that needed no call has not learned whether the org is well
            runtime.pause.clear()
        if done.why:
            log.warning("object=%s operations wait: %s", inbox.object, done.why)
        return
    runtime.pause.close(paused)
    report.why = paused.reason
    log.error("object=%s delivery waits: %s %s", inbox.object, paused.reason, paused.advice)
