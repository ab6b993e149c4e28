"""Picklists of states and countries, person accounts and record types, as an org file switches them on."""

import base64

import pytest

from tests.integration.emulator.options.org_told import LEAD, fields, refused
from tests.integration.emulator.org_client import OrgClient

# States and countries.


def test_codes_are_picklists_and_states_depend_on_countries(org: OrgClient) -> None:
    told = fields(org, "Lead")
    country, state = told["CountryCode"], told["StateCode"]
    for one in (country, state):
        assert (one["type"], one["length"], one["restrictedPicklist"]) == ("picklist", 10, True)
        assert one["compoundFieldName"] == "Address"
    assert (state["dependentPicklist"], state["controllerName"]) == (True, "CountryCode")
    countries = [value["value"] for value in country["picklistValues"]]
    texas = next(value for value in state["picklistValues"] if value["value"] == "TX")
    assert texas["label"] == "Texas"
    bits = base64.b64decode(texas["validFor"])
    valid = [code for at, code in enumerate(countries) if at // 8 < len(bits) and bits[at // 8] & (0x80 >> at % 8)]
    assert valid == ["US"]
    assert {"MailingStateCode", "OtherCountryCode"} <= fields(org, "Contact").keys()
    assert {"BillingStateCode", "ShippingCountryCode", "PersonMailingStateCode"} <= fields(org, "Account").keys()


@pytest.mark.parametrize(
    "given",
    [
        {"Country": "United States", "State": "Texas"},
        {"Country": "united states", "State": "TEXAS"},
        {"CountryCode": "US", "StateCode": "TX"},
        {"CountryCode": "US", "State": "Texas"},
        {"Country": "United States", "StateCode": "TX", "State": "Texas"},
    ],
)
def test_a_name_brings_its_code_and_a_code_its_name(org: OrgClient, given: dict[str, str]) -> None:
    record = org.read("Lead", org.create("Lead", **LEAD, City="Austin", **given))
    assert [record[name] for name in ("Country", "CountryCode", "State", "StateCode")] == [
        "United States",
        "US",
        "Texas",
        "TX",
    ]
    address = record["Address"]
    assert (address["country"], address["countryCode"], address["state"], address["stateCode"]) == (
        "United States",
        "US",
        "Texas",
        "TX",
    )
    (row,) = org.records("SELECT StateCode FROM Lead WHERE CountryCode = 'US'")
    assert row == {"StateCode": "TX"}


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"Country": "USA"}, "Country", "There's a problem with this country, even though it may appear correct."),
        ({"Country": "USA", "State": "RI"}, "Country", "There's a problem with this country"),
        ({"Country": "US"}, "Country", "There's a problem with this country"),
        ({"CountryCode": "US", "State": "RI"}, "State", "There's a problem with this state, even though it may"),
        ({"CountryCode": "DE", "StateCode": "TX"}, "State", "There's a problem with this state"),
        ({"CountryCode": "US", "Country": "Germany"}, "Country", "There's a problem with this country"),
        ({"CountryCode": "US", "StateCode": "TX", "State": "Ohio"}, "State", "There's a problem with this state"),
        ({"State": "Texas"}, "State", "A country/territory must be specified before specifying a state value"),
        ({"StateCode": "TX"}, "State", "A country/territory must be specified before specifying a state value"),
    ],
)
def test_what_the_picklists_have_not_is_refused(
    org: OrgClient, given: dict[str, str], field: str, message: str
) -> None:
    reply = org.post("sobjects/Lead", {**LEAD, **given})
    assert reply.status_code == 400
    assert refused(reply, "FIELD_INTEGRITY_EXCEPTION", field).startswith(message)


def test_a_code_that_nobody_has_is_refused_as_any_restricted_value(org: OrgClient) -> None:
    reply = org.post("sobjects/Lead", {**LEAD, "CountryCode": "XX"})
    refused(reply, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "CountryCode")


def test_an_update_is_compared_with_what_the_record_has(org: OrgClient) -> None:
    lead = org.create("Lead", **LEAD, CountryCode="US", StateCode="TX")
    assert org.patch(f"sobjects/Lead/{lead}", {"State": "Ohio"}).status_code == 204
    assert org.read("Lead", lead)["StateCode"] == "OH"
    refused(org.patch(f"sobjects/Lead/{lead}", {"CountryCode": "DE"}), "FIELD_INTEGRITY_EXCEPTION", "State")
    refused(org.patch(f"sobjects/Lead/{lead}", {"Country": None}), "FIELD_INTEGRITY_EXCEPTION", "State")
    emptied = dict.fromkeys(("State", "Country"))
    assert org.patch(f"sobjects/Lead/{lead}", emptied).status_code == 204
    assert org.read("Lead", lead)["CountryCode"] is None
    assert org.patch(f"sobjects/Lead/{lead}", {"City": "Bonn"}).status_code == 204


def test_a_query_shows_the_codes_in_the_address_as_well(org: OrgClient) -> None:
    org.create("Lead", **LEAD, CountryCode="US", StateCode="TX")
    (row,) = org.records("SELECT Address FROM Lead WHERE CountryCode = 'US'")
    assert (row["Address"]["countryCode"], row["Address"]["stateCode"]) == ("US", "TX")


# Person accounts.


def test_a_login_says_that_the_org_has_them(org: OrgClient) -> None:
    told = org.soap_login("admin@example.com", "passwordtoken").text
    assert "<orgHasPersonAccounts>true</orgHasPersonAccounts>" in told
    assert "<organizationMultiCurrency>true</organizationMultiCurrency>" in told


