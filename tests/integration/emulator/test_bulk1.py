"""Bulk API 1.0: jobs of batches in CSV, JSON and XML."""

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests

from pipeline.local.service import wait_until
from tests.integration.emulator.org_client import LEAD, OrgClient

NAMESPACE = "http://www.force.com/2009/06/asyncapi/dataload"
TYPES = {"CSV": "text/csv", "JSON": "application/json", "XML": "application/xml"}
LEADS = {
    "CSV": 'LastName,Company,IsUnreadByOwner\nByron,"Engines, Ltd",true\nKing,,\n',
    "JSON": json.dumps(
        [{"LastName": "Byron", "Company": "Engines, Ltd", "IsUnreadByOwner": True}, {"LastName": "King"}]
    ),
    "XML": f'<sObjects xmlns="{NAMESPACE}"><sObject><LastName>Byron</LastName><Company>Engines, Ltd</Company>'
    "<IsUnreadByOwner>true</IsUnreadByOwner></sObject><sObject><type>Lead</type><LastName>King</LastName></sObject></sObjects>",
}


class Bulk:
    """A client of Bulk API 1.0."""

    def __init__(self, org: OrgClient, version: str = "58.0") -> None:
        self.org, self.version = org, version
        self.token = org.headers["Authorization"].removeprefix("Bearer ")

    def call(
        self, method: str, path: str, body: str | bytes = b"", kind: str = "", **headers: str
    ) -> requests.Response:
        sent = {"X-SFDC-Session": self.token, **({"Content-Type": kind} if kind else {}), **headers}
        data = body.encode() if isinstance(body, str) else body
        url = f"{self.org.url}/services/async/{self.version}/{path}"
        return self.org.http.request(method, url, data=data, headers=sent, timeout=10)

    def job(self, operation: str, content: str = "CSV", name: str = "Lead", **terms: str) -> str:
        body = {"operation": operation, "object": name, "contentType": content, **terms}
        reply = self.call("POST", "job", json.dumps(body), "application/json; charset=UTF-8")
        assert reply.status_code == 201, reply.text
        assert reply.headers["Content-Type"] == "application/json"
        return str(reply.json()["id"])

    def batch(self, job: str, data: str, content: str = "CSV") -> str:
        reply = self.call("POST", f"job/{job}/batch", data, f"{TYPES[content]}; charset=UTF-8")
        assert reply.status_code == 201, reply.text
        return str(told(reply)["id"])

    def ended(self, job: str, batch: str) -> dict[str, Any]:
        shown: dict[str, Any] = {}

        def over() -> bool:
            shown.update(told(self.call("GET", f"job/{job}/batch/{batch}")))
            return shown["state"] in {"Completed", "Failed", "NotProcessed"}

        wait_until(over, what="the end of a batch", within_s=10)
        return shown

    def run(self, operation: str, data: str, content: str = "CSV", name: str = "Lead", **terms: str) -> dict[str, Any]:
        job = self.job(operation, content, name, **terms)
        return self.ended(job, self.batch(job, data, content))

    def results(self, batch: dict[str, Any], below: str = "") -> requests.Response:
        return self.call("GET", f"job/{batch['jobId']}/batch/{batch['id']}/result{below}")


@pytest.fixture
def bulk(org: OrgClient) -> Bulk:
    return Bulk(org)


def told(reply: requests.Response) -> dict[str, Any]:
    """Return what a jobInfo, a batchInfo or an error says, in either form."""
    if reply.headers["Content-Type"] == "application/json":
        found: dict[str, Any] = reply.json()
        return found
    assert reply.headers["Content-Type"] == "application/xml"
    return {child.tag.rpartition("}")[2]: child.text for child in ET.fromstring(reply.text)}


def test_a_job_in_xml_goes_through_its_states(bulk: Bulk) -> None:
    body = f'<jobInfo xmlns="{NAMESPACE}"><operation>insert</operation><object>lead</object>'
    created = bulk.call("POST", "job", f"{body}<contentType>CSV</contentType></jobInfo>", "application/xml")
    assert created.status_code == 201
    info = told(created)
    assert list(info) == [
        "id",
        "operation",
        "object",
        "createdById",
        "createdDate",
        "systemModstamp",
        "state",
        "concurrencyMode",
        "contentType",
        "numberBatchesQueued",
        "numberBatchesInProgress",
        "numberBatchesCompleted",
        "numberBatchesFailed",
        "numberBatchesTotal",
        "numberRecordsProcessed",
        "numberRetries",
        "apiVersion",
        "numberRecordsFailed",
        "totalProcessingTime",
        "apiActiveProcessingTime",
        "apexProcessingTime",
    ]
    assert (info["object"], info["state"], info["apiVersion"]) == ("Lead", "Open", "58.0")
    assert info["createdDate"].endswith(".000Z")
    bulk.ended(info["id"], bulk.batch(info["id"], LEADS["CSV"]))
    closing = f'<jobInfo xmlns="{NAMESPACE}"><state>Closed</state></jobInfo>'
    closed = told(bulk.call("POST", f"job/{info['id']}", closing, "application/xml"))
    assert (closed["state"], closed["numberBatchesCompleted"]) == ("Closed", "1")
    assert (closed["numberRecordsProcessed"], closed["numberRecordsFailed"]) == ("2", "1")
    refused = bulk.call("POST", f"job/{info['id']}/batch", LEADS["CSV"], "text/csv")
    assert (refused.status_code, told(refused)["exceptionCode"]) == (400, "InvalidJobState")


