"""Single records, and what the client makes of each kind of refusal."""

import datetime as dt
from typing import Any

import pytest
from simple_salesforce.exceptions import (
    SalesforceError,
    SalesforceGeneralError,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from pipeline.emulator.testing import Emulator

LEAD = {"LastName": "Byron", "Company": "Engines"}


@pytest.mark.exercises("SFType.create", "SFType.get", "SFType.update", "SFType.delete", "SFType.parse_result_to_json")
def test_a_record_from_its_creation_to_its_deletion(salesforce: Any) -> None:
    made = salesforce.Lead.create({**LEAD, "Email": "ada@example.com"})
    assert (made["success"], made["errors"], len(made["id"])) == (True, [], 18)
    record = salesforce.Lead.get(made["id"])
    assert (record["LastName"], record["Status"], record["IsConverted"]) == ("Byron", "Open - Not Contacted", False)
    assert salesforce.Lead.update(made["id"], {"Email": None}) == 204
    assert salesforce.Lead.get(made["id"][:15])["Email"] is None
    raw = salesforce.Lead.update(made["id"], {"City": "London"}, raw_response=True)
    assert (raw.status_code, raw.content) == (204, b"")
    assert salesforce.Lead.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound) as deleted:
        salesforce.Lead.get(made["id"])
    assert "ENTITY_IS_DELETED" in str(deleted.value)


@pytest.mark.exercises("SFType.get")
def test_chosen_fields(salesforce: Any) -> None:
    made = salesforce.Lead.create(LEAD)
    record = salesforce.Lead.get(made["id"], params={"fields": "LastName,Company"})
    assert record.keys() - {"attributes"} == {"Id", "LastName", "Company"}


@pytest.mark.exercises("SFType.upsert", "SFType.get_by_custom_id")
def test_an_upsert_creates_and_then_updates(salesforce: Any) -> None:
    created = salesforce.Lead.upsert("Segment_User_Id__c/u-1", LEAD, raw_response=True)
    assert (created.status_code, created.json()["created"]) == (201, True)
    assert salesforce.Lead.upsert("Segment_User_Id__c/u-1", {"City": "London"}) == 200
    record = salesforce.Lead.get_by_custom_id("Segment_User_Id__c", "u-1")
    assert (record["Id"], record["City"]) == (created.json()["id"], "London")
    with pytest.raises(SalesforceResourceNotFound):
        salesforce.Lead.get_by_custom_id("Segment_User_Id__c", "u-2")


@pytest.mark.exercises("SFType.get_by_custom_id")
def test_a_record_by_its_email(salesforce: Any) -> None:
    made = salesforce.Lead.create({**LEAD, "Email": "ada+x@example.com"})
    assert salesforce.Lead.get_by_custom_id("Email", "ADA+x@example.com")["Id"] == made["id"]


@pytest.mark.exercises("SFType.updated", "SFType.deleted")
def test_what_changed_in_a_span_of_time(salesforce: Any) -> None:
    now = dt.datetime.now(dt.UTC)
    start, end = now - dt.timedelta(minutes=5), now + dt.timedelta(minutes=5)
    kept, gone = (salesforce.Lead.create(LEAD)["id"] for _ in range(2))
    salesforce.Lead.delete(gone)
    updated = salesforce.Lead.updated(start, end)
    assert updated["ids"] == [kept]
    assert updated["latestDateCovered"].endswith("+0000")
    deleted = salesforce.Lead.deleted(start, end)
    assert [one["id"] for one in deleted["deletedRecords"]] == [gone]
    assert {"earliestDateAvailable", "latestDateCovered"} <= deleted.keys()
    assert salesforce.Lead.updated(start - dt.timedelta(hours=1), start)["ids"] == []
    with pytest.raises(SalesforceMalformedRequest):
        salesforce.Lead.updated(end, start)
    with pytest.raises(SalesforceMalformedRequest):
        salesforce.Lead.deleted(start - dt.timedelta(days=31), end)


def test_a_parent_named_by_its_external_id(salesforce: Any) -> None:
    account = salesforce.Account.create({"Name": "Engines", "Account_Key__c": "A-1"})
    gadget = salesforce.Gadget__c.create({"Name": "Loom", "Account__r": {"Account_Key__c": "A-1"}})
    assert salesforce.Gadget__c.get(gadget["id"])["Account__c"] == account["id"]
    found = salesforce.query("SELECT Name, (SELECT Name FROM Gadgets__r) FROM Account")["records"][0]
    assert found["Gadgets__r"]["records"][0]["Name"] == "Loom"


# Refusals.


def test_a_malformed_request(salesforce: Any) -> None:
    with pytest.raises(SalesforceMalformedRequest) as refused:
        salesforce.Lead.create({"FirstName": "Ada"})
    assert refused.value.status == 400
    assert refused.value.resource_name == "Lead"
    content: Any = refused.value.content  # the decoded JSON, whatever its annotation says
    (error,) = content
    assert error == {
        "message": "Required fields are missing: [LastName, Company]",
        "errorCode": "REQUIRED_FIELD_MISSING",
        "fields": ["LastName", "Company"],
    }


def test_more_than_one_record(salesforce: Any) -> None:
    ids = {salesforce.Lead.create({**LEAD, "Campaign_Code__c": "spring"})["id"] for _ in range(2)}
    with pytest.raises(SalesforceMoreThanOneRecord) as several:
        salesforce.Lead.get_by_custom_id("Campaign_Code__c", "spring")
    assert {str(url).rpartition("/")[2] for url in several.value.content} == ids
    with pytest.raises(SalesforceMoreThanOneRecord):
        salesforce.Lead.upsert("Campaign_Code__c/spring", {"City": "London"})


def test_a_resource_that_is_not_there(salesforce: Any) -> None:
    for call in (salesforce.Nothing__c.describe, lambda: salesforce.Lead.get("00QEm0000000zzzMAA")):
        with pytest.raises(SalesforceResourceNotFound) as absent:
            call()
        assert "NOT_FOUND" in str(absent.value)


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("quota", SalesforceRefusedRequest, "REQUEST_LIMIT_EXCEEDED"),
        ("concurrent", SalesforceRefusedRequest, "ConcurrentRequests"),
        ("unavailable", SalesforceGeneralError, "SERVER_UNAVAILABLE"),
        ("server_error", SalesforceGeneralError, "UNKNOWN_EXCEPTION"),
        ("row_lock", SalesforceMalformedRequest, "UNABLE_TO_LOCK_ROW"),
    ],
)
def test_faults_arrive_as_the_clients_own_errors(
    salesforce: Any, salesforce_emulator: Emulator, fault: str, error: type[SalesforceError], code: str
) -> None:
    salesforce_emulator.faults({"fault": fault, "next": 1})
    with pytest.raises(error) as refused:
        salesforce.Lead.create(LEAD)
    assert code in str(refused.value)
    assert salesforce.Lead.create(LEAD)["success"]


def test_an_unchanged_describe_is_an_answer_without_a_body(salesforce: Any) -> None:
    raw = salesforce.session.get(f"{salesforce.base_url}sobjects/Lead/describe", headers=salesforce.headers)
    with pytest.raises(SalesforceGeneralError) as unchanged:
        salesforce.Lead.describe(headers={"If-Modified-Since": raw.headers["Last-Modified"]})
    assert unchanged.value.status == 304


def test_a_field_for_files_is_refused_where_there_is_none(salesforce: Any) -> None:
    with pytest.raises(SalesforceMalformedRequest, match="No such column 'Body'"):
        salesforce.Lead.create({**LEAD, "Body": "aGVsbG8="})
