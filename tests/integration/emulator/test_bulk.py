"""Bulk API 2.0: ingest and query jobs."""

import csv
import io
import json
from typing import Any

import pytest
import requests

from pipeline.local.service import wait_until
from tests.integration.emulator.org_client import LEAD, OrgClient

CSV = {"Content-Type": "text/csv"}
FINISHED = {"JobComplete", "Failed", "Aborted"}


def new_job(org: OrgClient, operation: str, name: str = "Lead", **terms: Any) -> dict[str, Any]:
    reply = org.post("jobs/ingest", {"object": name, "operation": operation, **terms})
    assert reply.status_code == 200, reply.text
    job: dict[str, Any] = reply.json()
    return job


def upload(org: OrgClient, job: dict[str, Any], text: str) -> None:
    reply = org.call("PUT", f"/{job['contentUrl']}", data=text.encode(), headers=CSV)
    assert (reply.status_code, reply.content) == (201, b"")


def ended(org: OrgClient, job_id: str) -> dict[str, Any]:
    """Wait for the end of a job, and return its description."""
    shown: dict[str, Any] = {}

    def over() -> bool:
        shown.update(org.get(f"jobs/ingest/{job_id}").json())
        return shown["state"] in FINISHED

    wait_until(over, what="the end of a bulk job", within_s=10)
    return shown


def run(org: OrgClient, operation: str, text: str, name: str = "Lead", **terms: Any) -> dict[str, Any]:
    job = new_job(org, operation, name, **terms)
    upload(org, job, text)
    assert org.patch(f"jobs/ingest/{job['id']}", {"state": "UploadComplete"}).json()["state"] == "UploadComplete"
    return ended(org, job["id"])


def results(org: OrgClient, job: dict[str, Any], which: str) -> str:
    reply = org.get(f"jobs/ingest/{job['id']}/{which}/")
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/csv;charset=UTF-8")
    return reply.content.decode()


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_job_goes_through_its_states(org: OrgClient) -> None:
    job = new_job(org, "insert", lineEnding="LF")
    assert job["state"] == "Open"
    assert job["contentUrl"] == f"services/data/v66.0/jobs/ingest/{job['id']}/batches"
    assert (job["id"][:3], job["apiVersion"], job["concurrencyMode"], job["contentType"]) == (
        "750",
        66.0,
        "Parallel",
        "CSV",
    )
    upload(org, job, "LastName,Company\nNg,Ng Ltd\nLi,\n")
    closed = org.patch(f"jobs/ingest/{job['id']}", {"state": "UploadComplete"})
    assert (closed.status_code, "contentUrl" in closed.json()) == (200, False)
    done = ended(org, job["id"][:15])
    assert (done["state"], done["jobType"]) == ("JobComplete", "V2Ingest")
    assert (done["numberRecordsProcessed"], done["numberRecordsFailed"], done["retries"]) == (2, 1, 0)
    assert org.column("SELECT LastName FROM Lead") == ["Ng"]
    assert [one["id"] for one in org.get("jobs/ingest", params={"jobType": "V2Ingest"}).json()["records"]] == [
        job["id"]
    ]
    assert org.delete(f"jobs/ingest/{job['id']}").status_code == 204
    assert org.get(f"jobs/ingest/{job['id']}").json()[0]["errorCode"] == "NOT_FOUND"


def test_result_files_have_the_columns_of_salesforce_and_those_that_were_sent(org: OrgClient) -> None:
    job = run(org, "insert", "LastName,Company\nNg,Ng Ltd\nLi,\n")
    (lead,) = org.column("SELECT Id FROM Lead")
    assert results(org, job, "successfulResults") == (
        f'"sf__Id","sf__Created",LastName,Company\n"{lead}","true","Ng","Ng Ltd"\n'
    )
    assert results(org, job, "failedResults") == (
        '"sf__Id","sf__Error",LastName,Company\n'
        '"","REQUIRED_FIELD_MISSING:Required fields are missing: [Company]:Company --","Li",""\n'
    )
    assert results(org, job, "unprocessedrecords") == "LastName,Company\n"
    assert org.get(f"jobs/ingest/{job['id']}/otherResults").status_code == 404


