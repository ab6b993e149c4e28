"""The inboxes' scripts, on a Redis in memory."""

import json
import time
from typing import Any

import fakeredis
import pytest
from redis import Redis

from pipeline.inbox.claims import Batch, Empty, Settlement, Wait
from pipeline.inbox.dead_letters import Receipt, dead_letters, find_dead_letter, receive, received, retry
from pipeline.inbox.inbox import Bounds, Inbox, objects
from pipeline.inbox.scripts import run_together
from pipeline.local import wait_until
from pipeline.operation import Operation


@pytest.fixture
def redis() -> Redis:
    return fakeredis.FakeRedis()


@pytest.fixture
def inbox(redis: Redis) -> Inbox:
    return Inbox(redis, "Lead", Bounds(linger_s=0))


def operation(number: int = 1, email: str = "a@example.com", **values: object) -> Operation:
    return Operation(
        id=f"m{number}#identify",
        object="Lead",
        verb="upsert",
        match={"Email": email},
        fields={"Title": f"title {number}"},
        event_time_ms=1000 + number,
        **values,  # type: ignore[arg-type]
    )


def claimed(inbox: Inbox) -> Batch:
    batch = inbox.claim("deliverer")
    assert isinstance(batch, Batch)
    return batch


def test_operations_of_one_person_come_out_together_in_the_order_of_arrival(inbox: Inbox) -> None:
    inbox.append([operation(2), operation(1, " A@Example.com"), operation(3, "b@example.com")])
    batch = claimed(inbox)
    assert {claim.key: [one.id for one in claim.operations] for claim in batch.claims} == {
        "email=a@example.com": ["m2#identify", "m1#identify"],
        "email=b@example.com": ["m3#identify"],
    }
    assert batch.claims[0].operations[0] == operation(2)


def test_an_operation_seen_before_is_not_appended_again(inbox: Inbox) -> None:
    assert inbox.append([operation(1), operation(1)]).appended == 1
    batch = claimed(inbox)
    inbox.commit(batch.token, [Settlement(batch.claims[0])])
    again = inbox.append([operation(1)])
    assert (again.appended, again.repeated) == (0, 1)
    assert isinstance(inbox.claim("deliverer"), Empty)


def test_a_claimed_key_is_not_claimed_again_and_what_arrives_meanwhile_waits(inbox: Inbox) -> None:
    inbox.append([operation(1)])
    batch = claimed(inbox)
    inbox.append([operation(2)])
    assert isinstance(inbox.claim("other"), Empty)
    inbox.commit(batch.token, [Settlement(batch.claims[0])])
    assert [one.id for one in claimed(inbox).claims[0].operations] == ["m2#identify"]


def test_keys_that_share_one_of_several_match_values_are_not_claimed_together(inbox: Inbox) -> None:
    def matching(number: int, **match: str) -> Operation:
        return Operation(id=f"m{number}", object="Lead", verb="upsert", match=match, event_time_ms=number)

    inbox.append([matching(1, Email="a@x.com", Phone="1"), matching(2, Email="b@x.com", Phone="1")])
    batch = claimed(inbox)
    assert [claim.operations[0].id for claim in batch.claims] == ["m1"]
    assert isinstance(inbox.claim("other"), Wait)
    inbox.commit(batch.token, [Settlement(batch.claims[0])])
    assert [claim.operations[0].id for claim in claimed(inbox).claims] == ["m2"]


def test_commit_keeps_buries_and_drops_each_operation_where_it_belongs(inbox: Inbox, redis: Redis) -> None:
    inbox.append([operation(number) for number in (1, 2, 3)])
    batch = claimed(inbox)
    inbox.append([operation(4)])
    settlement = Settlement(batch.claims[0], keep=(2,), bury={1: "because"}, counts_attempt=True)
    assert inbox.commit(batch.token, [settlement]) == set()
    again = claimed(inbox).claims[0]
    assert [one.id for one in again.operations] == ["m3#identify", "m4#identify"]
    assert again.attempts == 1
    (letter,) = dead_letters(redis, "Lead")
    assert (letter.reason, letter.operation["id"], letter.object) == ("because", "m2#identify", "Lead")
    assert find_dead_letter(redis, "Lead", letter.id) == letter
    assert inbox.counts() == {"appended": 4, "applied": 1, "buried": 1, "retried": 1}
    assert inbox.waiting().backlog == 2


