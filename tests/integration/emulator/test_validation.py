"""What a write is checked for, and what the org adds to it."""

from typing import Any

import pytest

from tests.integration.emulator.org_client import LEAD, OrgClient


def refusal(org: OrgClient, name: str = "Lead", /, **fields: Any) -> tuple[str, list[str]] | None:
    """Return the first code and the fields of a refused create, None when it succeeded."""
    reply = org.post(f"sobjects/{name}", {**(LEAD if name == "Lead" else {}), **fields})
    if reply.status_code == 201:
        return None
    error = reply.json()[0]
    return error["errorCode"], error.get("fields", [])


def saved(org: OrgClient, **fields: Any) -> list[Any]:
    """Return the fields of a lead as they are read back."""
    body = org.read("Lead", org.lead(**fields), *fields)
    return [body[name] for name in fields]


# Texts.


def test_lengths_count_characters_and_not_bytes(org: OrgClient) -> None:
    for letter in ("x", "é", "茶", "😀"):
        assert saved(org, City=letter * 40) == [letter * 40]
        assert refusal(org, City=letter * 41) == ("STRING_TOO_LONG", ["City"])


def test_texts_are_trimmed_and_empty_ones_are_null(org: OrgClient) -> None:
    assert saved(org, City="  Basel \n", Title="   ", Phone="") == ["Basel", None, None]
    assert refusal(org, LastName="  ") == ("REQUIRED_FIELD_MISSING", ["LastName"])


def test_texts_survive_whatever_they_hold(org: OrgClient) -> None:
    text = 'it\'s "quoted"\\ \u2028 \x01 茶 😀\nnext; line'
    assert saved(org, Description=text) == [text]
    assert saved(org, Description="half \ud83d pair") == ["half ? pair"]


@pytest.mark.parametrize(
    "good", ["a@b.co", "A.b-c_d+e@sub.example.com", "o'neil@example.com", "1@2.de", "a@b-c.example"]
)
def test_good_emails_are_kept_as_written(org: OrgClient, good: str) -> None:
    assert saved(org, Email=good) == [good]


@pytest.mark.parametrize(
    "bad",
    ["a", "a@", "@b.co", "a@b", "a b@c.co", "a@b@c.co", "a@b..co", "a@.co", "a@b.co.", ".a@b.co", "a,@b.co", "ä@b.co"],
)
def test_bad_emails_are_refused(org: OrgClient, bad: str) -> None:
    assert refusal(org, Email=bad) == ("INVALID_EMAIL_ADDRESS", ["Email"])


def test_a_value_of_another_json_type_cannot_be_read(org: OrgClient) -> None:
    for fields in ({"City": 5}, {"City": True}, {"City": ["x"]}, {"IsUnreadByOwner": "maybe"}, {"Born__c": 20260101}):
        code, _ = refusal(org, **fields) or ("", [])
        assert code == "JSON_PARSER_ERROR", fields
    assert saved(org, IsUnreadByOwner="true", NumberOfEmployees="12", Price__c="1.5") == [True, 12, 1.5]


# Numbers.


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("Score__c", 999, None),
        ("Score__c", -999, None),
        ("Score__c", 1_000, "NUMBER_OUTSIDE_VALID_RANGE"),
        ("Score__c", 1.0, None),
        ("Score__c", 1.5, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("Score__c", "x", "JSON_PARSER_ERROR"),
        ("Score__c", True, "JSON_PARSER_ERROR"),
        ("Score__c", "9" * 5_000, "JSON_PARSER_ERROR"),
        ("Price__c", 9_999.99, None),
        ("Price__c", 10_000, "NUMBER_OUTSIDE_VALID_RANGE"),
        ("Price__c", -10_000, "NUMBER_OUTSIDE_VALID_RANGE"),
        ("Price__c", "1_000", "JSON_PARSER_ERROR"),
        ("Price__c", "nan", "JSON_PARSER_ERROR"),
        ("Price__c", "1e2", None),
        ("Latitude", 47.123456789, None),
        ("Latitude", 1_000, "NUMBER_OUTSIDE_VALID_RANGE"),
    ],
)
def test_numbers_fit_their_digits(org: OrgClient, field: str, value: Any, code: str | None) -> None:
    found = refusal(org, **{field: value})
    assert (found[0] if found else None) == code


