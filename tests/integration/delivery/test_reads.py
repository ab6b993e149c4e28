"""Reads: what a `read` action finds, from the batch to the producer that asks for it."""

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from pipeline import read_result
from pipeline.inbox.results import MOST_BYTES, MOST_KEPT, ReadResult, keep_results, results_of
from pipeline.local import LocalRedis
from pipeline.operation import Operation
from pipeline.salesforce.client import delete
from tests.integration.delivery.delivery import Delivery
from tests.integration.environment import Environment

ADA = {"LastName": "Lovelace", "Company": "Engines", "Email": "ada@example.com", "Title": "Countess"}


@pytest.fixture
def leads(redis_client: Redis, emulator_url: str) -> Delivery:
    delivery = Delivery(redis_client, emulator_url)
    delivery.describes.refresh(["Lead", "Contact"])
    return delivery


def read(message_id: str, email: str, *fields: str, time_ms: int = 1, **options: Any) -> Operation:
    return Operation(
        id=f"{message_id}#actions[0]",
        object="Lead",
        verb="read",
        match={"Email": email},
        options={"read": list(fields), **options},
        event_time_ms=time_ms,
    )


def found(delivery: Delivery, message_id: str) -> ReadResult:
    results = results_of(delivery.redis, message_id)
    assert results is not None
    assert list(results) == ["actions[0]"]
    return results["actions[0]"]


def test_reads_of_a_batch_share_a_call_and_return_the_fields_that_are_mapped(leads: Delivery) -> None:
    leads.create("Lead", **ADA)
    leads.inbox.append(
        [
            read("m1", "ADA@example.com ", "title", "Company", "Phone"),
            read("m2", "nobody@example.com", "Title"),
            read("m3", "bob@example.com", "Company"),
        ]
    )
    report = leads.deliver()

    assert found(leads, "m1") == ReadResult("Lead", True, {"Title": "Countess", "Company": "Engines", "Phone": None})
    assert found(leads, "m2") == ReadResult("Lead", False, {})
    assert (report.calls, report.created, report.updated, report.dead) == (1, 0, 0, 0)
    assert len(leads.records()) == 1
    assert leads.inbox.waiting().backlog == 0


def test_a_read_that_finds_nothing_creates_nothing(redis_client: Redis, emulator_url: str) -> None:
    cases = Delivery(redis_client, emulator_url, "Case")
    asked: dict[str, Any] = {"match": {"Subject": "none such"}, "options": {"read": ["Priority"]}}
    cases.inbox.append([Operation(id="m1#actions[0]", object="Case", verb="read", event_time_ms=1, **asked)])
    report = cases.deliver()

    assert found(cases, "m1") == ReadResult("Case", False, {})
    assert (report.created, report.dead) == (0, 0)
    assert cases.records("Case") == []


def test_a_read_sees_what_the_events_before_it_wrote_and_not_what_comes_after(leads: Delivery) -> None:
    def written(number: int, title: str) -> Operation:
        return Operation(
            id=f"w{number}#identify",
            object="Lead",
            verb="upsert",
            match={"Email": "ada@example.com"},
            fields={**ADA, "Title": title},
            event_time_ms=number,
        )

    leads.inbox.append(
        [
            written(10, "first"),
            read("m1", "ada@example.com", "Title", time_ms=20),
            written(30, "second"),
            read("m2", "ada@example.com", "Title", "Company", time_ms=40),
        ]
    )
    report = leads.deliver()

    assert found(leads, "m1").fields == {"Title": "first"}
    assert found(leads, "m2").fields == {"Title": "second", "Company": "Engines"}
    assert (report.created, report.updated) == (1, 1)


def test_a_field_that_the_org_lacks_costs_the_others_nothing(leads: Delivery) -> None:
    leads.create("Lead", **ADA)
    leads.inbox.append([read("m1", "ada@example.com", "Title", "Shoe_Size__c")])
    leads.deliver()

    assert found(leads, "m1").fields == {"Title": "Countess"}
    assert leads.inbox.left_out() == {"`Shoe_Size__c`: Lead has no field Shoe_Size__c": 1}