def test_the_clock_and_the_record_id_come_back_with_the_next_claim(inbox: Inbox) -> None:
    inbox.append([operation(1)])
    batch = claimed(inbox)
    clock = {"Email": 1001, "Title": 1001, "Phone": 7}
    inbox.commit(batch.token, [Settlement(batch.claims[0], clock=clock, record_id="00Q000000000001AAA")])
    inbox.append([operation(2)])
    again = claimed(inbox).claims[0]
    assert (again.clock, again.record_id) == (clock, "00Q000000000001AAA")


def test_what_keeps_its_place_is_due_since_it_came(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(batch=1, linger_s=0))
    inbox.append([operation(1), operation(2, "b@example.com")])
    batch = claimed(inbox)
    assert batch.due_behind == 1
    (claim,) = batch.claims
    wait_until(lambda: time.time() * 1000 > claim.arrived_ms + 1, what="the next millisecond")
    inbox.commit(batch.token, [Settlement(claim, keep=(0,), keeps_place=True)])
    assert redis.zscore("pipeline:{Lead}:ready", claim.key) == claim.arrived_ms
    assert claimed(inbox).claims[0].key == claim.key


def test_release_gives_keys_back_without_counting_an_attempt(inbox: Inbox) -> None:
    inbox.append([operation(1)])
    batch = claimed(inbox)
    inbox.release(batch.token, [batch.claims[0].key], delay_s=0)
    assert claimed(inbox).claims[0].attempts == 0


def test_what_is_due_later_is_not_claimed_before(inbox: Inbox) -> None:
    inbox.append([operation(1)])
    batch = claimed(inbox)
    inbox.release(batch.token, [batch.claims[0].key], delay_s=60)
    inbox.append([operation(2)])
    assert isinstance(inbox.claim("deliverer"), Empty)


def test_a_token_that_lost_its_lease_changes_nothing(inbox: Inbox, redis: Redis) -> None:
    inbox.append([operation(1)])
    batch = claimed(inbox)
    redis.set("pipeline:{Lead}:lock:email=a@example.com", "somebody else")
    (key,) = (claim.key for claim in batch.claims)
    assert inbox.renew(batch.token, [key]) == {key}
    assert inbox.release(batch.token, [key], delay_s=0) == {key}
    assert inbox.commit(batch.token, [Settlement(batch.claims[0], bury={0: "no"})]) == {key}
    assert inbox.waiting().backlog == 1
    assert dead_letters(redis, "Lead") == []


def test_an_entry_that_is_no_operation_does_not_stop_the_others(inbox: Inbox, redis: Redis) -> None:
    inbox.append([operation(1)])
    redis.rpush("pipeline:{Lead}:inbox:email=a@example.com", b"garbage", b"1 {}")
    claim = claimed(inbox).claims[0]
    assert ([one.id for one in claim.operations], claim.unreadable, claim.taken) == (["m1#identify"], (1, 2), 3)


def test_a_dead_letter_holds_the_whole_event_in_words_and_can_be_retried(inbox: Inbox, redis: Redis) -> None:
    event = {
        "messageId": "m1",
        "traits": {"name": "Zoë 😀", "cut": "\ud83d", "quoted": '\\"\n\x00', "n": [-0.0, 2**70]},
    }
    inbox.append([operation(1, event=event)])
    entry: Any = redis.lindex("pipeline:{Lead}:inbox:email=a@example.com", 0)
    assert b'{"v":' not in entry
    batch = claimed(inbox)
    inbox.commit(batch.token, [Settlement(batch.claims[0], bury={0: "no"})])
    buried: Any = redis.xrange("pipeline:{Lead}:dead")
    arrival, words = buried[0][1][b"operation"].split(b" ", 1)
    assert int(arrival) == batch.claims[0].arrived_ms
    assert json.loads(words)["event"] == event
    (letter,) = dead_letters(redis, "Lead")
    assert (letter.event, letter.key) == (event, "email=a@example.com")

    assert retry(redis, "Lead", [letter])[0] == 1
    assert claimed(inbox).claims[0].operations == (operation(1, event=event),)


