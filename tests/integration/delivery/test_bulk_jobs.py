"""Bulk jobs: who has one, when one begins, and what becomes of it when its worker goes."""

import time
from dataclasses import replace
from typing import Any

import pytest

from pipeline.delivery import backlog as backlog_module
from pipeline.delivery import bulk_rows
from pipeline.delivery.bulk_lookup import lookup_of
from pipeline.inbox.bulk_jobs import BulkBounds, BulkJobs, Held, JobLost, Row, Taken
from pipeline.inbox.claims import Batch
from pipeline.inbox.dead_letters import dead_letters
from pipeline.inbox.inbox import Bounds, Inbox
from pipeline.local import wait_until
from pipeline.salesforce.client import Subrequest
from pipeline.tasks.spending import CALLS_OF_JOB
from tests.integration.delivery.bulk import Delivery, people
from tests.integration.delivery.delivery import lead


def test_without_calls_a_job_waits_where_it_is(delivery: Delivery) -> None:
    left = [5]

    def may_spend() -> bool:
        left[0] -= 1
        return left[0] >= 0

    delivery.may_spend = may_spend
    delivery.inbox.append(people(10))
    for _ in range(6):
        if delivery.tokens():
            delivery.step()
    assert sum(delivery.calls().values()) <= 5
    assert delivery.inbox.waiting().backlog == 10
    delivery.may_spend = lambda: True
    delivery.finish()
    assert len(delivery.records()) == 10


def test_a_job_whose_worker_went_before_it_was_started_is_aborted_and_its_keys_are_due(delivery: Delivery) -> None:
    delivery.fault(fault="reset_before", method="PATCH", path="jobs/ingest", next=1)
    delivery.inbox.append(people(10))
    delivery.reach("uploading")
    job = delivery.note("job")
    delivery.finish()
    assert delivery.org.send([Subrequest("GET", f"jobs/ingest/{job}")])[0].body["state"] == "Aborted"
    assert delivery.records() == []
    delivery.deliver_batch()
    assert len(delivery.records()) == 10


def test_a_job_of_which_nobody_heard_that_it_was_started_is_waited_for(delivery: Delivery) -> None:
    delivery.fault(fault="reset_after", method="PATCH", path="jobs/ingest", next=1)
    delivery.inbox.append(people(10))
    delivery.finish()
    assert len(delivery.records()) == 10
    assert delivery.inbox.waiting().backlog == 0


def test_who_lost_a_job_changes_nothing_of_it(delivery: Delivery) -> None:
    delivery.limits(bulk_delay_s=3600)
    delivery.inbox.append(people(10))
    delivery.reach("running")
    frozen, successor = delivery.next(), delivery.next()
    assert successor.taken_from == frozen.worker
    keys = delivery.jobs.keys(frozen)
    assert delivery.jobs.part(frozen, keys)[1] == set()
    for change in (
        lambda: delivery.jobs.take(frozen, "email", so_far=Taken(), most=1),
        lambda: delivery.jobs.keep(frozen, stage="uploading"),
        lambda: delivery.jobs.note_rows(frozen, {keys[0]: Row(1, "update", "x")}),
        lambda: delivery.jobs.split(frozen, keys),
        lambda: delivery.jobs.end(frozen),
        lambda: delivery.jobs.again(frozen),
    ):
        with pytest.raises(JobLost):
            change()
    assert delivery.stage() == "running"


def test_keys_in_a_job_are_out_of_reach_for_sweep_and_claim_however_long_it_takes(delivery: Delivery) -> None:
    delivery.inbox = Inbox(delivery.redis, "Lead", Bounds(linger_s=0, lease_s=0.05))
    delivery.jobs = BulkJobs(delivery.redis, delivery.inbox, BulkBounds(threshold=8, linger_s=0.001))
    delivery.limits(bulk_delay_s=3600)
    delivery.inbox.append(people(10))
    delivery.reach("running")
    time.sleep(0.1)  # two leases
    shares = replace(lead("x"), match={"Email": "p1@example.com", "Phone": "1"})
    delivery.inbox.append([lead("p0@example.com", Title="later"), shares, lead("new@example.com")])
    assert delivery.inbox.sweep().returned == 0
    batch = delivery.inbox.claim("deliverer")
    assert isinstance(batch, Batch)
    assert [claim.key for claim in batch.claims] == ["email=new@example.com"]
    assert delivery.inbox.waiting().in_flight == 11


