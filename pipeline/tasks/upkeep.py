"""Upkeep: what beat starts from time to time, and the sweep that every worker runs by itself, beat or no beat."""

from typing import Any

from celery.bootsteps import StartStopStep
from celery.utils.log import get_task_logger
from redis.exceptions import RedisError

from pipeline.app import app
from pipeline.errors import PipelineError
from pipeline.tasks.base import PipelineTask

log = get_task_logger(__name__)

_SWEEP_EVERY_S = 2.0


@app.task(name="pipeline.renew_session", base=PipelineTask)
def renew_session() -> None:
    """Log in anew, so that no delivery meets an expired session. A login is no API call."""
    from pipeline.tasks.runtime import runtime

    _report("the session was not renewed", runtime().session.renew_now)


@app.task(name="pipeline.refresh_describe", base=PipelineTask)
def refresh_describe() -> None:
    """Describe every configured object again. Costs one API call."""
    from pipeline.tasks.runtime import runtime

    held = runtime()
    _report("the describe cache was not refreshed", lambda: held.describes.refresh(held.settings.destination.objects))


@app.task(name="pipeline.sync_quota", base=PipelineTask)
def sync_quota() -> None:
    """Ask for the org's usage while the gate is closed by it, to see when calls are there again."""
    from pipeline.tasks.runtime import runtime

    held = runtime()
    _report("the quota was not read", lambda: held.gate.sync(held.org))


def sweep_all() -> None:
    """Sweep every object that ever had an operation. Raises RedisError when the state store is out of reach."""
    from pipeline.inbox.inbox import objects
    from pipeline.tasks.deliver import sweep_one
    from pipeline.tasks.runtime import runtime

    held = runtime()
    for object_name in objects(held.redis):
        sweep_one(object_name, held)


def _report(what_failed: str, action: Any) -> None:
    try:
        action()
    except PipelineError as error:
        log.warning("%s: %s", what_failed, error)


class Sweeper(StartStopStep):
    """Sweeps from the main process of every worker, so that nothing waits for a beat that may be down."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._entry: Any = None

    def start(self, parent: Any) -> None:
        """Begin to sweep."""
        self._entry = parent.timer.call_repeatedly(_SWEEP_EVERY_S, _sweep_quietly)

    def stop(self, parent: Any) -> None:  # noqa: ARG002  (celery's signature)
        """Sweep no more."""
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None


def _sweep_quietly() -> None:
    try:
        sweep_all()
    except (RedisError, OSError, PipelineError) as error:
        log.warning("no sweep this time: %s", type(error).__name__)


app.steps["worker"].add(Sweeper)
