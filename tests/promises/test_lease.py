"""Promise 2, no race: a worker that has lost its lease writes nothing.

What breaks it: a lease that is not renewed and looked at right before each request (`_may_call`), or a request that may
begin any time after that (`by`).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from pipeline import send_event
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer, wait_until

# A worker that is stopped, as by a debugger, a full disk or a virtual machine that stands still, at one point.
STOPPED_AT = """
import os, signal, sys
from pipeline import app
from pipeline.salesforce import client
place, = sys.argv[1:]
former = client.Org.send
def send(self, subrequests, **options):
    is_write = subrequests[0].method != "GET"
    if place == "before the write" and is_write:
        os.kill(os.getpid(), signal.SIGSTOP)
    answers = former(self, subrequests, **options)
    if place == "after the lookup" and subrequests[0].resource == "query":
        os.kill(os.getpid(), signal.SIGSTOP)
    return answers
client.Org.send = send
app.start(["worker", "-Q", "salesforce.Lead", "--pool", "solo", "--hostname", "stopped@%h", "--loglevel", "INFO"])
"""


@contextmanager
def worker_that_stops(stack: LocalStack, place: str) -> Iterator["subprocess.Popen[bytes]"]:
    with (stack.folder / "stopped.log").open("wb") as log:
        command = [sys.executable, "-c", STOPPED_AT, place]
        worker = subprocess.Popen(command, env=stack.env, cwd=stack.folder, stdout=log, stderr=log)
        try:
            yield worker
        finally:
            worker.kill()
            worker.wait()


def is_stopped(worker: "subprocess.Popen[bytes]") -> bool:
    found, status = os.waitpid(worker.pid, os.WUNTRACED | os.WNOHANG)
    return bool(found) and os.WIFSTOPPED(status)


@pytest.mark.parametrize("place", ["after the lookup", "before the write"])
def test_a_worker_that_was_stopped_past_its_lease_writes_nothing(
    start_stack: Callable[..., LocalStack], place: str
) -> None:
    # The lease outlives the slowest request that the setting allows, so that a short one makes it short: 13 s.
    stack = start_stack(
        workers={"ingest": ("--ingest",)}, destination="linger: 0.05\nsalesforce: {timeout: 1}\n", has_beat=False
    )
    connect_producer(stack.broker_url)
    with stack.redis.client() as redis, worker_that_stops(stack, place) as stopped:
        leads = Inbox(redis, "Lead")
        send_event.delay(
            {
                "type": "identify",
                "userId": "u",
                "traits": {"email": "a@example.com"},
                "integrations": {"Salesforce": True},
            }
        )
        wait_until(lambda: is_stopped(stopped), what="the worker that stops")
        assert leads.waiting().in_flight == 1
        stack.add_worker("other", "--delivery")
        wait_until(lambda: leads.counts().get("applied") == 1, what="the delivery by another worker", within_s=60)
        written = writes(stack)

        stopped.send_signal(signal.SIGCONT)
        log = stack.folder / "stopped.log"
        wait_until(lambda: "object=Lead claimed=1" in log.read_text(), what="the end of the turn that was stopped")
        assert writes(stack) == written
        assert leads.waiting().in_flight == 0
    assert len(requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()) == 1


def writes(stack: LocalStack) -> int:
    by_resource = requests.get(f"{stack.emulator_url}/_emulator/stats", timeout=10).json()["api_calls"]["by_resource"]
    return sum(calls for name, calls in by_resource.items() if name.startswith("composite"))
