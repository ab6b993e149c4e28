"""Looking records up where it takes more than one query, or more than one page of a query's rows."""

from typing import Any

import pytest
import requests
from redis import Redis

from pipeline.operation import Json, Operation
from pipeline.salesforce.client import create
from tests.integration.delivery.delivery import Delivery


@pytest.fixture
def delivery(redis_client: Redis, emulator_url: str) -> Delivery:
    return Delivery(redis_client, emulator_url)


def long_match(number: int) -> dict[str, str]:
    """A match so long that 200 of them need two statements."""
    return {"Website": f"https://e.com/{number:03d}/" + "'" * 237, "Company": f"c{number:03d}" + "'" * 251}


def on_long_match(number: int, verb: Any = "upsert", **more: Any) -> Operation:
    return Operation(
        id=f"{verb}{number}",
        object="Lead",
        verb=verb,
        match=long_match(number),
        on_create={"LastName": "n/a"},
        event_time_ms=number,
        **more,
    )


def test_a_lookup_that_needs_two_statements_finds_what_each_of_them_finds(delivery: Delivery) -> None:
    for start in (0, 100):
        records = [{"LastName": "x", **long_match(number)} for number in range(start, start + 100)]
        delivery.org.send([create("Lead", records)])
    delivery.inbox.append([on_long_match(number, fields={"City": "London"}) for number in range(200)])
    report = delivery.deliver()
    assert (report.created, report.updated, report.dead) == (0, 200, 0)
    assert [record["City"] for record in delivery.records()] == ["London"] * 200


def test_reads_that_need_two_statements_are_answered(delivery: Delivery) -> None:
    delivery.inbox.append([on_long_match(number, "read", options={"read": ["Email"]}) for number in range(200)])
    report = delivery.deliver()
    assert (report.retried, report.dead) == (0, 0)


def test_references_that_need_two_statements_point_to_what_each_of_them_finds(
    redis_client: Redis, emulator_url: str
) -> None:
    contacts = Delivery(redis_client, emulator_url, "Contact")
    names: list[dict[str, Json]] = [
        {"Name": f"{number:03d}" + "'" * 252, "Website": f"{number:03d}" + "'" * 252} for number in range(200)
    ]
    for start in (0, 100):
        contacts.org.send([create("Account", names[start : start + 100])])
    contacts.inbox.append(
        [
            Operation(
                id=f"c{number}",
                object="Contact",
                verb="upsert",
                match={"Email": f"p{number}@example.com"},
                fields={"Email": f"p{number}@example.com", "LastName": "x"},
                options={"lookups": {"AccountId": {"object": "Account", "match": match}}},
                event_time_ms=1,
            )
            for number, match in enumerate(names)
        ]
    )
    assert contacts.deliver().created == 200
    assert all(record.get("AccountId") for record in contacts.records("Contact"))


def test_a_thousand_keys_are_looked_up_in_one_call_and_written_in_one(delivery: Delivery) -> None:
    delivery.describes.get("Lead")
    people = [{"LastName": "x", "Company": "y", "Email": f"p{number}@example.com"} for number in range(400)]
    for start in range(0, 400, 200):
        delivery.org.send([create("Lead", people[start : start + 200])])
    sent: list[list[str]] = []

    class Watched:
        def send(self, subrequests: Any, *, by: float) -> Any:
            sent.append([f"{one.method} {one.resource}" for one in subrequests])
            return delivery_org.send(subrequests, by=by)

    delivery_org, delivery.org = delivery.org, Watched()  # type: ignore[assignment]  # what delivery needs of one
    delivery.inbox.append(
        [
            Operation(
                id=f"m{number}",
                object="Lead",
                verb="upsert",
                match={"Email": f"p{number}@example.com"},
                fields={"Email": f"p{number}@example.com", "Title": "new"},
                on_create={"LastName": "x", "Company": "y"},
                event_time_ms=1,
            )
            for number in range(1000)
        ]
    )
    report = delivery.deliver()
    assert (report.created, report.updated, report.calls) == (600, 400, 2)
    assert sent == [["GET query"] * 5, ["POST composite/sobjects"] * 3 + ["PATCH composite/sobjects"] * 2]