def test_empty_result_files_still_have_their_header(org: OrgClient) -> None:
    job = run(org, "insert", "LastName,Company\n")
    assert (job["state"], job["numberRecordsProcessed"]) == ("JobComplete", 0)
    assert results(org, job, "failedResults") == '"sf__Id","sf__Error",LastName,Company\n'


def test_every_operation_does_what_it_says(org: OrgClient) -> None:
    one, two = org.lead(Ext__c="one"), org.lead(Ext__c="two")
    updated = run(org, "update", f"Id,Title\n{one},Cook\n00QEm0000000zzzMAA,x\nbad,x\n,x\n")
    assert [row["sf__Error"] for row in table(results(org, updated, "failedResults"))] == [
        "INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--",
        "MALFORMED_ID:malformed id bad:Id --",
        "MISSING_ARGUMENT:Id not specified in an update call:--",
    ]
    assert [row["sf__Id"] for row in table(results(org, updated, "failedResults"))] == ["00QEm0000000zzzMAA", "", ""]
    upserted = run(org, "upsert", "Ext__c,LastName,Company\nTWO,Li,x\nthree,Wu,x\n", externalIdFieldName="Ext__c")
    assert upserted["externalIdFieldName"] == "Ext__c"
    created = {row["Ext__c"]: row["sf__Created"] for row in table(results(org, upserted, "successfulResults"))}
    assert created == {"TWO": "false", "three": "true"}
    assert org.column("SELECT LastName FROM Lead ORDER BY Ext__c") == ["Ng", "Wu", "Li"]
    run(org, "delete", f"Id\n{one}\n{one}\n")
    assert org.get(f"sobjects/Lead/{one}").json()[0]["errorCode"] == "ENTITY_IS_DELETED"
    assert len(org.soql("SELECT Id FROM Lead", resource="queryAll").json()["records"]) == 3
    run(org, "hardDelete", f"Id\n{one}\n{two}\n")
    assert len(org.soql("SELECT Id FROM Lead", resource="queryAll").json()["records"]) == 1


def test_one_request_may_bring_job_and_data(org: OrgClient) -> None:
    parts = {
        "job": (None, json.dumps({"object": "Lead", "operation": "insert"}), "application/json"),
        "content": ("content", 'LastName,Company,Description\nÑg,"Ng, Ltd","a\nb"\n'.encode(), "text/csv"),
    }
    before = org.calls()["total"]
    reply = org.call("POST", "jobs/ingest", files=parts)
    assert (reply.status_code, reply.json()["state"]) == (200, "UploadComplete")
    assert "contentUrl" not in reply.json()
    assert org.calls()["total"] == before + 1
    assert ended(org, reply.json()["id"])["numberRecordsFailed"] == 0
    assert org.records("SELECT LastName, Company, Description FROM Lead") == [
        {"LastName": "Ñg", "Company": "Ng, Ltd", "Description": "a\nb"}
    ]


@pytest.mark.parametrize(
    "parts",
    [
        {"job": (None, "{}", "application/json")},
        {"job": (None, "no json", "application/json"), "content": ("c", "LastName\n", "text/csv")},
        {
            "job": (None, '{"object":"Lead","operation":"insert"}', "application/json"),
            "content": ("c", "LastName\n" + "x" * 100_000, "text/csv"),
        },
    ],
)
def test_a_multipart_request_that_breaks_a_rule_is_refused(org: OrgClient, parts: dict[str, Any]) -> None:
    assert org.call("POST", "jobs/ingest", files=parts).status_code == 400
    assert org.get("jobs/ingest").json()["records"] == []


