"""The errors that Salesforce can answer to a writer: each with a request that causes it.

The codes are those of the SOAP API guide (StatusCode, ExceptionCode) and the REST API guide (status codes and error
responses). What an org answers by its own state, such as a validation rule, a flow or a maintenance window, is caused by
a fault rule; everything else by what is sent.
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.integration.emulator.org_client import LEAD, Cause, OrgClient, xml_text

UNKNOWN_LEAD = "00QEm0000000zzzMAA"
NO_FIELDS = None


@dataclass(frozen=True)
class Expected:
    """One row of the catalogue; ``fields`` is None for errors that are not about a record's content."""

    code: str
    cause: Cause
    status: int
    message: str
    fields: list[str] | None = NO_FIELDS


# Causes.


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


SEE = r"Please reference your WSDL or the describe call for the appropriate names\."
READ_ONLY = (
    r"Unable to create/update fields: IsDeleted, Name\. Please check the security settings of this field and verify"
    r" that it is read/write for your profile or permission set\."
)
INCIDENT = "An unexpected error occurred. Please include this ErrorId if you contact support: 1-2 (3)"
TRIGGER = "T: execution of BeforeInsert\n\ncaused by: System.LimitException: Apex CPU time limit exceeded"
STATE = (
    "There's a problem with this state, even though it may appear correct. Please select a state from the list of valid"
    " states."
)

