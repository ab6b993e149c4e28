"""Deliver: woken for one object, bring batches of its waiting operations to the org until nothing is due."""

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from celery.utils.log import get_task_logger
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from pipeline.app import app
from pipeline.redis_faults import in_words
from pipeline.settings import is_rabbitmq
from pipeline.tasks.base import PipelineTask
from pipeline.tasks.bulk import bulk_turn
from pipeline.tasks.drain import is_draining
from pipeline.tasks.ingest import queued, wake
from pipeline.tasks.spending import CALLS, CALLS_OF_JOB, spending

if TYPE_CHECKING:
    from pipeline.delivery.report import Report
    from pipeline.inbox.claims import Batch
    from pipeline.inbox.inbox import Inbox
    from pipeline.tasks.runtime import Runtime

log = get_task_logger(__name__)

# A deliverer makes room for other objects after so long; it is woken again if something is left.
_TURN_S = 20.0
# A wait up to this long is spent in place; a longer one ends the turn, and the sweep wakes the object again.
_PATIENCE_S = 1.0
# Where there is no linger, keys that another deliverer holds are not asked for without a pause.
_SHORTEST_WAIT_S = 0.05
DELAY_HEADER: Final = "pipeline-delay-s"


def _delayed_by_own_clock(task: Any, app: Any, consumer: Any, **options: Any) -> Any:
    """Return Celery's strategy, for messages that say how long to wait and not until when."""
    from celery.worker.strategy import default  # a producer does not load what workers run

    receive = default(task, app, consumer, **options)

    def receive_delayed(message: Any, *arguments: Any, **more: Any) -> Any:
        delay_s = message.headers.get(DELAY_HEADER)
        if isinstance(delay_s, int | float):
            # By this worker's clock, which is the one that Celery compares it with.
            message.headers["eta"] = (datetime.now(UTC) + timedelta(seconds=delay_s)).isoformat()
        return receive(message, *arguments, **more)

    return receive_delayed


class DeliverTask(PipelineTask):
    """The wake-up of a deliverer; the operations stay in the inbox."""

    def shown(self, args: Any) -> str:
        """Show the object."""
        return f"('{args[0]}')" if args and str(args[0]).isidentifier() else super().shown(args)


# Acknowledged at once and not late: it carries nothing, and whoever sweeps sends another.
@app.task(
    shared=False,
    name="pipeline.deliver",
    base=DeliverTask,
    Strategy=staticmethod(_delayed_by_own_clock),
    acks_late=False,
    time_limit=900,
    soft_time_limit=880,
)
def deliver(object_name: str, token: str) -> dict[str, Any]:
    """Deliver what waits for an object; returns the figures of what was done."""
    from pipeline.delivery.report import Report
    from pipeline.tasks.runtime import runtime

    try:
        return deliver_due(object_name, token, runtime()).as_dict()
    except (RedisError, OperationalError) as error:
        # What was claimed stays claimed until its lease ends, and is looked up afresh by whoever claims it then.
        log.error("object=%s delivery stops: %s", object_name, in_words(error))  # noqa: TRY400  (it may quote a command)
        return Report(object_name, why=in_words(error)).as_dict()


def deliver_due(object_name: str, token: str, runtime: "Runtime") -> "Report":
    """Claim and deliver batches of one object until nothing is due, the gate is closed, or the turn is over."""
    from pipeline.delivery.report import Report

    inbox = runtime.inbox(object_name)
    report = Report(object_name)
    started = time.monotonic()
    sweep_one(object_name, runtime)
    while time.monotonic() - started < _TURN_S and not is_draining():
        taken = CALLS_OF_JOB if runtime.bulk_jobs(object_name).are_there() else CALLS
        wait_s, report.why = _closed_for(object_name, token, runtime, calls=taken)
        if wait_s > _PATIENCE_S:
            break
        if wait_s > 0:
            time.sleep(wait_s)
            continue
        if _turn(inbox, token, report, runtime, taken=taken) == "gone":
            return _finished(report, started)
    inbox.rest(token, in_any_case=True)
    if is_draining():
        sweep_one(object_name, runtime)  # which wakes another worker, if keys are due
    return _finished(report, started)