def test_what_an_older_version_could_not_read_and_buried_as_it_was_is_a_dead_letter_as_any(
    inbox: Inbox, redis: Redis
) -> None:
    inbox.append([operation(1)])
    entry: Any = redis.lpop("pipeline:{Lead}:inbox:email=a@example.com")
    redis.xadd("pipeline:{Lead}:dead", {"operation": entry, "reason": "of a newer version", "attempts": 0})
    (letter,) = dead_letters(redis, "Lead")
    assert letter.key == "email=a@example.com"
    assert retry(redis, "Lead", [letter])[0] == 1
    assert claimed(inbox).claims[0].operations == (operation(1),)


def test_what_nobody_can_read_is_buried_as_it_stands(inbox: Inbox, redis: Redis) -> None:
    inbox.append([operation(1)])
    garbage: Any = b"1 z9 \x00\xff of a later version"
    redis.lset("pipeline:{Lead}:inbox:email=a@example.com", 0, garbage)
    batch = claimed(inbox)
    inbox.commit(batch.token, [Settlement(batch.claims[0], bury={0: "unreadable"})])
    buried: Any = redis.xrange("pipeline:{Lead}:dead")
    assert buried[0][1][b"operation"] == garbage
    (letter,) = dead_letters(redis, "Lead")
    assert (letter.key, letter.event, retry(redis, "Lead", [letter])[0]) == (None, None, 0)


def test_the_first_append_wakes_a_deliverer_and_the_next_ones_do_not(inbox: Inbox) -> None:
    assert inbox.append([operation(1)]).wake
    assert inbox.append([operation(2), operation(3, "b@example.com")]).wake is None


def test_a_second_deliverer_is_woken_when_a_full_batch_waits(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(batch=2, linger_s=0))
    wakes = [inbox.append([operation(number, f"p{number}@example.com")]).wake for number in range(4)]
    assert [wake is not None for wake in wakes] == [True, True, False, True]


def test_a_deliverer_may_not_rest_while_keys_are_due_that_nobody_else_works_for(inbox: Inbox) -> None:
    token = inbox.append([operation(1)]).wake
    assert token
    assert inbox.rest(token, in_any_case=False) is False
    batch = inbox.claim(token)
    assert isinstance(batch, Batch)
    inbox.commit(batch.token, [Settlement(batch.claims[0])])
    assert inbox.rest(token, in_any_case=False) is True
    assert inbox.append([operation(2)]).wake


def test_a_batch_leaves_at_once_when_idle_and_else_when_full_or_after_the_linger(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(batch=3, linger_s=60))
    inbox.append([operation(1)])
    batch = claimed(inbox)
    inbox.commit(batch.token, [Settlement(batch.claims[0])])
    inbox.append([operation(2, "b@example.com"), operation(3, "c@example.com")])
    waiting = inbox.claim("deliverer")
    assert isinstance(waiting, Wait)
    assert 0 < waiting.seconds <= 60
    inbox.append([operation(4, "d@example.com")])
    assert len(claimed(inbox).claims) == 3


def test_a_batch_holds_no_more_keys_and_operations_than_it_may(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(batch=2, operations_of_key=3, operations=9, linger_s=0))
    inbox.append([operation(number, f"p{number % 3}@example.com") for number in range(12)])
    batch = claimed(inbox)
    assert [len(claim.operations) for claim in batch.claims] == [3, 3]


def test_a_key_that_is_due_alone_brings_ten_times_as_many_operations(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(operations_of_key=3, linger_s=0))
    inbox.append([operation(number) for number in range(40)])
    assert len(claimed(inbox).claims[0].operations) == 30


def test_sweep_wakes_an_object_that_has_due_keys_and_nobody_at_work(inbox: Inbox, redis: Redis) -> None:
    inbox.append([operation(1)])
    assert inbox.sweep().wake is None
    redis.delete("pipeline:{Lead}:deliverers")
    assert inbox.sweep().wake


