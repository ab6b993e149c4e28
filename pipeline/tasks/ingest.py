"""Ingest: an event becomes operations in inboxes, or a dead letter with a reason, or is counted and done."""

import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

from celery.exceptions import Reject
from celery.utils.log import get_task_logger
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from pipeline.app import app
from pipeline.errors import PipelineError
from pipeline.message_body import RawEvent, events_of, unread
from pipeline.redis_faults import in_words
from pipeline.tasks.base import EventsTask, EventTask
from pipeline.tasks.grouping import Body, grouped
from pipeline.tasks.trials import Trials

if TYPE_CHECKING:
    from pipeline.inbox.dead_letters import Receipt
    from pipeline.operation import Operation
    from pipeline.tasks.runtime import Runtime

log = get_task_logger(__name__)

INGEST_QUEUE = "ingest"


def take_in(
    messages: Sequence[Body], *, is_again: bool = False, lost: int = 0, are_lists: bool = False
) -> tuple[int, None, float]:
    """Take in the events of several messages; answers as Celery's pool expects it of a task.

    The time is each message's share. One that comes again has to be alone; it has cost `lost` readers their lives.
    """
    begun = time.monotonic()
    events: list[Any] = []
    for text, content_type, _ in messages:
        try:
            events += events_of(text, content_type, are_lists=are_lists)
        except Exception as unreadable:  # noqa: BLE001  (whatever it is, Celery would acknowledge the message)
            if len(messages) > 1:
                # Whichever it is about, the others are not lost with it: each of them comes again, and travels alone.
                raise Reject(type(unreadable).__name__, requeue=True) from None
            events = [unread(text, "cannot be read")]
    _ingest(events, is_again=is_again, lost=lost)
    return 0, None, (time.monotonic() - begun) / len(messages)


def take_in_lists(messages: Sequence[Body], *, is_again: bool = False, lost: int = 0) -> tuple[int, None, float]:
    """Take in the events of messages of `send_events`, as `take_in` does those of `send_event`."""
    return take_in(messages, is_again=is_again, lost=lost, are_lists=True)


@app.task(shared=False, name="pipeline.send_event", base=EventTask, bind=True, Strategy=staticmethod(grouped(take_in)))
def send_event(self: Any, event: Any) -> None:
    """Take in one event: `send_event.delay(event)`."""
    _ingest([event], is_again=bool(self.request.delivery_info.get("redelivered")))


@app.task(
    shared=False,
    name="pipeline.send_events",
    base=EventsTask,
    bind=True,
    Strategy=staticmethod(grouped(take_in_lists, most=1)),
)
def send_events(self: Any, events: Any) -> None:
    """Take in many events with one message: `send_events.delay([event, ...])`."""
    is_again = bool(self.request.delivery_info.get("redelivered"))
    _ingest(events if isinstance(events, list) else [events], is_again=is_again)


def _ingest(events: list[Any], *, is_again: bool, lost: int = 0) -> None:
    """Take events in, or give the message back to its queue: Celery acknowledges one whose task raises anything else.

    What cannot be taken in for a fault of the events or of the code is buried when it comes again: not at once, because
    a lost connection shows itself in many errors, and because a message that comes again is not in others' company.
    """
    from pipeline.tasks.runtime import runtime

    try:
        try:
            if lost:
                _one_by_one(events, runtime(), trials=Trials(runtime().redis, events, lost=lost))
            else:
                ingest(events, runtime())
        except (RedisError, OperationalError, PipelineError):
            raise
        except Exception:
            if not is_again:
                raise
            _one_by_one(events, runtime())
    except PipelineError as error:
        _give_back(str(error))
    except (RedisError, OperationalError) as error:
        _give_back(in_words(error))
    except Exception as bug:  # noqa: BLE001  (its text may quote an event)
        _give_back(type(bug).__name__)


def _one_by_one(events: list[Any], runtime: "Runtime", *, trials: "Trials | None" = None) -> None:
    """Take events in each by itself, and bury those that cannot be, so that they cost the others nothing."""
    from pipeline.inbox.dead_letters import Receipt

    for position, event in enumerate(events):
        if trials and trials.is_deadly(position):
            log.error("an event has cost processes their lives, and becomes a dead letter")
            _count([Receipt(_id_of(event), "rejected", "it has ended the processes that took it in", event)], runtime)
            continue
        try:
            with trials.of(position) if trials else nullcontext():
                ingest([event], runtime)
        except (RedisError, OperationalError, PipelineError):
            raise
        except Exception as bug:  # noqa: BLE001  (nothing that an event brings about may lose it, or the others)
            name = type(bug).__name__
            log.error("an event could not be taken in: %s", name)  # noqa: TRY400  (a traceback quotes it)
            reason = f"the pipeline failed to take it in: {name}"
            _count([Receipt(_id_of(event), "rejected", reason, event)], runtime)


