"""composite/graph: each graph is saved as a whole or not at all."""

from typing import Any

import pytest

from tests.integration.emulator.org_client import LEAD, VERSION, OrgClient

ROOT = f"/services/data/v{VERSION}/sobjects"


def node(reference: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
    told = {"referenceId": reference, "method": method, "url": f"{ROOT}/{path}"}
    return told if body is None else {**told, "body": body}


def send(org: OrgClient, *graphs: list[dict[str, Any]]) -> Any:
    body = {"graphs": [{"graphId": f"g{at}", "compositeRequest": nodes} for at, nodes in enumerate(graphs)]}
    reply = org.post("composite/graph", body)
    assert reply.status_code == 200, reply.text
    return reply.json()["graphs"]


def test_graphs_are_saved_apart_and_each_as_a_whole(org: OrgClient) -> None:
    good = [
        node("account", "POST", "Account", {"Name": "Engines"}),
        node("contact", "POST", "Contact", {"LastName": "Byron", "AccountId": "@{account.id}"}),
        node("read", "GET", "Account/@{account.id}?fields=Name"),
    ]
    bad = [node("lead", "POST", "Lead", LEAD), node("wrong", "POST", "Lead", {"LastName": "x"})]
    before = org.calls()["total"]
    first, second = send(org, good, bad)
    assert org.calls()["total"] == before + 1
    assert (first["graphId"], first["isSuccessful"], second["isSuccessful"]) == ("g0", True, False)
    told = first["graphResponse"]["compositeResponse"]
    assert [one["httpStatusCode"] for one in told] == [201, 201, 200]
    assert told[0]["httpHeaders"]["Location"].endswith(told[0]["body"]["id"])
    assert org.read("Contact", told[1]["body"]["id"])["AccountId"] == told[0]["body"]["id"]
    failed = second["graphResponse"]["compositeResponse"]
    assert [one["body"][0]["errorCode"] for one in failed] == ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING"]
    assert org.control("records/Lead") == []


def test_upserts_updates_and_deletes_belong_in_a_graph(org: OrgClient) -> None:
    lead = org.lead()
    (graph,) = send(
        org,
        [
            node("upsert", "PATCH", "Lead/Ext__c/k", LEAD),
            node("update", "PATCH", f"Lead/{lead}", {"City": "London"}),
            node("delete", "DELETE", "Lead/@{upsert.id}"),
        ],
    )
    told = graph["graphResponse"]["compositeResponse"]
    assert [one["httpStatusCode"] for one in told] == [201, 204, 204]
    assert [one["Id"] for one in org.control("records/Lead")] == [lead]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"graphs": []}, "JSON_PARSER_ERROR"),
        ({"graphs": [{"compositeRequest": [node("a", "POST", "Lead", LEAD)]}]}, "INVALID_INPUT"),
        ({"graphs": [{"graphId": "a", "compositeRequest": []}]}, "JSON_PARSER_ERROR"),
        (
            {
                "graphs": [
                    {
                        "graphId": "a",
                        "compositeRequest": [
                            {"referenceId": "a", "method": "GET", "url": "/services/data/v66.0/limits"}
                        ],
                    }
                ]
            },
            "INVALID_INPUT",
        ),
        ({"graphs": [], "allOrNone": True}, "JSON_PARSER_ERROR"),
        (
            {"graphs": [{"graphId": "a", "compositeRequest": [node(f"n{n}", "POST", "Lead") for n in range(501)]}]},
            "LIMIT_EXCEEDED",
        ),
        ({"graphs": [{"graphId": f"g{n}", "compositeRequest": [{}]} for n in range(76)]}, "LIMIT_EXCEEDED"),
        ({"graphs": [{"graphId": "a", "compositeRequest": [node("a", "GET", "Lead")]}] * 2}, "INVALID_INPUT"),
        (
            {
                "graphs": [
                    {
                        "graphId": "a",
                        "compositeRequest": [
                            node(f"n{n}", "POST", "Account", {"ParentId": f"@{{n{n - 1}.id}}"} if n else {"Name": "x"})
                            for n in range(16)
                        ],
                    }
                ]
            },
            "LIMIT_EXCEEDED",
        ),
    ],
)
def test_a_graph_that_breaks_a_rule_is_refused(org: OrgClient, body: Any, code: str) -> None:
    reply = org.post("composite/graph", body)
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, code)
    assert org.post("composite/graph", body, version="49.0").status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("composite", {"compositeRequest": [node("a", "POST", "Lead", LEAD) | {"headers": {}}]}),
        ("composite", {"compositeRequest": [node("a", "POST", "Lead", LEAD)], "dryRun": True}),
        ("composite/batch", {"batchRequests": [{"method": "GET", "url": f"v{VERSION}/limits"}], "dryRun": True}),
        ("composite/batch", {"batchRequests": [{"method": "GET", "url": f"v{VERSION}/limits", "body": {}}]}),
    ],
)
def test_a_key_that_means_nothing_is_refused(org: OrgClient, path: str, body: Any) -> None:
    reply = org.post(path, body)
    told = reply.json() if reply.status_code == 400 else reply.json()["results"][0]["result"]
    assert told[0]["errorCode"] == "JSON_PARSER_ERROR"
    assert "Unrecognized field" in told[0]["message"]