@pytest.mark.parametrize("body", ['{"Score__c": NaN}', '{"Score__c": 1%s}' % ("0" * 5_000), "[" * 100_000, "\xff", ""])
def test_what_is_no_json_is_a_parser_error(org: OrgClient, body: str) -> None:
    reply = org.post("sobjects/Lead", data=body.encode("latin-1"), headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")


# Dates.


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00.000+0000"),
        ("2026-11-23T10:00:00.123Z", "2026-11-23T10:00:00.000+0000"),
        ("2026-11-23T10:00:00+01:30", "2026-11-23T08:30:00.000+0000"),
        ("2026-11-23T23:00:00-0500", "2026-11-24T04:00:00.000+0000"),
        ("2026-11-23", "2026-11-23T00:00:00.000+0000"),
        ("1700-01-01T00:00:00Z", "1700-01-01T00:00:00.000+0000"),
        (None, None),
    ],
)
def test_datetimes_are_kept_in_utc(org: OrgClient, given: str | None, kept: str | None) -> None:
    assert saved(org, Seen__c=given) == [kept]


@pytest.mark.parametrize("bad", ["23.11.2026", "2026-13-01", "2026-02-30", "1699-12-31", "4001-01-01", "2026-1-1", "x"])
def test_bad_dates_cannot_be_read(org: OrgClient, bad: str) -> None:
    for field in ("Born__c", "Seen__c"):
        assert (refusal(org, **{field: bad}) or ("",))[0] == "JSON_PARSER_ERROR"


def test_a_date_has_no_zone(org: OrgClient) -> None:
    assert saved(org, Born__c="2026-11-23T23:00:00-05:00") == ["2026-11-23"]


# Picklists.


def test_restricted_picklists_take_their_values_alone(org: OrgClient) -> None:
    assert saved(org, Grade__c="A", Topics__c="Tea;Salt", Industry="Anything") == ["A", "Tea;Salt", "Anything"]
    restricted = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    assert refusal(org, Grade__c="C") == (restricted, ["Grade__c"])
    assert refusal(org, Topics__c="Tea;Milk") == (restricted, ["Topics__c"])


# Fields that may not be written.


@pytest.mark.parametrize("name", ["Name", "IsDeleted", "CreatedDate", "SystemModstamp", "ConvertedContactId"])
def test_read_only_fields_are_refused_and_named(org: OrgClient, name: str) -> None:
    assert refusal(org, **{name: None}) == ("INVALID_FIELD_FOR_INSERT_UPDATE", [name])


def test_a_field_may_be_for_creates_or_for_updates_alone(org: OrgClient) -> None:
    visit = org.create("Visit__c", Lead__c=org.lead(), Locked__c="x")
    assert refusal(org, "Visit__c", Lead__c=org.lead(), Later__c="x") == (
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        ["Later__c"],
    )
    assert org.patch(f"sobjects/Visit__c/{visit}", {"Later__c": "x"}).status_code == 204
    assert org.patch(f"sobjects/Visit__c/{visit}", {"Locked__c": "y"}).json()[0]["fields"] == ["Locked__c"]


def test_required_fields_cannot_be_emptied(org: OrgClient) -> None:
    reply = org.patch(f"sobjects/Lead/{org.lead()}", {"LastName": None, "Company": " "})
    assert reply.json()[0]["message"] == "Required fields are missing: [LastName, Company]"


def test_an_address_is_written_by_its_parts(org: OrgClient) -> None:
    lead = org.lead(Street="1 High St", City="Basel", Country="CH")
    address = org.read("Lead", lead, "Address")["Address"]
    assert (address["street"], address["city"], address["country"], address["state"]) == (
        "1 High St",
        "Basel",
        "CH",
        None,
    )
    assert org.read("Lead", org.lead(), "Address")["Address"] is None
    assert refusal(org, Address="1 High St") is not None


# References.


def test_a_parent_can_be_named_by_its_external_id(org: OrgClient) -> None:
    account = org.create("Account", Name="Ng Ltd", Key__c="A1")
    contact = org.create("Contact", LastName="Ng", Account={"Key__c": "a1"})
    assert org.read("Contact", contact, "AccountId")["AccountId"] == account
    lead = org.lead(Email="a@b.co")
    task = org.create("Task", Who={"attributes": {"type": "Lead"}, "Email": "A@b.co"})
    assert org.read("Task", task, "WhoId")["WhoId"] == lead
    assert org.patch(f"sobjects/Contact/{contact}", {"Account": None}).status_code == 204
    assert org.read("Contact", contact, "AccountId")["AccountId"] is None


