"""How the org speaks HTTP: the case of header names, addresses, and parameters and headers that nobody would read."""

import http.client
from urllib.parse import urlsplit

import pytest

from tests.integration.emulator.org_client import OrgClient


def header_names(org: OrgClient, method: str, path: str) -> set[str]:
    """Return the names of a reply's headers as they came over the wire."""
    connection = http.client.HTTPConnection(urlsplit(org.url).netloc, timeout=10)
    try:
        connection.request(method, path, headers=org.headers)
        reply = connection.getresponse()
        reply.read()
        return {name for name, _ in reply.getheaders()}
    finally:
        connection.close()


def test_header_names_come_in_the_case_that_salesforce_uses(org: OrgClient) -> None:
    data = "/services/data/v66.0"
    shown = {"Date", "Content-Type", "Content-Length"}
    assert header_names(org, "GET", "/services/data") == shown
    assert header_names(org, "GET", f"{data}/limits") == shown | {"Sforce-Limit-Info"}
    assert header_names(org, "GET", f"{data}/sobjects") == shown | {"Sforce-Limit-Info", "Last-Modified"}
    assert header_names(org, "PUT", f"{data}/limits") == shown | {"Sforce-Limit-Info", "Allow"}
    job = org.post("jobs/query", {"operation": "query", "query": "SELECT Id FROM Lead"}).json()
    while org.get(f"jobs/query/{job['id']}").json()["state"] != "JobComplete":
        pass
    names = header_names(org, "GET", f"{data}/jobs/query/{job['id']}/results")
    assert names == shown | {"Sforce-Limit-Info", "Sforce-Locator", "Sforce-NumberOfRecords"}


def test_an_address_may_begin_with_several_slashes(org: OrgClient) -> None:
    assert org.get("//services/data/v66.0/limits").status_code == 200
    assert len(org.get("//services/data/").json()) > 30


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "sobjects?limit=3", "limit"),
        ("GET", "sobjects/Lead?fields=Id", "fields"),
        ("GET", "sobjects/Lead/describe?includeLayouts=true", "includeLayouts"),
        ("POST", "sobjects/Lead?_HttpMethod=POST&dry=1", "dry"),
        ("GET", "query?q=SELECT+Id+FROM+Lead&batchSize=200", "batchSize"),
        ("GET", "query/0r8x-2000?q=1", "q"),
        ("GET", "limits?q=x", "q"),
        ("GET", "limits/recordCount?sobjects=Lead", "sobjects"),
        ("GET", "recent?since=1", "since"),
        ("POST", "composite?dry=1", "dry"),
        ("DELETE", "composite/sobjects?ids=x&hard=true", "hard"),
        ("POST", "composite/sobjects?allOrNone=true", "allOrNone"),
        ("GET", "jobs/ingest?isPkChunkingEnabled=true", "isPkChunkingEnabled"),
        ("GET", "jobs/query?concurrencyMode=serial", "concurrencyMode"),
        ("GET", "parameterizedSearch?q=x&snippet=5", "snippet"),
        ("GET", "sobjects/Lead/listviews?offset=5", "offset"),
        ("GET", "limits?_HttpMethod=POST", "_HttpMethod"),
    ],
)
def test_a_parameter_that_nobody_reads_is_refused(org: OrgClient, method: str, path: str, name: str) -> None:
    reply = org.call(method, path, {} if method == "POST" else None)
    assert reply.status_code == 400
    address = path.partition("?")[0]
    message = f"not part of this emulator: the query parameter {name} of /{address}"
    assert reply.json() == [{"message": message, "errorCode": "NOT_COVERED"}]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sforce-Enable-PKChunking": "true"},
        {"Sforce-Anything": "1"},
        {"x-sfdc-packageversion-ns": "1.0"},
        {"Accept": "application/xml"},
        {"If-Match": '"x"'},
        {"Sforce-Call-Options": "client=x; defaultNamespace=ns"},
    ],
)
def test_a_header_that_nobody_reads_is_refused(org: OrgClient, headers: dict[str, str]) -> None:
    reply = org.get("limits", headers=headers)
    assert reply.status_code == 400
    assert reply.json()[0]["message"].startswith("not part of this emulator: ")


def test_a_row_that_did_not_change_is_not_sent_again(org: OrgClient) -> None:
    lead = org.lead()
    for since, status in (("Wed, 01 Jan 2020 00:00:00 GMT", 200), ("Fri, 01 Jan 2100 00:00:00 GMT", 304)):
        assert org.get(f"sobjects/Lead/{lead}", headers={"If-Modified-Since": since}).status_code == status


def test_headers_that_are_read_are_taken(org: OrgClient) -> None:
    known = {"Sforce-Call-Options": "client=x", "Sforce-Query-Options": "batchSize=200", "Accept": "application/json"}
    assert org.get("limits", headers=known).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("GET", "query?q=SELECT+Id+FROM+Lead", None, {"Sforce-Query-Options": "batchSize=200; other=1"}),
        (
            "POST",
            "sobjects/Lead",
            {"LastName": "x", "Company": "y"},
            {"Sforce-Duplicate-Rule-Header": "allowsaves=true"},
        ),
    ],
)
def test_an_option_of_a_header_that_nobody_reads_is_refused(
    org: OrgClient, method: str, path: str, body: dict[str, str] | None, headers: dict[str, str]
) -> None:
    assert org.call(method, path, body, headers=headers).json()[0]["errorCode"] == "NOT_COVERED"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("composite/sobjects", {"records": [], "dryRun": True}),
        ("composite/sobjects/Lead", {"ids": ["00Q000000000001"], "fields": ["Id"], "dryRun": True}),
        ("composite/tree/Lead", {"records": [], "dryRun": True}),
        ("jobs/ingest", {"object": "Lead", "operation": "insert", "dryRun": "true"}),
        ("jobs/query", {"query": "SELECT Id FROM Lead", "operation": "query", "dryRun": "true"}),
    ],
)
def test_a_key_of_a_body_that_nobody_reads_is_refused(org: OrgClient, path: str, body: dict[str, object]) -> None:
    (error,) = org.post(path, body).json()
    assert error["errorCode"] == "JSON_PARSER_ERROR"
    assert 'Unrecognized field "dryRun"' in error["message"]


def test_a_refused_duplicate_shows_its_fields_when_asked(org: OrgClient) -> None:
    org.control("duplicate_rules", [{"object": "Lead", "fields": ["Email"]}])
    org.lead(Email="a@b.co", City="London")
    body = {"LastName": "x", "Company": "y", "Email": "a@b.co"}
    for value, city in (("includeRecordDetails=true", "London"), ("runAsCurrentUser=true", None)):
        reply = org.post("sobjects/Lead", body, headers={"Sforce-Duplicate-Rule-Header": value})
        (match,) = reply.json()[0]["duplicateResult"]["matchResults"][0]["matchRecords"]
        assert match["record"].get("City") == city
