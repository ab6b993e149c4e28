"""Upserts by an external ID, written without a lookup: what they cost, and what is looked up after all."""

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from pipeline.operation import Operation
from pipeline.salesforce.client import delete
from pipeline.salesforce.describe import ObjectDescribe
from tests.integration.delivery.delivery import Delivery

ORG = """
objects:
  - name: Contact
    fields:
      - {name: Key__c, type: string, length: 40, external_id: true, unique: true}
      - {name: Shared__c, type: string, length: 40, external_id: true}
      - {name: Number__c, type: double, precision: 10, scale: 0, external_id: true, unique: true}
      - {name: Plain__c, type: string, length: 40}
  - name: Lead
    fields:
      - {name: ConvertedContactId, type: reference, to: Contact, createable: true}
      - {name: Key__c, type: string, length: 40, external_id: true, unique: true}
"""
_numbers = iter(range(1, 1_000_000))


@pytest.fixture(scope="module")
def org_url(start_module_emulator: Callable[[str], str]) -> str:
    return start_module_emulator(ORG)


@pytest.fixture
def contacts(redis_client: Redis, org_url: str) -> Delivery:
    return described(Delivery(redis_client, org_url, "Contact"))


def described(delivery: Delivery) -> Delivery:
    """Return it with what it costs to describe its object paid."""
    delivery.reset()
    delivery.describes.get(delivery.inbox.object)
    return delivery


def contact(key: Any, *, by: str = "Key__c", verb: Any = "upsert", options: Any = None, **fields: Any) -> Operation:
    number = next(_numbers)
    return Operation(
        id=f"m{number}",
        object="Contact",
        verb=verb,
        match={by: key},
        fields={by: key, "LastName": "x", **fields} if verb == "upsert" else fields,
        options=options or {},
        event_time_ms=number,
    )


def titles(delivery: Delivery, by: str = "Key__c") -> dict[Any, Any]:
    return {record.get(by): record.get("Title") for record in delivery.records("Contact")}


def test_a_thousand_new_and_known_people_cost_one_call(contacts: Delivery) -> None:
    for start in range(0, 600, 200):
        contacts.create_all("Contact", [{"LastName": "x", "Key__c": f"k{n}"} for n in range(start, start + 200)])
    contacts.inbox.append([contact(f"K{n}", Title="new") for n in range(1000)])
    report = contacts.deliver()
    assert (report.created, report.updated, report.calls) == (400, 600, 1)
    assert set(titles(contacts).values()) == {"new"}
    assert len(contacts.records("Contact")) == 1000


def test_the_record_that_was_upserted_is_known_from_then_on(contacts: Delivery) -> None:
    contacts.inbox.append([contact("k1", Title="first")])
    contacts.deliver()
    contacts.inbox.append([contact("k1", verb="update", Title="second")])
    assert contacts.deliver().calls == 1  # an update, which nothing but an Id could save a lookup
    assert titles(contacts) == {"k1": "second"}


def test_several_records_with_one_external_id_are_told_apart_by_a_lookup_and_delay_nobody(contacts: Delivery) -> None:
    oldest = contacts.create("Contact", LastName="a", Shared__c="s1")
    contacts.create("Contact", LastName="b", Shared__c="S1")
    contacts.inbox.append([contact(f"s{n}", by="Shared__c", Title="which") for n in range(3)])
    report = contacts.deliver()
    assert (report.created, report.updated, report.dead, report.retried, report.calls) == (2, 1, 0, 0, 3)
    written = [record["Id"] for record in contacts.records("Contact") if record.get("Title") == "which"]
    assert len(written) == 3
    assert oldest in written


def test_a_new_record_without_what_it_requires_is_looked_up_and_buried_by_itself(contacts: Delivery) -> None:
    contacts.create("Contact", LastName="known", Key__c="known")
    bare = [
        Operation(id=key, object="Contact", verb="upsert", match={"Key__c": key}, fields=fields, event_time_ms=1)
        for key in ("known", "new")
        for fields in ({"Key__c": key, "Title": "t"},)
    ]
    contacts.inbox.append(bare)
    report = contacts.deliver()
    assert (report.updated, report.dead) == (1, 1)
    assert contacts.dead() == ["a new Contact needs LastName, which the event lacks"]
    assert titles(contacts) == {"known": "t"}


def test_a_record_that_is_refused_is_buried_with_salesforces_words_and_the_others_are_written(
    contacts: Delivery,
) -> None:
    contacts.inbox.append([contact("a"), contact("b", OwnerId="005000000000001AAA"), contact("c")])
    report = contacts.deliver()
    assert (report.created, report.dead, report.retried) == (2, 1, 0)
    (reason,) = contacts.dead()
    assert reason.startswith("INVALID_CROSS_REFERENCE_KEY")


def test_of_what_was_merged_only_the_operation_that_spoils_it_is_buried(contacts: Delivery) -> None:
    contacts.inbox.append([contact("a", Title=f"t{n}") for n in range(3)])
    contacts.inbox.append([contact("a", OwnerId="005000000000001AAA"), contact("a", Phone="1")])
    report = contacts.deliver()
    assert (report.created, report.dead) == (1, 1)
    (record,) = contacts.records("Contact")
    assert (record["Title"], record["Phone"]) == ("t2", "1")


