"""What the rules of a destination leave in an org: events in at the top, records looked at below."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from pipeline.inbox.results import results_of
from pipeline.operation import locks_of
from pipeline.tasks.ingest import ingest
from tests.integration.environment import Environment

ORG = """
objects:
  - name: Lead
    fields:
      - {name: ConvertedContactId, type: reference, to: Contact, createable: true}
      - {name: UserId__c, type: string, length: 40}
      - {name: plan__c, type: string, length: 40}
  - name: Account
    fields:
      - {name: RecordTypeId, type: reference, to: RecordType}
      - {name: Parent_Number__c, type: reference, to: Account}
records:
  RecordType:
    - {Name: Customers, DeveloperName: Customer, SobjectType: Account, IsActive: true}
    - {Name: Customers, DeveloperName: Customer, SobjectType: Contact, IsActive: true}
"""
ADA = {"LastName": "Lovelace", "Company": "Engines", "Email": "ada@example.com"}
_numbers = iter(range(1, 1_000_000))


@pytest.fixture
def custom(start_emulator: Callable[..., str], environment_of: Callable[[str], Environment]) -> Environment:
    return environment_of(start_emulator(ORG))


def event(kind: str, **body: Any) -> dict[str, Any]:
    number = next(_numbers)
    at = f"2026-11-23T10:{number // 60 % 60:02d}:{number % 60:02d}Z"
    message = {"type": kind, "userId": "u1", "messageId": f"m{number}", "timestamp": at}
    return {**message, "integrations": {"Salesforce": True}, **body}


def identify(email: str = "ada@example.com", **traits: Any) -> dict[str, Any]:
    return event("identify", traits={"email": email, **traits})


def track(name: str, **properties: Any) -> dict[str, Any]:
    return event("track", event=name, properties=properties)


def titles(one: Environment) -> dict[str, Any]:
    return {record["Id"]: record.get("Title") for record in one.records("Lead")}


def test_a_placeholder_never_takes_the_place_of_a_value(environment: Environment) -> None:
    environment.deliver_all(identify(company="Engines", lastName="Lovelace"))
    environment.deliver_all(identify(title="Countess"))
    environment.deliver_all(identify("new@example.com", title="x"))

    known, new = environment.records("Lead")
    assert (known["Company"], known["LastName"], known["Title"]) == ("Engines", "Lovelace", "Countess")
    assert (new["Company"], new["LastName"]) == ("n/a", "n/a")


def test_the_classic_placeholders_do(environment: Environment) -> None:
    environment.destination("identify: {placeholders: always}")
    environment.deliver_all(identify(company="Engines", lastName="Lovelace"))
    environment.deliver_all(identify(title="Countess"))

    (known,) = environment.records("Lead")
    assert (known["Company"], known["LastName"]) == ("n/a", "n/a")


@pytest.mark.parametrize("trait", ["Status", "status"])
def test_the_status_of_a_lead_is_left_to_the_org(environment: Environment, trait: str) -> None:
    environment.deliver_all(identify(company="c", lastName="l", **{trait: "Closed - Converted"}))

    (lead,) = environment.records("Lead")
    assert lead["Status"] == "Open - Not Contacted"


def test_people_can_become_contacts_of_their_account(environment: Environment) -> None:
    environment.destination(
        "identify:\n  object: Contact\n"
        "  fields: {AccountId: {lookup: Account, by: AccountNumber, from: traits.company.id}}\n"
    )
    environment.deliver_all(
        identify(name="Ada King Lovelace", company={"id": 813, "name": "Engines"}, address={"city": "London"}),
        event("group", groupId="813", traits={"name": "Engines"}),
    )

    (account,), (contact,) = environment.records("Account"), environment.records("Contact")
    assert contact["AccountId"] == account["Id"]
    assert (contact["FirstName"], contact["LastName"]) == ("Ada", "King Lovelace")
    assert contact["MailingCity"] == "London"
    assert environment.records("Lead") == []


def test_a_trait_without_a_field_is_told_by_name_and_number(custom: Environment) -> None:
    custom.deliver_all(*(identify(f"p{n}@example.com", plan="pro", seatCount=n) for n in range(1, 8)))

    assert {lead["plan__c"] for lead in custom.records("Lead")} == {"pro"}
    assert custom.runtime.inbox("Lead").left_out() == {"trait `seatCount` had no field `seatCount__c` on Lead": 7}


@pytest.mark.parametrize(("rule", "written"), [("oldest", [0]), ("newest", [2]), ("error", [])])
def test_of_several_matches_the_rule_says_which_is_written(
    environment: Environment, rule: str, written: list[int]
) -> None:
    environment.destination(f"identify: {{on_multiple: {rule}}}")
    ids = [environment.create("Lead", **ADA) for _ in range(3)]
    environment.deliver_all(identify("Ada@Example.com ", title="which"))

    found = titles(environment)
    assert [position for position, one in enumerate(ids) if found[one] == "which"] == written
    assert len(found) == 3
    assert bool(environment.dead("Lead")) is (rule == "error")


@pytest.mark.parametrize("rule", ["contact", "skip", "create"])
def test_a_converted_lead_takes_no_write_and_the_rule_says_what_does(custom: Environment, rule: str) -> None:
    custom.destination(f"identify: {{on_converted: {rule}}}")
    contact_id = custom.create("Contact", LastName="Lovelace", Email="ada@example.com")
    lead_id = custom.create("Lead", **ADA, IsConverted=True, ConvertedContactId=contact_id)
    custom.deliver_all(identify(title="Countess", address={"city": "London"}))

    (contact,) = custom.records("Contact")
    leads = {lead["Id"]: lead for lead in custom.records("Lead")}
    assert leads[lead_id].get("Title") is None
    assert contact.get("Title") == ("Countess" if rule == "contact" else None)
    assert contact.get("MailingCity") == ("London" if rule == "contact" else None)
    assert len(leads) == (2 if rule == "create" else 1)
    assert custom.dead("Lead") == []


def test_a_lead_that_is_converted_after_its_id_was_remembered_is_looked_up_again(custom: Environment) -> None:
    contact_id = custom.create("Contact", LastName="Lovelace", Email="ada@example.com")
    lead_id = custom.create("Lead", **ADA, IsConverted=True, ConvertedContactId=contact_id)
    custom.runtime.describes.refresh(["Lead", "Contact"])
    custom.redis.set("pipeline:{Lead}:record:email=ada@example.com", lead_id)
    calls = custom.deliver(identify(title="Countess"))

    assert calls == 3  # the update that was refused, the lookup, the contact's update
    (contact,) = custom.records("Contact")
    assert contact["Title"] == "Countess"
    assert custom.dead("Lead") == []


def test_a_deleted_record_is_not_matched(environment: Environment) -> None:
    environment.destination(
        "actions: [{on: {type: track}, operation: delete, object: Lead, match: {properties.e: Email}}]"
    )
    environment.create("Lead", **ADA)
    environment.deliver_all(track("Left", e="ada@example.com"))
    assert environment.records("Lead") == []
    environment.deliver_all(identify(title="back"))

    (lead,) = environment.records("Lead")
    assert lead["Company"] == "n/a"


@pytest.mark.parametrize(("join", "found"), [("and", []), ("or", ["both"])])
def test_further_lookup_fields_narrow_or_widen_the_match(custom: Environment, join: str, found: list[str]) -> None:
    custom.destination(f"identify: {{lookup_fields: [Email, UserId__c], join: {join}, fields: {{userId: UserId__c}}}}")
    known = custom.create("Lead", **{**ADA, "Email": "old@example.com"}, UserId__c="u1")
    custom.deliver_all(identify("new@example.com", title="both"))

    assert [title for one, title in titles(custom).items() if one == known and title] == found


def test_further_lookup_fields_narrow_the_match_of_groups(environment: Environment) -> None:
    environment.destination("group: {lookup_fields: [Site]}")
    other = environment.create("Account", Name="Old", AccountNumber="813", Site="Paris")
    wanted = environment.create("Account", Name="Old", AccountNumber="813", Site="London")
    environment.deliver_all(event("group", groupId="813", traits={"name": "New", "site": "london"}))

    assert {one["Id"]: one["Name"] for one in environment.records("Account")} == {other: "Old", wanted: "New"}


def test_every_match_value_is_locked_while_its_record_is_written(custom: Environment) -> None:
    custom.destination("identify: {lookup_fields: [Email, UserId__c], join: or, fields: {userId: UserId__c}}")
    runtime = custom.runtime
    ingest([identify("a@example.com"), identify("b@example.com")], runtime)
    batch = runtime.inbox("Lead").claim("t")

    (claim,) = batch.claims  # type: ignore[union-attr]  # a batch: two keys are due
    assert len(locks_of(claim.key)) == 2  # the other one shares the userId, and waits


def test_an_owner_and_a_record_type_are_for_new_records(custom: Environment) -> None:
    custom.destination("group: {owner: admin@example.com, record_type: Customer}")
    known = custom.create("Account", Name="Old", AccountNumber="1")
    custom.deliver_all(
        event("group", groupId="813", traits={"name": "New"}), event("group", groupId="1", traits={"name": "Known"})
    )

    accounts = {one["AccountNumber"]: one for one in custom.records("Account")}
    (wanted,) = [one["Id"] for one in custom.records("RecordType") if one["SobjectType"] == "Account"]
    (owner,) = [one["Id"] for one in custom.records("User") if one["Username"] == "admin@example.com"]
    assert (accounts["813"]["RecordTypeId"], accounts["813"]["OwnerId"]) == (wanted, owner)
    assert accounts["1"]["Id"] == known
    assert accounts["1"].get("RecordTypeId") is None


def test_a_campaign_gets_its_members_each_once(environment: Environment) -> None:
    campaign = environment.create("Campaign", Name="Webinar")
    environment.destination(
        "actions:\n- on: {type: track, event: Webinar Attended}\n  operation: upsert\n  object: CampaignMember\n"
        f"  match: {{CampaignId: {{value: {campaign}}}, LeadId: {{lookup: Lead, by: Email, from: properties.email}}}}\n"
        "  fields: {Status: {value: Responded}}\n"
    )
    environment.deliver_all(
        track("Webinar Attended", email="ada@example.com"),
        identify(lastName="Lovelace", company="Engines"),
        track("Webinar Attended", email="ADA@example.com"),
        track("Webinar Attended", email="nobody@example.com"),
    )

    (lead,), (member,) = environment.records("Lead"), environment.records("CampaignMember")
    assert (member["LeadId"], member["CampaignId"], member["Status"]) == (lead["Id"], campaign, "Responded")
    assert environment.dead("CampaignMember") == ["the record that it is matched by does not exist"]


@pytest.mark.parametrize("rule", ["enforce", "allow_save"])
def test_a_duplicate_rule_that_alerts_is_obeyed_or_passed(environment: Environment, rule: str) -> None:
    rules = [{"object": "Lead", "fields": ["LastName"], "blocks": False}]
    requests.post(f"{environment.url}/_emulator/duplicate_rules", json=rules, timeout=10).raise_for_status()
    try:
        environment.destination(f"salesforce: {{duplicate_rules: {rule}}}")
        environment.create("Lead", **ADA)
        environment.deliver_all(identify("other@example.com", lastName="Lovelace", company="x"))
    finally:
        requests.post(f"{environment.url}/_emulator/duplicate_rules", json=[], timeout=10).raise_for_status()

    assert len(environment.records("Lead")) == (2 if rule == "allow_save" else 1)
    assert [reason.partition(":")[0] for reason in environment.dead("Lead")] == (
        [] if rule == "allow_save" else ["DUPLICATES_DETECTED"]
    )


@pytest.mark.parametrize(
    ("said", "header"), [("", "FALSE"), ("true", "TRUE"), ("01Q000000000001", "01Q000000000001EAA")]
)
def test_assignment_rules_run_only_where_they_are_asked_for(environment: Environment, said: str, header: str) -> None:
    environment.destination(f"salesforce: {{assignment_rules: {said}}}" if said else "{}")

    assert environment.runtime.org._write_headers["Sforce-Auto-Assign"] == header


def test_a_record_that_points_to_itself_does_not_wait_for_itself(custom: Environment) -> None:
    custom.destination(
        "group:\n  fields: {Parent_Number__c: {lookup: Account, by: AccountNumber, from: traits.parent}}\n"
    )
    custom.deliver_all(
        event("group", groupId="1", traits={"name": "Own", "parent": "1"}),
        event("group", groupId="2", traits={"name": "Child", "parent": "1"}),
    )

    accounts = {one["AccountNumber"]: one for one in custom.records("Account")}
    assert accounts["1"].get("Parent_Number__c") is None
    assert accounts["2"]["Parent_Number__c"] == accounts["1"]["Id"]


def test_every_verb_on_a_custom_object_of_any_event_type(
    start_emulator: Callable[..., str], environment_of: Callable[[str], Environment]
) -> None:
    fields = "{name: Key__c, type: string, length: 20, external_id: true}, {name: Page__c, type: string, length: 80}"
    one = environment_of(start_emulator(f"objects: [{{name: Visit__c, fields: [{fields}]}}]"))
    made = one.create("Visit__c", Key__c="made")
    one.destination(
        """
actions:
  - {on: {type: page}, operation: create, object: Visit__c, fields: {name: Page__c}}
  - {on: {type: screen}, operation: upsert, object: Visit__c, match: {properties.key: Key__c}, fields: {name: Page__c}}
  - {on: {type: alias}, operation: update, object: Visit__c, match: {previousId: Id}, fields: {userId: Page__c}}
  - on: {type: track, event: Read}
    operation: read
    object: Visit__c
    match: {properties.key: Key__c}
    fields: [Page__c]
  - {on: {type: track, event: Drop}, operation: delete, object: Visit__c, match: {properties.key: Key__c}}
"""
    )
    events = [
        event("page", name="Home"),
        event("screen", name="Start", properties={"key": "k1"}),
        event("alias", previousId=made, userId="u9"),
        track("Read", key="K1"),
        track("Drop", key="k1"),
    ]
    one.deliver_all(*events)

    (result,) = (results_of(one.redis, events[3]["messageId"]) or {}).values()
    assert result.fields == {"Page__c": "Start"}
    assert sorted(str(record.get("Page__c")) for record in one.records("Visit__c")) == ["Home", "u9"]
    assert one.dead("Visit__c") == []
