"""An emulated org refuses in Salesforce's words: the catalogue of errors, and what belongs to single ones."""

import re
from typing import Any

import pytest
import requests

from tests.integration.emulator.error_catalogue import CATALOGUE, Expected
from tests.integration.emulator.error_causes import with_duplicate_rule
from tests.integration.emulator.org_client import OrgClient, xml_text

# Every code that a client of REST, SOAP login and Bulk API 2.0 has to expect.
CODES = frozenset(
    """
    INVALID_SESSION_ID INVALID_AUTH_HEADER REQUEST_LIMIT_EXCEEDED SERVER_UNAVAILABLE UNKNOWN_EXCEPTION
    UNABLE_TO_LOCK_ROW QUERY_TIMEOUT REQUEST_RUNNING_TOO_LONG API_CURRENTLY_DISABLED
    FUNCTIONALITY_TEMPORARILY_UNAVAILABLE API_DISABLED_FOR_ORG DUPLICATES_DETECTED DUPLICATE_VALUE DUPLICATE_EXTERNAL_ID
    REQUIRED_FIELD_MISSING STRING_TOO_LONG INVALID_FIELD INVALID_FIELD_FOR_INSERT_UPDATE INVALID_TYPE
    INVALID_TYPE_ON_FIELD_IN_RECORD INVALID_EMAIL_ADDRESS INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST
    NUMBER_OUTSIDE_VALID_RANGE JSON_PARSER_ERROR MALFORMED_QUERY INVALID_QUERY_FILTER_OPERATOR INVALID_QUERY_LOCATOR
    QUERY_TOO_COMPLICATED OPERATION_TOO_LARGE MALFORMED_ID NOT_FOUND ENTITY_IS_DELETED INVALID_CROSS_REFERENCE_KEY
    INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY INSUFFICIENT_ACCESS_OR_READONLY INSUFFICIENT_ACCESS
    CANNOT_UPDATE_CONVERTED_LEAD FIELD_CUSTOM_VALIDATION_EXCEPTION CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY
    CANNOT_EXECUTE_FLOW_TRIGGER FIELD_INTEGRITY_EXCEPTION INACTIVE_OWNER_OR_USER TRANSFER_REQUIRES_READ
    STORAGE_LIMIT_EXCEEDED ENTITY_IS_LOCKED DELETE_FAILED MISSING_ARGUMENT EXCEEDED_ID_LIMIT LIMIT_EXCEEDED
    EXCEEDED_MAX_SIZE_REQUEST METHOD_NOT_ALLOWED UNSUPPORTED_MEDIA_TYPE TXN_SECURITY_NO_ACCESS
    TXN_SECURITY_METERING_ERROR TXN_SECURITY_APEX_ERROR TXN_SECURITY_RUNTIME_ERROR PASSWORD_LOCKOUT INVALID_LOGIN
    LOGIN_MUST_USE_SECURITY_TOKEN GONE UNSUPPORTED_API_VERSION ALL_OR_NONE_OPERATION_ROLLED_BACK PROCESSING_HALTED
    INVALID_OPERATION_WITH_EXPIRED_PASSWORD INVALIDJOBSTATE InvalidVersion
    """.split()  # noqa: SIM905 - as words they can be read
)
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
    flat = [error for entry in body for error in entry.get("errors", [entry])]
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
    assert caused | NOT_FOR_A_WRITER.keys() == CODES
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