CATALOGUE = [
    # Sessions, limits and the state of the org.
    Expected("INVALID_SESSION_ID", with_bearer("Bearer nonsense"), 401, "Session expired or invalid"),
    Expected("INVALID_AUTH_HEADER", with_bearer("Basic abc"), 401, "INVALID_HEADER_TYPE"),
    Expected("REQUEST_LIMIT_EXCEEDED", without_calls, 403, r"TotalRequests Limit exceeded\."),
    Expected(
        "REQUEST_LIMIT_EXCEEDED",
        faulty({"fault": "concurrent"}),
        403,
        r"ConcurrentRequests \(Concurrent API Requests\) Limit exceeded\.",
    ),
    Expected("SERVER_UNAVAILABLE", faulty({"fault": "unavailable"}), 503, ".+"),
    Expected("UNKNOWN_EXCEPTION", faulty({"fault": "server_error"}), 500, r"An unexpected error occurred\..*ErrorId.*"),
    Expected("UNKNOWN_EXCEPTION", answered_by_the_org(500, "UNKNOWN_EXCEPTION", INCIDENT), 500, re.escape(INCIDENT)),
    Expected(
        "QUERY_TIMEOUT",
        answered_by_the_org(400, "QUERY_TIMEOUT", "Your query request was running for too long."),
        400,
        r"Your query request was running for too long\.",
    ),
    Expected(
        "REQUEST_RUNNING_TOO_LONG",
        answered_by_the_org(400, "REQUEST_RUNNING_TOO_LONG", "Your request was running for too long."),
        400,
        ".+",
    ),
    Expected(
        "API_CURRENTLY_DISABLED",
        answered_by_the_org(403, "API_CURRENTLY_DISABLED", "API is currently disabled"),
        403,
        ".+",
    ),
    Expected(
        "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE",
        answered_by_the_org(503, "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", "Try again later"),
        503,
        ".+",
    ),
    Expected(
        "API_DISABLED_FOR_ORG",
        answered_by_the_org(403, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization."),
        403,
        r"The REST API is not enabled for this Organization\.",
    ),
    *(
        Expected(
            f"TXN_SECURITY_{what}",
            answered_by_the_org(403, f"TXN_SECURITY_{what}", "The operation you requested was blocked by a policy"),
            403,
            "The operation you requested was blocked.*",
        )
        for what in ("NO_ACCESS", "METERING_ERROR", "APEX_ERROR", "RUNTIME_ERROR")
    ),
    Expected(
        "INSUFFICIENT_ACCESS",
        answered_by_the_org(403, "INSUFFICIENT_ACCESS", "insufficient access"),
        403,
        "insufficient access",
    ),
    Expected("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", with_expired_password, 403, "The users password has expired.*"),
    Expected("GONE", request("GET", "limits", version="30.0"), 410, ".*retired"),
    Expected(
        "UNSUPPORTED_API_VERSION",
        lambda org: org.soap_login("admin@example.com", "passwordtoken", "65.0"),
        500,
        r"login\(\) is not available.*",
    ),
    Expected("PASSWORD_LOCKOUT", locked_out, 500, "Invalid username, password, security token; or user locked out."),
    Expected(
        "INVALID_LOGIN",
        lambda org: org.soap_login("admin@example.com", "wrong"),
        500,
        r"Invalid username, password, security token; or user locked out\.",
    ),
    Expected(
        "LOGIN_MUST_USE_SECURITY_TOKEN",
        lambda org: org.soap_login("admin@example.com", "password"),
        500,
        r"Invalid username, password, security token; or user locked out\. Are you at a new location\?.*",
    ),
    # Requests as a whole.
    Expected("NOT_FOUND", request("GET", "sobjects/Nothing__c"), 404, "The requested resource does not exist"),
    Expected("NOT_FOUND", request("GET", "limits", version="99.0"), 404, "The requested resource does not exist"),
    Expected(
        "NOT_FOUND",
        request("GET", f"sobjects/Lead/{UNKNOWN_LEAD}"),
        404,
        f"Provided external ID field does not exist or is not accessible: {UNKNOWN_LEAD}",
    ),
    Expected(
        "METHOD_NOT_ALLOWED",
        request("PUT", "sobjects/Lead", LEAD),
        405,
        "HTTP Method 'PUT' not allowed. Allowed are HEAD,GET,POST",
    ),
    Expected(
        "UNSUPPORTED_MEDIA_TYPE",
        request("POST", "sobjects/Lead", data="LastName: Ng", headers={"Content-Type": "text/yaml"}),
        415,
        ".*text/yaml",
    ),
    Expected("EXCEEDED_MAX_SIZE_REQUEST", too_large, 413, ".+"),
    Expected(
        "EXCEEDED_ID_LIMIT",
        lambda org: org.upload([LEAD] * 201),
        400,
        "record limit reached. cannot submit more than 200 records into this call",
    ),
    Expected(
        "LIMIT_EXCEEDED",
        lambda org: org.upload([{"attributes": {"type": name}} for name in ("Lead", "Contact") * 6]),
        400,
        ".*more than 10 chunks.*",
    ),
    Expected(
        "JSON_PARSER_ERROR",
        new_lead(Born__c="tomorrow"),
        400,
        r"Cannot deserialize instance of date from VALUE_STRING value tomorrow or request may be missing a required"
        r" field at \[line:\d+, column:\d+\]",
    ),
    Expected(
        "JSON_PARSER_ERROR",
        request("POST", "sobjects/Lead", data="{}}", headers={"Content-Type": "application/json"}),
        400,
        r"Unexpected character \('}' \(code 125\)\): was expecting .* at \[line:1, column:3\]",
    ),
    Expected("INVALIDJOBSTATE", upload_to_a_finished_job, 400, ".+"),
    # Queries.
    Expected(
        "MALFORMED_QUERY", query("SELECT FROM Lead"), 400, r"\nSELECT FROM Lead\n +\^\n.*unexpected token: 'FROM'"
    ),
    Expected(
        "INVALID_FIELD", query("SELECT Nope FROM Lead"), 400, rf"\n.*No such column 'Nope' on entity 'Lead'.*{SEE}"
    ),
    Expected("INVALID_TYPE", query("SELECT Id FROM Foo"), 400, rf"\n.*sObject type 'Foo' is not supported\..*{SEE}"),
    Expected(
        "INVALID_QUERY_FILTER_OPERATOR",
        query("SELECT Id FROM Lead WHERE Id = 'abc'"),
        400,
        r"\n.*invalid ID field: abc",
    ),
    Expected("INVALID_QUERY_LOCATOR", request("GET", "query/0r8Em0000000000-2000"), 400, "invalid query locator"),
    Expected(
        "QUERY_TOO_COMPLICATED",
        answered_by_the_org(400, "QUERY_TOO_COMPLICATED", "Query is either selecting too many fields"),
        400,
        ".+",
    ),
    Expected(
        "OPERATION_TOO_LARGE",
        answered_by_the_org(400, "OPERATION_TOO_LARGE", "exceeded 100000 distinct ids"),
        400,
        ".+",
    ),
    # What a record holds.
    Expected(
        "REQUIRED_FIELD_MISSING",
        new("Lead"),
        400,
        r"Required fields are missing: \[LastName, Company\]",
        ["LastName", "Company"],
    ),
    Expected(
        "STRING_TOO_LONG",
        new_lead(City="x" * 41),
        400,
        r"City: data value too large: x{41} \(max length=40\)",
        ["City"],
    ),
    Expected("INVALID_FIELD", new_lead(Foo__c=1), 400, "No such column 'Foo__c' on sobject of type Lead", []),
    Expected(
        "INVALID_FIELD",
        new("Contact", LastName="x", Account={"Key__c": "A1"}),
        400,
        "Foreign key external ID: a1 not found for field Key__c in entity Account",
        [],
    ),
    Expected(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        new_lead(IsDeleted=True, Name="Ng"),
        400,
        READ_ONLY,
        ["IsDeleted", "Name"],
    ),
    Expected(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        lambda org: org.upload([{**LEAD, "Id": UNKNOWN_LEAD}]),
        200,
        "cannot specify Id in an insert call",
        ["Id"],
    ),
    Expected(
        "INVALID_TYPE",
        lambda org: org.upload([{"attributes": {"type": "Foo"}}]),
        400,
        rf"sObject type 'Foo' is not supported\..*{SEE}",
    ),
    Expected(
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
        new_lead(NumberOfEmployees=250.5),
        400,
        r"Employees: value not of required type: 250\.5",
        ["NumberOfEmployees"],
    ),
    Expected("INVALID_EMAIL_ADDRESS", new_lead(Email="foo"), 400, "Email: invalid email address: foo", ["Email"]),
    Expected(
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        new_lead(Grade__c="C"),
        400,
        "Grade: bad value for restricted picklist field: C",
        ["Grade__c"],
    ),
    Expected(
        "NUMBER_OUTSIDE_VALID_RANGE",
        new_lead(NumberOfEmployees=1431655766),
        400,
        "Employees: value outside of valid range on numeric field: 1431655766",
        ["NumberOfEmployees"],
    ),
    Expected("MALFORMED_ID", new_lead(OwnerId="005short"), 400, "malformed id 005short", []),
    Expected(
        "MALFORMED_ID",
        lambda org: org.get(f"sobjects/Lead/{org.create('Account', Name='x')}"),
        400,
        "Lead ID: id value of incorrect type: 001.*",
        ["Id"],
    ),
    Expected(
        "INVALID_CROSS_REFERENCE_KEY",
        new("Task", WhoId=UNKNOWN_LEAD),
        400,
        "invalid cross reference id",
        ["WhoId"],
    ),
    Expected(
        "INVALID_CROSS_REFERENCE_KEY", update_in_a_list({"id": UNKNOWN_LEAD}), 200, "invalid cross reference id", []
    ),
    Expected(
        "ENTITY_IS_DELETED",
        lambda org: org.patch(f"sobjects/Lead/{deleted_lead(org)}", {"Title": "x"}),
        404,
        "entity is deleted",
        [],
    ),
    Expected(
        "ENTITY_IS_DELETED",
        lambda org: update_in_a_list({"id": deleted_lead(org)})(org),
        200,
        "entity is deleted",
        [],
    ),
    Expected("MISSING_ARGUMENT", update_in_a_list({}), 200, "Id not specified in an update call", []),
    Expected("DUPLICATES_DETECTED", with_duplicate_rule, 400, r"Use one of these records\?", []),
    Expected(
        "DUPLICATE_VALUE",
        twice_with_one_key,
        400,
        "duplicate value found: Ext__c duplicates value on record with id: 00Q.*",
        [],
    ),
    Expected("DUPLICATE_VALUE", member_twice, 400, r"Already a campaign member\.", []),
    Expected(
        "DUPLICATE_VALUE",
        update_one_id_thirteen_times,
        200,
        r"Maximum number of duplicate updates in one batch \(12 allowed\)\. Attempt to update Id more than once in this"
        " Api call: 00Q.*",
        ["Id"],
    ),
    Expected(
        "DUPLICATE_EXTERNAL_ID",
        ambiguous_key,
        200,
        r"Code: more than one record found for external id field: \[00Q\w{15}, 00Q\w{15}\]",
        [],
    ),
    Expected("CANNOT_UPDATE_CONVERTED_LEAD", converted_lead, 400, "cannot reference converted lead", []),
    Expected(
        "INACTIVE_OWNER_OR_USER",
        owned_by_inactive_user,
        400,
        r"operation performed with inactive user \[005\w{15}\] as owner of lead",
        ["OwnerId"],
    ),
    Expected(
        "FIELD_INTEGRITY_EXCEPTION",
        member_without_person,
        400,
        "You must specify either a lead or a contact",
        ["LeadId", "ContactId"],
    ),
    # All or none.
    Expected(
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        rolled_back,
        200,
        "Record rolled back because not all records were valid and the request was using AllOrNone header",
        [],
    ),
    Expected(
        "PROCESSING_HALTED",
        halted,
        200,
        r"The transaction was rolled back since another operation in the same transaction failed\.",
    ),
    # What only the org's own rules, rights, flows and neighbours refuse.
    Expected(
        "UNABLE_TO_LOCK_ROW",
        faulty({"fault": "row_lock"}),
        400,
        "unable to obtain exclusive access to this record",
        [],
    ),
    Expected(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        faulty({"fault": "poison", "match": {"LastName": "Ng"}}),
        400,
        "EmulatorTrigger: execution of BeforeInsert\n\ncaused by: .*",
        [],
    ),
    Expected(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        refused_by_the_org("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", TRIGGER),
        400,
        "T: execution of .*CPU time limit exceeded",
        [],
    ),
    *(
        Expected(code, refused_by_the_org(code, message, *fields), 400, re.escape(message), fields)
        for code, message, fields in (
            ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "A lead needs a phone.", ["Phone"]),
            ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Not on Sundays.", []),
            ("CANNOT_EXECUTE_FLOW_TRIGGER", 'We can\'t save this record because the "X" process failed.', []),
            ("FIELD_INTEGRITY_EXCEPTION", STATE, ["State"]),
            ("TRANSFER_REQUIRES_READ", "new owner cannot read the object", []),
            ("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", []),
            ("ENTITY_IS_LOCKED", "the entity is locked for editing", []),
            ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "insufficient access rights on cross-reference id", []),
        )
    ),
    Expected(
        "INSUFFICIENT_ACCESS_OR_READONLY",
        refused_by_the_org("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id"),
        403,
        "insufficient access rights on object id",
        [],
    ),
]