def test_records_come_and_results_go_as_csv(bulk: Bulk) -> None:
    reply = bulk.results(bulk.run("insert", LEADS["CSV"]))
    record = bulk.org.control("records/Lead")[0]
    assert reply.headers["Content-Type"] == "text/csv"
    assert reply.text == (
        f'"Id","Success","Created","Error"\n"{record["Id"]}","true","true",""\n'
        '"","false","false","REQUIRED_FIELD_MISSING:Required fields are missing: [Company]:Company --"\n'
    )
    assert (record["Company"], record["IsUnreadByOwner"]) == ("Engines, Ltd", True)


def test_records_come_and_results_go_as_json(bulk: Bulk) -> None:
    first, second = bulk.results(bulk.run("insert", LEADS["JSON"], "JSON")).json()
    record = bulk.org.control("records/Lead")[0]
    assert first == {"success": True, "created": True, "id": record["Id"], "errors": []}
    message = "Required fields are missing: [Company]"
    error = {"statusCode": "REQUIRED_FIELD_MISSING", "message": message, "fields": ["Company"]}
    assert second["errors"] == [{**error, "extendedErrorDetails": None}]


def test_records_come_and_results_go_as_xml(bulk: Bulk) -> None:
    reply = bulk.results(bulk.run("insert", LEADS["XML"], "XML"))
    record = bulk.org.control("records/Lead")[0]
    first, second = ET.fromstring(reply.text)
    assert [(one.tag.rpartition("}")[2], one.text) for one in first] == [
        ("id", record["Id"]),
        ("success", "true"),
        ("created", "true"),
    ]
    assert [one.text for one in second[0]] == [
        "Company",
        "Required fields are missing: [Company]",
        "REQUIRED_FIELD_MISSING",
    ]


@pytest.mark.parametrize("content", ["CSV", "JSON", "XML"])
def test_parents_are_named_by_a_key_and_null_is_told_from_nothing(bulk: Bulk, content: str) -> None:
    account = bulk.org.create("Account", Name="Engines", Key__c="k1")
    lead = bulk.org.create("Contact", LastName="Byron", Title="Countess", Department="Sums")
    data = {
        "CSV": f"Id,Account.Key__c,Title,Department\n{lead},k1,#N/A,\n",
        "JSON": json.dumps([{"Id": lead, "Account": {"Key__c": "k1"}, "Title": None}]),
        "XML": f'<sObjects xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><sObject>'
        f"<Id>{lead}</Id><Account><sObject><Key__c>k1</Key__c></sObject></Account>"
        '<Title xsi:nil="true"/></sObject></sObjects>',
    }[content]
    assert bulk.run("update", data, content, "Contact")["numberRecordsFailed"] in {"0", 0}
    record = bulk.org.read("Contact", lead, "AccountId", "Title", "Department")
    assert (record["AccountId"], record["Title"], record["Department"]) == (account, None, "Sums")


def test_every_operation_does_what_it_says(bulk: Bulk) -> None:
    bulk.run("upsert", "Ext__c,LastName,Company\nu1,A,B\n", externalIdFieldName="Ext__c")
    bulk.run("upsert", "Ext__c,LastName\nu1,C\n", externalIdFieldName="Ext__c")
    (record,) = bulk.org.control("records/Lead")
    assert record["LastName"] == "C"
    assert bulk.results(bulk.run("delete", f"Id\n{record['Id']}\n")).text.count("true") == 1
    assert bulk.org.control("records/Lead") == []
    bulk.run("hardDelete", f"Id\n{record['Id']}\n")
    assert bulk.org.control("records/Lead?deleted=1") == []


