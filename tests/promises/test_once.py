"""Promise 5, once: a create whose answer was lost is made once where its rule lets the record be looked up.

What breaks it: an `idempotency_field` that is written and not looked up by (a plain create), or a lookup that comes
while the lost request may still be carried out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from pipeline import send_event
from pipeline.inbox.dead_letters import dead_letters
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer, wait_until

ORG = """
objects:
  - name: Case
    fields: [{name: MessageId__c, type: string, length: 128, external_id: true, unique: true}]
"""
EVENT = {
    "type": "track",
    "userId": "u",
    "event": "Issue Submitted",
    "properties": {"subject": "It hums"},
    "integrations": {"Salesforce": True},
}


def destination(extra: str) -> str:
    return f"""
linger: 0.05
salesforce: {{timeout: 40}}
actions:
  - on: {{type: track, event: Issue Submitted}}
    operation: create
    object: Case
    fields: {{properties.subject: Subject}}
    {extra}
"""


def created_without_an_answer(
    start_stack: Callable[..., LocalStack], folder: Path, extra: str
) -> tuple[LocalStack, Inbox]:
    """Send an event whose record is created by a request that breaks before its answer comes."""
    org = folder / "org.yaml"
    org.write_text(ORG, encoding="utf-8")
    stack = start_stack(
        workers={"worker": ()},
        destination=destination(extra),
        emulator_arguments=("--org", str(org)),
        has_beat=False,
    )
    connect_producer(stack.broker_url)
    fault = {"fault": "reset_after", "method": "POST", "path": "composite/sobjects", "next": 1}
    requests.post(f"{stack.emulator_url}/_emulator/faults", json=fault, timeout=10).raise_for_status()
    send_event.delay(EVENT)
    wait_until(lambda: len(cases(stack)) == 1, what="the record whose answer is lost")
    return stack, Inbox(stack.redis.client(), "Case")


def cases(stack: LocalStack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(f"{stack.emulator_url}/_emulator/records/Case", timeout=10).json()
    return found


def bring_forward(inbox: Inbox) -> None:
    """Make due now what waits until the lost request must have ended."""
    with inbox._redis as redis:
        ready = "pipeline:{Case}:ready"
        wait_until(lambda: redis.zcard(ready) == 1, what="the operation kept for later")
        assert redis.zcount(ready, 0, redis.time()[0] * 1000 + 30_000) == 0
        redis.zadd(ready, dict.fromkeys(redis.zrange(ready, 0, -1), 0))


def test_a_create_with_an_idempotency_field_is_made_once(
    start_stack: Callable[..., LocalStack], tmp_path: Path
) -> None:
    stack, inbox = created_without_an_answer(start_stack, tmp_path, "idempotency_field: MessageId__c")
    bring_forward(inbox)
    wait_until(lambda: inbox.counts().get("applied") == 1, what="the operation settled")
    (case,) = cases(stack)
    assert case["Subject"] == "It hums"
    assert case["MessageId__c"]


def test_a_plain_create_is_tried_again_and_repeats_the_record(
    start_stack: Callable[..., LocalStack], tmp_path: Path
) -> None:
    stack, inbox = created_without_an_answer(start_stack, tmp_path, "")
    bring_forward(inbox)
    wait_until(lambda: inbox.counts().get("applied") == 1, what="the operation settled")
    assert len(cases(stack)) == 2


def test_a_plain_create_is_buried_where_the_rule_says_so(
    start_stack: Callable[..., LocalStack], tmp_path: Path
) -> None:
    stack, inbox = created_without_an_answer(start_stack, tmp_path, "on_uncertain: dead_letter")
    wait_until(lambda: inbox.counts().get("buried") == 1, what="the dead letter")
    with stack.redis.client() as redis:
        (letter,) = dead_letters(redis, "Case")
    assert "whether the record exists" in letter.reason
    assert len(cases(stack)) == 1
