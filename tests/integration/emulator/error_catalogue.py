"""The errors that Salesforce can answer to a writer: each with a request that causes it.

The codes are those of the SOAP API guide (StatusCode, ExceptionCode) and the REST API guide (status codes and error
responses). What an org answers by its own state, such as a validation rule, a flow or a maintenance window, is caused
by a fault rule; everything else by what is sent.
"""

import re
from dataclasses import dataclass

from tests.integration.emulator.error_causes import (
    UNKNOWN_LEAD,
    ambiguous_key,
    answered_by_the_org,
    converted_lead,
    delete_of_a_parent,
    deleted_lead,
    faulty,
    halted,
    locked_out,
    member_twice,
    member_without_person,
    new,
    new_lead,
    owned_by_inactive_user,
    query,
    refused_by_the_org,
    request,
    rolled_back,
    too_large,
    twice_with_one_key,
    update_in_a_list,
    update_one_id_thirteen_times,
    upload_to_a_finished_job,
    with_bearer,
    with_duplicate_rule,
    with_expired_password,
    without_calls,
)
from tests.integration.emulator.org_client import LEAD, Cause

NO_FIELDS = None


@dataclass(frozen=True)
class Expected:
    """One row of the catalogue; ``fields`` is None for errors that are not about a record's content."""

    code: str
    cause: Cause
    status: int
    message: str
    fields: list[str] | None = NO_FIELDS


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
    *(
        Expected(code, answered_by_the_org(status, code, message), status, re.escape(message))
        for status, code, message in (
            (500, "UNKNOWN_EXCEPTION", INCIDENT),
            (400, "QUERY_TIMEOUT", "Your query request was running for too long."),
            (400, "REQUEST_RUNNING_TOO_LONG", "Your request was running for too long, and has been stopped."),
            (400, "QUERY_TOO_COMPLICATED", "Query is either selecting too many fields or filter is too complicated."),
            (400, "OPERATION_TOO_LARGE", "exceeded 100000 distinct ids"),
            (403, "API_CURRENTLY_DISABLED", "API is currently disabled"),
            (403, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization."),
            (403, "INSUFFICIENT_ACCESS", "insufficient access rights"),
            (403, "TXN_SECURITY_NO_ACCESS", "The operation you requested was blocked by a security policy."),
            (403, "TXN_SECURITY_METERING_ERROR", "Transaction security: metering"),
            (403, "TXN_SECURITY_APEX_ERROR", "Transaction security: Apex"),
            (403, "TXN_SECURITY_RUNTIME_ERROR", "Transaction security: runtime"),
            (503, "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", "Functionality temporarily unavailable"),
        )
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
    Expected("DELETE_FAILED", delete_of_a_parent, 400, "Your attempt to delete Ng could not.*", []),
]
