"""API calls: what each request costs, what is said about it, and what happens when none are left."""

from typing import Any

import pytest
import requests

from pipeline.local.service import wait_until
from tests.integration.emulator.org_client import LEAD, VERSION, Cause, OrgClient

ROOT = f"/services/data/v{VERSION}"
TYPED = {"attributes": {"type": "Lead"}, **LEAD}


def part(reference: str) -> dict[str, Any]:
    return {"method": "POST", "url": f"{ROOT}/sobjects/Lead", "referenceId": reference, "body": LEAD}


def token_and_login(org: OrgClient) -> requests.Response:
    org.token()
    return org.soap_login("admin@example.com", "passwordtoken")


COSTS: dict[str, tuple[int, str, Cause]] = {
    "versions": (0, "", lambda org: org.http.get(f"{org.url}/services/data", timeout=10)),
    "token and login": (0, "", token_and_login),
    "userinfo": (0, "", lambda org: org.get("/services/oauth2/userinfo")),
    "resources": (1, "resources", lambda org: org.get("")),
    "limits": (1, "limits", lambda org: org.get("limits")),
    "describe": (1, "describe", lambda org: org.get("sobjects/Lead/describe")),
    "a row": (1, "sobject", lambda org: org.post("sobjects/Lead", LEAD)),
    "a refused row": (1, "sobject", lambda org: org.post("sobjects/Lead", {})),
    "a row that is not there": (1, "sobject", lambda org: org.get("sobjects/Lead/nope")),
    "an unknown resource": (1, "unknown", lambda org: org.get("nothing/here")),
    "a query": (1, "query", lambda org: org.soql("SELECT Id FROM Lead")),
    "a malformed query": (1, "query", lambda org: org.soql("SELECT")),
    "a search": (1, "search", lambda org: org.post("parameterizedSearch", {"q": "x"})),
    "a collection": (1, "collections", lambda org: org.upload([TYPED] * 200)),
    "a composite": (1, "composite", lambda org: org.post("composite", {"compositeRequest": [part("a"), part("b")]})),
    "a tree": (1, "tree", lambda org: org.post("composite/tree/Lead", {"records": []})),
    "a batch": (
        3,
        "batch",
        lambda org: org.post("composite/batch", {"batchRequests": [{"method": "GET", "url": "v66.0/limits"}] * 3}),
    ),
    "a bulk job": (1, "bulk_ingest", lambda org: org.post("jobs/ingest", {"object": "Lead", "operation": "insert"})),
    "a look at bulk jobs": (1, "bulk_query", lambda org: org.get("jobs/query")),
}


@pytest.mark.parametrize("what", COSTS)
def test_a_request_costs_what_salesforce_charges(org: OrgClient, what: str) -> None:
    cost, resource, request = COSTS[what]
    reply = request(org)
    calls = org.calls()
    assert calls["total"] == calls["used"] == cost
    assert {name: count for name, count in calls["by_resource"].items() if name != "login"} == (
        {resource: cost} if cost else {}
    )
    if cost:
        assert reply.headers["Sforce-Limit-Info"] == f"api-usage={cost}/100000"
    else:
        assert "Sforce-Limit-Info" not in reply.headers


def test_every_request_of_a_bulk_job_is_a_call(org: OrgClient) -> None:
    job = org.post("jobs/ingest", {"object": "Lead", "operation": "insert"}).json()
    org.call("PUT", f"/{job['contentUrl']}", data="LastName\n", headers={"Content-Type": "text/csv"})
    org.patch(f"jobs/ingest/{job['id']}", {"state": "UploadComplete"})
    assert org.calls()["by_resource"]["bulk_ingest"] == 3
    wait_until(
        lambda: org.get(f"jobs/ingest/{job['id']}").json()["state"] == "JobComplete", what="a bulk job", within_s=10
    )
    before = org.calls()["total"]
    org.get(f"jobs/ingest/{job['id']}/failedResults")
    assert org.calls()["total"] == before + 1


def test_an_unauthorized_request_is_told_the_usage_and_not_charged(org: OrgClient) -> None:
    org.get("limits")
    reply = org.get("limits", headers={"Authorization": "Bearer wrong"})
    assert reply.headers["Sforce-Limit-Info"] == "api-usage=1/100000"
    assert org.calls()["total"] == 1


def test_past_the_limit_everything_but_logging_in_is_refused(org: OrgClient) -> None:
    org.control("limits", {"daily_limit": 2})
    assert [org.get("limits").status_code for _ in range(3)] == [200, 200, 403]
    reply = org.post("sobjects/Lead", LEAD)
    assert reply.status_code == 403
    assert reply.json() == [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]
    assert reply.headers["Sforce-Limit-Info"] == "api-usage=2/2"
    assert org.token()
    assert org.http.get(f"{org.url}/services/data", timeout=10).status_code == 200
    calls = org.calls()
    assert (calls["total"], calls["refused"], calls["limit"]) == (2, 2, 2)
    assert org.control("records/Lead") == []


def test_limits_tells_what_is_left(org: OrgClient) -> None:
    org.control("limits", {"daily_limit": 10, "use": 3})
    body = org.get("limits").json()
    assert body["DailyApiRequests"] == {"Max": 10, "Remaining": 6}
    assert {"DailyBulkApiBatches", "DataStorageMB", "HourlyTimeBasedWorkflow"} <= set(body)
    assert org.calls()["total"] == 1


def test_calls_leave_the_window_again(org: OrgClient) -> None:
    org.control("limits", {"daily_limit": 2, "window_s": 0.2})
    statuses = [org.get("limits").status_code for _ in range(3)]
    assert 403 in statuses
    wait_until(lambda: org.get("limits").status_code == 200, what="calls to leave the window", within_s=10)


def test_long_requests_at_once_have_a_cap(org: OrgClient) -> None:
    org.control("limits", {"concurrent_limit": 2, "long_request_s": 0})
    org.control("faults", {"fault": "slow", "ms": 3_000, "path": "/query$"})
    with org.started("GET", "query"), org.started("GET", "query"):
        wait_until(lambda: org.get("limits").status_code == 403, what="two long requests", within_s=10)
        reply = org.get("limits")
    assert reply.json() == [
        {
            "message": "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
            "errorCode": "REQUEST_LIMIT_EXCEEDED",
        }
    ]


@pytest.mark.parametrize("body", [{"daily_limit": "many"}, {"nope": 1}, [], {"window_s": None}])
def test_nonsense_is_no_limit(org: OrgClient, body: Any) -> None:
    reply = org.http.post(f"{org.url}/_emulator/limits", json=body, timeout=10)
    assert (reply.status_code, "error" in reply.json()) == (400, True)


def test_reset_takes_the_limits_back_to_those_of_the_start(org: OrgClient) -> None:
    before = org.control("limits", {})
    org.control("limits", {"daily_limit": 1, "window_s": 1, "concurrent_limit": 1, "long_request_s": 0, "use": 9})
    org.control("sessions", {"lifetime_s": 1})
    org.control("reset", {})
    assert org.control("limits", {}) == before
    assert org.control("sessions", {}) == {"lifetime_s": 7200.0}
