"""Promise 6, quota: the pipeline never spends more than its share, and what has no call waits.

What breaks it: a gate that grants whatever is asked.
"""

from collections.abc import Callable

import requests

from pipeline import send_event
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer, wait_until
from pipeline.salesforce.quota import LEAST_BURST, QuotaGate

PEOPLE = 30


def test_without_calls_left_events_wait_and_go_on_when_calls_are_there_again(
    start_stack: Callable[..., LocalStack],
) -> None:
    stack = start_stack(
        workers={"worker-1": ()},
        emulator_arguments=("--daily-limit", "100"),
        destination="linger: 0.01\nquota: {share: 0.5, reserve: 0}\n",
        has_beat=False,
    )
    connect_producer(stack.broker_url)
    with stack.redis.client() as redis:
        leads, gate = Inbox(redis, "Lead"), QuotaGate(redis, share=0.5, reserve=0)

        def send(person: int) -> None:
            traits = {"email": f"p{person}@example.com"}
            send_event.delay(
                {"type": "identify", "userId": "u", "traits": traits, "integrations": {"Salesforce": True}}
            )

        def is_taken_in(person: int) -> bool:
            return leads.counts().get("appended", 0) > person

        def is_delivered_or_closed(person: int) -> bool:
            return leads.counts().get("applied", 0) > person or gate.status().free_now < 2

        for person in range(PEOPLE):  # one by one, so that each would like two calls of its own
            send(person)
            wait_until(lambda: is_taken_in(person), what="the event taken in")  # noqa: B023  (used at once)
            wait_until(lambda: is_delivered_or_closed(person), what="a delivery")  # noqa: B023
        assert _calls(stack) <= LEAST_BURST  # with the describe, without which nothing could be shaped
        assert leads.waiting().backlog > 0

        redis.delete("pipeline:{quota}:bucket")  # as time would refill it
        wait_until(lambda: leads.waiting().backlog == 0, what="the delivery of what waited")
    assert _calls(stack) <= 50
    assert len(requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()) == PEOPLE


def _calls(stack: LocalStack) -> int:
    calls = requests.get(f"{stack.emulator_url}/_emulator/stats", timeout=10).json()["api_calls"]["total"]
    assert isinstance(calls, int)
    return calls
