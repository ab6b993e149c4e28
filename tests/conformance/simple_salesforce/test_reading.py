"""Describes, queries, searches and whatever else a client reads of the org."""

import datetime as dt
from typing import Any

import pytest
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceResourceNotFound
from simple_salesforce.format import format_external_id, format_soql

from pipeline.emulator.testing import Emulator

MASTER = "012000000000000AAA"


def create_leads(client: Any, count: int) -> list[str]:
    ids: list[str] = []
    for start in range(0, count, 200):
        records = [
            {"attributes": {"type": "Lead"}, "LastName": f"Lead {number:05}", "Company": "Engines"}
            for number in range(start, min(start + 200, count))
        ]
        made = client.restful("composite/sobjects", method="POST", json={"allOrNone": True, "records": records})
        ids += [one["id"] for one in made]
    return ids


# Describes.


@pytest.mark.exercises("Salesforce.describe", "SFType.describe", "SFType.metadata", "Salesforce.parse_result_to_json")
def test_describes_agree_with_each_other(salesforce: Any) -> None:
    everything = salesforce.describe()
    assert everything["maxBatchSize"] == 200
    entry = next(one for one in everything["sobjects"] if one["name"] == "Gadget__c")
    full = salesforce.Gadget__c.describe()
    assert entry["custom"] is full["custom"] is True
    assert {key: full[key] for key in entry if key != "urls"} == {key: entry[key] for key in entry if key != "urls"}
    serial = next(field for field in full["fields"] if field["name"] == "Serial__c")
    assert (serial["externalId"], serial["unique"], serial["length"]) == (True, True, 40)
    brief = salesforce.Gadget__c.metadata()
    assert brief["objectDescribe"] == entry
    assert brief["recentItems"] == []


@pytest.mark.exercises("SFType.metadata")
def test_the_recent_items_of_an_object_are_named(salesforce: Any) -> None:
    made = salesforce.Account.create({"Name": "Engines"})
    salesforce.Account.delete(salesforce.Account.create({"Name": "Gone"})["id"])
    (item,) = salesforce.Account.metadata()["recentItems"]
    assert (item["Id"], item["Name"], item["attributes"]["type"]) == (made["id"], "Engines", "Account")


@pytest.mark.exercises("SFType.describe_layout")
def test_the_layout_of_the_master_record_type(salesforce: Any) -> None:
    layout = salesforce.Lead.describe_layout(MASTER)
    fields = [
        component["value"]
        for section in layout["editLayoutSections"]
        for row in section["layoutRows"]
        for item in row["layoutItems"]
        for component in item["layoutComponents"]
    ]
    assert "LastName" in fields
    assert "Id" not in fields
    layouts = salesforce.restful("sobjects/Lead/describe/layouts")
    assert layouts["layouts"] == [layout]
    assert layouts["recordTypeMappings"][0]["recordTypeId"] == MASTER
    with pytest.raises(SalesforceResourceNotFound):
        salesforce.Lead.describe_layout("012000000000001AAA")


@pytest.mark.exercises("SFType.metadata", "SFType.describe", "SFType.updated", "SFType.deleted")
def test_every_object_answers_whatever_its_describe_offers(salesforce: Any) -> None:
    now = dt.datetime.now(dt.UTC)
    span = now - dt.timedelta(hours=1), now + dt.timedelta(hours=1)
    for entry in salesforce.describe()["sobjects"]:
        one = getattr(salesforce, entry["name"])
        assert one.metadata()["objectDescribe"] == entry
        assert one.describe()["keyPrefix"] == entry["keyPrefix"]
        assert set(one.updated(*span)["ids"]) == {
            record["Id"] for record in salesforce.query_all(f"SELECT Id FROM {entry['name']}")["records"]
        }
        assert one.deleted(*span)["deletedRecords"] == []
        for what in ("layouts", "compactLayouts", "approvalLayouts", "listviews", "quickActions"):
            salesforce.restful(entry["urls"][what].removeprefix("/services/data/v59.0/"))