def _give_back(why: str) -> NoReturn:
    # What was appended before the fault is known by its id the next time.
    log.error("events are not taken in, and go back to their queue: %s", why)
    time.sleep(1)
    raise Reject(why, requeue=True) from None


def ingest(events: list[Any], runtime: "Runtime") -> None:
    """Put the operations of `events` into their inboxes, count every event once, and wake who has to deliver.

    Raises RedisError when the state store is out of reach; calling again with the same events is safe.
    """
    received_ms = runtime.clock.now_ms()
    receipts: list[Receipt] = []
    operations: list[Operation] = []
    for event in events:
        receipt, planned = plan(event, received_ms, runtime)
        receipts.append(receipt)
        operations += planned
    append(operations, runtime)
    _count(receipts, runtime)


def _count(receipts: "list[Receipt]", runtime: "Runtime") -> None:
    from pipeline.inbox.dead_letters import receive

    receive(runtime.redis, receipts, is_traced=runtime.settings.destination.trace)


def append(operations: "Iterable[Operation]", runtime: "Runtime") -> None:
    """Put operations into their inboxes, all in one round trip, and wake who has to deliver them."""
    from pipeline.inbox.scripts import run_together

    by_object: dict[str, list[Operation]] = {}
    for operation in operations:
        by_object.setdefault(operation.object, []).append(operation)
    appending = {name: runtime.inbox(name).appending(its_own) for name, its_own in by_object.items()}
    answers = run_together(runtime.redis, [one.call for one in appending.values()])
    for (object_name, one), answer in zip(appending.items(), answers, strict=True):
        token = one.read(answer).wake
        if token:
            wake(object_name, token)


def wake(object_name: str, token: str, *, in_s: float | None = None) -> None:
    """Send the message that starts a deliverer of an object, now or in some seconds (not with RabbitMQ).

    The seconds count from when a worker receives it: Celery's countdown is a time by the clock of whoever sends it,
    which workers of older versions go by.
    """
    from pipeline.tasks.deliver import DELAY_HEADER, deliver

    headers = None if in_s is None else {DELAY_HEADER: in_s}
    deliver.apply_async((object_name, token), queue=f"salesforce.{object_name}", countdown=in_s, headers=headers)


def queued(queue: str = INGEST_QUEUE) -> int:
    """Count the messages that wait in a queue of the broker, which may be another server than the state's."""
    with app.connection_or_acquire() as connection:
        connection.connect()  # one that was lost is closed, and stays so in the pool
        # RabbitMQ closes a channel that asks for a queue it does not have, so there it is nobody else's. With Redis it
        # is the one that stays: a new one is two connections more, and every batch asks.
        is_kept = connection.transport.driver_type == "redis"
        with nullcontext(connection.default_channel) if is_kept else connection.channel() as channel:
            try:
                return int(channel.queue_declare(queue, passive=True).message_count)
            except connection.channel_errors:  # Redis knows no empty queue
                return 0


def plan(event: Any, received_ms: int, runtime: "Runtime") -> "tuple[Receipt, list[Operation]]":
    """Say what an event means: its receipt, and its operations, none unless it is accepted."""
    from pipeline.errors import InvalidEvent
    from pipeline.events.opt_in import why_not
    from pipeline.events.schemas import opted_in, validate
    from pipeline.inbox.dead_letters import Receipt
    from pipeline.inbox.trace import planned_as

    if isinstance(event, RawEvent):
        return Receipt(_id_of(event), "rejected", event.reason, event.text), []
    try:
        valid = validate(event, received_ms=received_ms)
        if not opted_in(valid, always=runtime.settings.destination.always_enabled):
            return Receipt(valid.message_id, "skipped", why_not(valid.body)), []
        operations = runtime.planner.plan(valid)
    except InvalidEvent as invalid:
        return Receipt(_id_of(event), "rejected", str(invalid), event), []
    except Exception as bug:  # noqa: BLE001  (one event that we cannot plan must neither be lost nor stop the others)
        reason = f"the pipeline failed to plan it: {type(bug).__name__}"
        log.error("an event could not be planned: %s", type(bug).__name__)  # noqa: TRY400  (a traceback quotes the event)
        return Receipt(_id_of(event), "rejected", reason, event), []
    if not operations:
        return Receipt(valid.message_id, "skipped", "no_rule"), []
    planned = planned_as((one.object, one.id) for one in operations)
    return Receipt(valid.message_id, "accepted", planned=planned), operations


def _id_of(event: Any) -> str:
    from pipeline.events.ids import message_id

    if isinstance(event, RawEvent):
        event = event.text
    return message_id(event if isinstance(event, dict) else {"": event})
