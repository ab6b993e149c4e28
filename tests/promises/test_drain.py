"""Promise 1, no loss: a worker that is asked to end goes within 30 seconds and hands back at once what it holds.

What breaks it: `is_draining` that always answers False (the worker finishes its turn, whatever that takes), or a
deliverer that leaves its claims to the end of their lease.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from pipeline import send_event
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer, wait_until

WITHIN_S = 30


def slow_stack(start_stack: Callable[..., LocalStack], **fault: Any) -> LocalStack:
    """Start a worker for each side, with an org that knows the person and then gets slow at something."""
    stack = start_stack(
        workers={"ingest": ("--ingest",), "delivery": ("--delivery", "--concurrency", "1")},
        destination="linger: 0.05\nsalesforce: {timeout: 60}\n",
        has_beat=False,
    )
    connect_producer(stack.broker_url)
    send("a@example.com")
    with stack.redis.client() as redis:
        wait_until(lambda: Inbox(redis, "Lead").counts().get("applied") == 1, what="the first delivery")
    requests.post(f"{stack.emulator_url}/_emulator/faults", json={"fault": "slow", **fault}, timeout=10)
    return stack


def send(email: str) -> None:
    send_event.delay(
        {"type": "identify", "userId": "u", "traits": {"email": email}, "integrations": {"Salesforce": True}}
    )


def asked_of(stack: LocalStack) -> int:
    (rule,) = requests.get(f"{stack.emulator_url}/_emulator/faults", timeout=10).json()
    return int(rule["fired"])


def end_delivery(stack: LocalStack) -> float:
    """Ask the delivery worker to end; returns how long it took, in seconds."""
    worker = stack.workers["delivery"]
    wait_until(lambda: asked_of(stack) > 0, what="a request under way")
    started = time.monotonic()
    worker.begin_stop()
    wait_until(lambda: not worker.is_running, what="the worker's end", within_s=WITHIN_S)
    return time.monotonic() - started


def test_a_request_under_way_is_finished_and_nothing_else_is_begun(start_stack: Callable[..., LocalStack]) -> None:
    stack = slow_stack(start_stack, ms=3000)
    send("b@example.com")
    assert end_delivery(stack) < 10
    assert asked_of(stack) == 1  # the lookup; no write followed it
    with stack.redis.client() as redis:
        assert redis.zcard("pipeline:{Lead}:claims") == 0
        assert redis.zcount("pipeline:{Lead}:ready", 0, time.time() * 1000) == 1


@pytest.mark.timeout(150)
def test_a_request_that_takes_too_long_is_cut_short(start_stack: Callable[..., LocalStack]) -> None:
    stack = slow_stack(start_stack, ms=55_000, path="query", next=1)
    send("b@example.com")
    end_delivery(stack)
    with stack.redis.client() as redis:
        leads = Inbox(redis, "Lead")
        assert redis.zcard("pipeline:{Lead}:claims") == 0
        assert redis.zcount("pipeline:{Lead}:ready", 0, time.time() * 1000) == 1
        stack.add_worker("successor", "--delivery")
        wait_until(lambda: leads.counts()["applied"] == 2, what="the delivery by another worker", within_s=15)
        assert leads.counts().get("buried", 0) == 0


@pytest.mark.timeout(150)
def test_a_write_that_takes_too_long_may_still_be_carried_out_and_is_waited_for(
    start_stack: Callable[..., LocalStack],
) -> None:
    stack = slow_stack(start_stack, ms=55_000, path="composite", method="POST", next=1)
    send("b@example.com")
    end_delivery(stack)
    with stack.redis.client() as redis:
        assert redis.zcard("pipeline:{Lead}:claims") == 0
        ((_, due_ms),) = redis.zrange("pipeline:{Lead}:ready", 0, -1, withscores=True)
        assert 30 < due_ms / 1000 - time.time() < 60