def delete_of_a_parent(org: OrgClient) -> requests.Response:
    message = "Your attempt to delete Ng could not be completed because it is associated with the following cases."
    account = org.create("Account", Name="Ng")
    rule = {"fault": "refuse", "code": "DELETE_FAILED", "message": message, "object": "Account", "method": "DELETE"}
    org.control("faults", rule)
    return org.delete(f"sobjects/Account/{account}")


CATALOGUE.append(Expected("DELETE_FAILED", delete_of_a_parent, 400, "Your attempt to delete Ng could not.*", []))

# Every code of the catalogue of errors that a client of REST, SOAP login and Bulk API 2.0 has to expect.
CODES = """
INVALID_SESSION_ID INVALID_AUTH_HEADER REQUEST_LIMIT_EXCEEDED SERVER_UNAVAILABLE UNKNOWN_EXCEPTION UNABLE_TO_LOCK_ROW
QUERY_TIMEOUT REQUEST_RUNNING_TOO_LONG API_CURRENTLY_DISABLED FUNCTIONALITY_TEMPORARILY_UNAVAILABLE
API_DISABLED_FOR_ORG DUPLICATES_DETECTED DUPLICATE_VALUE DUPLICATE_EXTERNAL_ID REQUIRED_FIELD_MISSING STRING_TOO_LONG
INVALID_FIELD INVALID_FIELD_FOR_INSERT_UPDATE INVALID_TYPE INVALID_TYPE_ON_FIELD_IN_RECORD INVALID_EMAIL_ADDRESS
INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST NUMBER_OUTSIDE_VALID_RANGE JSON_PARSER_ERROR MALFORMED_QUERY
INVALID_QUERY_FILTER_OPERATOR INVALID_QUERY_LOCATOR QUERY_TOO_COMPLICATED OPERATION_TOO_LARGE MALFORMED_ID NOT_FOUND
ENTITY_IS_DELETED INVALID_CROSS_REFERENCE_KEY INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY
INSUFFICIENT_ACCESS_OR_READONLY INSUFFICIENT_ACCESS CANNOT_UPDATE_CONVERTED_LEAD FIELD_CUSTOM_VALIDATION_EXCEPTION
CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY CANNOT_EXECUTE_FLOW_TRIGGER FIELD_INTEGRITY_EXCEPTION INACTIVE_OWNER_OR_USER
TRANSFER_REQUIRES_READ STORAGE_LIMIT_EXCEEDED ENTITY_IS_LOCKED DELETE_FAILED MISSING_ARGUMENT EXCEEDED_ID_LIMIT
LIMIT_EXCEEDED EXCEEDED_MAX_SIZE_REQUEST METHOD_NOT_ALLOWED UNSUPPORTED_MEDIA_TYPE TXN_SECURITY_NO_ACCESS
TXN_SECURITY_METERING_ERROR TXN_SECURITY_APEX_ERROR TXN_SECURITY_RUNTIME_ERROR PASSWORD_LOCKOUT INVALID_LOGIN
LOGIN_MUST_USE_SECURITY_TOKEN GONE UNSUPPORTED_API_VERSION ALL_OR_NONE_OPERATION_ROLLED_BACK PROCESSING_HALTED
INVALID_OPERATION_WITH_EXPIRED_PASSWORD INVALIDJOBSTATE InvalidVersion
""".split()
NOT_FOR_A_WRITER = {"InvalidVersion": "answered by Bulk API 1 alone, which is not emulated; REST answers GONE"}