def test_cells_are_quoted_as_csv_quotes_them(org: OrgClient) -> None:
    texts = ['say "hi"', "a,b", "two\nlines", " kept? ", "茶"]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        [["LastName", "Company", "Title"], *(["Ng", "x", text] for text in texts)]
    )
    job = run(org, "insert", out.getvalue())
    assert org.column("SELECT Title FROM Lead") == ['say "hi"', "a,b", "two\nlines", "kept?", "茶"]
    assert [row["Title"] for row in table(results(org, job, "successfulResults"))] == texts


def test_an_empty_cell_is_left_alone_and_na_means_null(org: OrgClient) -> None:
    lead = org.lead(Title="Cook", City="Basel")
    run(org, "update", f"Id,Title,City\n{lead},,#N/A\n")
    assert org.records("SELECT Title, City FROM Lead") == [{"Title": "Cook", "City": None}]


def test_cells_of_each_type_are_read(org: OrgClient) -> None:
    text = (
        "LastName,Company,IsUnreadByOwner,Score__c,Price__c,Born__c,Seen__c\n"
        "a,x,Yes,5,1.5,2026-01-02,2026-01-02T03:04:05Z\n"
        "b,x,0,5x,1.5,2026-01-02,2026-01-02\n"
        "c,x,maybe,5,1.5,someday,2026-01-02\n"
    )
    job = run(org, "insert", text)
    assert org.column("SELECT IsUnreadByOwner FROM Lead") == [True]
    one, two = (row["sf__Error"].split(";") for row in table(results(org, job, "failedResults")))
    assert one == ["INVALID_TYPE_ON_FIELD_IN_RECORD:Score: value not of required type: 5x:Score__c --"]
    assert two == [
        "INVALID_TYPE_ON_FIELD_IN_RECORD:Unread By Owner: value not of required type: maybe:IsUnreadByOwner --",
        "INVALID_TYPE_ON_FIELD_IN_RECORD:Born: value not of required type: someday:Born__c --",
    ]


def test_parents_are_found_by_columns_of_their_keys(org: OrgClient) -> None:
    account = org.create("Account", Name="Ng Ltd", Key__c="A1")
    lead = org.lead(Email="a@b.co")
    run(org, "insert", "LastName,Account.Key__c\nNg,a1\n", "Contact")
    assert org.column("SELECT AccountId FROM Contact") == [account]
    run(org, "insert", "Subject,Lead:Who.Email\nCall,A@b.co\n", "Task")
    assert org.column("SELECT WhoId FROM Task") == [lead]
    missed = run(org, "insert", "LastName,Account.Key__c\nNg,none\n", "Contact")
    assert "Foreign key external ID: none not found" in results(org, missed, "failedResults")


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ({"columnDelimiter": "TAB"}, "LastName\tCompany\nNg\ta,b\n"),
        ({"columnDelimiter": "SEMICOLON", "lineEnding": "CRLF"}, "LastName;Company\r\nNg;a,b\r\n"),
        ({"columnDelimiter": "PIPE"}, "LastName|Company\nNg|a,b"),
        ({"columnDelimiter": "CARET"}, "LastName^Company\nNg^a,b\n"),
        ({"columnDelimiter": "BACKQUOTE"}, "LastName`Company\nNg`a,b\n"),
    ],
)
def test_delimiters_and_line_endings_are_those_of_the_job(org: OrgClient, terms: dict[str, str], text: str) -> None:
    job = run(org, "insert", text, **terms)
    assert org.column("SELECT Company FROM Lead") == ["a,b"]
    ending = "\r\n" if terms.get("lineEnding") == "CRLF" else "\n"
    assert results(org, job, "successfulResults").count(ending) == 2


