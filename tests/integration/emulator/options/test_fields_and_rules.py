"""Properties of fields, rules about users, and the state of the org, as an org file switches them on."""

import time
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
import requests

from pipeline.emulator.server import Running, build
from pipeline.local.service import wait_until
from tests.integration.emulator.options.org_told import LEAD, fields, refused
from tests.integration.emulator.org_client import OrgClient

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
