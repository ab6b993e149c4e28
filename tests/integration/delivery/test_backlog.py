"""Backlogs are written by bulk jobs: what becomes of every kind of row and of job, against the emulated org."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
import requests
from redis import Redis

from pipeline.delivery import backlog as backlog_module
from pipeline.delivery import bulk_rows
from pipeline.delivery.backlog import Backlog
from pipeline.delivery.deliverer import Deliverer
from pipeline.delivery.org import Describes
from pipeline.delivery.outcome import Paused
from pipeline.delivery.report import Report
from pipeline.delivery.work import Work
from pipeline.inbox.bulk_jobs import BulkBounds, BulkJobs, Held, JobLost, Row, Taken
from pipeline.inbox.claims import Batch, Empty
from pipeline.inbox.dead_letters import dead_letters
from pipeline.inbox.inbox import Bounds, Inbox
from pipeline.local import wait_until
from pipeline.operation import Operation
from pipeline.salesforce.bulk import Bulk
from pipeline.salesforce.client import Org, Subrequest, Subresponse, create
from pipeline.salesforce.credentials import Credentials
from pipeline.salesforce.describe import DescribeCache, ObjectDescribe
from pipeline.salesforce.errors import ErrorDetail
from pipeline.salesforce.session import SessionStore
from pipeline.salesforce.transport import Transport
from pipeline.tasks.spending import CALLS_OF_JOB

MOST_STEPS = 200


class Delivery:
    """The bulk jobs of leads, and the org they write to; jobs are due as soon as they wait."""

    def __init__(self, redis: Redis, url: str) -> None:
        self.redis, self.url = redis, url
        store = SessionStore(redis, Credentials(consumer_key="key", consumer_secret="secret"), endpoint_url=url)
        self.org = Org(store, api_version="66.0", transport=Transport(endpoint_url=url))
        self.describes: Describes = DescribeCache(redis, self.org)
        self.inbox = Inbox(redis, "Lead", Bounds(linger_s=0))
        self.jobs = BulkJobs(redis, self.inbox, BulkBounds(threshold=8, linger_s=0.001))
        self.may_spend: Callable[[], bool] = lambda: True
        self.is_ending: Callable[[], bool] = lambda: False
        self.uncertain_delay_s = 0.0
        self.report = Report("Lead")
        self.paused: Paused | None = None

    def backlog(self) -> Backlog:
        return Backlog(
            self.inbox,
            self.org,
            self.describes,
            jobs=self.jobs,
            bulk=Bulk(self.org),
            may_spend=self.may_spend,
            is_ending=self.is_ending,
            uncertain_delay_s=self.uncertain_delay_s,
        )

    def next(self) -> Held:
        """Take the job that is due, whenever it would be."""
        for token in self.tokens():
            self.redis.zadd("pipeline:{Lead}:bulk", {token: 0})
        held = self.jobs.next("deliverer")
        assert isinstance(held, Held)
        return held

    def step(self) -> None:
        self.paused = self.backlog().step(self.next(), self.report) or self.paused

    def tokens(self) -> list[str]:
        found: Any = self.redis.zrange("pipeline:{Lead}:bulk", 0, -1)
        return [token.decode() for token in found]

    def finish(self) -> None:
        """Take steps until no job is left."""
        self.step()
        for _ in range(MOST_STEPS):
            if not self.tokens():
                return
            self.step()
            time.sleep(0.01)
        raise AssertionError("the bulk jobs do not end")

    def note(self, name: str) -> str:
        (token,) = self.tokens()
        return str(self.redis.hget(f"pipeline:{{Lead}}:bulk:{token}", name).decode())  # type: ignore[union-attr]

    def stage(self) -> str:
        return self.note("stage")

    def reach(self, stage: str) -> None:
        """Take steps until the one job is in a stage."""
        self.step()
        for _ in range(MOST_STEPS):
            if self.stage() == stage:
                return
            self.step()
        raise AssertionError(f"the bulk job is not {stage}")

    def deliver_batch(self) -> Report:
        """Deliver what is due the usual way, up to a batch."""
        report = Report("Lead")
        batch = self.inbox.claim("deliverer")
        assert isinstance(batch, Batch)
        Deliverer(self.inbox, self.org, self.describes, may_spend=lambda: True).deliver(batch, report)
        return report

    def records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{self.url}/_emulator/records/Lead", timeout=10).json()
        return found

    def calls(self) -> dict[str, int]:
        return dict(self.org.calls)

    def fault(self, **rule: Any) -> None:
        requests.post(f"{self.url}/_emulator/faults", json=rule, timeout=10).raise_for_status()

    def limits(self, **limits: Any) -> None:
        requests.post(f"{self.url}/_emulator/limits", json=limits, timeout=10).raise_for_status()

    def create(self, **fields: Any) -> str:
        (result,) = self.org.send([create("Lead", [{"LastName": "x", "Company": "y", **fields}])])[0].results()
        assert result.success, result
        return str(result.id)


class Stale:
    """Describes of an org that has lost a field since it was described, until it is described again."""

    def __init__(self, stale: ObjectDescribe, true: ObjectDescribe) -> None:
        self.described, self.true = stale, true

    def get(self, object_name: str) -> ObjectDescribe:
        assert object_name == "Lead"
        return self.described

    def missing(self, object_names: Sequence[str]) -> list[str]:
        assert list(object_names) == ["Lead"]
        return []

    def refresh(self, object_names: Sequence[str]) -> None:
        assert list(object_names) == ["Lead"]
        self.described = self.true


@pytest.fixture
def delivery(redis_client: Redis, emulator_url: str) -> Delivery:
    return Delivery(redis_client, emulator_url)


_numbers = itertools.count(1)


def lead(email: str, *, verb: Any = "upsert", time_ms: int | None = None, **fields: Any) -> Operation:
    number = next(_numbers)
    return Operation(
        id=f"m{number}#identify",
        object="Lead",
        verb=verb,
        match={"Email": email},
        fields={"Email": email, **fields},
        on_create={"LastName": "n/a", "Company": "n/a"},
        event_time_ms=number if time_ms is None else time_ms,
    )


def people(count: int, **fields: Any) -> list[Operation]:
    return [lead(f"p{number}@example.com", **fields) for number in range(count)]


def test_new_people_are_created_by_one_job_whose_calls_are_counted(delivery: Delivery) -> None:
    delivery.inbox.append(people(20, Street='a "quoted", two-line\nstreet', Phone="=1+1"))
    delivery.finish()
    assert {(one["Street"], one["Phone"]) for one in delivery.records()} == {('a "quoted", two-line\nstreet', "=1+1")}
    assert len(delivery.records()) == 20
    assert (delivery.report.claimed, delivery.report.created, delivery.report.retried) == (20, 20, 0)
    assert delivery.inbox.waiting().backlog == 0
    assert delivery.inbox.waiting().in_flight == 0
    assert delivery.report.calls == sum(delivery.calls().values())


def test_known_people_are_updated_and_new_ones_created_by_jobs_of_their_own(delivery: Delivery) -> None:
    ids = {delivery.create(Email=f"P{number}@Example.com", Title="before") for number in range(9)}
    delivery.inbox.append(people(19, Title="after"))
    delivery.finish()
    records = delivery.records()
    assert [one["Title"] for one in records] == ["after"] * 19
    assert {one["Id"] for one in records if one["LastName"] == "x"} == ids
    assert (delivery.report.created, delivery.report.updated) == (10, 9)
    assert delivery.calls()["jobs"] >= 9  # create, upload, close and look, twice, and the list of those created


def test_people_are_found_by_one_query_of_all_where_that_costs_less(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_module, "is_query_cheaper", lambda records, keys: True)
    older = delivery.create(Email="p0@example.com")
    delivery.create(Email="P0@example.com")
    delivery.inbox.append(people(12, Title="after"))
    delivery.finish()
    assert next(one["Title"] for one in delivery.records() if one["Id"] == older) == "after"
    assert [one.get("Title") for one in delivery.records()].count("after") == 12
    assert len(delivery.records()) == 13
    assert "query" not in delivery.calls()
    assert delivery.calls()["composite/sobjects"] == 3  # two that the test made, and one for who was known already


def test_known_ids_need_no_lookup_and_updates_no_list_of_what_succeeded(delivery: Delivery) -> None:
    delivery.inbox.append(people(10, Title="first"))
    delivery.finish()
    delivery.org.calls.clear()
    delivery.inbox.append(people(10, Title="second"))
    delivery.finish()
    assert [one["Title"] for one in delivery.records()] == ["second"] * 10
    # Create, upload, close, and one look or more.
    assert delivery.calls()["jobs"] >= 4
    assert delivery.calls().keys() == {"jobs"}


def test_what_a_row_cannot_say_is_delivered_the_usual_way(delivery: Delivery) -> None:
    delivery.create(Email="gone@example.com")
    delivery.inbox.append(
        [
            *people(10, Title="a title"),
            lead("literal@example.com", Title="#N/A"),
            lead("gone@example.com", verb="delete"),
        ]
    )
    delivery.finish()
    titles = {one["Email"]: one["Title"] for one in delivery.records()}
    assert titles == {**{f"p{n}@example.com": "a title" for n in range(10)}, "literal@example.com": "#N/A"}
    assert delivery.inbox.waiting().backlog == 0


def test_null_and_blank_text_clear_a_field(delivery: Delivery) -> None:
    for number in range(8):
        delivery.create(Email=f"p{number}@example.com", Title="before", Phone="1", City="stays")
    delivery.inbox.append([replace(one, options={"clear_nulls": True}) for one in people(8, Title=None, Phone="  ")])
    delivery.finish()
    assert {(one.get("Title"), one.get("City")) for one in delivery.records()} == {(None, "stays")}


def test_a_refused_row_is_buried_with_salesforces_words_and_the_others_are_written(delivery: Delivery) -> None:
    message = "Title: no; not: now"
    delivery.fault(
        fault="refuse", match={"Email": "bad@example.com"}, code="FIELD_CUSTOM_VALIDATION_EXCEPTION", message=message
    )
    bad = lead("bad@example.com")
    delivery.inbox.append([*people(10), bad])
    delivery.finish()
    assert len(delivery.records()) == 10
    (letter,) = dead_letters(delivery.redis, "Lead")
    assert letter.operation["id"] == bad.id
    assert letter.reason == f"FIELD_CUSTOM_VALIDATION_EXCEPTION: {message}"
    assert delivery.inbox.waiting().backlog == 0


def test_a_row_that_points_nowhere_is_tried_again_the_usual_way(delivery: Delivery) -> None:
    delivery.inbox.append([*people(10), lead("bad@example.com", OwnerId="005000000000001AAA")])
    delivery.finish()
    assert len(delivery.records()) == 10
    delivery.deliver_batch()
    assert len(dead_letters(delivery.redis, "Lead")) == 1
    assert delivery.inbox.waiting().backlog == 0


def test_a_locked_row_is_tried_again_the_usual_way(delivery: Delivery) -> None:
    delivery.fault(fault="row_lock", match={"Email": "p3@example.com"}, next=1)
    delivery.inbox.append(people(10))
    delivery.finish()
    assert len(delivery.records()) == 9
    assert delivery.inbox.waiting().backlog == 1
    assert delivery.redis.hget("pipeline:{Lead}:attempts", "email=p3@example.com") == b"1"


def test_a_job_that_fails_as_a_whole_gives_its_keys_to_usual_batches(delivery: Delivery) -> None:
    described = delivery.describes.get("Lead")
    ghost = replace(described.fields["Title"], name="Ghost__c")
    stale = replace(described, fields=MappingProxyType({**described.fields, "Ghost__c": ghost}))
    delivery.describes = Stale(stale, described)
    delivery.inbox.append(people(10, Title="a title", Ghost__c="boo"))
    delivery.finish()
    assert delivery.records() == []
    assert delivery.jobs.next("deliverer") == "none"  # for an hour
    delivery.deliver_batch()
    assert [one["Title"] for one in delivery.records()] == ["a title"] * 10
    assert delivery.inbox.waiting().backlog == 0


def test_an_aborted_job_gives_back_what_it_did_not_get_to(delivery: Delivery) -> None:
    delivery.limits(bulk_delay_s=3600)
    delivery.inbox.append(people(10))
    delivery.reach("running")
    delivery.org.send([Subrequest("PATCH", f"jobs/ingest/{delivery.note('job')}", {"state": "Aborted"})])
    delivery.finish()
    assert delivery.records() == []
    assert delivery.inbox.waiting().backlog == 10
    delivery.deliver_batch()
    assert len(delivery.records()) == 10


def test_what_an_aborted_job_may_still_be_writing_is_not_due_at_once(delivery: Delivery) -> None:
    # A row counts as processed with its whole chunk, so that none does while the first chunk is being written.
    delivery.limits(bulk_delay_s=3600)
    delivery.inbox.append(people(10))
    delivery.reach("running")
    delivery.org.send([Subrequest("PATCH", f"jobs/ingest/{delivery.note('job')}", {"state": "Aborted"})])
    delivery.uncertain_delay_s = 60.0
    delivery.finish()
    assert delivery.inbox.waiting().backlog == 10
    assert isinstance(delivery.inbox.claim("deliverer"), Empty)


def test_a_job_that_is_gone_gives_its_keys_back(delivery: Delivery) -> None:
    delivery.inbox.append(people(10))
    delivery.reach("running")
    wait_until(lambda: len(delivery.records()) == 10, what="the end of the job")
    delivery.org.send([Subrequest("DELETE", f"jobs/ingest/{delivery.note('job')}")])
    delivery.finish()
    delivery.deliver_batch()  # which finds what was created
    assert len(delivery.records()) == 10
    assert delivery.inbox.waiting().backlog == 0


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


def test_a_mistake_of_ours_with_one_result_counts_against_its_key_alone(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(_work: Work, _errors: tuple[ErrorDetail, ...]) -> Paused | None:
        raise ZeroDivisionError

    monkeypatch.setattr(backlog_module, "refused", mistake)
    delivery.fault(fault="row_lock", match={"Email": "p3@example.com"}, next=1)
    delivery.inbox.append(people(10))
    with pytest.raises(ZeroDivisionError):
        delivery.finish()
    assert delivery.tokens() == []
    assert delivery.inbox.waiting().backlog == 1
    assert delivery.redis.hget("pipeline:{Lead}:attempts", "email=p3@example.com") == b"1"


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
    assert delivery.jobs.next("deliverer") == "wait"
    delivery.inbox.append([lead("s@example.com")])
    held = delivery.jobs.next("deliverer")
    assert isinstance(held, Held)
    assert held.stage == "collecting"
    assert delivery.jobs.next("another") == "wait"  # one collects, and the others leave it the backlog


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
    assert isinstance(delivery.jobs.next("deliverer"), Held)


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


@pytest.mark.parametrize("answered", [[], [{"Id": "x"}], None])
def test_what_no_result_tells_of_is_not_taken_for_written_and_holds_no_key(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch, answered: list[dict[str, str]] | None
) -> None:
    for number in range(10):
        delivery.create(Email=f"p{number}@example.com", Title="before")
    delivery.fault(
        fault="refuse", match={"Email": "p3@example.com"}, code="FIELD_CUSTOM_VALIDATION_EXCEPTION", message="no"
    )
    delivery.inbox.append(people(10, Title="after"))
    if answered is None:  # as where something else has answered
        send = Org.send

        def answer(org: Org, subrequests: Sequence[Subrequest], **options: Any) -> list[Subresponse]:
            is_asked = subrequests[0].path.endswith("Results")
            return [Subresponse(200, {})] if is_asked else send(org, subrequests, **options)

        monkeypatch.setattr(Org, "send", answer)
    else:
        monkeypatch.setattr(Bulk, "results", lambda *_: iter(answered))
    delivery.finish()
    delivery.deliver_batch()
    assert sorted(one["Title"] for one in delivery.records()) == [*["after"] * 9, "before"]
    assert len(dead_letters(delivery.redis, "Lead")) == 1
    assert delivery.inbox.waiting().backlog == 0


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
