"""Upkeep: what beat starts from time to time, and the sweep that every worker runs by itself, beat or no beat."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery.bootsteps import StartStopStep
from celery.exceptions import WorkerShutdown
from celery.utils.log import get_task_logger
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from pipeline.app import app
from pipeline.errors import PipelineError
from pipeline.logs import without_values
from pipeline.metrics.alive import roles_of, skew_in_words, worker_ends, worker_is_alive
from pipeline.metrics.history import sample
from pipeline.redis_faults import in_words
from pipeline.schema import NewerState
from pipeline.tasks.base import PipelineTask

if TYPE_CHECKING:
    from redis import Redis

    from pipeline.tasks.runtime import Runtime

log = get_task_logger(__name__)

_SWEEP_EVERY_S = 2.0
_EXIT_MISCONFIGURED = 2  # as the commands
_SAMPLE_EVERY_S = 60.0
# Beat asks for it twice as seldom. Where several of its messages have waited for a worker, one is enough; Celery's
# `expires` would compare the clocks of two machines.
_RENEW_AFTER_S = 900.0


@app.task(shared=False, name="pipeline.renew_session", base=PipelineTask)
def renew_session() -> None:
    """Log in anew, so that no delivery meets an expired session, unless that was done lately. It is no API call."""
    session = _runtime().session
    age_s = session.age_s()
    if age_s is None or age_s >= _RENEW_AFTER_S:
        _report("the session was not renewed", session.renew_now)


@app.task(shared=False, name="pipeline.refresh_describe", base=PipelineTask)
def refresh_describe() -> None:
    """Describe every configured object again that was not lately. Costs one API call."""
    held = _runtime()
    names = held.describes.older_than(_RENEW_AFTER_S, held.settings.destination.objects)
    _report("the describe cache was not refreshed", lambda: held.describes.refresh(names))


@app.task(shared=False, name="pipeline.sync_quota", base=PipelineTask)
def sync_quota() -> None:
    """Ask for the org's usage while the gate is closed by it, to see when calls are there again."""
    held = _runtime()
    _report("the quota was not read", lambda: held.gate.sync(held.org))


def look_at_the_quota(redis: "Redis") -> None:
    """Have a worker ask the org for its usage now, where that closed the gate, though it was asked lately."""
    from pipeline.salesforce.quota import ask_again

    ask_again(redis)
    with suppress(OperationalError):  # the broker is away; beat has it looked at once it is back
        sync_quota.apply_async(queue="upkeep", retry=False)


def sweep_all() -> None:
    """Sweep every object that ever had an operation. Raises RedisError when the state store is out of reach."""
    from pipeline.inbox.inbox import objects
    from pipeline.tasks.deliver import sweep_one

    held = _runtime()
    for object_name in objects(held.redis):
        sweep_one(object_name, held)


def _report(what_failed: str, action: Any) -> None:
    try:
        action()
    except PipelineError as error:
        log.warning("%s: %s", what_failed, error)
    held = _runtime()
    held.tally.write(held.redis)


class Sweeper(StartStopStep):
    """Sweeps from the main process of every worker, so that nothing waits for a beat that may be down.

    It also tells that the worker is there, and takes the samples that the history of the figures is made of.
    """

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._entry: Any = None
        self._sampled = -1.0  # the minute of the last sample
        self._skew_s = 0.0

    def start(self, parent: Any) -> None:
        """Begin to sweep; what made delivery wait may be mended, now that a worker starts.

        Raises WorkerShutdown where Redis holds the state of a newer version.
        """
        try:
            _quietly(_try_again)
        except NewerState as newer:
            log.critical("this worker ends: %s", newer)
            raise WorkerShutdown(_EXIT_MISCONFIGURED) from None
        node, roles = parent.hostname, roles_of(parent.app.amqp.queues.consume_from)

        def measure() -> None:
            self._tell_skew(worker_is_alive(_runtime().redis, node, roles))
            minute = time.monotonic() // _SAMPLE_EVERY_S
            if minute != self._sampled:
                sample(_runtime().redis)
                self._sampled = minute

        def tell() -> None:
            try:
                _quietly(measure)
            except Exception as bug:  # noqa: BLE001  (figures keep no worker from starting, and nothing from being swept)
                log.error("figures are not kept:\n%s", without_values(bug))  # noqa: TRY400  (a traceback quotes values)

        def sweep() -> None:
            tell()
            _quietly(sweep_all)

        tell()
        self._entry = parent.timer.call_repeatedly(_SWEEP_EVERY_S, sweep)

    def _tell_skew(self, skew_s: float) -> None:
        """Log that this machine's clock is wrong, when that begins and when it ends."""
        if skew_s and not self._skew_s:
            log.warning("%s", skew_in_words("this machine's clock", skew_s))
        elif self._skew_s and not skew_s:
            log.warning("this machine's clock agrees with that of Redis again")
        self._skew_s = skew_s

    def stop(self, parent: Any) -> None:
        """Sweep no more."""
        if self._entry is None:
            return
        self._entry.cancel()
        self._entry = None
        _quietly(lambda: worker_ends(_runtime().redis, parent.hostname))


def _quietly(action: Callable[[], object]) -> None:
    try:
        action()
    except NewerState:
        raise
    except PipelineError as error:
        log.warning("upkeep did not get through: %s", error)
    except (RedisError, OperationalError, OSError) as error:
        log.warning("upkeep did not get through: %s", in_words(error))


def _try_again() -> None:
    _runtime().pause.probe_soon()


def _runtime() -> "Runtime":
    from pipeline.tasks.runtime import runtime

    return runtime()


app.steps["worker"].add(Sweeper)