@pytest.mark.exercises("Salesforce.is_sandbox")
def test_the_org_is_no_sandbox(salesforce: Any) -> None:
    assert salesforce.is_sandbox() is False


# Queries.


@pytest.mark.exercises("Salesforce.query", "Salesforce.query_more")
def test_pages_are_followed_by_url_and_by_locator(salesforce: Any) -> None:
    create_leads(salesforce, 450)
    soql = "SELECT Id, LastName FROM Lead ORDER BY LastName"
    first = salesforce.query(soql, headers={"Sforce-Query-Options": "batchSize=200"})
    assert (first["totalSize"], first["done"], len(first["records"])) == (450, False, 200)
    by_url = salesforce.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    by_locator = salesforce.query_more(first["nextRecordsUrl"].rpartition("/")[2])
    assert by_url["records"] == by_locator["records"]
    last = salesforce.query_more(by_url["nextRecordsUrl"], identifier_is_url=True)
    assert (last["done"], "nextRecordsUrl" in last) == (True, False)
    names = [record["LastName"] for page in (first, by_url, last) for record in page["records"]]
    assert names == [f"Lead {number:05}" for number in range(450)]


@pytest.mark.exercises("Salesforce.query_all", "Salesforce.query_all_iter")
def test_all_pages_at_once_and_one_by_one(salesforce: Any) -> None:
    create_leads(salesforce, 2_100)
    soql = "SELECT LastName FROM Lead ORDER BY LastName"
    everything = salesforce.query_all(soql)
    assert (everything["totalSize"], everything["done"], len(everything["records"])) == (2_100, True, 2_100)
    assert list(salesforce.query_all_iter(soql)) == everything["records"]


@pytest.mark.exercises("Salesforce.query", "Salesforce.query_more", "Salesforce.query_all")
def test_deleted_records_are_found_when_they_are_asked_for(salesforce: Any) -> None:
    ids = create_leads(salesforce, 250)
    salesforce.Lead.delete(ids[0])
    soql = "SELECT Id, IsDeleted FROM Lead"
    assert salesforce.query(soql)["totalSize"] == 249
    first = salesforce.query(soql, include_deleted=True, headers={"Sforce-Query-Options": "batchSize=200"})
    assert first["totalSize"] == 250
    locator = first["nextRecordsUrl"].rpartition("/")[2]
    assert len(salesforce.query_more(locator, include_deleted=True)["records"]) == 50
    found = salesforce.query_all(soql, include_deleted=True)["records"]
    assert [record["Id"] for record in found if record["IsDeleted"]] == [ids[0]]


def test_quoted_values_are_read_back_as_they_were_written(salesforce: Any) -> None:
    company = 'O\'Neill \\ "Sons" 100%_\n\tLtd'
    salesforce.Lead.create({"LastName": "Quote", "Company": company, "NumberOfEmployees": 3})
    soql = "SELECT Company FROM Lead WHERE Company = {} AND NumberOfEmployees IN {} AND IsConverted = {}"
    (found,) = salesforce.query(format_soql(soql, company, [2, 3], False))["records"]
    assert found["Company"] == company
    like = format_soql("SELECT Id FROM Lead WHERE Company LIKE '%{:like}%'", "100%_")
    assert salesforce.query(like)["totalSize"] == 1
    assert (
        salesforce.query(format_soql("SELECT Id FROM Lead WHERE Company LIKE '%{:like}%'", "100_%"))["totalSize"] == 0
    )
    now = dt.datetime.now(dt.UTC)
    since = format_soql("SELECT Id FROM Lead WHERE CreatedDate > {}", now - dt.timedelta(hours=1))
    assert salesforce.query(since)["totalSize"] == 1
    until = format_soql("SELECT Id FROM Lead WHERE CreatedDate > {}", now + dt.timedelta(hours=1))
    assert salesforce.query(until)["totalSize"] == 0
    assert salesforce.query(format_soql("SELECT Id FROM Lead WHERE Email = {}", None))["totalSize"] == 1


