"""What a worker takes for a message of its own, and where everything else goes.

Celery acknowledges and forgets a message that it cannot read or whose task it does not know, and quotes it in its log.
Here such a message is set aside in `<queue>.unreadable`, where `broker.py` puts what is no Celery message at all, and
the log says why without quoting it. That holds for what nobody signed, for code (pickle, YAML), and for what a newer
version has sent.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final

from celery.exceptions import WorkerShutdown, WorkerTerminate
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import Queue, serialization
from kombu.transport.virtual import Message as VirtualMessage

from pipeline.broker import Channel
from pipeline.message_body import APART_TYPE, JSON_TYPE, NotATask, TaskBody, read_body
from pipeline.message_format import FORMAT, FORMAT_HEADER, LOST, lost_readers

log = logging.getLogger(__name__)

EVENT_TASKS: Final = frozenset({"pipeline.send_event", "pipeline.send_events"})
# Headers that are handed on to Celery, which trusts what they are; all others are its concern alone.
_HANDED_ON: Final = ("id", "task", "eta", "expires", "root_id", "parent_id", "group")
_LONGEST: Final = 255  # characters of a header
_YEARS: Final = range(1970, 2971)  # beyond them Celery cannot reckon, and drops the message


def why_unreadable(message: Any, *, tasks: Collection[str], accept: Collection[str]) -> str | None:
    """Say why a message is none for this worker, in words that quote nothing of it; None for one that is.

    `tasks` are the names of the tasks that there are, `accept` the content types that are read. A message that is for
    this worker is left as Celery's second protocol has it, its body decoded within bounds and of its headers those that
    were looked at.
    """
    headers = message.headers if isinstance(message.headers, dict) else {}
    if message.content_type not in accept:
        # Looked at here as well, because kombu hands out some types unread, whatever it was told to accept.
        return "it is not of the content type that workers accept: JSON, signed where PIPELINE_MESSAGE_KEY is set"
    version = headers.get(FORMAT_HEADER, FORMAT)
    if not isinstance(version, int) or version > FORMAT:
        return "a newer version has sent it; deploy workers before producers"
    try:
        body = read_body(message.body, message.content_type)
    except NotATask as fault:
        return str(fault)
    except ValueError:
        return "its body cannot be read, or its signature is missing or wrong"
    told = headers if "task" in headers else body.headers or {}
    name = told.get("task")
    if not isinstance(name, str) or name not in tasks:
        return "it names no task of this version; deploy workers before producers"
    why = _why_not_run(name, told, body)
    if why is None:
        _make_ready(message, told, body, is_for_events=name in EVENT_TASKS)
    return why


def _why_not_run(name: str, told: Mapping[str, Any], body: TaskBody) -> str | None:
    if not isinstance(told.get("id"), str) or not 0 < len(told["id"]) <= _LONGEST:
        return "it has no id that is text"
    if not all(_is_time(told[header]) for header in ("eta", "expires") if told.get(header) is not None):
        return "the time at which it is due, or expires, cannot be read"
    if any(body.embed.get(follower) for follower in ("callbacks", "chain", "chord")):
        return "it asks for a task to follow it, which this pipeline does not do; send each event by itself"
    if name in EVENT_TASKS:
        return None
    if body.payload is None or b"__type__" in body.text:
        return "its body cannot be read"
    arguments = [*body.payload[0], *body.payload[1].values()]
    return "its arguments are not those of the task" if any(isinstance(one, list | dict) for one in arguments) else None


def _is_time(text: Any) -> bool:
    try:
        return datetime.fromisoformat(text).year in _YEARS
    except (TypeError, ValueError):
        return False


def _make_ready(message: Any, told: Mapping[str, Any], body: TaskBody, *, is_for_events: bool) -> None:
    handed_on = {name: told.get(name) for name in _HANDED_ON}
    texts = {name: value for name, value in handed_on.items() if isinstance(value, str) and len(value) <= _LONGEST}
    if is_for_events:
        texts.pop("expires", None)  # an event that is late is still true; Celery would drop it without a trace
    lost = lost_readers(message.headers)
    message.headers = {**texts, LOST: lost} if lost else texts
    message._decoded_cache = body.payload or [[], {}, {}]  # noqa: SLF001  (what kombu keeps of a body it has decoded)
    if is_for_events:
        message.body, message.content_encoding = body.text, "utf-8"
        message.content_type = APART_TYPE if body.payload is None else JSON_TYPE


def is_cleanup(message: Any) -> bool:
    """Tell whether a message is what Celery's beat sends each night to tidy a store of results, which there is none.

    Ours does not, but the beat of an earlier version may still run.
    """
    return isinstance(message.headers, dict) and message.headers.get("task") == "celery.backend_cleanup"


class Consumer(CeleryConsumer):
    """Celery's consumer, which looks at a message before anything is done with it."""

    def create_task_handler(self: Any, *arguments: Any, **options: Any) -> Callable[[Any], None]:
        """Return what is called with each message."""
        handle: Callable[[Any], None] = super().create_task_handler(*arguments, **options)
        accept = self.app.conf.accept_content
        content_types = {_content_type(name) for name in accept}
        # Celery's own tasks run others by name, or in a loop: nothing here sends them.
        tasks = {name for name in self.strategies if not name.startswith("celery.")}

        # What Redis or RabbitMQ fail with is no fault of a message: Celery connects anew.
        passing = (*self.connection_errors, *self.channel_errors, WorkerShutdown, WorkerTerminate)

        def on_message(message: Any) -> None:
            if is_cleanup(message):
                message.ack()
                return
            queue = self._queue_of(message)
            why = why_unreadable(message, tasks=tasks, accept=content_types)
            if why is None:
                try:
                    handle(message)
                except passing:
                    raise
                except Exception as bug:  # noqa: BLE001  (no message may end the worker; its text may quote one)
                    why = f"it cannot be run: {type(bug).__name__}"
            if why is not None and not message.acknowledged:
                self._set_aside(message, why, queue)

        return on_message

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Take what kombu could not even unpack; Celery would quote it in the log."""
        if self._queue_of(message) is not None:
            self._set_aside(message, f"it cannot be unpacked: {type(exc).__name__}")
            return
        log.error("a message of the remote control is not read: %s", type(exc).__name__)
        message.ack()

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002  (Celery's signature)
        """Set aside what only turns out to be no task when it is about to run."""
        self._set_aside(message, f"it cannot be run: {type(exc).__name__}")

    def _queue_of(self: Any, message: Any) -> str | None:
        named = (message.delivery_info or {}).get("routing_key")
        return next((queue.name for queue in self.task_consumer.queues if queue.name == named), None)

    def _set_aside(self: Any, message: Any, why: str, queue: str | None = None) -> None:
        # A forged message may name any queue; none but ours gets a list beside it.
        queue = queue or self._queue_of(message) or self.app.conf.task_default_queue
        aside = f"{queue}.unreadable"
        # There first and acknowledged then: killed in between, it is set aside twice.
        if isinstance(message, VirtualMessage):
            channel: Any = message.channel
            raw = vars(message)["_raw"]  # as it came
            if isinstance(channel, Channel):
                channel.set_aside(raw, queue)
            else:
                channel._put(aside, raw)  # noqa: SLF001  (how kombu itself gives one back)
        else:
            with self.app.producer_or_acquire() as producer:
                producer.publish(
                    message.body,
                    routing_key=aside,
                    declare=[Queue(aside)],
                    headers=message.headers,
                    content_type=message.content_type or "application/octet-stream",
                    content_encoding=message.content_encoding or "binary",
                )
        message.ack()
        log.error("queue=%s a message was set aside in %s: %s", queue, aside, why)


def _content_type(name: str) -> str:
    known: Any = serialization
    return str(known.registry.name_to_type.get(name, name))