def test_what_comes_for_a_key_in_a_job_follows_it(delivery: Delivery) -> None:
    delivery.inbox.append(people(10, Title="first"))
    delivery.reach("running")
    delivery.inbox.append([lead("P3@example.com", Title="second")])
    delivery.finish()
    assert delivery.inbox.waiting().backlog == 1
    report = delivery.deliver_batch()
    assert report.calls == 1  # the job's results told the Id
    assert sorted(one["Title"] for one in delivery.records()) == [*["first"] * 9, "second"]


def test_a_worker_that_ends_leaves_the_job_to_the_next_one(delivery: Delivery) -> None:
    delivery.inbox.append(people(10))
    delivery.reach("looking")
    delivery.is_ending = lambda: True
    delivery.step()
    assert delivery.stage() == "looking"
    assert delivery.redis.hget(f"pipeline:{{Lead}}:bulk:{delivery.tokens()[0]}", "worker") == b""
    delivery.is_ending = lambda: False
    delivery.finish()
    assert len(delivery.records()) == 10


def test_a_refused_login_pauses_and_keeps_the_job(delivery: Delivery) -> None:
    delivery.inbox.append(people(10))
    delivery.reach("looking")
    delivery.fault(fault="quota", next=1)
    delivery.step()
    assert delivery.paused is not None
    delivery.finish()
    assert len(delivery.records()) == 10


def test_an_org_that_takes_no_bulk_jobs_is_written_the_usual_way(delivery: Delivery) -> None:
    delivery.fault(fault="error", method="POST", path="jobs/ingest", status=400, code="FEATURENOTENABLED", message="no")
    delivery.inbox.append(people(10))
    delivery.finish()
    assert delivery.jobs.next("deliverer") == "none"
    delivery.deliver_batch()
    assert len(delivery.records()) == 10


def test_a_mistake_of_ours_leaves_the_keys_to_usual_batches(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bulk_rows, "cells_of", mistake)
    delivery.inbox.append(people(10))
    delivery.reach("looking")
    with pytest.raises(ZeroDivisionError):
        delivery.step()
    assert delivery.tokens() == []
    delivery.deliver_batch()
    assert len(delivery.records()) == 10


def test_a_job_in_a_workers_hands_is_not_given_to_another(delivery: Delivery) -> None:
    delivery.limits(bulk_delay_s=3600)
    delivery.inbox.append(people(10))
    delivery.reach("running")
    held = delivery.next()
    assert delivery.jobs.next("another") == "none"
    assert delivery.jobs.wake() is None
    delivery.jobs.keep(held)
    assert delivery.jobs.next("another") == "none"
    delivery.jobs.hand_over(held, delay_s=0)
    delivery.redis.delete("pipeline:{Lead}:deliverers")
    assert delivery.jobs.wake() is not None
    assert isinstance(delivery.jobs.next("another"), Held)


def test_a_backlog_that_grows_while_a_job_is_on_its_way_waits_to_be_one_job(delivery: Delivery) -> None:
    delivery.jobs = BulkJobs(delivery.redis, delivery.inbox, BulkBounds(threshold=8, most_keys=20, linger_s=60))
    delivery.limits(bulk_delay_s=3600)
    delivery.inbox.append(people(10))
    delivery.reach("running")
    delivery.inbox.append([lead(f"q{number}@example.com") for number in range(7)])
    assert delivery.jobs.next("deliverer") == "none"  # too few for a job: they leave the usual way
    delivery.inbox.append([lead(f"r{number}@example.com") for number in range(12)])
    assert delivery.jobs.next("deliverer") == "leave"  # one that was woken is on its way
    delivery.redis.delete("pipeline:{Lead}:deliverers")
    assert delivery.jobs.next("deliverer") == "wait"
    delivery.inbox.append([lead("s@example.com")])
    held = delivery.jobs.next("deliverer")
    assert isinstance(held, Held)
    assert held.stage == "collecting"
    assert delivery.jobs.next("deliverer") == "wait"  # one collects, and the others leave it the backlog
    assert delivery.jobs.next("woken for a look at a job") == "leave"  # one that waits is enough