def errors_of(reply: requests.Response) -> list[dict[str, Any]]:
    """Return the errors of a reply of any form: code, message and fields, None for an error without."""
    if reply.text.startswith("<?xml"):
        code, message = xml_text(reply, "sf:exceptionCode"), xml_text(reply, "sf:exceptionMessage")
        assert f"<faultstring>{code}: {message}</faultstring>" in reply.text
        return [{"code": code, "message": message, "fields": None}]
    body = reply.json()
    if isinstance(body, dict):
        body = [error for part in body["compositeResponse"] for error in part["body"]]
    flat = [error for entry in body for error in (entry["errors"] if "errors" in entry else [entry])]
    return [
        {
            "code": error["errorCode"] if "errorCode" in error else error["statusCode"],
            "message": error["message"],
            "fields": error.get("fields"),
        }
        for error in flat
    ]


@pytest.mark.parametrize(
    "expected", CATALOGUE, ids=[f"{number:02d}-{row.code}" for number, row in enumerate(CATALOGUE)]
)
def test_a_writer_meets_the_error_as_salesforce_words_it(org: OrgClient, expected: Expected) -> None:
    reply = expected.cause(org)
    assert reply.status_code == expected.status, reply.text
    found = next((error for error in errors_of(reply) if error["code"] == expected.code), None)
    assert found is not None, reply.text
    assert re.fullmatch(expected.message, found["message"], re.DOTALL), found["message"]
    assert found["fields"] == expected.fields