def test_sweep_returns_the_keys_of_expired_claims(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(linger_s=0, lease_s=0.05))
    inbox.append([operation(1)])
    claimed(inbox)
    wait_until(lambda: inbox.sweep().returned == 1, what="the return of the key")
    assert [one.id for one in claimed(inbox).claims[0].operations] == ["m1#identify"]


def test_every_object_with_operations_is_known(redis: Redis) -> None:
    for name in ("Lead", "Account"):
        Inbox(redis, name).append([operation(1)])
    assert objects(redis) == ["Account", "Lead"]


def test_a_message_is_counted_once_and_a_rejected_one_is_kept_whole(redis: Redis) -> None:
    rejected = Receipt("m2", "rejected", "type is missing", {"messageId": "m2"})
    assert receive(redis, [Receipt("m1", "accepted"), rejected, Receipt("m3", "skipped")]) == 3
    assert receive(redis, [Receipt("m1", "accepted"), rejected]) == 0
    assert received(redis) == {"accepted": 1, "rejected": 1, "skipped": 1}
    (letter,) = dead_letters(redis, "events")
    assert (letter.event, letter.reason) == ({"messageId": "m2"}, "type is missing")


def test_while_events_queue_keys_are_gathered_and_leave_a_linger_after_the_last(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(linger_s=0.05))
    inbox.append([operation(1)])
    assert isinstance(inbox.claim("deliverer", more_to_come=True), Wait)
    inbox.append([operation(2)])
    assert isinstance(inbox.claim("deliverer"), Wait)
    batches: list[Batch] = []

    def is_claimed() -> bool:
        batches.extend(one for one in [inbox.claim("deliverer")] if isinstance(one, Batch))
        return bool(batches)

    wait_until(is_claimed, what="the end of the gathering")
    assert [one.id for one in batches[0].claims[0].operations] == ["m1#identify", "m2#identify"]


def test_keys_are_not_gathered_for_ever(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(linger_s=0, gather_s=0))
    inbox.append([operation(1)])
    assert isinstance(inbox.claim("deliverer", more_to_come=True), Batch)


def test_a_backfill_of_fifty_batches_leaves_while_more_is_to_come(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(linger_s=0, batch=2))
    inbox.append([operation(number, f"p{number}@example.com") for number in range(99)])
    assert isinstance(inbox.claim("deliverer", more_to_come=True), Wait)
    inbox.append([operation(99, "p99@example.com")])
    assert isinstance(inbox.claim("deliverer", more_to_come=True), Batch)


def test_scripts_that_run_together_run_where_the_server_does_not_know_them(redis: Redis) -> None:
    redis.script_flush()
    inbox = Inbox(redis, "Lead", Bounds(linger_s=0))
    appending = [inbox.appending([operation(number)]) for number in (1, 2)]
    answers = run_together(redis, [one.call for one in appending])
    assert [one.read(answer).appended for one, answer in zip(appending, answers, strict=True)] == [1, 1]


def test_keys_of_high_priority_are_claimed_first_in_the_order_of_arrival(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(linger_s=0, batch=2))
    inbox.append([operation(n, f"{n}@example.com") for n in range(3)])
    assert not inbox.is_urgent()
    urgent = {"priority": "high"}
    inbox.append([operation(3, "3@example.com", options=urgent), operation(4, "2@example.com", options=urgent)])
    assert inbox.is_urgent()
    first = claimed(inbox)
    assert {claim.key for claim in first.claims} == {"email=3@example.com", "email=2@example.com"}
    (second,) = (claim for claim in first.claims if claim.key == "email=2@example.com")
    assert [one.id for one in second.operations] == ["m2#identify", "m4#identify"]  # its own order stays
    assert not inbox.is_urgent()
    assert [claim.key for claim in claimed(inbox).claims] == ["email=0@example.com", "email=1@example.com"]


def test_a_key_that_waits_for_a_retry_goes_on_waiting_whatever_comes(inbox: Inbox) -> None:
    inbox.append([operation(1)])
    batch = claimed(inbox)
    inbox.commit(batch.token, [Settlement(batch.claims[0], keep=(0,), delay_ms=60_000)])
    inbox.append([operation(2, options={"priority": "high"})])
    assert isinstance(inbox.claim("deliverer"), Empty)