def test_a_parent_that_cannot_be_told_is_refused(org: OrgClient) -> None:
    org.lead(Email="a@b.co")
    org.lead(Email="a@b.co")
    who: dict[str, Any] = {"attributes": {"type": "Lead"}, "Email": "a@b.co"}
    assert refusal(org, "Task", Who=who) == ("DUPLICATE_EXTERNAL_ID", [])
    assert refusal(org, "Task", Who={**who, "Email": "no@b.co"}) == ("INVALID_FIELD", [])
    assert refusal(org, "Contact", LastName="x", Account={"Name": "x"}) == ("INVALID_FIELD", [])
    assert refusal(org, "Contact", LastName="x", Account={}) == ("INVALID_FIELD", [])
    assert refusal(org, "Contact", LastName="x", Account="x") == ("JSON_PARSER_ERROR", [])


def test_references_must_lead_to_a_record_of_the_right_object(org: OrgClient) -> None:
    lead, account = org.lead(), org.create("Account", Name="x")
    assert refusal(org, "Contact", LastName="x", AccountId=lead) == ("MALFORMED_ID", ["AccountId"])
    assert refusal(org, "Contact", LastName="x", AccountId="001Em0000000zzzIAA") == (
        "INVALID_CROSS_REFERENCE_KEY",
        ["AccountId"],
    )
    org.delete(f"sobjects/Account/{account}")
    assert refusal(org, "Contact", LastName="x", AccountId=account) == ("ENTITY_IS_DELETED", [])


def test_owners_are_given_and_must_be_active(org: OrgClient) -> None:
    lead = org.lead()
    admin = org.read("Lead", lead, "OwnerId")["OwnerId"]
    assert admin == "005Em0000000001IAA"
    (other,) = org.column("SELECT Id FROM User WHERE Username = 'other@example.com'")
    (gone,) = org.column("SELECT Id FROM User WHERE IsActive = FALSE")
    assert org.patch(f"sobjects/Lead/{lead}", {"OwnerId": other}).status_code == 204
    assert org.patch(f"sobjects/Lead/{lead}", {"OwnerId": gone}).json()[0]["errorCode"] == "INACTIVE_OWNER_OR_USER"
    assert refusal(org, OwnerId=gone) == ("INACTIVE_OWNER_OR_USER", ["OwnerId"])
    assert org.read("Lead", lead, "OwnerId")["OwnerId"] == other


# Unique values.


def test_unique_values_are_free_again_after_a_delete(org: OrgClient) -> None:
    first = org.lead(Ext__c="k")
    assert refusal(org, Ext__c="K") == ("DUPLICATE_VALUE", [])
    assert org.patch(f"sobjects/Lead/{first}", {"Ext__c": "K"}).status_code == 204
    second = org.lead(Ext__c="other")
    assert org.patch(f"sobjects/Lead/{second}", {"Ext__c": "k"}).json()[0]["errorCode"] == "DUPLICATE_VALUE"
    org.delete(f"sobjects/Lead/{first}")
    assert org.patch(f"sobjects/Lead/{second}", {"Ext__c": "k"}).status_code == 204


# What the org adds.


def test_a_person_s_name_is_put_together(org: OrgClient) -> None:
    for name in ("Lead", "Contact"):
        company = {"Company": "x"} if name == "Lead" else {}
        person = org.create(name, FirstName="Li", LastName="Ng", **company)
        assert org.read(name, person, "Name")["Name"] == "Li Ng"
        org.patch(f"sobjects/{name}/{person}", {"FirstName": None})
        assert org.read(name, person, "Name")["Name"] == "Ng"


def test_system_fields_say_who_and_when(org: OrgClient) -> None:
    body = org.read("Lead", org.lead())
    assert body["CreatedById"] == body["LastModifiedById"] == "005Em0000000001IAA"
    assert body["CreatedDate"] == body["LastModifiedDate"] == body["SystemModstamp"]
    assert body["CreatedDate"].endswith(".000+0000")
    assert body["IsDeleted"] is False


def test_defaults_and_auto_numbers_are_filled_in(org: OrgClient) -> None:
    first = org.read("Visit__c", org.create("Visit__c", Lead__c=org.lead()), "Name", "Place__c")
    assert (first["Name"], first["Place__c"]) == ("00001", "Home")
    case = org.read("Case", org.create("Case", Subject="x"), "CaseNumber", "Status", "Priority", "IsClosed")
    assert (case["CaseNumber"], case["Status"], case["Priority"], case["IsClosed"]) == (
        "00001000",
        "New",
        "Medium",
        False,
    )