@pytest.mark.parametrize("content", ["CSV", "JSON", "XML"])
def test_a_query_answers_in_the_form_of_its_job(bulk: Bulk, content: str) -> None:
    lead = bulk.org.lead()
    batch = bulk.run("query", "SELECT Id, Owner.Name, Email FROM Lead", content)
    listed = bulk.results(batch)
    ids = listed.json() if content == "JSON" else [one.text for one in ET.fromstring(listed.text)]
    (result,) = ids
    reply = bulk.results(batch, f"/{result}")
    assert reply.headers["Content-Type"] == TYPES[content]
    if content == "CSV":
        assert reply.text == f'"Id","Owner.Name","Email"\n"{lead}","Admin","{LEAD.get("Email", "")}"\n'
    elif content == "JSON":
        assert (reply.json()[0]["Id"], reply.json()[0]["Owner"]["Name"]) == (lead, "Admin")
    else:
        (record,) = ET.fromstring(reply.text)
        assert [one.tag.rpartition("}")[2] for one in record] == ["type", "Id", "Owner", "Email"]
    request = bulk.call("GET", f"job/{batch['jobId']}/batch/{batch['id']}/request")
    assert request.text == "SELECT Id, Owner.Name, Email FROM Lead"


def test_a_query_that_finds_nothing_says_so(bulk: Bulk) -> None:
    batch = bulk.run("query", "SELECT Id FROM Lead")
    result = ET.fromstring(bulk.results(batch).text)[0].text
    assert bulk.results(batch, f"/{result}").text == "Records not found for this query"


def test_a_query_may_see_the_recycle_bin(bulk: Bulk) -> None:
    bulk.org.delete(f"sobjects/Lead/{bulk.org.lead()}")
    assert bulk.run("queryAll", "SELECT Id FROM Lead")["numberRecordsProcessed"] == "1"
    assert bulk.run("query", "SELECT Id FROM Lead")["numberRecordsProcessed"] == "0"


@pytest.mark.parametrize(
    ("operation", "data", "content", "message"),
    [
        ("query", "SELECT Id, Address FROM Lead", "CSV", "FUNCTIONALITY_NOT_ENABLED: Selecting compound data not"),
        ("query", "SELECT COUNT(Id) FROM Lead", "CSV", "FUNCTIONALITY_NOT_ENABLED: Aggregate Relationships not"),
        ("query", "SELECT Nope FROM Lead", "CSV", "INVALID_FIELD: "),
        ("query", "SELECT Id FROM Account", "CSV", "INVALID_TYPE: the query is of Account, the job of Lead"),
        ("insert", "Nope\n1\n", "CSV", "Field name not found : Nope"),
        ("insert", '[{"Nope": 1}]', "JSON", "Field name not found : Nope"),
        ("insert", "<sObjects><sObject><Nope>1</Nope></sObject></sObjects>", "XML", "Field name not found : Nope"),
        ("insert", '{"LastName": "x"}', "JSON", "Failed to parse JSON"),
        ("insert", "<leads/>", "XML", "Failed to parse XML"),
        ("insert", "LastName,Company\nx\n", "CSV", "Failed to parse CSV"),
        ("insert", "", "CSV", "Failed to parse CSV"),
        ("insert", "LastName\n" + "x\n" * 10_001, "CSV", "Records in batch exceed the maximum of 10000: 10001"),
    ],
)
def test_a_batch_that_cannot_be_read_fails_as_a_whole(
    bulk: Bulk, operation: str, data: str, content: str, message: str
) -> None:
    batch = bulk.run(operation, data, content)
    assert batch["state"] == "Failed"
    assert batch["stateMessage"].startswith("InvalidBatch : ")
    assert message in batch["stateMessage"]
    assert bulk.org.control("records/Lead") == []


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"operation": "merge"}, "InvalidJob"),
        ({"object": "Nope"}, "InvalidJob"),
        ({"operation": "upsert"}, "InvalidJob"),
        ({"operation": "upsert", "externalIdFieldName": "Company"}, "InvalidJob"),
        ({"contentType": "PDF"}, "InvalidJob"),
        ({"contentType": "ZIP_CSV"}, "FeatureNotEnabled"),
        ({"fastPathEnabled": "true"}, "InvalidJob"),
    ],
)
def test_a_job_that_asks_for_nonsense_is_refused(bulk: Bulk, terms: dict[str, str], code: str) -> None:
    body = {"operation": "insert", "object": "Lead", "contentType": "CSV", **terms}
    reply = bulk.call("POST", "job", json.dumps(body), "application/json")
    assert (reply.status_code, reply.json()["exceptionCode"]) == (400, code)


@pytest.mark.parametrize(("mode", "shown"), [(0, "Parallel"), (1, "Serial"), ("Serial", "Serial")])
def test_the_concurrency_mode_may_be_its_number(bulk: Bulk, mode: object, shown: str) -> None:
    body = {"operation": "insert", "object": "Lead", "contentType": "JSON", "concurrencyMode": mode}
    reply = bulk.call("POST", "job", json.dumps(body), "application/json")
    assert reply.json()["concurrencyMode"] == shown
    refused = bulk.call("POST", "job", json.dumps({**body, "concurrencyMode": 2}), "application/json")
    assert refused.json()["exceptionCode"] == "InvalidJob"


