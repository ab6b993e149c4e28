"""Looking records up where it takes more than one query, or more than one page of a query's rows."""

from typing import Any

import pytest
from redis import Redis

from pipeline.operation import Json, Operation
from pipeline.salesforce.client import create
from tests.integration.delivery.test_deliverer import Delivery


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