def _turn(inbox: "Inbox", token: str, report: "Report", runtime: "Runtime", *, taken: int) -> Literal["on", "gone"]:
    """Do a step of a bulk job, or claim and deliver a batch, with the calls taken; "gone": the deliverer has left."""
    from pipeline.inbox.claims import Empty, Wait

    can_delay = not is_rabbitmq(runtime.settings.broker.url)
    more_to_come = can_delay and _is_more_to_come()
    turn = bulk_turn(inbox, token, report, runtime, more_to_come=more_to_come, can_delay=can_delay, taken=taken)
    if turn == "worked":
        return "on"
    if turn == "leave":
        runtime.gate.give_back(taken, token)
        return "gone"
    claimed = Wait(_PATIENCE_S) if turn == "wait" else inbox.claim(token, more_to_come=more_to_come)
    if isinstance(claimed, Empty):
        runtime.gate.give_back(taken, token)
        return "gone" if inbox.rest(token, in_any_case=False) else "on"
    if isinstance(claimed, Wait):
        runtime.gate.give_back(taken, token)
        wait_s = min(max(claimed.seconds, _SHORTEST_WAIT_S), _PATIENCE_S)
        if can_delay:
            # Not waited for in place: this process can take events in meanwhile. The deliverer keeps its token, and the
            # wait is far below what the transport gives a message back after.
            wake(inbox.object, token, in_s=wait_s)
            return "gone"
        # Celery has RabbitMQ's quorum queues delay nothing that is sent to a direct exchange.
        time.sleep(wait_s)
        return "on"
    if claimed.wake_another:
        wake(inbox.object, claimed.wake_another)
    _deliver_batch(claimed, inbox, token, report, runtime, taken=taken)
    return "on"


def sweep_one(object_name: str, runtime: "Runtime") -> None:
    """Bring back what a killed worker left claimed, and wake the object if nobody is at work for it."""
    swept = runtime.inbox(object_name).sweep()
    if swept.returned:
        log.warning("object=%s keys_returned=%d: their worker did not finish", object_name, swept.returned)
    token = swept.wake or runtime.bulk_jobs(object_name).wake()
    if token:
        wake(object_name, token)


def _is_more_to_come() -> bool:
    """Tell whether events wait to be taken in; of a broker that does not answer nothing comes."""
    try:
        return queued() > 0
    except (OperationalError, RedisError, OSError):
        return False


def _closed_for(object_name: str, token: str, runtime: "Runtime", *, calls: int) -> tuple[float, str]:
    """Ask the circuit and the gate; returns the seconds to wait and why, or (0, "") with the calls taken."""
    from pipeline.salesforce.quota import Wait

    paused = runtime.pause.why(object_name)
    if paused is not None and not runtime.pause.probe(object_name):
        runtime.say_once(object_name, f"{paused.reason}; {paused.advice}")
        return _TURN_S, paused.reason
    runtime.say_once(object_name, "")
    answer = runtime.gate.take(calls, token, object_name, is_urgent=runtime.inbox(object_name).is_urgent())
    return (answer.seconds, answer.reason) if isinstance(answer, Wait) else (0.0, "")


def _deliver_batch(
    batch: "Batch", inbox: "Inbox", token: str, report: "Report", runtime: "Runtime", *, taken: int
) -> None:
    from pipeline.delivery.deliverer import Deliverer
    from pipeline.delivery.report import Report

    begun, done = time.monotonic(), Report(report.object)
    with spending(inbox, token, report, done, runtime, keys=len(batch.claims), taken=taken) as terms:
        deliverer = Deliverer(inbox, runtime.org, runtime.describes, **terms.for_deliverer)
        try:
            terms.paused = deliverer.deliver(batch, done)
        finally:
            _log_batch(batch, done, begun)


def _finished(report: "Report", started: float) -> "Report":
    report.ms = round((time.monotonic() - started) * 1000)
    return report


def _log_batch(batch: "Batch", report: "Report", begun: float) -> None:
    """Log what one batch did, by its id: the beginning of its claim's token."""
    figures = ("claimed", "created", "updated", "deleted", "retried", "dead", "calls")
    done = " ".join(f"{name}={getattr(report, name)}" for name in figures)
    ms = round((time.monotonic() - begun) * 1000)
    log.info("batch=%s object=%s %s keys=%d ms=%d", batch.token[:8], report.object, done, len(batch.claims), ms)