@pytest.mark.parametrize(
    ("terms", "text", "message"),
    [
        (
            {},
            "LastName,Company\r\nNg,x\r\n",
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF",
        ),
        (
            {"lineEnding": "CRLF"},
            "LastName,Company\nNg,x\n",
            "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is CRLF",
        ),
        ({}, 'LastName,Company\nNg,"a\rb"\n', "ClientInputError : LineEnding is invalid on user data."),
        ({}, "LastName,Nope,Nor__c\nNg,x,x\n", "InvalidBatch : Field name not found : Nope"),
        ({}, "\ufeffLastName,Company\nNg,x\n", "InvalidBatch : Field name not found : \ufeffLastName"),
        ({}, "LastName,Company\nNg\n", "InvalidBatch : "),
        ({}, 'LastName,Company\nNg,"x\n', "InvalidBatch : "),
        ({}, "LastName,Company\nNg," + "x" * 131_073 + "\n", "InvalidBatch : "),
        ({}, "", "InvalidBatch : "),
    ],
)
def test_data_of_the_wrong_form_fails_the_whole_job(
    org: OrgClient, terms: dict[str, str], text: str, message: str
) -> None:
    job = run(org, "insert", text, **terms)
    assert job["state"] == "Failed"
    assert job["errorMessage"].startswith(message)
    assert org.records("SELECT Id FROM Lead") == []


def test_an_unknown_column_leaves_every_row_unprocessed(org: OrgClient) -> None:
    job = run(org, "insert", "LastName,Nope\nNg,x\nLi,y\n")
    assert results(org, job, "unprocessedrecords") == 'LastName,Nope\n"Ng","x"\n"Li","y"\n'


def test_an_aborted_job_writes_nothing_and_its_rows_are_unprocessed(org: OrgClient) -> None:
    org.control("limits", {"bulk_delay_s": 0.05})
    job = new_job(org, "insert")
    upload(org, job, "LastName,Company\nNg,x\n")
    org.patch(f"jobs/ingest/{job['id']}", {"state": "UploadComplete"})
    assert org.patch(f"jobs/ingest/{job['id']}", {"state": "Aborted"}).json()["state"] == "Aborted"
    wait_until(
        lambda: results(org, job, "unprocessedrecords") == 'LastName,Company\n"Ng","x"\n',
        what="the rows of an aborted job",
        within_s=10,
    )
    assert org.records("SELECT Id FROM Lead") == []
    opened = new_job(org, "insert")
    upload(org, opened, "LastName,Company\nLi,x\n")
    org.patch(f"jobs/ingest/{opened['id']}", {"state": "Aborted"})
    assert results(org, opened, "unprocessedrecords") == 'LastName,Company\n"Li","x"\n'


def test_a_job_works_in_chunks_of_200_that_commit_on_their_own(org: OrgClient) -> None:
    org.control("faults", {"fault": "poison", "match": {"LastName": "p250"}})
    rows = "".join(f"p{number},x\n" for number in range(500))
    job = run(org, "insert", "LastName,Company\n" + rows)
    assert (job["state"], job["numberRecordsProcessed"], job["numberRecordsFailed"]) == ("JobComplete", 500, 200)
    failed = [row["LastName"] for row in table(results(org, job, "failedResults"))]
    assert failed == [f"p{number}" for number in range(200, 400)]


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"object": "Nope", "operation": "insert"}, "INVALIDENTITY"),
        ({"object": "Lead", "operation": "merge"}, "INVALIDJOB"),
        ({"object": "Lead", "operation": "upsert"}, "INVALIDJOB"),
        ({"object": "Lead", "operation": "upsert", "externalIdFieldName": "Title"}, "INVALIDJOB"),
        ({"object": "Lead", "operation": "insert", "lineEnding": "CR"}, "INVALIDJOB"),
        ({"object": "Lead", "operation": "insert", "contentType": "JSON"}, "INVALIDCONTENTTYPE"),
        (["x"], "JSON_PARSER_ERROR"),
    ],
)
def test_a_job_that_asks_for_nonsense_is_refused(org: OrgClient, terms: Any, code: str) -> None:
    reply = org.post("jobs/ingest", terms)
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, code)