def test_one_external_id_in_two_spellings_stands_once_in_a_request(contacts: Delivery) -> None:
    contacts.inbox.append([contact(12, by="Number__c", Title="a"), contact("12.0", by="Number__c", Phone="1")])
    report = contacts.deliver()
    assert (report.created, report.updated, report.dead, report.calls) == (1, 1, 0, 2)
    (record,) = contacts.records("Contact")
    assert (record["Title"], record["Phone"]) == ("a", "1")


def test_an_upsert_whose_answer_was_lost_is_repeated_without_a_lookup(contacts: Delivery) -> None:
    contacts.fault(fault="reset_after", path="composite/sobjects", method="PATCH", next=1)
    contacts.inbox.append([contact("a", Title="x")])
    report = contacts.deliver()
    assert report.retried == 1
    assert 55 < contacts.due_in_s < 60  # when the lost request must have ended, so that it overwrites nothing newer
    again = contacts.deliver()
    assert (again.created, again.updated, again.calls) == (0, 1, 1)
    assert len(contacts.records("Contact")) == 1


def test_a_locked_row_is_tried_again_and_the_others_are_not_delayed(contacts: Delivery) -> None:
    contacts.fault(fault="row_lock", match={"Key__c": "a"}, next=1)
    contacts.inbox.append([contact("a"), contact("b")])
    report = contacts.deliver()
    assert (report.created, report.retried) == (1, 1)
    again = contacts.deliver()
    assert (again.created, again.calls) == (1, 2)  # what has failed before is looked up
    assert len(contacts.records("Contact")) == 2


def test_a_collection_that_is_refused_as_a_whole_is_looked_up_and_halved(contacts: Delivery) -> None:
    contacts.fault(fault="error", code="JSON_PARSER_ERROR", status=400, path="composite/sobjects/Contact", next=1)
    contacts.inbox.append([contact(f"k{n}") for n in range(4)])
    report = contacts.deliver()
    assert (report.created, report.dead, report.retried) == (4, 0, 0)
    assert report.calls <= 4


def test_a_field_that_is_no_external_id_any_more_costs_a_lookup_and_no_record(contacts: Delivery) -> None:
    condensed = contacts.describes.get("Contact").condensed()
    (plain,) = [one for one in condensed["fields"] if one["name"] == "Plain__c"]
    plain["external_id"] = True
    contacts.describes._store("Contact", ObjectDescribe.from_condensed(condensed))
    contacts.inbox.append([contact(f"p{n}", by="Plain__c") for n in range(300)])
    report = contacts.deliver()
    assert (report.created, report.dead, report.retried, report.calls) == (300, 0, 0, 3)


@pytest.mark.parametrize("options", [{"on_multiple": "error"}, {"on_multiple": "newest"}])
def test_a_rule_that_chooses_among_several_records_looks_at_them(contacts: Delivery, options: dict[str, str]) -> None:
    first = contacts.create("Contact", LastName="a", Shared__c="s")
    last = contacts.create("Contact", LastName="b", Shared__c="s")
    contacts.inbox.append([contact("s", by="Shared__c", options=options, Title="which")])
    report = contacts.deliver()
    written = {record["Id"]: record.get("Title") for record in contacts.records("Contact")}
    assert written == {first: None, last: "which" if options == {"on_multiple": "newest"} else None}
    assert report.dead == (1 if options == {"on_multiple": "error"} else 0)


def test_a_stale_id_is_replaced_by_an_upsert_in_the_same_batch(contacts: Delivery) -> None:
    contacts.inbox.append([contact("a", Title="first")])
    contacts.deliver()
    contacts.org.send([delete([contacts.records("Contact")[0]["Id"]])])
    contacts.inbox.append([contact("a", Title="second")])
    report = contacts.deliver()
    assert (report.created, report.dead, report.retried, report.calls) == (1, 0, 0, 2)
    assert titles(contacts) == {"a": "second"}


def test_a_delete_between_upserts_happens_in_order(contacts: Delivery) -> None:
    contacts.inbox.append([contact("a", Title="old", Phone="1")])
    contacts.inbox.append([contact("a", verb="delete"), contact("a", Title="new")])
    report = contacts.deliver()
    assert (report.deleted, report.dead, report.retried) == (1, 0, 0)
    (record,) = contacts.records("Contact")
    assert (record["Title"], record.get("Phone")) == ("new", None)


def test_what_is_meant_for_a_converted_lead_goes_to_its_contact(redis_client: Redis, org_url: str) -> None:
    leads = described(Delivery(redis_client, org_url, "Lead"))
    contact_id = leads.create("Contact", LastName="Lovelace")
    lead = {"LastName": "Lovelace", "Company": "Engines", "Key__c": "u1"}
    leads.create("Lead", **lead, IsConverted=True, ConvertedContactId=contact_id)
    leads.inbox.append(
        [
            Operation(
                id=f"m{key}",
                object="Lead",
                verb="upsert",
                match={"Key__c": key},
                fields={**lead, "Key__c": key, "Title": "Countess"},
                event_time_ms=1,
            )
            for key in ("u1", "u2")
        ]
    )
    report = leads.deliver()
    assert (report.created, report.updated, report.dead, report.retried) == (1, 1, 0, 0)
    assert titles(leads, "Id") == {contact_id: "Countess"}
