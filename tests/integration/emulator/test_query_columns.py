"""What a query would return, and how it would be run: columns=true and explain=."""

from typing import Any

import pytest

from tests.integration.emulator.org_client import LEAD, OrgClient


def columns(org: OrgClient, text: str, resource: str = "query") -> dict[str, Any]:
    reply = org.get(resource, params={"q": text, "columns": "true"})
    assert reply.status_code == 200, reply.text
    shown: dict[str, Any] = reply.json()
    return shown


def names(shown: list[dict[str, Any]]) -> list[Any]:
    return [
        (one["columnName"], names(one["joinColumns"])) if one["joinColumns"] else one["columnName"] for one in shown
    ]


def test_columns_are_those_of_the_select_list_and_no_records_come_along(org: OrgClient) -> None:
    org.lead()
    shown = columns(org, "SELECT Id, Name, IsConverted, NumberOfEmployees, Owner.Name FROM Lead")
    assert set(shown) == {"columnMetadata", "entityName", "groupBy", "idSelected", "keyPrefix"}
    assert names(shown["columnMetadata"]) == ["Id", "Name", "IsConverted", "NumberOfEmployees", ("Owner", ["Name"])]
    assert (shown["entityName"], shown["keyPrefix"], shown["idSelected"], shown["groupBy"]) == (
        "Lead",
        "00Q",
        True,
        False,
    )
    assert [one["apexType"] for one in shown["columnMetadata"]] == ["Id", "String", "Boolean", "Integer", None]
    assert shown["columnMetadata"][0] == {
        "aggregate": False,
        "apexType": "Id",
        "booleanType": False,
        "columnName": "Id",
        "custom": False,
        "displayName": "Id",
        "foreignKeyName": None,
        "insertable": False,
        "joinColumns": [],
        "numberType": False,
        "textType": False,
        "updatable": False,
    }


def test_columns_of_child_queries_and_aggregates_are_marked(org: OrgClient) -> None:
    shown = columns(org, "SELECT Name, (SELECT LastName FROM Contacts) FROM Account")
    assert names(shown["columnMetadata"]) == ["Name", ("Contacts", ["LastName"])]
    assert shown["columnMetadata"][1]["aggregate"] is True
    shown = columns(org, "SELECT CampaignId, AVG(Amount), MAX(Name) most FROM Opportunity GROUP BY CampaignId")
    assert names(shown["columnMetadata"]) == ["CampaignId", "expr0", "most"]
    assert [one["displayName"] for one in shown["columnMetadata"]] == ["CampaignId", "avg(Amount)", "max(Name)"]
    assert [one["aggregate"] for one in shown["columnMetadata"]] == [False, True, True]
    assert shown["groupBy"] is True


def test_columns_of_a_wrong_query_are_refused_as_the_query_is(org: OrgClient) -> None:
    reply = org.get("query", params={"q": "SELECT Nope FROM Lead", "columns": "true"})
    assert reply.json()[0]["errorCode"] == "INVALID_FIELD"


def test_explain_names_the_ways_to_run_a_query_and_the_cheapest_first(org: OrgClient) -> None:
    org.upload([LEAD, {**LEAD, "Email": "a@example.com"}, LEAD]).raise_for_status()
    text = "SELECT Id FROM Lead WHERE Email = 'a@example.com'"
    body = org.get("query", params={"explain": text}).json()
    assert body["sourceQuery"] == text
    first, last = body["plans"]
    assert (first["leadingOperationType"], first["fields"]) == ("Index", ["Email"])
    assert (last["leadingOperationType"], last["fields"]) == ("TableScan", [])
    assert (first["cardinality"], first["sobjectCardinality"], first["sobjectType"]) == (1, 3, "Lead")
    assert first["relativeCost"] < last["relativeCost"]
    scan = org.get("query", params={"explain": "SELECT Id FROM Lead WHERE City = 'x'"}).json()["plans"]
    assert [plan["leadingOperationType"] for plan in scan] == ["TableScan"]


@pytest.mark.parametrize(
    "params",
    [
        {"explain": "00OEm0000000001"},
        {"explain": "SELECT Id FROM Lead", "q": "SELECT Id FROM Lead"},
        {"q": "SELECT Id FROM Lead", "columns": "false"},
    ],
)
def test_what_is_not_covered_is_refused_plainly(org: OrgClient, params: dict[str, str]) -> None:
    assert org.get("query", params=params).json()[0]["errorCode"] == "NOT_COVERED"