def test_what_a_state_does_not_allow_is_refused(org: OrgClient) -> None:
    def code(reply: requests.Response) -> str:
        assert reply.status_code == 400, reply.text
        return str(reply.json()[0]["errorCode"])

    job = new_job(org, "insert")
    path = f"jobs/ingest/{job['id']}"
    wrong = "INVALIDJOBSTATE"
    assert code(org.delete(path)) == wrong
    assert code(org.get(f"{path}/successfulResults")) == wrong
    assert code(org.patch(path, {"state": "JobComplete"})) == wrong
    assert org.call("PUT", f"{path}/batches", data="x", headers={"Content-Type": "text/plain"}).status_code == 415
    upload(org, job, "LastName,Company\n")
    assert code(org.call("PUT", f"{path}/batches", data="LastName\n", headers=CSV)) == wrong
    org.patch(path, {"state": "UploadComplete"})
    ended(org, job["id"])
    assert code(org.patch(path, {"state": "Aborted"})) == wrong


# Queries.


def query(org: OrgClient, text: str, operation: str = "query") -> str:
    reply = org.post("jobs/query", {"operation": operation, "query": text})
    assert reply.status_code == 200, reply.text
    job_id = str(reply.json()["id"])
    path = f"jobs/query/{job_id}"
    wait_until(lambda: org.get(path).json()["state"] == "JobComplete", what="a query job", within_s=10)
    return job_id


def test_a_query_job_answers_in_pages(org: OrgClient) -> None:
    org.upload([{**LEAD, "LastName": f"p{number}"} for number in range(5)])
    job = query(org, "SELECT LastName, Owner.Username, IsConverted FROM Lead ORDER BY LastName")
    assert org.get(f"jobs/query/{job}").json()["numberRecordsProcessed"] == 5
    rows, locator, pages = [], "", 0
    while locator != "null":
        params = {"maxRecords": "2", **({"locator": locator} if locator else {})}
        reply = org.get(f"jobs/query/{job}/results", params=params)
        locator, pages = reply.headers["Sforce-Locator"], pages + 1
        assert int(reply.headers["Sforce-NumberOfRecords"]) == len(table(reply.text))
        rows += table(reply.text)
    assert pages == 3
    assert rows == [
        {"LastName": f"p{number}", "Owner.Username": "admin@example.com", "IsConverted": "false"} for number in range(5)
    ]
    assert org.get(f"jobs/query/{job}/results", params={"locator": "bm9uZQ=="}).status_code == 400


def test_a_query_job_may_see_the_recycle_bin(org: OrgClient) -> None:
    org.delete(f"sobjects/Lead/{org.lead()}")
    assert len(table(org.get(f"jobs/query/{query(org, 'SELECT Id FROM Lead', 'queryAll')}/results").text)) == 1
    assert table(org.get(f"jobs/query/{query(org, 'SELECT Id FROM Lead')}/results").text) == []


def test_a_page_of_many_thousand_records_is_one_reply(org: OrgClient) -> None:
    rows = "x\n" * 34_000
    run(org, "insert", f"Name\n{rows}", "Campaign")
    reply = org.get(f"jobs/query/{query(org, 'SELECT Id FROM Campaign')}/results")
    assert (reply.headers["Sforce-NumberOfRecords"], reply.headers["Sforce-Locator"]) == ("34000", "null")


@pytest.mark.parametrize(
    ("text", "code"),
    [("SELECT COUNT(Id) FROM Lead", "API_ERROR"), ("SELECT Nope FROM Lead", "INVALID_FIELD"), ("", "MALFORMED_QUERY")],
)
def test_a_query_that_cannot_be_a_job_is_refused(org: OrgClient, text: str, code: str) -> None:
    assert org.post("jobs/query", {"operation": "query", "query": text}).json()[0]["errorCode"] == code


@pytest.mark.parametrize("text", ["SELECT Id, Address FROM Lead", "SELECT Account.BillingAddress FROM Contact"])
def test_a_query_job_of_an_address_is_refused_when_it_is_created(org: OrgClient, text: str) -> None:
    reply = org.post("jobs/query", {"operation": "query", "query": text})
    message = "Selecting compound data not supported in Bulk Query"
    assert (reply.status_code, reply.json()) == (400, [{"message": message, "errorCode": "FUNCTIONALITY_NOT_ENABLED"}])
