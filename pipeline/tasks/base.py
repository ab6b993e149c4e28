"""The base class of every task: nobody's data in what Celery, its events and Flower show of a message."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from celery import Task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.utils.log import get_task_logger

from pipeline.errors import PipelineError
from pipeline.events.plain import ready, ready_all
from pipeline.logs import without_values
from pipeline.message_format import FORMAT, FORMAT_HEADER

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
    """A task that takes events, which are stamped where they are sent and not where they are received."""

    acks_on_timeout = False  # whose process had to be killed was not taken in, and comes again

    def apply_async(self, args: Any = None, kwargs: Any = None, *positional: Any, **options: Any) -> Any:
        """Send events, each with the `messageId` and `timestamp` it lacks.

        Raises InvalidEvent, and sends nothing, where one is beyond a bound or cannot be JSON; see events/plain.py.
        """
        given = [*(args or ()), *(kwargs or {}).values()]
        now = datetime.now(UTC)
        stamped = [ready_all(one, now=now) if isinstance(one, list | tuple) else ready(one, now=now) for one in given]
        return super().apply_async(stamped, {}, *positional, **options)

    def shown(self, args: Sequence[Any]) -> str:
        """Say how many events a message carries."""
        number = len(args[0]) if args and isinstance(args[0], list) else len(args)
        return f"({number} event{'' if number == 1 else 's'})"