def test_external_ids_are_quoted_for_a_path(salesforce: Any) -> None:
    key = "a/b?c d&e+f@g"
    path = format_external_id("Segment_User_Id__c", key)
    assert salesforce.Lead.upsert(path, {"LastName": "Byron", "Company": "Engines"}) == 201
    assert salesforce.Lead.get(path)["Segment_User_Id__c"] == key


@pytest.mark.exercises("Salesforce.query")
def test_a_malformed_query(salesforce: Any) -> None:
    with pytest.raises(SalesforceMalformedRequest) as refused:
        salesforce.query("SELECT Nothing__c FROM Lead")
    content: Any = refused.value.content  # the decoded JSON, whatever its annotation says
    (error,) = content
    assert error["errorCode"] == "INVALID_FIELD"
    assert "No such column 'Nothing__c' on entity 'Lead'" in error["message"]


# Searches.


@pytest.mark.exercises("Salesforce.search", "Salesforce.quick_search")
def test_searches(salesforce: Any) -> None:
    made = salesforce.Lead.create({"LastName": "Waldo", "Company": "Engines", "Email": "waldo@example.com"})
    (found,) = salesforce.search("FIND {waldo@example.com} IN EMAIL FIELDS RETURNING Lead(Id, Email), Contact(Id)")[
        "searchRecords"
    ]
    assert (found["Id"], found["Email"], found["attributes"]["type"]) == (made["id"], "waldo@example.com", "Lead")
    (quick,) = salesforce.quick_search("Waldo")["searchRecords"]
    assert quick["Id"] == made["id"]
    assert salesforce.quick_search("Nobody")["searchRecords"] == []


# The rest.


@pytest.mark.exercises("Salesforce.limits", "Salesforce.parse_api_usage")
def test_usage_is_told_by_header_and_by_resource(salesforce: Any, salesforce_emulator: Emulator) -> None:
    salesforce_emulator.limits(daily_limit=15_000)
    try:
        limits = salesforce.limits()
        assert limits["DailyApiRequests"] == {"Max": 15_000, "Remaining": 14_999}
        salesforce.query("SELECT Id FROM Lead")
        assert salesforce.api_usage["api-usage"] == (2, 15_000)
    finally:
        salesforce_emulator.limits(daily_limit=100_000)


@pytest.mark.exercises("Salesforce.restful")
def test_any_resource_by_its_path(salesforce: Any) -> None:
    lead = {"LastName": "Byron", "Company": "Engines"}
    made = salesforce.restful("sobjects/Lead", method="POST", json=lead)
    assert salesforce.restful(f"sobjects/Lead/{made['id']}", params={"fields": "LastName"})["LastName"] == "Byron"
    assert salesforce.restful(f"sobjects/Lead/{made['id']}", method="DELETE") is None
    counts = salesforce.restful("limits/recordCount", params={"sObjects": "Lead"})
    assert counts == {"sObjects": [{"count": 0, "name": "Lead"}]}
    assert salesforce.restful("recent") is None


@pytest.mark.exercises("Salesforce.toolingexecute")
def test_the_tooling_api_has_queries_and_refuses_the_rest(salesforce: Any) -> None:
    names = [one["name"] for one in salesforce.toolingexecute("sobjects")["sobjects"]]
    assert "ApexClass" in names
    with pytest.raises(SalesforceMalformedRequest) as refused:
        salesforce.toolingexecute("executeAnonymous")
    assert "not part of this emulator" in str(refused.value)


@pytest.mark.exercises("Salesforce.apexecute")
def test_apex_rest_is_absent(salesforce: Any) -> None:
    with pytest.raises(SalesforceResourceNotFound) as absent:
        salesforce.apexecute("Widgets", method="POST", data={"a": 1})
    assert "The requested resource does not exist" in str(absent.value)
