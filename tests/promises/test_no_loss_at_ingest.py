"""Promise 1, no loss, in front of the inboxes: a worker may be killed at any instant after the broker gave it an event.

What breaks it: kombu's own transport, which the same kills are tried on; a visibility timeout of kombu's default.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from pipeline import send_event
from pipeline.inbox.dead_letters import received
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalRedis, LocalStack, clean_environment, connect_producer, wait_until

EVENT = {"type": "identify", "userId": "u", "traits": {"email": "a@example.com"}, "integrations": {"Salesforce": True}}

# A worker that is killed, by itself and with no chance to do anything, when it is about to run one method.
KILLED_AT = """
import os, signal, sys
from kombu.transport import redis, virtual
from pipeline import amqp, app
from pipeline.broker import Transport
transport, place = sys.argv[1:]
if transport == "kombu":
    amqp.TRANSPORTS.clear()
def has_message():
    with redis.redis.Redis.from_url(os.environ["PIPELINE_REDIS_URL"]) as client:
        return not client.exists("ingest")
def killed(*arguments, **options):
    if has_message():
        os.kill(os.getpid(), signal.SIGKILL)
    return former(*arguments, **options)
owner, name = {
    "reply": ((redis.Transport if transport == "kombu" else Transport).Channel, "_brpop_read"),
    "message": (virtual.Transport, "_deliver"),
}[place]
former = getattr(owner, name)
setattr(owner, name, killed)
app.start(["worker", "--queues", "ingest", "--pool", "solo", "--without-mingle", "--without-gossip"])
"""


@pytest.fixture
def own_redis() -> Iterator[LocalRedis]:
    with LocalRedis() as server:
        yield server


@contextmanager
def killed_worker(server: LocalRedis, transport: str, place: str, folder: Path) -> Iterator[None]:
    """Run a worker until it has killed itself."""
    environ = clean_environment() | {"PIPELINE_REDIS_URL": server.url}
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-c", KILLED_AT, transport, place], env=environ, cwd=folder, stdout=log, stderr=log
        )
        try:
            assert worker.wait(60) == -signal.SIGKILL, (folder / "worker.log").read_text()
            yield
        finally:
            worker.kill()
            worker.wait()


@pytest.mark.parametrize("place", ["reply", "message"])
@pytest.mark.parametrize(("transport", "held"), [("kombu", 0), ("pipeline", 1)])
def test_a_worker_killed_as_it_takes_an_event_in_holds_it_on_record(
    own_redis: LocalRedis, tmp_path: Path, transport: str, held: int, place: str
) -> None:
    connect_producer(own_redis.url)
    send_event.delay(EVENT)
    with killed_worker(own_redis, transport, place, tmp_path), own_redis.client() as redis:
        assert redis.exists("ingest") == 0
        assert (redis.hlen("unacked"), redis.zcard("unacked_index")) == (held, held)


EVENTS, KILLS = 2_000, 12


def test_what_killed_workers_held_is_taken_in_within_a_minute(start_stack: Callable[..., LocalStack]) -> None:
    stack = start_stack(workers={"ingest-1": ("--ingest",), "ingest-2": ("--ingest",)}, has_beat=False)
    connect_producer(stack.redis.url)
    names = (f"ingest-{number}" for number in count(3))
    with stack.redis.client() as redis:
        # A worker that is killed while it looks for abandoned messages must not keep the others from looking.
        redis.set("unacked_mutex", "of a killed worker", ex=10)
        for number in range(EVENTS):
            send_event.delay(EVENT | {"messageId": f"m{number}"})
            if number % (EVENTS // KILLS) == EVENTS // KILLS // 2:
                wait_until(lambda: redis.hlen("unacked") > 0, what="a worker that holds messages")
                next(one for one in stack.workers.values() if one.is_running).kill()
                stack.add_worker(next(names), "--ingest")
        killed = time.monotonic()
        assert redis.hlen("unacked") > 0  # held by killed workers: the living ones acknowledge as they go
        wait_until(lambda: received(redis) == {"accepted": EVENTS}, what="every event taken in", within_s=60)
        assert time.monotonic() - killed < 60
        wait_until(lambda: redis.hlen("unacked") == 0, what="every message acknowledged")
        assert Inbox(redis, "Lead").counts()["appended"] == EVENTS
