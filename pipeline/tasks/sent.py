"""Sent: what `delay` returns. Apart, because only a process that sends needs it."""

from collections.abc import Sequence
from typing import Any, NoReturn

from celery.result import AsyncResult

from pipeline.errors import RefusedCall
from pipeline.events.ids import message_id


def ids_of(events: Sequence[Any]) -> tuple[str, ...]:
    """Return the ids under which events are known, once they are stamped."""
    return tuple(message_id(event) for event in events)


class Sent(AsyncResult):  # type: ignore[type-arg]  # generic in its stubs only
    """What `delay` returns: the ids under which `pipeline trace` finds the events. The task's own is `id`.

    There is no result to wait for: what becomes of an event is seen by `pipeline trace`, and what `read` actions find
    by `read_result(message_id)`.
    """

    _events: Sequence[Any] | None = None

    def of(self, events: Sequence[Any]) -> "Sent":
        """Note which events were sent, as they were stamped."""
        self._events = events
        return self

    @property
    def message_ids(self) -> tuple[str, ...]:
        """The `messageId` of each event, in their order, as `pipeline trace` takes it.

        Raises ValueError in the results of a group, which Celery makes before the events are stamped.
        """
        if self._events is None:
            raise ValueError("not known of a group's tasks: give the events a messageId, or send them with send_events")
        return ids_of(self._events)

    @property
    def message_id(self) -> str:
        """The `messageId` of the one event. Raises ValueError where several were sent, or none."""
        (only,) = self.message_ids
        return only

    def _get_task_meta(self) -> NoReturn:
        raise RefusedCall(
            "an event has no result to wait for: `pipeline trace` with its messageId (message_ids of this object) "
            "shows what became of it, and pipeline.read_result(messageId) returns what `read` actions found"
        )

    def get(self, *_: Any, **__: Any) -> NoReturn:
        """Raise RefusedCall: there is none."""
        self._get_task_meta()

    wait = get
