"""Measure on a stack of this machine: fill a queue and have it worked off, or watch single events on their way."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests

from pipeline.bench.figures import Run, Sample
from pipeline.bench.workload import OBJECT, identify, key_of
from pipeline.cli.flow import UNACKNOWLEDGED
from pipeline.errors import PipelineError
from pipeline.local import LocalStack, Service, connect_producer
from pipeline.tasks.ingest import INGEST_QUEUE

if TYPE_CHECKING:
    from redis import Redis

_POLL_S: Final = 0.02
_SAMPLE_EVERY_S: Final = 0.25
_STALLED_AFTER_S: Final = 120.0
_PROBE_POLL_S: Final = 0.001
_PROBE_WITHIN_S: Final = 60.0
_FIRST_PROBE: Final = 1_000_000_000  # beyond every key of a workload

Progress = Callable[[int], object]  # is told how many are done so far


class Stalled(PipelineError):  # noqa: N818  (it says what it is)
    """Nothing moved for two minutes."""


def no_progress(_done: int) -> None:
    """Show nothing."""


class Bench:
    """A stack without workers, ready to be measured: its session and describe are cached, as in a system that runs."""

    def __init__(self, stack: LocalStack, *, concurrency: int) -> None:
        self.stack = stack
        self.concurrency = concurrency
        self._redis: Redis = stack.redis.client()
        self._workers = 0
        self._probes = 0
        _warm_up(stack)

    def fill(self, events: int, keys: int, *, per_message: int = 1, progress: Progress = no_progress) -> None:
        """Have a producer put events into the ingest queue, and return when all of them are there."""
        self._produce(INGEST_QUEUE, progress, events=events, keys=keys, per_message=per_message)

    def work_off(self, events: int, keys: int, *, progress: Progress = no_progress) -> Run:
        """Start a worker on a filled queue and measure until the last operation is committed, then stop it."""
        calls, before = self.api_calls(), self._taken_in()
        waiting = self._redis.llen(INGEST_QUEUE)
        worker = self.start_worker()
        begun = self._when_it_begins(INGEST_QUEUE, waiting, worker)
        samples: list[Sample] = []

        def look(received: int, settled: int) -> None:
            worker.check()
            now_s = time.monotonic() - begun
            if not samples or now_s - samples[-1].at_s >= _SAMPLE_EVERY_S:
                samples.append(self._sample(now_s, received, settled, worker))
                progress(min(events, settled))

        seconds = self.settle(before + events, look) - begun
        worker.stop()
        return Run(events, keys, seconds, self.api_calls() - calls, tuple(samples))

    def settle(self, events: int, look: Callable[[int, int], object] = lambda _received, _settled: None) -> float:
        """Return the moment at which that many events in all were taken in and nothing waits; `look` on the way."""
        watch = _Watch()
        while True:
            received, (settled, waits) = self._taken_in(), self._settled()
            if received >= events and not waits:
                return time.monotonic()
            look(received, settled)
            watch.see((received, settled))
            time.sleep(_POLL_S)

    def noop_per_s(self, tasks: int, *, progress: Progress = no_progress) -> float:
        """Return how many tasks that do nothing plain Celery carries out in a second, on as many worker processes."""
        return self.plain_per_s("pipeline.bench.noop", "noop", tasks, progress=progress)

    def plain_per_s(self, application: str, task: str, tasks: int, *, progress: Progress = no_progress) -> float:
        """Return how many tasks another Celery application carries out in a second; its queue is named as the task."""
        self._produce(task, progress, events=tasks, keys=tasks, task=f"{application}:{task}")
        command = [sys.executable, "-m", "celery", "-A", application, "worker", "--loglevel", "WARNING"]
        options = ["--concurrency", str(self.concurrency), "--hostname", f"{task}@%h", "--without-mingle"]
        worker = self.stack.begin_service(self._name(task), [*command, *options, "--without-gossip"])
        begun = self._when_it_begins(task, tasks, worker)
        while self._redis.llen(task) or self._redis.hlen(UNACKNOWLEDGED):
            worker.check()
            time.sleep(_POLL_S)
        seconds = time.monotonic() - begun
        worker.stop()
        return tasks / seconds

    def latencies_ms(self, probes: int, *, pause_s: float, progress: Progress = no_progress) -> list[float]:
        """Send single events about new people, `pause_s` apart, and return how long each took to be committed.

        A worker has to be at work. With a pause above the linger every event finds the pipeline idle.
        """
        from pipeline import send_event

        connect_producer(self.stack.broker_url)
        measured: list[float] = []
        for done in range(probes):
            event = identify(0, _FIRST_PROBE + self._probes)
            self._probes += 1
            record = f"pipeline:{{{OBJECT}}}:record:{key_of(event)}"  # stands there once the org has answered
            sent = time.monotonic()
            send_event.delay(event)
            while not self._redis.exists(record):
                if time.monotonic() - sent > _PROBE_WITHIN_S:
                    raise Stalled(f"an event was not delivered within {_PROBE_WITHIN_S:.0f} s")
                time.sleep(_PROBE_POLL_S)
            measured.append((time.monotonic() - sent) * 1000)
            progress(done + 1)
            time.sleep(pause_s)
        return measured

    def start_worker(self) -> Service:
        """Start a worker that takes in and delivers, and return at once."""
        return self.stack.begin_worker(self._name("worker"), "--concurrency", str(self.concurrency))

    def produce(self, **options: Any) -> Service:
        """Start a producer with the options of `pipeline.bench.producer` and return at once."""
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        return self.stack.begin_service(
            self._name("producer"), [sys.executable, "-m", "pipeline.bench.producer", *arguments]
        )

    def api_calls(self) -> int:
        """Return the API calls that the org has counted so far."""
        answer = requests.get(f"{self.stack.emulator_url}/_emulator/stats", timeout=60)
        answer.raise_for_status()
        return int(answer.json()["api_calls"]["total"])

    def close(self) -> None:
        """Close the connection to Redis; the stack is whoever's who made it."""
        self._redis.close()

    def _produce(self, queue: str, progress: Progress, *, events: int, per_message: int = 1, **options: Any) -> None:
        producer = self.produce(events=events, per_message=per_message, **options)
        while producer.is_running:
            progress(min(events, self._redis.llen(queue) * per_message))
            time.sleep(_POLL_S)
        if self._redis.llen(queue) * per_message < events:
            raise Stalled(f"the producer did not send everything\n{producer.log_tail()}")

    def _when_it_begins(self, queue: str, waiting: int, worker: Service) -> float:
        """Return the moment at which the first message has left the queue: what a worker needs to start is no work."""
        while self._redis.llen(queue) >= waiting:
            worker.check()
            time.sleep(_POLL_S / 4)
        return time.monotonic()

    def _taken_in(self) -> int:
        from pipeline.inbox.dead_letters import received

        return sum(received(self._redis).values())

    def _settled(self) -> tuple[int, int]:
        """Return operations settled so far, and those that wait."""
        from pipeline.inbox.inbox import Inbox

        counts = Inbox(self._redis, OBJECT).counts()
        settled = counts.get("applied", 0) + counts.get("buried", 0)
        return settled, counts.get("appended", 0) - settled

    def _sample(self, at_s: float, received: int, settled: int, worker: Service) -> Sample:
        used: Any = self._redis.info("memory")
        return Sample(at_s, received, settled, used["used_memory"] / 1e6, group_mb(worker.pid))

    def _name(self, kind: str) -> str:
        self._workers += 1
        return f"{kind}-{self._workers}"


class _Watch:
    """Raises Stalled when what it sees stays the same for too long."""

    def __init__(self) -> None:
        self._last: object = None
        self._moved = time.monotonic()

    def see(self, state: object) -> None:
        now = time.monotonic()
        if state != self._last:
            self._last, self._moved = state, now
        elif now - self._moved > _STALLED_AFTER_S:
            raise Stalled(f"nothing moved for {_STALLED_AFTER_S:.0f} s: {state}")


def _warm_up(stack: LocalStack) -> None:
    """Log in and describe, which a running system has done before: beat renews both whatever is sent."""
    from pipeline.settings import load_settings
    from pipeline.tasks.runtime import Runtime

    held = Runtime(load_settings(stack.env))
    held.describes.get(OBJECT)
    held.redis.close()


def group_mb(group: int) -> float | None:
    """Return the memory of a worker and its pool, in MB, where the system tells (Linux)."""
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                pages += int((folder / "statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 if pages else None


def machine() -> str:
    """Describe this machine by what matters here: cores that may be used, and memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cores} cores, {memory_gb:.0f} GB of memory"