def test_no_error_of_the_catalogue_is_missing() -> None:
    caused = {row.code for row in CATALOGUE}
    assert caused | NOT_FOR_A_WRITER.keys() == set(CODES)
    assert not caused & NOT_FOR_A_WRITER.keys()


@pytest.mark.parametrize("status", [420, 500, 502, 503])
def test_what_stands_before_the_org_answers_in_html(org: OrgClient, status: int) -> None:
    org.control("faults", {"fault": "error", "status": status, "code": "EDGE", "html": True})
    reply = org.get("limits")
    assert (reply.status_code, reply.headers["Content-Type"]) == (status, "text/html;charset=UTF-8")
    assert reply.text.startswith("<html>")
    assert "Sforce-Limit-Info" not in reply.headers


def test_several_records_with_one_key_are_listed_with_300(org: OrgClient) -> None:
    leads = [org.lead(Email="a@b.co"), org.lead(Email="A@B.CO")]
    reply = org.patch("sobjects/Lead/Email/a@b.co", {"Title": "x"})
    assert reply.status_code == 300
    assert reply.json() == [f"/services/data/v66.0/sobjects/Lead/{lead}" for lead in leads]


def test_all_problems_of_a_single_record_are_told(org: OrgClient) -> None:
    reply = org.post("sobjects/Lead", {"LastName": "x" * 81, "Email": "foo", "Name": "x"})
    codes = {error["errorCode"] for error in reply.json()}
    assert codes == {
        "STRING_TOO_LONG",
        "INVALID_EMAIL_ADDRESS",
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        "REQUIRED_FIELD_MISSING",
    }


def test_the_place_of_an_unreadable_value_is_told(org: OrgClient) -> None:
    body = '{"LastName": "Ng",\n "Born__c":\n   "tomorrow"}'
    reply = org.post("sobjects/Lead", data=body, headers={"Content-Type": "application/json"})
    assert reply.json()[0]["message"].endswith("at [line:3, column:4]")


def test_a_duplicate_names_the_matches(org: OrgClient) -> None:
    (error,) = with_duplicate_rule(org).json()
    result = error["duplicateResult"]
    (lead,) = org.column("SELECT Id FROM Lead")
    assert result["allowSave"] is True
    assert [match["record"]["Id"] for match in result["matchResults"][0]["matchRecords"]] == [lead]
