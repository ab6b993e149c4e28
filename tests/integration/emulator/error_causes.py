"""Requests that make an emulated org refuse, for the catalogue of errors."""

from typing import Any

import requests

from tests.integration.emulator.org_client import LEAD, Cause, OrgClient, xml_text

UNKNOWN_LEAD = "00QEm0000000zzzMAA"


def new(name: str, **fields: Any) -> Cause:
    return lambda org: org.post(f"sobjects/{name}", fields)


def new_lead(**fields: Any) -> Cause:
    return new("Lead", **{**LEAD, **fields})


def changed_lead(_lead: dict[str, Any] | None = None, **fields: Any) -> Cause:
    return lambda org: org.patch(f"sobjects/Lead/{org.lead(**(_lead or {}))}", fields)


def query(text: str) -> Cause:
    return lambda org: org.soql(text)


def request(method: str, path: str, body: Any = None, **arguments: Any) -> Cause:
    return lambda org: org.call(method, path, body, **arguments)


def refused_by_the_org(code: str, message: str, *fields: str) -> Cause:
    """Create a lead in an org whose own rules refuse it."""

    def cause(org: OrgClient) -> requests.Response:
        org.control("faults", {"fault": "refuse", "code": code, "message": message, "fields": list(fields)})
        return org.post("sobjects/Lead", LEAD)

    return cause


def answered_by_the_org(status: int, code: str, message: str) -> Cause:
    """Ask an org that is in such a state that it answers nothing else."""

    def cause(org: OrgClient) -> requests.Response:
        org.control("faults", {"fault": "error", "status": status, "code": code, "message": message})
        return org.soql("SELECT Id FROM Lead")

    return cause


def faulty(rule: dict[str, Any]) -> Cause:
    def cause(org: OrgClient) -> requests.Response:
        org.control("faults", rule)
        return org.post("sobjects/Lead", LEAD)

    return cause


def without_calls(org: OrgClient) -> requests.Response:
    org.control("limits", {"daily_limit": 0})
    return org.post("sobjects/Lead", LEAD)


def with_duplicate_rule(org: OrgClient) -> requests.Response:
    org.control("duplicate_rules", [{"object": "Lead", "fields": ["Email"]}])
    org.lead(Email="a@b.co")
    return org.post("sobjects/Lead", {**LEAD, "Email": "A@b.co"})


def twice_with_one_key(org: OrgClient) -> requests.Response:
    org.lead(Ext__c="k")
    return org.post("sobjects/Lead", {**LEAD, "Ext__c": "K"})


def member_twice(org: OrgClient) -> requests.Response:
    member = {"CampaignId": org.create("Campaign", Name="Spring"), "LeadId": org.lead()}
    org.create("CampaignMember", **member)
    return org.post("sobjects/CampaignMember", member)


def ambiguous_key(org: OrgClient) -> requests.Response:
    org.lead(Code__c="c")
    org.lead(Code__c="C")
    record = {"attributes": {"type": "Lead"}, "Code__c": "c", **LEAD}
    return org.patch("composite/sobjects/Lead/Code__c", {"records": [record]})


def update_in_a_list(*records: dict[str, Any]) -> Cause:
    typed = [{"attributes": {"type": "Lead"}, "Title": "x", **record} for record in records]
    return lambda org: org.patch("composite/sobjects", {"records": typed})


def update_one_id_thirteen_times(org: OrgClient) -> requests.Response:
    return update_in_a_list(*[{"id": org.lead()}] * 13)(org)


def deleted_lead(org: OrgClient) -> str:
    lead = org.lead()
    assert org.delete(f"sobjects/Lead/{lead}").status_code == 204
    return lead


def converted_lead(org: OrgClient) -> requests.Response:
    return org.patch(f"sobjects/Lead/{org.lead(IsConverted=True)}", {"Title": "x"})


def owned_by_inactive_user(org: OrgClient) -> requests.Response:
    (gone,) = org.column("SELECT Id FROM User WHERE Username = 'gone@example.com'")
    return org.patch(f"sobjects/Lead/{org.lead()}", {"OwnerId": gone})


def member_without_person(org: OrgClient) -> requests.Response:
    return org.post("sobjects/CampaignMember", {"CampaignId": org.create("Campaign", Name="Spring")})


def rolled_back(org: OrgClient) -> requests.Response:
    return org.upload([LEAD, {"LastName": "x"}], all_or_none=True)


def halted(org: OrgClient) -> requests.Response:
    path = "/services/data/v66.0/sobjects/Lead"
    parts = [
        {"method": "POST", "url": path, "referenceId": "a", "body": LEAD},
        {"method": "POST", "url": path, "referenceId": "b", "body": {}},
    ]
    return org.post("composite", {"allOrNone": True, "compositeRequest": parts})


def with_bearer(token: str) -> Cause:
    return lambda org: org.get("limits", headers={"Authorization": token})


def with_expired_password(org: OrgClient) -> requests.Response:
    session = xml_text(org.soap_login("late@example.com", "pwtok"), "sessionId")
    return with_bearer(f"Bearer {session}")(org)


def locked_out(org: OrgClient) -> requests.Response:
    message = "Invalid username, password, security token; or user locked out."
    org.control("faults", {"fault": "error", "code": "PASSWORD_LOCKOUT", "message": message, "path": "/Soap/"})
    return org.soap_login("admin@example.com", "passwordtoken")


def too_large(org: OrgClient) -> requests.Response:
    return org.post("sobjects/Lead", data=b" " * (50 * 1024 * 1024 + 1), headers={"Content-Type": "application/json"})


def upload_to_a_finished_job(org: OrgClient) -> requests.Response:
    job = org.post("jobs/ingest", {"object": "Lead", "operation": "insert"}).json()["id"]
    org.patch(f"jobs/ingest/{job}", {"state": "Aborted"})
    return org.call("PUT", f"jobs/ingest/{job}/batches", data="LastName\n", headers={"Content-Type": "text/csv"})


def delete_of_a_parent(org: OrgClient) -> requests.Response:
    message = "Your attempt to delete Ng could not be completed because it is associated with the following cases."
    account = org.create("Account", Name="Ng")
    rule = {"fault": "refuse", "code": "DELETE_FAILED", "message": message, "object": "Account", "method": "DELETE"}
    org.control("faults", rule)
    return org.delete(f"sobjects/Account/{account}")