def test_a_job_takes_keys_of_one_kind_that_never_failed_and_leaves_the_others_due(delivery: Delivery) -> None:
    by_phone = [replace(lead("x"), match={"Phone": str(number)}) for number in range(2400)]
    delivery.inbox.append([*by_phone, *people(2500)])
    delivery.redis.hset("pipeline:{Lead}:attempts", "email=p0@example.com", 1)
    delivery.reach("running")
    held = delivery.next()
    assert set(delivery.jobs.keys(held)) == {f"email=p{number}@example.com" for number in range(1, 2500)}
    assert delivery.inbox.waiting().in_flight == 2499
    assert delivery.inbox.waiting().backlog == 4900
    assert sorted(delivery.jobs.due(3000)) == sorted([*(one.key for one in by_phone), "email=p0@example.com"])


def test_keys_that_are_in_no_job_and_many_have_their_turn(delivery: Delivery) -> None:
    delivery.limits(bulk_delay_s=3600)
    failed, others = people(10), [lead(f"q{number}@example.com") for number in range(10)]
    delivery.inbox.append([*failed, *others])
    delivery.redis.hset("pipeline:{Lead}:attempts", mapping=dict.fromkeys([one.key for one in failed], 1))
    delivery.reach("running")
    assert delivery.jobs.next("deliverer") == "none"  # though ten are due, for a minute
    delivery.deliver_batch()
    assert len(delivery.records()) == 10


def test_the_first_keys_tell_whether_the_others_are_taken(delivery: Delivery) -> None:
    deletes = [lead(f"p{number}@example.com", verb="delete") for number in range(1500)]
    delivery.inbox.append(deletes)
    delivery.step()
    assert delivery.tokens() == []
    # Those that were not looked at kept their places; all came at once, and so in the order of their names.
    assert delivery.jobs.due(500) == sorted(one.key for one in deletes)[1000:]


def test_a_row_that_is_not_written_after_all_is_forgotten(delivery: Delivery) -> None:
    delivery.inbox.append(people(10))
    delivery.reach("looking")
    held = delivery.next()
    key, *others = delivery.jobs.keys(held)
    row = Row(1, "update", "00Q000000000001AAA", clock='{"1":["Title"]}', ids=("m1#identify",), left_out={"a": 2})
    delivery.jobs.note_rows(held, dict.fromkeys([key, *others], row))
    delivery.jobs.note_rows(held, {key: None})
    assert delivery.jobs.rows(held, [key, others[0]]) == {key: None, others[0]: row}