def test_a_person_account_has_a_last_name_and_no_name_to_write(org: OrgClient) -> None:
    account = org.create("Account", FirstName="Ada", LastName="Byron", PersonEmail="ada@example.com")
    record = org.read("Account", account, "Name", "IsPersonAccount", "PersonEmail", "RecordTypeId")
    assert (record["Name"], record["IsPersonAccount"]) == ("Ada Byron", True)
    (kind,) = org.records(f"SELECT DeveloperName FROM RecordType WHERE Id = '{record['RecordTypeId']}'")
    assert kind == {"DeveloperName": "PersonAccount"}
    message = refused(
        org.patch(f"sobjects/Account/{account}", {"Name": "Engines"}), "INVALID_FIELD_FOR_INSERT_UPDATE", "Name"
    )
    assert message == "Account: bad field names on insert/update call: Name"
    assert org.patch(f"sobjects/Account/{account}", {"LastName": "King"}).status_code == 204
    assert org.read("Account", account, "Name")["Name"] == "Ada King"
    refused(org.patch(f"sobjects/Account/{account}", {"LastName": None}), "REQUIRED_FIELD_MISSING", "LastName")


def test_a_business_account_has_none_of_a_persons_fields(org: OrgClient) -> None:
    account = org.create("Account", Name="Engines")
    assert org.read("Account", account, "IsPersonAccount")["IsPersonAccount"] is False
    reply = org.patch(f"sobjects/Account/{account}", {"PersonEmail": "a@b.co", "PersonDoNotCall": False})
    assert refused(reply, "INVALID_FIELD_FOR_INSERT_UPDATE", "PersonEmail").endswith("call: PersonEmail")
    refused(org.post("sobjects/Account", {"Phone": "1"}), "REQUIRED_FIELD_MISSING", "Name")
    assert org.patch(f"sobjects/Account/{account}", {"Phone": "1"}).status_code == 204


def test_the_record_type_says_what_an_account_is(org: OrgClient) -> None:
    types = {one["DeveloperName"]: one["Id"] for one in org.records("SELECT Id, DeveloperName FROM RecordType")}
    person, business = types["PersonAccount"], types["Business_Account"]
    refused(org.post("sobjects/Account", {"RecordTypeId": person}), "REQUIRED_FIELD_MISSING", "LastName")
    reply = org.post("sobjects/Account", {"RecordTypeId": business, "Name": "E", "LastName": "B"})
    refused(reply, "INVALID_FIELD_FOR_INSERT_UPDATE", "LastName")


def test_an_upsert_by_person_email_makes_a_person(org: OrgClient) -> None:
    for created in (True, False):
        reply = org.patch("sobjects/Account/PersonEmail/ada@example.com", {"LastName": "Byron"})
        assert reply.json()["created"] is created
    (record,) = org.control("records/Account")
    assert (record["Name"], record["IsPersonAccount"]) == ("Byron", True)


# Record types.


def test_describes_list_record_types_and_layouts_their_values(org: OrgClient) -> None:
    infos = {one["developerName"]: one for one in org.get("sobjects/Lead/describe").json()["recordTypeInfos"]}
    assert set(infos) == {"Partner", "Consumer", "Old", "Master"}
    assert [name for name, info in infos.items() if info["defaultRecordTypeMapping"]] == ["Consumer"]
    assert (infos["Old"]["active"], infos["Consumer"]["recordTypeId"][:15]) == (False, "012Em00000ABCDE")
    mappings = org.get("sobjects/Lead/describe/layouts").json()["recordTypeMappings"]
    partner = next(one for one in mappings if one["developerName"] == "Partner")
    picklists = {one["picklistName"]: one["picklistValues"] for one in partner["picklistsForRecordType"]}
    assert [value["value"] for value in picklists["Plan__c"]] == ["pro"]
    assert org.get(f"sobjects/Lead/describe/layouts/{partner['recordTypeId']}").status_code == 200


def test_a_record_type_allows_only_its_values_of_restricted_picklists(org: OrgClient) -> None:
    partner = next(one["Id"] for one in org.records("SELECT Id, Name FROM RecordType") if one["Name"] == "Partner")
    given = {**LEAD, "RecordTypeId": partner}
    lead = org.create("Lead", **given, Plan__c="pro", Topics__c="Tea;Salt", LeadSource="Purchased List")
    for values, name in (({"Plan__c": "free"}, "Plan__c"), ({"Topics__c": "Tea;Rice"}, "Topics__c")):
        refused(org.post("sobjects/Lead", given | values), "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", name)
        refused(org.patch(f"sobjects/Lead/{lead}", values), "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", name)
    consumer = org.create("Lead", **LEAD, Plan__c="free")
    assert org.read("Lead", consumer, "RecordTypeId")["RecordTypeId"][:15] == "012Em00000ABCDE"


def test_a_record_type_of_another_object_or_an_inactive_one_is_refused(org: OrgClient) -> None:
    for where in ("SobjectType = 'Account'", "IsActive = false"):
        (one, *_) = org.column(f"SELECT Id FROM RecordType WHERE {where}")
        message = refused(
            org.post("sobjects/Lead", {**LEAD, "RecordTypeId": one}), "INVALID_CROSS_REFERENCE_KEY", "RecordTypeId"
        )
        assert message == f"Record Type ID: this ID value isn't valid for the user: {one}"
