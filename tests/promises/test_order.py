"""Promises 3 and 5, order and once: what comes late or twice changes nothing.

What breaks it: a batch in the order of arrival (`in_order`), a clock that is not kept (`fresh`), an append that does
not remember ids.
"""

import random
from collections.abc import Callable
from typing import Any

import requests

from pipeline import send_event, send_events
from pipeline.inbox.dead_letters import received
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer, wait_until

PEOPLE, EACH = 10, 12


def test_shuffled_and_repeated_events_leave_the_newest_value_of_every_field(
    start_stack: Callable[..., LocalStack],
) -> None:
    stack = start_stack(destination="linger: 0.05\n", has_beat=False)
    connect_producer(stack.broker_url)
    events: list[dict[str, Any]] = [
        {
            "type": "identify",
            "userId": f"u{person}",
            "messageId": f"m{person}-{number}",
            "timestamp": f"2026-01-01T00:00:{number:02d}Z",
            "traits": {
                "email": f"p{person}@example.com",
                "title": f"title {number}",
                **({"phone": f"555-{number:04d}"} if number % 3 == 0 else {}),
            },
            "integrations": {"Salesforce": True},
        }
        for person in range(PEOPLE)
        for number in range(EACH)
    ]
    sent = events * 2
    random.Random(7).shuffle(sent)
    for start in range(0, len(sent), 5):
        send_events.delay(sent[start : start + 5])
    send_event.delay(events[0])

    with stack.redis.client() as redis:
        leads = Inbox(redis, "Lead")
        wait_until(
            lambda: sum(leads.counts().get(n, 0) for n in ("appended", "repeated")) == 2 * len(events) + 1, what="all"
        )
        wait_until(lambda: leads.waiting().backlog == 0, what="the delivery of everything")
        assert received(redis) == {"accepted": len(events)}
        assert leads.counts()["appended"] == leads.counts()["applied"] == len(events)
    found = requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()
    assert sorted((record["Email"], record["Title"], record["Phone"]) for record in found) == [
        (f"p{person}@example.com", f"title {EACH - 1}", f"555-{(EACH - 1) // 3 * 3:04d}") for person in range(PEOPLE)
    ]
