"""Batches delivered to an emulated org over HTTP, with a real Redis."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from redis import Redis

from pipeline.delivery.outcome import Paused
from pipeline.delivery.report import Report
from pipeline.inbox.claims import Batch
from pipeline.inbox.dead_letters import dead_letters
from pipeline.operation import Operation
from pipeline.salesforce.client import Org, Subrequest, Subresponse
from tests.integration.delivery.delivery import Delivery, lead


@pytest.fixture
def delivery(redis_client: Redis, emulator_url: str) -> Delivery:
    return Delivery(redis_client, emulator_url)


def test_a_batch_of_new_and_known_people_costs_a_lookup_and_a_write(delivery: Delivery) -> None:
    delivery.inbox.append([lead(f"p{number}@example.com", Title="first") for number in range(30)])
    delivery.deliver()
    delivery.redis.delete(*delivery.redis.keys("pipeline:{Lead}:record:*"))
    delivery.inbox.append([lead(f"P{number}@Example.com", Title="second") for number in range(40)])
    report = delivery.deliver()
    assert (report.claimed, report.created, report.updated, report.calls) == (40, 10, 30, 2)
    assert [record["Title"] for record in delivery.records()] == ["second"] * 40


def test_a_known_record_id_needs_no_lookup(delivery: Delivery) -> None:
    delivery.inbox.append([lead("a@example.com", Title="first")])
    delivery.deliver()
    delivery.inbox.append([lead("a@example.com", Title="second")])
    assert delivery.deliver().calls == 1
    assert [record["Title"] for record in delivery.records()] == ["second"]


def test_a_stale_record_id_is_looked_up_again_in_the_same_batch(delivery: Delivery) -> None:
    from pipeline.salesforce.client import delete

    delivery.inbox.append([lead("a@example.com", Title="first")])
    delivery.deliver()
    delivery.org.send([delete([delivery.records()[0]["Id"]])])
    delivery.inbox.append([lead("a@example.com", Title="second")])
    report = delivery.deliver()
    assert (report.created, report.dead, report.retried) == (1, 0, 0)
    assert [record["Title"] for record in delivery.records()] == ["second"]


def test_the_id_of_a_record_that_was_merged_into_another_is_looked_up_again(delivery: Delivery) -> None:
    from pipeline.salesforce.client import delete

    delivery.inbox.append([lead("a@example.com", Title="first")])
    delivery.deliver()
    (loser,) = delivery.records()
    winner = delivery.create("Lead", LastName="x", Company="y", Email="a@example.com")
    delivery.org.send([delete([loser["Id"]])])  # what a merge leaves of its loser
    delivery.inbox.append([lead("a@example.com", Title="second")])
    report = delivery.deliver()
    assert (report.created, report.updated, report.dead, report.retried, report.calls) == (0, 1, 0, 0, 3)
    assert [(record["Id"], record["Title"]) for record in delivery.records()] == [(winner, "second")]
    delivery.inbox.append([lead("a@example.com", Title="third")])
    assert delivery.deliver().calls == 1  # and it is the winner's Id that is known now


def test_a_record_id_is_known_for_a_day_and_takes_one_entry_a_key(delivery: Delivery) -> None:
    for title in ("first", "second"):
        delivery.inbox.append([lead(f"p{n}@example.com", Title=title) for n in range(3)])
        delivery.deliver()
    known = delivery.redis.keys("pipeline:{Lead}:record:*")
    assert len(known) == 3
    assert all(86_000 < delivery.redis.ttl(one) <= 86_400 for one in known)


def test_operations_are_applied_in_event_time_order_and_late_ones_change_nothing_newer(delivery: Delivery) -> None:
    delivery.inbox.append(
        [lead("a@example.com", time_ms=30, Title="newest"), lead("a@example.com", time_ms=10, Title="old")]
    )
    delivery.deliver()
    delivery.inbox.append([lead("a@example.com", time_ms=20, Title="late", Phone="1")])
    delivery.deliver()
    (record,) = delivery.records()
    assert (record["Title"], record["Phone"]) == ("newest", "1")


def test_the_oldest_of_several_matches_is_written_unless_the_rule_says_otherwise(delivery: Delivery) -> None:
    ids = [delivery.create("Lead", LastName="x", Company="y", Email="a@example.com") for _ in range(3)]
    delivery.inbox.append([lead("a@example.com", Title="which")])
    delivery.deliver()
    assert [record["Id"] for record in delivery.records() if record.get("Title") == "which"] == [ids[0]]


def test_a_refused_record_is_buried_with_salesforces_words_and_the_others_are_written(delivery: Delivery) -> None:
    delivery.inbox.append(
        [lead("a@example.com"), lead("b@example.com", OwnerId="005000000000001AAA"), lead("c@example.com")]
    )
    report = delivery.deliver()
    assert (report.created, report.dead) == (2, 1)
    assert len(delivery.dead()) == 1
    assert delivery.inbox.waiting().backlog == 0


def test_one_bad_operation_among_many_of_a_key_is_buried_alone(delivery: Delivery) -> None:
    bad = lead("a@example.com", OwnerId="005000000000000AAA")
    delivery.inbox.append(
        [*(lead("a@example.com", Title=f"t{n}") for n in range(6)), bad, lead("a@example.com", Phone="1")]
    )
    report = delivery.deliver()
    assert report.dead == 1
    (record,) = delivery.records()
    assert (record["Title"], record["Phone"]) == ("t5", "1")
    (letter,) = dead_letters(delivery.redis, "Lead")
    assert letter.operation["id"] == bad.id


def test_a_locked_row_is_retried_and_the_others_are_not_delayed(delivery: Delivery) -> None:
    delivery.fault(fault="row_lock", match={"Email": "a@example.com"}, next=1)
    delivery.inbox.append([lead("a@example.com"), lead("b@example.com")])
    report = delivery.deliver()
    assert (report.created, report.retried) == (1, 1)
    assert delivery.deliver().created == 1
    assert len(delivery.records()) == 2


def test_a_delete_and_a_recreation_happen_in_order(delivery: Delivery) -> None:
    delivery.inbox.append([lead("a@example.com", Title="old", Phone="1")])
    delivery.deliver()
    delivery.inbox.append([lead("a@example.com", verb="delete"), lead("a@example.com", Title="new")])
    report = delivery.deliver()
    assert (report.deleted, report.created) == (1, 1)
    (record,) = delivery.records()
    assert record["Title"] == "new"
    assert "Phone" not in record


def test_an_update_that_finds_no_record_is_buried(delivery: Delivery) -> None:
    delivery.inbox.append([lead("nobody@example.com", verb="update", Title="x")])
    delivery.deliver()
    assert delivery.dead() == ["no record matches, and an update creates none"]


def test_values_that_would_break_a_query_are_quoted(delivery: Delivery) -> None:
    names = ["o'hara@example.com", 'o\'neil+"x"@example.com']
    delivery.inbox.append([lead(name, Title="1") for name in names])
    delivery.deliver()
    delivery.redis.delete(*delivery.redis.keys("pipeline:{Lead}:record:*"))
    delivery.inbox.append([lead(name, Title="2") for name in names])
    delivery.deliver()
    titles = [record["Title"] for record in delivery.records()]
    assert titles == ["2"] * len(titles)
    assert len(titles) + len(delivery.dead()) in {1, 2, 3, 4}
    assert delivery.inbox.waiting().backlog == 0


def test_a_fault_of_the_org_pauses_and_gives_everything_back_without_counting(delivery: Delivery) -> None:
    delivery.inbox.append([lead("a@example.com")])
    delivery.fault(fault="unavailable", path="composite|query", next=1)
    delivery.deliver()
    assert isinstance(delivery.paused, Paused)
    batch = delivery.inbox.claim("deliverer")
    assert isinstance(batch, Batch)
    assert batch.claims[0].attempts == 0


def test_a_create_whose_answer_was_lost_is_found_by_the_next_lookup(delivery: Delivery) -> None:
    delivery.describes.get("Lead")
    delivery.fault(fault="reset_after", path="composite/sobjects", method="POST", next=1)
    delivery.inbox.append([lead("a@example.com", Title="x")])
    report = delivery.deliver()
    assert report.retried == 1
    assert 55 < delivery.due_in_s < 60  # when the lost request must have ended
    assert delivery.deliver().created == 0
    assert len(delivery.records()) == 1


def test_without_a_call_left_the_rest_of_a_batch_waits(delivery: Delivery) -> None:
    delivery.describes.get("Lead")
    delivery.may_spend = lambda: False
    delivery.inbox.append([lead("a@example.com")])
    report = delivery.deliver()
    assert (report.retried, report.calls) == (1, 0)
    assert delivery.inbox.waiting().backlog == 1


def test_a_worker_that_lost_its_lease_writes_nothing(delivery: Delivery) -> None:
    delivery.inbox.append([lead("a@example.com")])
    batch = delivery.inbox.claim("deliverer")
    assert isinstance(batch, Batch)
    delivery.redis.set("pipeline:{Lead}:lock:email=a@example.com", "another worker")
    delivery.deliver_batch(batch, Report("Lead"))
    assert delivery.records() == []
    assert delivery.inbox.waiting().backlog == 1


def test_a_thousand_people_cost_two_calls(delivery: Delivery) -> None:
    delivery.describes.get("Lead")
    delivery.inbox.append([lead(f"p{number}@example.com", Title="x") for number in range(1000)])
    report = delivery.deliver()
    assert (report.created, report.calls) == (1000, 2)


def test_a_case_is_created_without_a_lookup(redis_client: Redis, emulator_url: str) -> None:
    cases = Delivery(redis_client, emulator_url, "Case")
    cases.describes.get("Case")
    operations = [
        Operation(id=f"case{n}", object="Case", verb="create", fields={"Subject": f"s{n}"}, event_time_ms=n)
        for n in range(3)
    ]
    cases.inbox.append(operations)
    report = cases.deliver()
    assert (report.created, report.calls) == (3, 1)


def test_a_contact_points_to_an_account_that_is_on_its_way(redis_client: Redis, emulator_url: str) -> None:
    contacts, accounts = (Delivery(redis_client, emulator_url, name) for name in ("Contact", "Account"))
    account = Operation(
        id="a1",
        object="Account",
        verb="upsert",
        match={"AccountNumber": "813"},
        fields={"AccountNumber": "813", "Name": "Acme"},
        event_time_ms=1,
    )
    contact = Operation(
        id="c1",
        object="Contact",
        verb="upsert",
        match={"Email": "a@example.com"},
        fields={"Email": "a@example.com", "LastName": "x"},
        options={"lookups": {"AccountId": {"object": "Account", "match": {"AccountNumber": "813"}}}},
        event_time_ms=1,
    )
    accounts.inbox.append([account])
    contacts.inbox.append([contact])
    assert contacts.deliver().retried == 1
    accounts.deliver()
    assert contacts.deliver().created == 1
    (record,) = contacts.records("Contact")
    assert record["AccountId"] == accounts.records("Account")[0]["Id"]


def test_two_new_records_that_point_to_each_other_do_not_wait_for_ever(redis_client: Redis, emulator_url: str) -> None:
    contacts = Delivery(redis_client, emulator_url, "Contact")
    pair = {"a@example.com": "b@example.com", "b@example.com": "a@example.com"}
    contacts.inbox.append(
        [
            Operation(
                id=email,
                object="Contact",
                verb="upsert",
                match={"Email": email},
                fields={"Email": email, "LastName": "x"},
                options={"lookups": {"ReportsToId": {"object": "Contact", "match": {"Email": other}}}},
                event_time_ms=1,
            )
            for email, other in pair.items()
        ]
    )
    assert contacts.deliver().retried == 2
    batch = contacts.inbox.claim("deliverer")
    assert isinstance(batch, Batch)
    a_day_later = [replace(claim, arrived_ms=claim.arrived_ms - 86_400_000) for claim in batch.claims]
    report = Report("Contact")
    contacts.deliver_batch(replace(batch, claims=tuple(a_day_later)), report)
    assert (report.created, report.retried) == (2, 0)
    assert {record["Email"] for record in contacts.records("Contact")} == set(pair)


def test_a_field_the_org_has_lost_since_it_was_described_costs_a_fresh_describe_and_no_record(
    delivery: Delivery,
) -> None:
    describe = delivery.describes.get("Lead")
    condensed = describe.condensed()
    condensed["fields"].append(
        {"name": "Gone__c", "type": "string", "length": 80, "createable": True, "updateable": True}
    )
    from pipeline.salesforce.describe import ObjectDescribe

    delivery.describes._store("Lead", ObjectDescribe.from_condensed(condensed))
    delivery.inbox.append([lead(f"p{n}@example.com", Gone__c="x") for n in range(3)])
    report = delivery.deliver()
    assert (report.created, report.dead, report.retried) == (3, 0, 0)


class BusyTrigger:
    """The emulated org with a trigger that gets through `most` records before a governor limit ends it."""

    def __init__(self, org: Org, most: int) -> None:
        self._org, self.most = org, most
        self.sizes: list[int] = []

    def send(self, subrequests: Sequence[Subrequest], *, by: float) -> list[Subresponse]:
        answers = []
        for one in subrequests:
            records = one.body["records"] if one.method in {"POST", "PATCH"} and isinstance(one.body, dict) else []
            assert isinstance(records, list)
            if records:
                self.sizes.append(len(records))
            if len(records) > self.most:
                error = {
                    "statusCode": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                    "message": "LeadTrigger: execution of BeforeInsert caused by: System.LimitException: Apex CPU time "
                    "limit exceeded",
                }
                answers.append(Subresponse(200, [{"success": False, "errors": [error]} for _ in records]))
            else:
                answers += self._org.send([one], by=by)
        return answers

    def query_rest(self, next_records_url: str) -> Subresponse:
        return self._org.query_rest(next_records_url)


def test_a_governor_limit_makes_collections_smaller_and_they_grow_back(delivery: Delivery) -> None:
    trigger = BusyTrigger(delivery.org, most=60)
    delivery.org = trigger  # type: ignore[assignment]  # what delivery needs of one
    numbers = iter(range(10_000))

    def deliver_some(most: int) -> list[int]:
        trigger.sizes = []
        delivery.inbox.append([lead(f"p{next(numbers)}@example.com") for _ in range(most)])
        report = delivery.deliver()
        assert (report.created, report.dead, report.retried) == (most, 0, 0)
        return trigger.sizes

    assert max(deliver_some(200)) == 200
    assert delivery.inbox.chunk(200) == 100
    deliver_some(200)
    assert delivery.inbox.chunk(200) == 50
    assert max(deliver_some(100)) == 50  # the next batch knows
    assert delivery.inbox.chunk(200) == 55
    trigger.most = 200
    for _ in range(20):
        deliver_some(200)
        if delivery.inbox.chunk(200) == 200:
            break
    assert deliver_some(200) == [200]
