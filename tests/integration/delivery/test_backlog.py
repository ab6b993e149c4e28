"""Backlogs are written by bulk jobs: what becomes of every kind of row."""

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from pipeline.delivery import backlog as backlog_module
from pipeline.delivery.outcome import Paused
from pipeline.delivery.work import Work
from pipeline.inbox.claims import Empty
from pipeline.inbox.dead_letters import dead_letters
from pipeline.local import wait_until
from pipeline.salesforce.bulk import Bulk
from pipeline.salesforce.client import Org, Subrequest, Subresponse
from pipeline.salesforce.describe import ObjectDescribe
from pipeline.salesforce.errors import ErrorDetail
from tests.integration.delivery.bulk import Delivery, people
from tests.integration.delivery.delivery import lead


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


def test_a_key_that_is_looked_up_otherwise_than_most_is_found_the_usual_way(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_module, "is_query_cheaper", lambda records, keys: True)
    delivery.create(Email="either@example.com")  # without a phone, so not in the answer to a query of those with both
    both = [replace(one, match={**one.match, "Phone": str(n)}) for n, one in enumerate(people(10))]
    either = replace(
        lead("either@example.com", Title="found"),
        match={"Email": "either@example.com", "Phone": "77"},
        options={"join": "or"},
    )
    delivery.inbox.append([*both, either])
    delivery.finish()
    assert [one.get("Title") for one in delivery.records() if one["Email"] == "either@example.com"] == ["found"]
    assert len(delivery.records()) == 11


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


def test_a_written_row_settles_its_key_as_a_batch_would(delivery: Delivery) -> None:
    operations = [replace(one, traits={"shoe": 43}) for one in people(10, Title="newer")]
    delivery.inbox.append(operations)
    delivery.reach("running")
    job = delivery.note("job")
    delivery.finish()
    assert delivery.inbox.left_out() == {"trait `shoe` had no field `shoe__c` on Lead": 10}
    traced: Any = delivery.redis.get(f"pipeline:{{Lead}}:seen:{operations[3].id}")
    record = next(one["Id"] for one in delivery.records() if one["Email"] == "p3@example.com")
    assert traced.decode().split()[1:] == ["a", record, job]
    late = [lead(f"p{number}@example.com", time_ms=1, Title="older", City="new") for number in range(10)]
    delivery.inbox.append(late)
    delivery.deliver_batch()
    assert {(one["Title"], one["City"]) for one in delivery.records()} == {("newer", "new")}


def test_rows_that_another_version_noted_are_not_taken_for_written(delivery: Delivery) -> None:
    delivery.inbox.append(people(10))
    delivery.reach("running")
    wait_until(lambda: len(delivery.records()) == 10, what="the end of the job")
    (token,) = delivery.tokens()
    rows = f"pipeline:{{Lead}}:bulk:{token}:rows"
    delivery.redis.hset(rows, mapping=dict.fromkeys(delivery.redis.hkeys(rows), "1:insert:"))
    delivery.finish()
    assert delivery.inbox.counts().get("applied") is None
    delivery.deliver_batch()
    assert len(delivery.records()) == 10
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
