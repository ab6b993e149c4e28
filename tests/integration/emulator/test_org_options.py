"""What an org file switches on: each option and property changes describes, writes and reads as it does in an org."""

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from pipeline.emulator.server import Running, build
from pipeline.local.service import wait_until
from tests.integration.emulator.org_client import OrgClient

ORG = """
options:
  state_and_country_picklists: true
  person_accounts: true
  edit_converted_leads: true
  jwt_audiences: ["https://login.salesforce.com"]
objects:
  - name: Lead
    fields:
      - {name: Plan__c, type: picklist, values: [free, pro, team], restricted: true}
      - {name: Topics__c, type: multipicklist, values: [Tea, Rice, Salt], restricted: true}
      - {name: Note__c, type: string, length: 10, byte_length: 10}
      - {name: Page__c, type: textarea, length: 300, html_formatted: true}
      - {name: Secret__c, type: string, length: 20, encrypted: true}
      - {name: Email, encrypted: true}
      - {name: CurrencyIsoCode, values: [EUR, USD], default: EUR}
  - name: Contact
    fields: [{name: Pronouns, values: [She/Her, He/Him]}]
record_types:
  - {object: Lead, name: Partner, picklists: {Plan__c: [pro], Topics__c: [Tea, Salt], LeadSource: [Web]}}
  - {object: Lead, name: Consumer, default: true, id: 012Em00000ABCDE}
  - {object: Lead, name: Old, active: false}
users:
  - {username: sales@example.com, password: pw}
  - {username: support@example.com, password: pw}
assignment_rules:
  - {object: Lead, name: By source, owner: sales@example.com, match: {LeadSource: Web}}
  - {object: Lead, name: Asleep, owner: support@example.com, active: false, id: 01QEm0000000ABC}
records:
  Lead:
    - {LastName: Byron, Company: Engines, Phone: "1", IsConverted: true}
    - {LastName: King, Company: Engines, Phone: "2", IsDeleted: true}
"""
LEAD = {"LastName": "Byron", "Company": "Engines"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, requests.Session]]:
    path = tmp_path_factory.mktemp("org") / "org.yaml"
    path.write_text(ORG, encoding="utf-8")
    with Running(build(org_path=str(path))) as server, requests.Session() as http:
        http.trust_env = False
        yield server, http


@pytest.fixture
def org(running: tuple[Running, requests.Session]) -> OrgClient:
    server, http = running
    http.post(f"{server.url}/_emulator/reset", json={}, timeout=10).raise_for_status()
    return OrgClient(server.url, http)


def fields(org: OrgClient, name: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in org.get(f"sobjects/{name}/describe").json()["fields"]}


def refused(reply: requests.Response, code: str, *names: str) -> str:
    (error,) = reply.json()
    assert (error["errorCode"], error["fields"]) == (code, list(names)), reply.text
    return str(error["message"])


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


# Person accounts.


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


# Properties of fields.


def test_a_length_in_bytes_is_counted_in_bytes(org: OrgClient) -> None:
    told = fields(org, "Lead")["Note__c"]
    assert (told["length"], told["byteLength"]) == (10, 10)
    org.create("Lead", **LEAD, Note__c="größer a")
    message = refused(org.post("sobjects/Lead", {**LEAD, "Note__c": "größer ab"}), "STRING_TOO_LONG", "Note__c")
    assert message.endswith("data value too large: größer ab (max length=10)")
    comments = org.post("sobjects/Case", {"Comments": "ß" * 2_001})
    refused(comments, "STRING_TOO_LONG", "Comments")


def test_rich_text_is_stored_encoded_and_its_length_counts_that(org: OrgClient) -> None:
    told = fields(org, "Lead")["Page__c"]
    assert (told["htmlFormatted"], told["extraTypeInfo"], told["filterable"]) == (True, "richtextarea", False)
    lead = org.create("Lead", **LEAD, Page__c='<b>a</b> & b < "c" d\'s &amp; e<br>f')
    stored = org.read("Lead", lead, "Page__c")["Page__c"]
    assert stored == "<b>a</b> &amp; b &lt; &quot;c&quot; d&#39;s &amp; e<br>f"
    org.create("Lead", **LEAD, Page__c="&" * 60)
    refused(org.post("sobjects/Lead", {**LEAD, "Page__c": "&" * 61}), "STRING_TOO_LONG", "Page__c")


