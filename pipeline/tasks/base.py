"""The base class of every task: nobody's data in what Celery, its events and Flower show of a message."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from celery import Task

from pipeline.events.stamp import stamp


class PipelineTask(Task):  # type: ignore[type-arg]  # generic in its stubs only
    """A task whose arguments are shown by kind and number."""

    Request = "pipeline.tasks.private_request:PrivateRequest"  # by name: a producer does not load what workers run

    def apply_async(self, args: Any = None, kwargs: Any = None, *positional: Any, **options: Any) -> Any:
        """Send the task; see celery.app.task.Task.apply_async for the options."""
        options["argsrepr"] = self.shown(args or ())
        options["kwargsrepr"] = "{}"
        return super().apply_async(args, kwargs, *positional, **options)

    def shown(self, args: Sequence[Any]) -> str:
        """Say what the arguments are without showing them."""
        return f"({len(args)} hidden)" if args else "()"


class EventTask(PipelineTask):
    """A task that takes events, which are stamped where they are sent and not where they are received."""

    acks_on_timeout = False  # whose process had to be killed was not taken in, and comes again

    def apply_async(self, args: Any = None, kwargs: Any = None, *positional: Any, **options: Any) -> Any:
        """Send events, each with the `messageId` and `timestamp` it lacks."""
        given = [*(args or ()), *(kwargs or {}).values()]
        now = datetime.now(UTC)
        stamped = [
            [stamp(event, now=now) for event in one] if isinstance(one, list | tuple) else stamp(one, now=now)
            for one in given
        ]
        return super().apply_async(stamped, {}, *positional, **options)

    def shown(self, args: Sequence[Any]) -> str:
        """Say how many events a message carries."""
        number = len(args[0]) if args and isinstance(args[0], list) else len(args)
        return f"({number} event{'' if number == 1 else 's'})"