def test_a_key_that_is_no_longer_for_the_job_loses_the_row_it_had(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [2]  # calls: enough to look records up, too few to start

    def may_spend() -> bool:
        left[0] -= 1
        return left[0] >= 0

    delivery.limits(bulk_delay_s=3600)
    delivery.inbox.append(people(10))
    delivery.reach("looking")
    delivery.may_spend = may_spend
    delivery.step()
    held, key = delivery.next(), "email=p3@example.com"
    assert delivery.jobs.rows(held, [key]) != {key: None}
    monkeypatch.setattr(
        backlog_module, "lookup_of", lambda claim, describe: None if claim.key == key else lookup_of(claim, describe)
    )
    delivery.may_spend = lambda: True
    delivery.step()
    assert delivery.stage() == "running"
    assert delivery.jobs.rows(held, [key]) == {key: None}
    assert [one["Email"] for one in delivery.records()] == ["p3@example.com"]


def test_keys_that_no_job_can_look_up_are_left_to_batches(delivery: Delivery) -> None:
    creates = [replace(one, verb="create", match={}) for one in people(20)]
    delivery.inbox.append(creates)
    delivery.step()
    assert delivery.tokens() == []
    assert delivery.jobs.next("deliverer") == "none"  # for a minute
    delivery.deliver_batch()
    assert len(delivery.records()) == 20


def test_below_the_threshold_and_with_none_there_are_no_jobs(delivery: Delivery) -> None:
    delivery.inbox.append(people(7))
    assert delivery.jobs.next("deliverer") == "none"
    delivery.inbox.append([lead("another@example.com")])
    never = BulkJobs(delivery.redis, delivery.inbox, BulkBounds(threshold=0))
    assert never.next("deliverer") == "none"
    assert isinstance(delivery.jobs.next("deliverer"), Held)


def test_keys_that_share_a_match_value_with_a_job_keep_no_others_waiting(delivery: Delivery) -> None:
    delivery.limits(bulk_delay_s=3600)
    delivery.inbox.append(people(10))
    delivery.reach("running")
    delivery.inbox = Inbox(delivery.redis, "Lead", Bounds(batch=2, linger_s=0))
    match = {"Email": "p0@example.com"}
    delivery.inbox.append([replace(lead("x"), match={**match, "Phone": str(number)}) for number in range(6)])
    delivery.inbox.append([lead("z@example.com")])
    claimed: list[str] = []
    for _ in range(3):
        batch = delivery.inbox.claim("deliverer")
        claimed += [claim.key for claim in batch.claims] if isinstance(batch, Batch) else []
    assert claimed == ["email=z@example.com"]
    assert delivery.inbox.waiting().backlog == 17


def test_keys_of_high_priority_do_not_wait_for_a_job(delivery: Delivery) -> None:
    delivery.inbox.append([*people(10), replace(lead("urgent@example.com"), options={"priority": "high"})])
    assert delivery.jobs.next("deliverer") == "none"
    delivery.inbox = Inbox(delivery.redis, "Lead", Bounds(batch=1, linger_s=0))
    delivery.deliver_batch()
    assert [one["Email"] for one in delivery.records()] == ["urgent@example.com"]
    held = delivery.jobs.next("deliverer")
    assert isinstance(held, Held)
    delivery.inbox.append([replace(lead("late@example.com"), options={"priority": "high"})])
    delivery.inbox.append([lead("returned@example.com")])
    delivery.redis.sadd("pipeline:{Lead}:urgent", "email=returned@example.com")
    delivery.jobs.take(held, "email", so_far=Taken(), most=100)
    assert len(delivery.jobs.keys(held)) == 10


@pytest.mark.parametrize("is_query_cheaper", [True, False])
def test_a_job_gets_to_its_end_with_no_more_calls_than_a_step_is_given_first(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch, is_query_cheaper: bool
) -> None:
    monkeypatch.setattr(backlog_module, "is_query_cheaper", lambda records, keys: is_query_cheaper)
    refused = {"Email": "p3@example.com"}
    delivery.fault(fault="refuse", match=refused, code="FIELD_CUSTOM_VALIDATION_EXCEPTION", message="no")
    delivery.inbox.append(people(20))
    for _ in range(15):
        before = delivery.report.calls
        delivery.may_spend = lambda before=before: delivery.report.calls - before < CALLS_OF_JOB  # type: ignore[misc]
        delivery.step()
        if not delivery.tokens():
            break
        time.sleep(0.05)  # the emulated job has ended by then
    assert delivery.tokens() == []
    assert (len(delivery.records()), len(dead_letters(delivery.redis, "Lead"))) == (19, 1)
    assert delivery.report.calls == sum(delivery.calls().values())  # none was taken that was not made


def test_after_a_worker_went_while_it_collected_batches_take_the_backlog_for_a_while(delivery: Delivery) -> None:
    delivery.inbox.append(people(10))
    delivery.next()  # and nothing more is heard of who took it
    delivery.step()
    assert delivery.tokens() == []
    assert delivery.jobs.next("deliverer") == "none"
    delivery.deliver_batch()
    assert len(delivery.records()) == 10


def test_a_job_that_its_workers_keep_dying_of_before_it_writes_is_given_up(delivery: Delivery) -> None:
    delivery.inbox.append(people(10))
    delivery.reach("looking")
    for _ in range(4):
        delivery.next()  # and nothing more is heard of who took it
    delivery.step()
    assert delivery.tokens() == []
    assert delivery.jobs.next("deliverer") == "none"
    delivery.deliver_batch()
    assert len(delivery.records()) == 10


def test_a_job_that_its_workers_keep_dying_of_at_its_end_is_settled_without_its_results(delivery: Delivery) -> None:
    delivery.inbox.append(people(10))
    delivery.reach("running")
    wait_until(lambda: len(delivery.records()) == 10, what="the end of the job")
    for _ in range(4):
        delivery.next()
    asked = delivery.calls()["jobs"]
    delivery.step()
    assert (delivery.tokens(), delivery.calls()["jobs"]) == ([], asked + 1)
    delivery.deliver_batch()  # which finds what was created
    assert len(delivery.records()) == 10
    assert delivery.inbox.waiting().backlog == 0