def test_encrypted_fields_are_written_and_read_but_not_looked_for(org: OrgClient) -> None:
    told = fields(org, "Lead")
    for name in ("Secret__c", "Email"):
        assert told[name]["encrypted"] is True
        assert not any(told[name][key] for key in ("filterable", "sortable", "groupable", "idLookup"))
    assert (told["Email"]["length"], told["Email"]["type"]) == (80, "email")
    lead = org.create("Lead", **LEAD, Secret__c="s", Email="a@example.com")
    assert org.read("Lead", lead, "Secret__c")["Secret__c"] == "s"
    reply = org.soql("SELECT Id FROM Lead WHERE Email = 'a@example.com'")
    assert reply.status_code == 400
    assert "can not be filtered in a query call" in reply.json()[0]["message"]
    assert org.patch("sobjects/Lead/Email/a@example.com", LEAD).status_code == 404


def test_standard_fields_that_an_org_switches_on(org: OrgClient) -> None:
    currency = fields(org, "Lead")["CurrencyIsoCode"]
    assert (currency["custom"], currency["restrictedPicklist"], currency["length"]) == (False, True, 3)
    assert [value["value"] for value in currency["picklistValues"]] == ["EUR", "USD"]
    lead = org.create("Lead", **LEAD)
    assert org.read("Lead", lead, "CurrencyIsoCode")["CurrencyIsoCode"] == "EUR"
    reply = org.post("sobjects/Lead", {**LEAD, "CurrencyIsoCode": "XXX"})
    refused(reply, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "CurrencyIsoCode")
    assert fields(org, "Contact")["Pronouns"]["picklistValues"][0]["value"] == "She/Her"


# Users, rules and the state of the org.


def test_users_who_may_edit_converted_leads_do(org: OrgClient) -> None:
    (lead,) = org.column("SELECT Id FROM Lead WHERE IsConverted = true")
    assert org.patch(f"sobjects/Lead/{lead}", {"City": "London"}).status_code == 204


def owner(org: OrgClient, lead: str) -> str:
    return str(org.records(f"SELECT Owner.Username FROM Lead WHERE Id = '{lead}'")[0]["Owner"]["Username"])


def test_assignment_rules_run_on_creates_and_on_updates_unless_a_header_says_otherwise(org: OrgClient) -> None:
    off = {"Sforce-Auto-Assign": "FALSE"}
    web = org.create("Lead", **LEAD, LeadSource="Web")
    other = org.create("Lead", **LEAD, LeadSource="Other")
    assert (owner(org, web), owner(org, other)) == ("sales@example.com", "admin@example.com")
    body = {**LEAD, "LeadSource": "Web"}
    kept = org.post("sobjects/Lead", body, headers=off).json()["id"]
    assert owner(org, kept) == "admin@example.com"
    org.patch(f"sobjects/Lead/{kept}", {"City": "Bonn"}, headers=off)
    assert owner(org, kept) == "admin@example.com"
    org.patch(f"sobjects/Lead/{kept}", {"City": "Rome"})
    assert owner(org, kept) == "sales@example.com"
    (asleep,) = org.column("SELECT Id FROM AssignmentRule WHERE Active = false")
    org.patch(f"sobjects/Lead/{kept}", {"City": "Oslo"}, headers={"Sforce-Auto-Assign": asleep})
    assert owner(org, kept) == "support@example.com"
    wrong = org.patch(f"sobjects/Lead/{kept}", {"City": "x"}, headers={"Sforce-Auto-Assign": "01QEm0000000XYZ"})
    assert wrong.json()[0]["errorCode"] == "INVALID_CROSS_REFERENCE_KEY"


def test_bulk_jobs_run_an_assignment_rule_only_when_they_name_it(org: OrgClient) -> None:
    (web,) = org.column("SELECT Id FROM AssignmentRule WHERE Active = true")
    for told, wanted in (({}, "admin@example.com"), ({"assignmentRuleId": web}, "sales@example.com")):
        job = org.post("jobs/ingest", {"object": "Lead", "operation": "insert", **told}).json()
        data = b"LastName,Company,LeadSource\nByron,Engines,Web\n"
        org.call("PUT", f"/{job['contentUrl']}", data=data, headers={"Content-Type": "text/csv"})
        org.patch(f"jobs/ingest/{job['id']}", {"state": "UploadComplete"})

        def over(job_id: str = job["id"]) -> bool:
            return bool(org.get(f"jobs/ingest/{job_id}").json()["state"] == "JobComplete")

        wait_until(over, what="the end of a bulk job", within_s=10)
        (lead,) = org.column("SELECT Id FROM Lead WHERE LeadSource = 'Web'")
        assert owner(org, lead) == wanted
        org.delete(f"sobjects/Lead/{lead}")


