"""Wrong clocks: a worker's clock may be an hour off, and nothing is lost, late, doubled or overwritten by it.

What breaks it: a time of one machine that is compared with the clock of another, as `time()` in kombu's
`unacked_index`, in a worker's arrival times, or in a countdown. Real workers run with a clock of their own.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, Final

import pytest
import requests

from pipeline import send_event
from pipeline.inbox.dead_letters import received
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalRedis, LocalStack, clean_environment, connect_producer, wait_until
from pipeline.local.service import pipeline_command

HOUR_S: Final = 3600
BACK_AFTER_S: Final = 5.0
EVENT = {"type": "identify", "userId": "u", "traits": {"email": "a@example.com"}, "integrations": {"Salesforce": True}}

# Python runs this before anything else: the process has another wall clock, and the monotonic one as it is.
OTHER_CLOCK = """
import datetime, os, time
ahead_s = float(os.environ["AHEAD_S"])
former, former_ns, Datetime = time.time, time.time_ns, datetime.datetime
time.time = lambda: former() + ahead_s
time.time_ns = lambda: former_ns() + int(ahead_s * 1e9)
class Shifted(Datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)
datetime.datetime = Shifted
"""

# An ingest worker that gets a message back sooner than by default; "killed": by itself, once it has one.
WORKER = """
import os, signal, sys
from kombu.transport import virtual
from pipeline import app
app.conf.broker_transport_options = {**app.conf.broker_transport_options, "visibility_timeout": float(sys.argv[2])}
if sys.argv[1] == "killed":
    virtual.Transport._deliver = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
app.start(["worker", "--queues", "ingest", "--pool", "solo", "--without-mingle", "--without-gossip"])
"""


@pytest.fixture
def other_clock(tmp_path: Path) -> Callable[[float], dict[str, str]]:
    """Return the environment of a process whose clock is so many seconds ahead."""
    folder = tmp_path / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(OTHER_CLOCK, encoding="utf-8")
    return lambda ahead_s: {"PYTHONPATH": str(folder), "AHEAD_S": str(ahead_s)}


@contextmanager
def worker(server: LocalRedis, mode: str, clock: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environ = clean_environment() | {"PIPELINE_REDIS_URL": server.url} | clock
    with (folder / f"{mode}.log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-c", WORKER, mode, str(BACK_AFTER_S)], env=environ, cwd=folder, stdout=log, stderr=log
        )
        try:
            yield started
        finally:
            started.kill()
            started.wait()


@pytest.mark.parametrize(("killed_s", "living_s"), [(HOUR_S, 0), (0, HOUR_S), (-HOUR_S, 0)])
def test_what_a_killed_worker_held_comes_back_in_the_usual_time(
    killed_s: int, living_s: int, tmp_path: Path, other_clock: Callable[[float], dict[str, str]]
) -> None:
    with LocalRedis() as server, server.client() as redis:
        connect_producer(server.url)
        send_event.delay(EVENT | {"messageId": "m1"})
        with worker(server, "killed", other_clock(killed_s), tmp_path) as killed:
            wait_until(lambda: killed.poll() is not None, what="a worker that is killed")
        since = monotonic()
        assert redis.hlen("unacked") == 1
        with worker(server, "living", other_clock(living_s), tmp_path):
            wait_until(lambda: received(redis) == {"accepted": 1}, what="the event taken in")
            waited_s = monotonic() - since
            wait_until(lambda: redis.hlen("unacked") == 0, what="the message acknowledged")
        # Earlier would be as bad: the worker that holds it may be alive.
        assert BACK_AFTER_S - 1 < waited_s < BACK_AFTER_S + 10


@pytest.mark.parametrize("ahead_s", [-HOUR_S, HOUR_S])
def test_newer_values_win_whatever_a_worker_s_clock_says_and_status_tells_it(
    ahead_s: int, start_stack: Callable[..., LocalStack], other_clock: Callable[[float], dict[str, str]]
) -> None:
    stack = start_stack(workers={"right": ()}, destination="linger: 0.1\n", has_beat=False)
    connect_producer(stack.broker_url)
    now = datetime.now(UTC)

    sent = count(1)

    def send(title: str, at: datetime) -> None:
        number = next(sent)
        traits = {"email": "a@example.com", "lastName": "A", "company": "C", "title": title}
        send_event.delay(EVENT | {"messageId": title, "timestamp": at.isoformat(), "traits": traits})
        with stack.redis.client() as redis:
            wait_until(lambda: Inbox(redis, "Lead").counts().get("applied") == number, what=f"{title} delivered")

    send("of half an hour ago", now - timedelta(minutes=30))
    stack.workers["right"].kill()
    stack.env |= other_clock(ahead_s)
    wrong = stack.add_worker("wrong")
    send("of now", now)
    assert title_of_the_lead(stack) == "of now"
    send("of the future", now + timedelta(minutes=30))  # is of its arrival, as no event is later than that
    send("of a minute later", datetime.now(UTC))
    assert title_of_the_lead(stack) == "of a minute later"

    told = subprocess.run(
        [*pipeline_command("status"), "--json"], env=stack.env | {"AHEAD_S": "0"}, capture_output=True, check=True
    )
    ((node, skew_s),) = json.loads(told.stdout)["clock_skew_s"].items()
    assert node.startswith("wrong@")
    assert skew_s == pytest.approx(ahead_s, abs=5)
    direction = "ahead of" if ahead_s > 0 else "behind"
    assert f"this machine's clock is 3,600 s {direction} that of Redis" in wrong.output()


def title_of_the_lead(stack: LocalStack) -> Any:
    (found,) = requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()
    return found["Title"]
