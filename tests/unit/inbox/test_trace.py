"""What is told of a message, from its first moment to its last."""

from collections.abc import Iterable
from dataclasses import replace

import fakeredis
import pytest
from redis import Redis

from pipeline.inbox.claims import Batch, Settlement
from pipeline.inbox.dead_letters import Receipt, dead_letters, readmit, receive, retry
from pipeline.inbox.inbox import Bounds, Inbox
from pipeline.inbox.trace import OperationTrace, digest, is_known, planned_as, trace
from pipeline.operation import Operation

EMAIL = "ada@example.com"
KEY = f"email={EMAIL}"


@pytest.fixture
def redis() -> Redis:
    return fakeredis.FakeRedis()


@pytest.fixture
def inbox(redis: Redis) -> Inbox:
    return Inbox(redis, "Lead", Bounds(linger_s=0))


def operation(number: int, email: str = EMAIL) -> Operation:
    return Operation(
        id=f"m{number}#identify", object="Lead", verb="upsert", match={"Email": email}, event_time_ms=number
    )


def take_in(redis: Redis, inbox: Inbox, operations: Iterable[Operation]) -> None:
    wanted = list(operations)
    inbox.append(wanted)
    receipts = [
        Receipt(one.id.partition("#")[0], "accepted", planned=planned_as([(one.object, one.id)])) for one in wanted
    ]
    receive(redis, receipts, is_traced=inbox.bounds.is_traced)


def claimed(inbox: Inbox) -> Batch:
    batch = inbox.claim("d")
    assert isinstance(batch, Batch)
    return batch


def told(redis: Redis, message_id: str) -> OperationTrace:
    found = trace(redis, message_id)
    assert found is not None
    (one,) = found.operations
    assert EMAIL not in repr(found)
    return one


def test_what_waits_says_behind_what(redis: Redis, inbox: Inbox) -> None:
    take_in(redis, inbox, [operation(1, "eve@example.com")])
    take_in(redis, inbox, [operation(2), operation(3)])
    one = told(redis, "m3")
    assert (one.object, one.rule, one.state, one.key) == ("Lead", "identify", "waiting", digest(KEY))
    assert (one.operations_before, one.attempts, one.put_off, one.call) == (1, 0, None, None)
    assert one.keys_before in (0, 1)  # keys that are due in the same millisecond go by name
    assert one.due_ms is not None
    assert one.due_ms == one.since_ms


def test_what_a_deliverer_holds_is_in_flight(redis: Redis, inbox: Inbox) -> None:
    take_in(redis, inbox, [operation(1)])
    claimed(inbox)
    one = told(redis, "m1")
    assert (one.state, one.due_ms) == ("in_flight", None)
    assert one.lease_ms is not None


def test_what_was_applied_names_its_record_and_its_call(redis: Redis, inbox: Inbox) -> None:
    take_in(redis, inbox, [operation(1), operation(2)])
    batch = claimed(inbox)
    done = Settlement(batch.claims[0], record_id="00Q1", written_id="00Q1", sent_in={0: "ab12cd34"})
    inbox.commit(batch.token, [done])
    first, second = told(redis, "m1"), told(redis, "m2")
    assert (first.state, first.record_id, first.call) == ("applied", "00Q1", "ab12cd34")
    assert (second.state, second.record_id, second.call) == ("applied", "00Q1", None)
    assert first.key is None


def test_what_was_put_off_says_why_and_when_it_is_due(redis: Redis, inbox: Inbox) -> None:
    take_in(redis, inbox, [operation(1)])
    batch = claimed(inbox)
    kept = Settlement(
        batch.claims[0],
        keep=(0,),
        delay_ms=60_000,
        counts_attempt=True,
        why_kept="UNABLE_TO_LOCK_ROW",
        sent_in={0: "ab12cd34"},
    )
    inbox.commit(batch.token, [kept])
    one = told(redis, "m1")
    assert (one.state, one.put_off, one.call, one.attempts) == ("waiting", "UNABLE_TO_LOCK_ROW", "ab12cd34", 1)
    assert one.due_ms is not None
    assert one.since_ms is not None
    assert one.due_ms - one.since_ms == 60_000


def test_what_was_buried_leads_to_its_dead_letter_and_back(redis: Redis, inbox: Inbox) -> None:
    take_in(redis, inbox, [operation(1)])
    batch = claimed(inbox)
    inbox.commit(batch.token, [Settlement(batch.claims[0], bury={0: "INVALID_FIELD: no"}, sent_in={0: "ab12cd34"})])
    (letter,) = dead_letters(redis, "Lead")
    one = told(redis, "m1")
    assert (one.state, one.reason, one.call) == ("buried", "INVALID_FIELD: no", "ab12cd34")
    assert one.dead_letter == f"Lead/{letter.id}"
    retry(redis, "Lead", [letter])
    assert told(redis, "m1").state == "waiting"


def test_a_rejected_event_says_why_until_it_is_taken_in_after_all(redis: Redis, inbox: Inbox) -> None:
    receive(redis, [Receipt("m1", "rejected", "track needs `event`", {"type": "track"})])
    found = trace(redis, "m1")
    assert found is not None
    assert (found.outcome, found.reason, found.operations) == ("rejected", "track needs `event`", ())
    inbox.append([operation(1)])
    readmit(redis, dead_letters(redis, "events")[0], Receipt("m1", "accepted", planned="Lead#identify"))
    assert told(redis, "m1").state == "waiting"


def test_a_skipped_event_says_why(redis: Redis) -> None:
    receive(redis, [Receipt("m1", "skipped", "no_rule")])
    found = trace(redis, "m1")
    assert found is not None
    assert (found.outcome, found.reason) == ("skipped", "no_rule")


def test_a_message_that_comes_again_keeps_its_trace(redis: Redis, inbox: Inbox) -> None:
    take_in(redis, inbox, [operation(1)])
    batch = claimed(inbox)
    inbox.commit(batch.token, [Settlement(batch.claims[0], written_id="00Q1")])
    take_in(redis, inbox, [operation(1)])
    assert told(redis, "m1").state == "applied"


def test_a_trace_lives_no_longer_than_what_is_known_of_its_id(redis: Redis, inbox: Inbox) -> None:
    take_in(redis, inbox, [operation(1)])
    key = "pipeline:{Lead}:seen:m1#identify"
    before = redis.ttl(key)
    batch = claimed(inbox)
    inbox.commit(batch.token, [Settlement(batch.claims[0], written_id="00Q1")])
    assert 0 < redis.ttl(key) <= before
    take_in(redis, inbox, [operation(2)])
    redis.delete("pipeline:{Lead}:seen:m2#identify")
    batch = claimed(inbox)
    inbox.commit(batch.token, [Settlement(batch.claims[0], written_id="00Q1")])
    assert not redis.exists("pipeline:{Lead}:seen:m2#identify")
    assert told(redis, "m2").state == "unknown"


def test_switched_off_nothing_is_kept_of_it_but_that_it_is_known(redis: Redis) -> None:
    untraced = Inbox(redis, "Lead", replace(Bounds(linger_s=0), is_traced=False))
    take_in(redis, untraced, [operation(1)])
    batch = claimed(untraced)
    untraced.commit(batch.token, [Settlement(batch.claims[0], written_id="00Q1")])
    assert trace(redis, "m1") is None
    assert is_known(redis, "m1")
    assert redis.get("pipeline:{Lead}:seen:m1#identify") == b"1"
    assert not is_known(redis, "m2")