@pytest.mark.parametrize("value", ["true", "chunkSize=50000", "true; chunkSize=1; parent=Account"])
def test_pk_chunking_is_refused_plainly(bulk: Bulk, value: str) -> None:
    body = json.dumps({"operation": "query", "object": "Lead", "contentType": "CSV"})
    reply = bulk.call("POST", "job", body, "application/json", **{"Sforce-Enable-PKChunking": value})
    assert reply.json() == {
        "exceptionCode": "FeatureNotEnabled",
        "exceptionMessage": "not part of this emulator: PK chunking",
    }
    off = bulk.call("POST", "job", body, "application/json", **{"Sforce-Enable-PKChunking": "false"})
    assert off.status_code == 201


@pytest.mark.parametrize("path", ["job/JOB/spec", "job/JOB/batch/BATCH/nope", "nope", "job/JOB?x=1"])
def test_what_lies_beside_jobs_and_batches_is_refused(bulk: Bulk, path: str) -> None:
    job = bulk.job("insert")
    batch = bulk.batch(job, LEADS["CSV"])
    reply = bulk.call("GET", path.replace("JOB", job).replace("BATCH", batch))
    assert reply.status_code == 400
    assert told(reply)["exceptionCode"] in {"FeatureNotEnabled", "InvalidUrl"}


def test_the_session_and_the_version_are_checked(bulk: Bulk) -> None:
    reply = bulk.call("GET", "job/750Em0000000001", **{"X-SFDC-Session": "00D!no"})
    assert (reply.status_code, told(reply)["exceptionCode"]) == (400, "InvalidSessionId")
    assert "<exceptionCode>InvalidSessionId</exceptionCode>" in reply.text
    for version in ("20.0", "99.0"):
        reply = Bulk(bulk.org, version).call("GET", "job/750Em0000000001")
        assert told(reply)["exceptionCode"] in {"InvalidVersion", "InvalidUrl"}
    job = bulk.job("insert")
    assert told(Bulk(bulk.org, "59.0").call("GET", f"job/{job}"))["exceptionCode"] == "InvalidVersion"
    assert told(bulk.call("GET", "job/750Em0000000001"))["exceptionCode"] == "InvalidJob"


def test_requests_are_api_calls_and_batches_use_their_own_allowance(bulk: Bulk) -> None:
    before = bulk.org.calls()["total"]
    job = bulk.job("insert")
    bulk.batch(job, LEADS["CSV"])
    assert bulk.org.calls()["total"] == before + 2
    assert bulk.org.calls()["by_resource"]["bulk_1"] == 2
    assert bulk.org.get("limits").json()["DailyBulkApiBatches"] == {"Max": 15_000, "Remaining": 14_999}
    bulk.org.control("limits", {"daily_limit": 1})
    reply = bulk.call("GET", f"job/{job}")
    assert told(reply) == {"exceptionCode": "ExceededQuota", "exceptionMessage": "TotalRequests Limit exceeded."}


def test_an_aborted_job_leaves_waiting_batches_unprocessed(bulk: Bulk) -> None:
    bulk.org.control("limits", {"bulk_delay_s": 60})
    job = bulk.job("insert")
    batch = bulk.batch(job, LEADS["CSV"])
    aborted = bulk.call("POST", f"job/{job}", '{"state": "Aborted"}', "application/json")
    assert aborted.json()["state"] == "Aborted"
    assert bulk.ended(job, batch)["state"] == "NotProcessed"
    (listed,) = ET.fromstring(bulk.call("GET", f"job/{job}/batch").text)
    assert listed.findtext(f"{{{NAMESPACE}}}id") == batch


def test_a_batch_of_another_form_than_its_job_is_refused(bulk: Bulk) -> None:
    reply = bulk.call("POST", f"job/{bulk.job('insert', 'JSON')}/batch", LEADS["CSV"], "text/csv")
    assert told(reply)["exceptionCode"] == "InvalidBatch"


def test_faults_of_records_and_requests_reach_it(bulk: Bulk) -> None:
    bulk.org.control("faults", {"fault": "refuse", "code": "X_Y", "message": "no", "object": "Lead", "path": "async"})
    assert "X_Y:no" in bulk.results(bulk.run("insert", LEADS["CSV"])).text
    bulk.org.control("faults", {"fault": "error", "status": 400, "code": "Timeout", "message": "m", "path": "async"})
    assert told(bulk.call("GET", "job/x"))["exceptionCode"] == "Timeout"
