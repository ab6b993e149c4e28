"""What goes wrong during a chaos run: killed workers and beats, a frozen worker, a restarted Redis, a failing org."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import requests

from pipeline.local import LocalStack, Service
from tests.chaos.story import POISON

# Every fault that the emulator offers, each for so many of the requests, or of the records, that it can hit.
PROBABILITY = 0.02
_REQUESTS: tuple[Mapping[str, Any], ...] = (
    {"fault": "unavailable"},
    {"fault": "unavailable", "html": True},
    {"fault": "server_error"},
    {"fault": "reset_before"},
    {"fault": "reset_after"},
    {"fault": "truncated"},
    {"fault": "expired_session"},
    {"fault": "quota"},
    {"fault": "concurrent"},
    {"fault": "slow", "ms": 300, "distribution": "lognormal"},
)
_ROW_LOCK: Mapping[str, Any] = {"fault": "row_lock", "probability": 1.0, "record_probability": PROBABILITY}


def faults(seed: int) -> list[dict[str, Any]]:
    """Return the emulator's rules for a run."""
    rules = [{"probability": PROBABILITY, **rule} for rule in (*_REQUESTS, _ROW_LOCK)]
    rules.append({"fault": "poison", "object": "Lead", "match": POISON})
    # A path of the data services only: a login that is refused would be a different matter, a person's.
    return [{**rule, "path": "/services/data", "seed": seed * 100 + number} for number, rule in enumerate(rules)]


def fired(emulator_url: str) -> int:
    """Return how many faults the emulator's rules have caused."""
    rules = requests.get(f"{emulator_url}/_emulator/faults", timeout=30).json()
    return sum(rule["fired"] for rule in rules)


@dataclass(slots=True)
class Done:
    """What the weather did."""

    kills: int = 0
    redis_restarts: int = 0
    freezes: int = 0
    errors: list[str] = field(default_factory=list)


class Weather:
    """Disturbs a stack from a thread of its own until the context ends; then everything that was down is up again.

    `progress` tells how much of the run is over, from 0 to 1: Redis is restarted a third and two thirds into it.
    """

    def __init__(
        self,
        stack: LocalStack,
        *,
        seed: int,
        kill_every_s: float,
        freeze_s: float,
        progress: Callable[[], float],
        redis_restarts: int = 2,
    ) -> None:
        self.done = Done()
        self._stack = stack
        self._draw = random.Random(seed)
        self._kill_every_s = kill_every_s
        self._freeze_s = freeze_s
        self._progress = progress
        self._restarts_due = [(number + 1) / (redis_restarts + 1) for number in range(redis_restarts)]
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weather", daemon=True)
        self._frozen: tuple[Service, float] | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Calm down."""
        self._is_over.set()
        self._thread.join()
        self._thaw()

    def _run(self) -> None:
        try:
            self._freeze()
            while not self._is_over.wait(self._draw.uniform(0.5, 1.5) * self._kill_every_s):
                if self._frozen is not None and time.monotonic() > self._frozen[1]:
                    self._thaw()
                if self._restarts_due and self._progress() >= self._restarts_due[0]:
                    del self._restarts_due[0]
                    self._stack.redis.restart()
                    self.done.redis_restarts += 1
                self._kill_one()
        except Exception as error:  # a thread's exception would pass unseen
            self.done.errors.append(f"{type(error).__name__}: {error}")
            raise

    def _kill_one(self) -> None:
        frozen = self._frozen[0] if self._frozen else None
        running = [one for one in _disturbable(self._stack) if one.is_running and one is not frozen]
        victim = self._draw.choice(running)
        victim.kill()
        self.done.kills += 1
        victim.start().wait_until_ready()

    def _freeze(self) -> None:
        victim = self._draw.choice(list(self._stack.workers.values()))
        os.killpg(victim.pid, signal.SIGSTOP)
        self.done.freezes += 1
        self._frozen = victim, time.monotonic() + self._freeze_s

    def _thaw(self) -> None:
        if self._frozen is not None:
            os.killpg(self._frozen[0].pid, signal.SIGCONT)
            self._frozen = None


def _disturbable(stack: LocalStack) -> list[Service]:
    """Return the workers and beat: the org is disturbed by its faults, and Redis is only ever restarted in order."""
    return [one for one in stack.services if one not in (stack.redis.service, stack.emulator)]