def same_company(how_many: int, delivery: Delivery) -> None:
    """Put leads of one company into the org, which the operations of these tests match on."""
    sizes = [min(200, how_many - start) for start in range(0, how_many, 200)]
    collections = [create("Lead", [{"LastName": "x", "Company": "Same"}] * size) for size in sizes]
    for start in range(0, len(collections), 5):
        delivery.org.send(collections[start : start + 5])


def at_company(company: str, **options: Json) -> Operation:
    return Operation(
        id=f"m-{company}",
        object="Lead",
        verb="upsert",
        match={"Company": company},
        fields={"City": "London"},
        on_create={"LastName": "x", "Company": company},
        options=options,
        event_time_ms=1,
    )


def calls_made(delivery: Delivery) -> int:
    made: int = requests.get(f"{delivery.url}/_emulator/stats", timeout=10).json()["api_calls"]["total"]
    return made


def test_the_gate_is_asked_before_each_call_be_it_for_a_page_or_a_describe(delivery: Delivery) -> None:
    same_company(4_500, delivery)
    asked: list[int] = []

    def may_spend() -> bool:
        asked.append(calls_made(delivery))
        return True

    delivery.may_spend = may_spend
    delivery.inbox.append([at_company("Same", on_multiple="newest")])
    before = calls_made(delivery)
    report = delivery.deliver()
    assert asked == [before + n for n in range(5)]  # a describe, three pages, a write
    assert (report.updated, report.calls, calls_made(delivery) - before) == (1, 5, 5)


def test_where_the_gate_closes_between_two_pages_the_key_waits(delivery: Delivery) -> None:
    same_company(2_500, delivery)
    delivery.describes.get("Lead")
    grants = iter([True, False])
    delivery.may_spend = lambda: next(grants)
    delivery.inbox.append([at_company("Same", on_multiple="newest")])
    before = calls_made(delivery)
    report = delivery.deliver()
    assert (report.retried, report.calls, calls_made(delivery) - before) == (1, 1, 1)


def test_without_a_call_for_the_describe_a_batch_waits(delivery: Delivery) -> None:
    delivery.may_spend = lambda: False
    delivery.inbox.append([at_company("Same")])
    before = calls_made(delivery)
    assert (delivery.deliver().calls, calls_made(delivery) - before) == (0, 0)
    assert delivery.inbox.waiting().backlog == 1


def test_no_page_is_asked_for_that_cannot_change_which_record_is_written(delivery: Delivery) -> None:
    same_company(2_500, delivery)
    delivery.describes.get("Lead")
    delivery.inbox.append([at_company("Same")])
    assert delivery.deliver().calls == 2


def test_what_matches_more_records_than_can_be_looked_at_is_buried_alone(delivery: Delivery) -> None:
    same_company(10_500, delivery)
    delivery.describes.get("Lead")
    others = [at_company(f"c{number}", on_multiple="newest") for number in range(3)]
    delivery.inbox.append([at_company("Same", on_multiple="newest"), *others])
    report = delivery.deliver()
    assert (report.created, report.dead) == (3, 1)
    assert delivery.dead() == ["10000 records and more match what it is looked up by"]
    assert report.calls <= 20


def test_a_page_that_is_refused_is_asked_for_again_later(delivery: Delivery) -> None:
    same_company(2_500, delivery)
    gone = {"status": 400, "code": "INVALID_QUERY_LOCATOR", "message": "invalid query locator"}
    delivery.fault(fault="error", path="/query/", **gone)
    delivery.inbox.append([at_company("Same", on_multiple="newest")])
    assert delivery.deliver().retried == 1
    delivery.fault(clear=True)
    assert delivery.deliver().updated == 1
