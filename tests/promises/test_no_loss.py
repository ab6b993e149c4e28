"""Promise 1, no loss: a worker that delivers may be killed at any instant, and what it held arrives.

What breaks it: a sweep that returns no expired claims.
"""

from collections.abc import Callable
from itertools import count

import requests

from pipeline import send_event
from pipeline.inbox.dead_letters import received
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer, wait_until

PEOPLE, EVENTS, KILLS = 40, 200, 4


def test_killed_workers_lose_nothing_and_double_nothing(start_stack: Callable[..., LocalStack]) -> None:
    # Short timeouts make short leases, so that what a killed worker held comes back within the test.
    stack = start_stack(
        workers={"ingest": ("--ingest",), "delivery-1": ("--delivery",), "delivery-2": ("--delivery",)},
        emulator_arguments=("--latency-ms", "30"),
        destination="linger: 0.05\nsalesforce: {timeout: 2}\n",
        has_beat=False,
    )
    connect_producer(stack.broker_url)
    names = (f"delivery-{number}" for number in count(3))
    with stack.redis.client() as redis:
        leads = Inbox(redis, "Lead")
        for number in range(EVENTS):
            traits = {"email": f"p{number % PEOPLE}@example.com", "title": f"title {number}"}
            send_event.delay(
                {
                    "type": "identify",
                    "userId": "u",
                    "timestamp": f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}Z",
                    "traits": traits,
                    "integrations": {"Salesforce": True},
                }
            )
            if number % (EVENTS // KILLS) == EVENTS // KILLS // 2:
                # In the middle of a delivery: keys are claimed, and a request may be on its way.
                wait_until(lambda: leads.waiting().in_flight or not leads.waiting().backlog, what="a delivery")
                delivering = [one for name, one in stack.workers.items() if name != "ingest" and one.is_running]
                delivering[0].kill()
                stack.add_worker(next(names), "--delivery")

        # What a killed worker had claimed comes back when its lease ends.
        wait_until(lambda: sum(received(redis).values()) == EVENTS, what="every event accounted for", within_s=60)
        wait_until(lambda: leads.waiting().backlog == 0, what="the delivery of everything", within_s=60)
        assert received(redis) == {"accepted": EVENTS}
        assert leads.waiting().dead_letters == 0
    found = requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()
    titles = {record["Email"]: record["Title"] for record in found}
    assert len(found) == PEOPLE
    assert titles == {f"p{n}@example.com": f"title {EVENTS - PEOPLE + n}" for n in range(PEOPLE)}