@pytest.mark.parametrize(("on_multiple", "title"), [("oldest", "1"), ("newest", "3")])
def test_of_several_records_the_rule_says_which_is_read(leads: Delivery, on_multiple: str, title: str) -> None:
    for number in (1, 2, 3):
        leads.create("Lead", **{**ADA, "Title": str(number)})
    leads.inbox.append([read("m1", "ada@example.com", "Title", on_multiple=on_multiple)])
    leads.deliver()

    assert found(leads, "m1").fields == {"Title": title}


def test_a_read_that_cannot_be_done_says_why_and_is_a_dead_letter(leads: Delivery) -> None:
    for _ in range(2):
        leads.create("Lead", **ADA)
    leads.inbox.append([read("m1", "ada@example.com", "Title", on_multiple="error")])
    leads.deliver()

    result = found(leads, "m1")
    assert (result.is_found, result.fields) == (False, {})
    assert [result.error] == leads.dead()
    assert "2 records match" in str(result.error)


def test_a_deleted_record_is_not_found(leads: Delivery) -> None:
    leads.org.send([delete([leads.create("Lead", **ADA)])])
    leads.inbox.append([read("m1", "ada@example.com", "Title")])
    leads.deliver()

    assert found(leads, "m1") == ReadResult("Lead", False, {})


def test_of_a_lead_that_became_a_contact_the_contact_is_read(
    redis_client: Redis, start_emulator: Callable[..., str]
) -> None:
    writable = "{name: ConvertedContactId, type: reference, to: Contact, createable: true}"
    url = start_emulator(f"objects: [{{name: Lead, fields: [{writable}]}}]")
    leads = Delivery(redis_client, url)
    contact_id = leads.create("Contact", LastName="Lovelace", Title="on the contact", MailingCity="London")
    leads.create("Lead", **ADA, IsConverted=True, ConvertedContactId=contact_id)
    leads.inbox.append([read("m1", "ada@example.com", "Title", "City"), read("m2", "ada@example.com", "Title")])
    leads.inbox.append([read("m3", "ada@example.com", "Title", time_ms=0, on_converted="skip")])
    leads.deliver()

    assert found(leads, "m1") == ReadResult("Contact", True, {"Title": "on the contact", "MailingCity": "London"})
    assert found(leads, "m2") == ReadResult("Contact", True, {"Title": "on the contact"})
    assert found(leads, "m3") == ReadResult("Lead", False, {})


def test_a_producer_reads_what_was_found_by_the_id_of_its_message(
    leads: Delivery, redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_REDIS_URL", redis_server.url)
    leads.create("Lead", **ADA)
    assert read_result("m1") is None
    leads.inbox.append([read("m1", "ada@example.com", "Title")])
    leads.deliver()

    results = read_result(" m1 ")
    assert results == {"actions[0]": ReadResult("Lead", True, {"Title": "Countess"})}
    assert "Countess" not in repr(results)


@pytest.mark.parametrize("given", ["x" * 200, "order 7 of Ключ", " m1 ", 777, "\ud83d"])
def test_a_result_is_found_by_a_message_id_of_any_form(environment: Environment, given: str | int) -> None:
    environment.destination("""linger: 0
actions:
  - {on: {type: track}, operation: read, object: Lead, match: {properties.email: Email}, fields: [Title]}
""")
    event = {"type": "track", "userId": "u", "event": "E", "properties": {"email": "a@example.com"}}
    environment.deliver_all(event | {"messageId": given, "integrations": {"Salesforce": True}})
    assert read_result(given) == {"actions[0]": ReadResult("Lead")}


def test_results_expire_and_are_bounded_in_size_and_number(redis_client: Redis) -> None:
    keep_results(redis_client, {"m1#actions[0]": ReadResult("Lead", True, {"Description": "x" * MOST_BYTES})})
    (big,) = (results_of(redis_client, "m1") or {}).values()
    assert big.is_found
    assert big.fields == {}
    assert "larger than 64 KB" in str(big.error)
    assert 0 < redis_client.ttl("pipeline:{reads}:result:m1") <= 900

    results = {f"n{number}#actions[{number % 2}]": ReadResult("Lead") for number in range(MOST_KEPT)}
    keep_results(redis_client, results)
    assert results_of(redis_client, "m1") is None
    assert list(results_of(redis_client, f"n{MOST_KEPT - 1}") or {}) == ["actions[1]"]
    assert redis_client.zcard("pipeline:{reads}:kept") == MOST_KEPT
