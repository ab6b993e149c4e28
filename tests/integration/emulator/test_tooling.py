"""The Tooling API as far as the Salesforce CLI looks, and resources that are refused plainly."""

import pytest

from tests.integration.emulator.org_client import OrgClient


def test_the_tooling_api_knows_the_objects_of_the_org(org: OrgClient) -> None:
    text = (
        "SELECT DurableId, KeyPrefix, IsQueryable FROM EntityDefinition WHERE QualifiedApiName IN ('Lead', 'Visit__c')"
    )
    body = org.soql(f"{text} ORDER BY QualifiedApiName", resource="tooling/query").json()
    found = [(one["DurableId"], one["KeyPrefix"], one["IsQueryable"]) for one in body["records"]]
    assert found == [("Lead", "00Q", True), ("Visit__c", "a00", True)]
    assert body["records"][0]["attributes"]["url"].startswith("/services/data/v66.0/tooling/sobjects/EntityDefinition/")


def test_there_is_no_apex_and_the_org_is_itself(org: OrgClient) -> None:
    assert org.soql("SELECT Id, Name, Body FROM ApexClass", resource="tooling/query").json()["totalSize"] == 0
    found = org.soql("SELECT Name, IsSandbox FROM Organization", resource="tooling/query").json()
    assert found["records"][0]["Name"] == "Emulator"
    columns = org.get("tooling/query", params={"q": "SELECT Id FROM ApexTrigger", "columns": "true"}).json()
    assert columns["entityName"] == "ApexTrigger"
    assert org.get("tooling/sobjects/ApexClass/describe").json()["keyPrefix"] == "01p"
    names = [one["name"] for one in org.get("tooling/sobjects").json()["sobjects"]]
    assert "EntityDefinition" in names


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("tooling/query?q=SELECT+Id+FROM+SandboxProcess", "the object SandboxProcess of the Tooling API"),
        ("tooling/sobjects/FlowDefinition/describe", "the object FlowDefinition of the Tooling API"),
        ("tooling/executeAnonymous", "the resource /tooling/executeAnonymous"),
        ("chatter/feeds", "the resource /chatter/feeds"),
        ("ui-api/object-info/Lead", "the resource /ui-api/object-info/Lead"),
        ("analytics/reports", "the resource /analytics/reports"),
    ],
)
def test_what_an_org_has_and_this_one_has_not_is_said(org: OrgClient, path: str, what: str) -> None:
    reply = org.get(path)
    assert reply.json() == [{"message": f"not part of this emulator: {what}", "errorCode": "NOT_COVERED"}]


def test_what_no_org_has_is_not_found(org: OrgClient) -> None:
    assert org.get("nonsense").json()[0]["errorCode"] == "NOT_FOUND"
