"""The base class of every task: nobody's data in what Celery, its events and Flower show of a message."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.utils import uuid
from celery.utils.log import get_task_logger

from pipeline.errors import PipelineError, RefusedCall
from pipeline.events.plain import ready, ready_all
from pipeline.logs import without_values
from pipeline.message_format import FORMAT, FORMAT_HEADER
from pipeline.sending import NotSent, recorders, sender
from pipeline.tasks import calling

if TYPE_CHECKING:
    from pipeline.tasks.sent import Sent

log = get_task_logger(__name__)


class TaskFailed(PipelineError):  # noqa: N818  (as ServiceFailed)
    """A mistake of the pipeline's own, by its kind: its text may quote an event, and Celery shows it everywhere."""


class PipelineTask(Task):  # type: ignore[type-arg]  # generic in its stubs only
    """A task whose arguments are shown by kind and number, and whose failures are shown without values."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task. Raises TaskFailed for what nothing provides for, after it was logged without values."""
        try:
            return self.run(*args, **kwargs)
        except (Ignore, Reject, SoftTimeLimitExceeded):
            raise
        except Exception as bug:  # noqa: BLE001  (whatever it is, its text goes nowhere)
            log.error("a task failed:\n%s", without_values(bug))  # noqa: TRY400  (a traceback quotes values)
            raise TaskFailed(type(bug).__name__) from None

    Request = "pipeline.tasks.private_request:PrivateRequest"  # by name: a producer does not load what workers run

    def apply_async(self, args: Any = None, kwargs: Any = None, *positional: Any, **options: Any) -> Any:
        """Send the task; see celery.app.task.Task.apply_async for the options."""
        options["argsrepr"] = self.shown(args or ())
        options["kwargsrepr"] = "{}"
        options["headers"] = {**(options.get("headers") or {}), FORMAT_HEADER: FORMAT}
        return super().apply_async(args, kwargs, *positional, **options)

    def shown(self, args: Sequence[Any]) -> str:
        """Say what the arguments are without showing them."""
        return f"({len(args)} hidden)" if args else "()"


class EventTask(PipelineTask):
    """A task that takes an event, which is stamped where it is sent and not where it is received.

    `delay`, `apply_async`, `s`, `si`, `signature` and `group` send, as with any task of Celery's. What would lose
    events, or wait for what never comes, is refused at the call (RefusedCall); see pipeline/tasks/calling.py.
    """

    acks_on_timeout = False  # whose process had to be killed was not taken in, and comes again
    parameter = "event"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task in a worker. Raises RefusedCall anywhere else, where it would look as if it sent something."""
        if self.request.called_directly:
            raise RefusedCall(calling.called(self.__name__))
        return super().__call__(*args, **kwargs)

    def read(self, given: Any, *, now: datetime) -> list[Any]:
        """Return the events that a caller gave, as they are sent. Raises RefusedCall or InvalidEvent."""
        return [ready(calling.one_event(given), now=now)]

    def packed(self, events: list[Any]) -> Any:
        """Return events as the task's argument."""
        return events[0]

    def delay(self, *args: Any, **kwargs: Any) -> "Sent":
        """Send events: `apply_async` without options."""
        return self.apply_async(args, kwargs)

    def apply_async(self, args: Any = None, kwargs: Any = None, *positional: Any, **options: Any) -> "Sent":
        """Send events, each with the `messageId` and `timestamp` it lacks; see Task.apply_async for the options.

        Returns a Sent, which has their ids. Raises RefusedCall; InvalidEvent, with nothing sent, where one is beyond a
        bound or cannot be JSON (events/plain.py); or NotSent if the broker does not take them in time.
        """
        from pipeline.tasks.sent import Sent, ids_of

        options |= dict(zip(calling.POSITIONAL, positional, strict=False))
        options = calling.checked(self.__name__, options, self.app.conf)
        events = self.read(calling.argument(args, kwargs, self.parameter), now=datetime.now(UTC))
        options["task_id"] = options.get("task_id") or uuid()
        if recorders:
            recorders[-1].extend(calling.as_json(events))
            return Sent(options["task_id"], app=self.app).of(events)
        if self.app.conf.task_always_eager:
            raise RefusedCall(calling.EAGER)
        send = super().apply_async
        sending = sender()
        has_retries = options.pop("retry", True) is not False
        options = {**sending.publish_options, **options, "retry": False}
        try:
            sent: Sent = sending.send(
                lambda producer: send((self.packed(events),), {}, producer=producer, **options), has_retries=has_retries
            )
        except NotSent as error:
            error.message_ids = ids_of(events)
            raise
        return sent.of(events)

    def apply(self, args: Any = None, kwargs: Any = None, *_: Any, **options: Any) -> Any:
        """Send events where tests collect them (pipeline.testing). Raises RefusedCall anywhere else."""
        if not recorders:
            raise RefusedCall(calling.EAGER)
        return self.apply_async(args, kwargs, **options)

    def AsyncResult(self, task_id: str, **_: Any) -> "Sent":  # noqa: N802  (Celery's name)
        """Return what Celery has of the task: its id, and not yet the events."""
        from pipeline.tasks.sent import Sent

        return Sent(task_id, app=self.app)

    def signature(self, args: Any = None, *positional: Any, **options: Any) -> Any:
        """Return a signature, which can be sent from here and cannot travel in another task's message."""
        made: Any = super().signature(args, *positional, **options)
        made["options"] = {**made["options"], calling.ONLY_FROM_HERE: calling.OnlyFromHere()}
        return made

    subtask = signature

    def chunks(self, *_: Any, **__: Any) -> Any:
        """Raise RefusedCall: `send_events` does it."""
        raise RefusedCall(calling.MANY)

    map = starmap = chunks

    def shown(self, args: Sequence[Any]) -> str:
        """Say how many events a message carries."""
        number = len(args[0]) if args and isinstance(args[0], list) else len(args)
        return f"({number} event{'' if number == 1 else 's'})"


class EventsTask(EventTask):
    """A task that takes many events with one message."""

    parameter = "events"

    def read(self, given: Any, *, now: datetime) -> list[Any]:
        """Return the events that a caller gave: of a list, a generator or any other iterable, or one by itself."""
        return ready_all(calling.many_events(given), now=now)

    def packed(self, events: list[Any]) -> Any:
        """Return events as the task's argument."""
        return events