def test_a_converted_lead_takes_no_more_changes_nor_tasks(org: OrgClient) -> None:
    lead = org.lead(IsConverted=True, Email="a@b.co", Ext__c="k")
    refused = "CANNOT_UPDATE_CONVERTED_LEAD"
    assert org.patch(f"sobjects/Lead/{lead}", {"Title": "x"}).json()[0]["errorCode"] == refused
    assert org.patch("sobjects/Lead/Ext__c/k", {"Title": "x"}).json()[0]["errorCode"] == refused
    assert refusal(org, "Task", WhoId=lead) == (refused, ["WhoId"])
    who = {"Who": {"attributes": {"type": "Lead"}, "Email": "a@b.co"}}
    task = org.create("Task", Subject="Call")
    assert org.patch(f"sobjects/Task/{task}", who).json()[0]["errorCode"] == refused
    assert org.column("SELECT Email FROM Lead WHERE IsConverted = TRUE") == ["a@b.co"]


def test_a_task_of_a_lead_is_related_to_nothing_else(org: OrgClient) -> None:
    account = org.create("Account", Name="x")
    assert refusal(org, "Task", WhoId=org.lead(), WhatId=account) == ("FIELD_INTEGRITY_EXCEPTION", ["WhatId"])
    task = org.create("Task", WhatId=account)
    reply = org.patch(f"sobjects/Task/{task}", {"WhoId": org.lead()})
    assert reply.json()[0]["errorCode"] == "FIELD_INTEGRITY_EXCEPTION"


def test_an_opportunity_follows_its_stage(org: OrgClient) -> None:
    deal = org.create("Opportunity", Name="Deal", StageName="Prospecting", CloseDate="2026-11-23", Amount=200)
    body = org.read("Opportunity", deal)
    assert (body["Probability"], body["ExpectedRevenue"], body["IsClosed"], body["Fiscal"]) == (10, 20, False, "2026 4")
    org.patch(f"sobjects/Opportunity/{deal}", {"StageName": "Closed Won"})
    body = org.read("Opportunity", deal)
    assert (body["Probability"], body["IsWon"], body["ForecastCategoryName"]) == (100, True, "Closed")


def test_a_campaign_member_is_one_person_and_shows_it(org: OrgClient) -> None:
    campaign = org.create("Campaign", Name="Spring")
    contact = org.create("Contact", LastName="Ng")
    assert refusal(org, "CampaignMember", CampaignId=campaign, ContactId=contact, LeadId=org.lead()) == (
        "FIELD_INTEGRITY_EXCEPTION",
        ["LeadId", "ContactId"],
    )
    member = org.create("CampaignMember", CampaignId=campaign, ContactId=contact, Status="Responded")
    body = org.read("CampaignMember", member)
    assert (body["Type"], body["LastName"], body["HasResponded"]) == ("Contact", "Ng", True)


# Duplicate rules.


def test_a_rule_that_alerts_can_be_passed_and_one_that_blocks_cannot(org: OrgClient) -> None:
    org.lead(Email="a@b.co", City="Basel")
    pass_rule = {"Sforce-Duplicate-Rule-Header": "allowSave=true; runAsCurrentUser=true"}
    for blocks in (False, True):
        org.control("duplicate_rules", [{"object": "lead", "fields": ["Email", "City"], "blocks": blocks}])
        body = {**LEAD, "Email": "A@B.co", "City": "BASEL"}
        assert org.post("sobjects/Lead", body).json()[0]["errorCode"] == "DUPLICATES_DETECTED"
        assert org.post("sobjects/Lead", body, headers=pass_rule).status_code == (400 if blocks else 201)
        assert org.post("sobjects/Lead", {**body, "City": f"Bern {blocks}"}).status_code == 201
        assert org.post("sobjects/Lead", {**body, "City": None}).status_code == 201


def test_reset_takes_the_rules_back_to_those_of_the_start(org: OrgClient) -> None:
    org.control("duplicate_rules", [{"object": "Lead", "fields": ["Email"]}])
    org.control("reset", {})
    org.lead(Email="a@b.co")
    org.lead(Email="a@b.co")