def test_the_audiences_of_an_assertion_are_those_of_the_org(org: OrgClient) -> None:
    key = org.http.get(f"{org.url}/_emulator/jwt_key", timeout=10).text
    told = {"iss": "key", "sub": "admin@example.com", "exp": time.time() + 100}
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    for audience, status in (
        ("https://login.salesforce.com", 200),
        ("https://test.salesforce.com", 400),
        (org.url, 400),
    ):
        signed = jwt.encode({**told, "aud": audience}, key, algorithm="RS256")
        reply = org.http.post(f"{org.url}/services/oauth2/token", data={**grant, "assertion": signed}, timeout=10)
        assert reply.status_code == status


Write = Callable[[OrgClient, str], requests.Response]
WRITES: dict[str, Write] = {
    "create": lambda org, _: org.post("sobjects/Lead", LEAD),
    "update": lambda org, lead: org.patch(f"sobjects/Lead/{lead}", {"City": "x"}),
    "delete": lambda org, lead: org.delete(f"sobjects/Lead/{lead}"),
    "upsert": lambda org, _: org.patch("sobjects/Account/PersonEmail/a@b.co", {"LastName": "x"}),
}
MAINTENANCE = "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE"


@pytest.mark.parametrize("write", WRITES)
def test_under_maintenance_the_org_can_be_read_and_not_written(org: OrgClient, write: str) -> None:
    lead = org.create("Lead", **LEAD)
    org.control("maintenance", {"read_only": True})
    reply = WRITES[write](org, lead)
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, MAINTENANCE)
    several = org.upload([LEAD])
    assert several.json()[0]["errors"][0]["statusCode"] == MAINTENANCE
    assert org.read("Lead", lead)["City"] is None
    org.control("maintenance", {"read_only": False})
    assert WRITES[write](org, lead).status_code < 300


def test_an_org_may_start_under_maintenance(tmp_path: Path) -> None:
    path = tmp_path / "org.yaml"
    path.write_text("options: {read_only: true}\nrecords: {Lead: [{LastName: a, Company: b}]}\n", encoding="utf-8")
    with Running(build(org_path=str(path))) as server, requests.Session() as http:
        http.trust_env = False
        client = OrgClient(server.url, http)
        assert client.upload([LEAD]).json()[0]["errors"][0]["statusCode"] == MAINTENANCE
        assert client.column("SELECT COUNT(Id) FROM Lead") == [1]


def test_the_losers_of_a_merge_name_their_master(org: OrgClient) -> None:
    master, loser, bystander = (org.create("Lead", **LEAD) for _ in range(3))
    task = org.create("Task", Subject="Call", WhoId=loser)
    org.control("merge", {"object": "Lead", "master": master, "losers": [loser]})
    reply = org.get(f"sobjects/Lead/{loser}")
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (404, "ENTITY_IS_DELETED")
    assert org.patch(f"sobjects/Lead/{loser}", {"City": "x"}).json()[0]["errorCode"] == "ENTITY_IS_DELETED"
    found = org.soql("SELECT Id, IsDeleted FROM Lead WHERE MasterRecordId != null", resource="queryAll").json()[
        "records"
    ]
    assert [(one["Id"], one["IsDeleted"]) for one in found] == [(loser, True)]
    (told,) = org.soql(f"SELECT MasterRecordId FROM Lead WHERE Id = '{loser}'", resource="queryAll").json()["records"]
    assert told["MasterRecordId"] == master
    assert org.read("Task", task, "WhoId")["WhoId"] == master
    assert org.read("Lead", bystander)["IsDeleted"] is False
    again = org.http.post(
        f"{org.url}/_emulator/merge", json={"object": "Lead", "master": master, "losers": [loser]}, timeout=10
    )
    assert (again.status_code, again.json()) == (400, {"error": "ENTITY_IS_DELETED: entity is deleted"})


def test_the_recycle_bin_may_hold_records_from_the_start(org: OrgClient) -> None:
    assert org.column("SELECT Phone FROM Lead") == ["1"]
    found = org.soql("SELECT Phone FROM Lead ORDER BY Phone", resource="queryAll").json()["records"]
    assert [one["Phone"] for one in found] == ["1", "2"]
