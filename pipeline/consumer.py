"""What a worker takes for a message of its own, and where everything else goes.

Celery acknowledges and forgets a message that it cannot read or whose task it does not know, and quotes it in its log.
Here such a message is set aside in `<queue>.unreadable`, where `broker.py` puts what is no Celery message at all, and
the log says why without quoting it. That holds for what nobody signed, for code (pickle, YAML), and for what a newer
version has sent.
"""

import logging
from collections.abc import Callable, Collection
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import Queue, serialization
from kombu.exceptions import KombuError
from kombu.transport.virtual import Message as VirtualMessage

from pipeline.message_format import FORMAT, FORMAT_HEADER

log = logging.getLogger(__name__)


def why_unreadable(message: Any, *, tasks: Collection[str], accept: Collection[str]) -> str | None:
    """Say why a message is none for this worker, in words that quote nothing of it; None for one that is.

    `tasks` are the names of the tasks that there are, `accept` the content types that are read.
    """
    headers = message.headers if isinstance(message.headers, dict) else {}
    if message.content_type not in accept:
        # Looked at here as well, because kombu hands out some types unread, whatever it was told to accept.
        return "it is not of the content type that workers accept: JSON, signed where PIPELINE_MESSAGE_KEY is set"
    version = headers.get(FORMAT_HEADER, FORMAT)
    if not isinstance(version, int) or version > FORMAT:
        return "a newer version has sent it; deploy workers before producers"
    try:
        payload = message.payload
    except (KombuError, ValueError, RecursionError):
        return "its body cannot be read, or its signature is missing or wrong"
    name = headers.get("task", payload.get("task") if isinstance(payload, dict) else None)
    if not isinstance(name, str) or name not in tasks:
        return "it names no task of this version; deploy workers before producers"
    if isinstance(payload, dict):  # Celery's first protocol
        fits = isinstance(payload.get("args", []), list) and isinstance(payload.get("kwargs", {}), dict)
    else:
        fits = isinstance(payload, list) and [type(part) for part in payload] == [list, dict, dict]
    return None if fits else "its body is not that of a task"


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

        def on_message(message: Any) -> None:
            if is_cleanup(message):
                message.ack()
                return
            why = why_unreadable(message, tasks=tasks, accept=content_types)
            if why is None:
                handle(message)
            else:
                self._set_aside(message, why)

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

    def _set_aside(self: Any, message: Any, why: str) -> None:
        # A forged message may name any queue; none but ours gets a list beside it.
        queue = self._queue_of(message) or self.app.conf.task_default_queue
        aside = f"{queue}.unreadable"
        # There first and acknowledged then: killed in between, it is set aside twice.
        if isinstance(message, VirtualMessage):
            channel: Any = message.channel
            channel._put(aside, message.serializable())  # noqa: SLF001  (how kombu itself gives one back)
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
