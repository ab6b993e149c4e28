"""Ingest: an event becomes operations in inboxes, or a dead letter with a reason, or is counted and done."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from celery.exceptions import Reject
from celery.utils.log import get_task_logger
from kombu.serialization import loads
from redis.exceptions import RedisError

from pipeline.app import app
from pipeline.tasks.base import EventTask
from pipeline.tasks.grouping import Body, grouped

if TYPE_CHECKING:
    from pipeline.inbox.dead_letters import Receipt
    from pipeline.operation import Operation
    from pipeline.tasks.runtime import Runtime

log = get_task_logger(__name__)

INGEST_QUEUE = "ingest"


def take_in(messages: Sequence[Body]) -> tuple[int, None, float]:
    """Take in the events of several messages of `send_event`; answers as Celery's pool expects it of a task."""
    begun = time.monotonic()
    try:
        _ingest([event for message in messages for event in _events_of(message)])
    except Reject:
        raise
    except Exception as bug:
        if len(messages) == 1:
            raise
        # Whichever it is about, the others are not lost with it: each of them comes again, and travels alone.
        raise Reject(type(bug).__name__, requeue=True) from None
    return 0, None, time.monotonic() - begun


# Celery's three events a message would cost more than the message itself; `pipeline status` has the figures.
@app.task(name="pipeline.send_event", base=EventTask, send_events=False, Strategy=staticmethod(grouped(take_in)))
def send_event(event: Any) -> None:
    """Take in one event: `send_event.delay(event)`."""
    _ingest([event])


@app.task(name="pipeline.send_events", base=EventTask)
def send_events(events: Any) -> None:
    """Take in many events with one message: `send_events.delay([event, ...])`."""
    _ingest(events if isinstance(events, list) else [events])


def _events_of(message: Body) -> Iterator[Any]:
    body, content_type, encoding = message  # of a type that the consumer accepts, or it would not have come this far
    args, kwargs, _ = loads(body, content_type, encoding) if content_type else body
    return iter((*args, *kwargs.values()))


def _ingest(events: list[Any]) -> None:
    from pipeline.tasks.runtime import runtime

    try:
        ingest(events, runtime())
    except RedisError as error:
        # The message stays with the broker; what was appended before the fault is known by its id the next time.
        log.warning("Redis does not take events (%s): the message goes back to its queue", type(error).__name__)
        time.sleep(1)
        raise Reject(type(error).__name__, requeue=True) from None


def ingest(events: list[Any], runtime: "Runtime") -> None:
    """Put the operations of `events` into their inboxes, count every event once, and wake who has to deliver.

    One round trip, whatever the number of events and objects: a script for each object, which appends, and last the one
    that counts. A crash between any two of them leaves the message with the broker, and calling again with the same
    events is safe: what was appended is known by its id, and a message is never counted that was not appended before,
    unless an append was refused, and then the message goes back all the same. Raises RedisError when the state store
    is out of reach or refuses.
    """
    from pipeline.inbox.dead_letters import receiving
    from pipeline.inbox.scripts import run_together

    received_ms = time.time_ns() // 1_000_000
    receipts: list[Receipt] = []
    by_object: dict[str, list[Operation]] = {}
    for event in events:
        receipt, operations = _plan(event, received_ms, runtime)
        receipts.append(receipt)
        for operation in operations:
            by_object.setdefault(operation.object, []).append(operation)
    appending = {name: runtime.inbox(name).appending(operations) for name, operations in by_object.items()}
    answers = run_together(runtime.redis, [*(one.call for one in appending.values()), receiving(receipts)])
    for (object_name, one), answer in zip(appending.items(), answers, strict=False):  # the last one counted
        token = one.read(answer).wake
        if token:
            wake(object_name, token)


def wake(object_name: str, token: str, *, in_s: float | None = None) -> None:
    """Send the message that starts a deliverer of an object, now or in some seconds."""
    from pipeline.tasks.deliver import deliver

    deliver.apply_async((object_name, token), queue=f"salesforce.{object_name}", countdown=in_s)


def queued() -> int:
    """Count the messages that wait for a worker to take them in; the broker may be another server than the state's."""
    with app.connection_or_acquire() as connection:
        try:
            return int(connection.default_channel.queue_declare(INGEST_QUEUE, passive=True).message_count)
        except connection.channel_errors:  # Redis knows no empty queue
            return 0


def _plan(event: Any, received_ms: int, runtime: "Runtime") -> "tuple[Receipt, list[Operation]]":
    from pipeline.errors import InvalidEvent
    from pipeline.events.schemas import opted_in, validate
    from pipeline.inbox.dead_letters import Receipt

    try:
        valid = validate(event, received_ms=received_ms)
        if not opted_in(valid, always=runtime.settings.destination.always_enabled):
            return Receipt(valid.message_id, "skipped"), []
        operations = runtime.planner.plan(valid)
    except InvalidEvent as invalid:
        return Receipt(_id_of(event), "rejected", str(invalid), event), []
    except Exception as bug:  # noqa: BLE001  (one event that we cannot plan must neither be lost nor stop the others)
        reason = f"the pipeline failed to plan it: {type(bug).__name__}"
        log.error("an event could not be planned: %s", type(bug).__name__)  # noqa: TRY400  (a traceback quotes the event)
        return Receipt(_id_of(event), "rejected", reason, event), []
    return Receipt(valid.message_id, "accepted" if operations else "skipped"), operations


def _id_of(event: Any) -> str:
    from pipeline.events.schemas import message_id

    return message_id(event if isinstance(event, dict) else {"": event})
