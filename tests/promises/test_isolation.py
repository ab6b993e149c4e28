"""Promise 7, isolation: one bad record neither fails nor delays the others.

What breaks it: burying a collection that failed as a whole, instead of halving it (`may_be_anothers_fault`).
"""

from collections.abc import Callable

import requests

from pipeline import send_events
from pipeline.inbox.dead_letters import dead_letters
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer, wait_until


def test_a_record_that_spoils_its_whole_collection_is_buried_alone(start_stack: Callable[..., LocalStack]) -> None:
    stack = start_stack(has_beat=False)
    connect_producer(stack.broker_url)
    poison = {"fault": "poison", "match": {"Email": "p17@example.com"}}
    requests.post(f"{stack.emulator_url}/_emulator/faults", json=poison, timeout=10).raise_for_status()
    opted_in = {"Salesforce": True}
    people = [
        {"type": "identify", "userId": "u", "traits": {"email": f"p{number}@example.com"}, "integrations": opted_in}
        for number in range(50)
    ]
    group = {"type": "group", "userId": "u", "groupId": "g1", "traits": {"name": "Acme"}, "integrations": opted_in}
    send_events.delay([*people, group])
    with stack.redis.client() as redis:
        leads, accounts = Inbox(redis, "Lead"), Inbox(redis, "Account")
        wait_until(lambda: leads.counts().get("appended", 0) == 50 and leads.waiting().backlog == 0, what="the leads")
        wait_until(lambda: accounts.counts().get("applied", 0) == 1, what="the account")
        (letter,) = dead_letters(redis, "Lead")
    assert letter.event["traits"]["email"] == "p17@example.com"
    assert len(requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()) == 49
