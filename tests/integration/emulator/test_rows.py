"""Discovery and single records over REST."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pipeline.emulator import ids
from tests.integration.emulator.org_client import LEAD, OrgClient

UNKNOWN = "00QEm0000000zzzMAA"


# Discovery.


def test_versions_are_listed_without_a_session_and_for_nothing(org: OrgClient) -> None:
    reply = org.http.get(f"{org.url}/services/data/", timeout=10)
    assert reply.status_code == 200
    assert "Sforce-Limit-Info" not in reply.headers
    found = reply.json()
    assert [entry["version"] for entry in found] == [f"{number}.0" for number in range(31, 69)]
    assert found[-1] == {"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"}
    assert found[-8] == {"label": "Summer '24", "url": "/services/data/v61.0", "version": "61.0"}
    assert org.calls()["total"] == 0


def test_a_version_lists_its_resources(org: OrgClient) -> None:
    found = org.get("").json()
    assert found["sobjects"] == "/services/data/v66.0/sobjects"
    assert found["query"] == "/services/data/v66.0/query"


@pytest.mark.parametrize(("version", "status"), [("30.0", 410), ("7.0", 410), ("6.0", 404), ("69.0", 404), ("x", 404)])
def test_versions_that_are_not_there_are_gone_or_not_found(org: OrgClient, version: str, status: int) -> None:
    reply = org.get("limits", version=version)
    assert reply.status_code == status
    assert reply.json()[0]["errorCode"] == ("GONE" if status == 410 else "NOT_FOUND")


def test_the_oldest_version_that_lives_answers(org: OrgClient) -> None:
    assert (
        org.get("sobjects/Lead/describe", version="31.0").json()["urls"]["sobject"].startswith("/services/data/v31.0")
    )


def test_describe_has_every_key_of_a_real_one(org: OrgClient) -> None:
    lead = org.get("sobjects/lead/describe").json()
    assert len(lead) == 45
    email = next(field for field in lead["fields"] if field["name"] == "Email")
    assert len(email) == 57
    assert (email["type"], email["length"], email["idLookup"], email["byteLength"]) == ("email", 80, True, 240)
    external = next(field for field in lead["fields"] if field["name"] == "Ext__c")
    assert (external["externalId"], external["unique"], external["custom"], external["idLookup"]) == (True,) * 4


def test_describes_of_all_objects_agree_with_the_list(org: OrgClient) -> None:
    listed = org.get("sobjects").json()
    assert (listed["encoding"], listed["maxBatchSize"]) == ("UTF-8", 200)
    for entry in listed["sobjects"]:
        full = org.get(f"sobjects/{entry['name']}/describe").json()
        assert {name: full[name] for name in ("label", "keyPrefix", "custom")} == {
            name: entry[name] for name in ("label", "keyPrefix", "custom")
        }


@pytest.mark.parametrize("path", ["sobjects", "sobjects/Lead/describe"])
def test_an_unchanged_describe_is_304_and_still_a_call(org: OrgClient, path: str) -> None:
    modified = org.get(path).headers["Last-Modified"]
    before = org.calls()["total"]
    unchanged = org.get(path, headers={"If-Modified-Since": modified})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert org.calls()["total"] == before + 1
    long_ago = format_datetime(datetime(2000, 1, 1, tzinfo=UTC), usegmt=True)
    assert org.get(path, headers={"If-Modified-Since": long_ago}).status_code == 200
    assert org.get(path, headers={"If-Modified-Since": "yesterday"}).status_code == 200


def test_every_object_shows_what_is_recent_updated_and_deleted(org: OrgClient) -> None:
    now = datetime.now(UTC)
    span = {
        "start": (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end": (now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S+00:00"),
    }
    for entry in org.get("sobjects").json()["sobjects"]:
        assert org.get(f"sobjects/{entry['name']}").status_code == 200
        assert org.get(f"sobjects/{entry['name']}/updated", params=span).status_code == 200
        assert org.get(f"sobjects/{entry['name']}/deleted", params=span).status_code in {200, 404}
    kept, gone = org.lead(), org.lead()
    org.delete(f"sobjects/Lead/{gone}")
    assert org.get("sobjects/Lead/updated", params=span).json()["ids"] == [kept]
    (deleted,) = org.get("sobjects/Lead/deleted", params=span).json()["deletedRecords"]
    assert deleted["id"] == gone
    assert [entry["Id"] for entry in org.get("sobjects/Lead").json()["recentItems"]] == [kept]
    assert org.get("sobjects/Lead/updated").status_code == 400


# One record.


def test_a_record_is_created_read_updated_and_deleted(org: OrgClient) -> None:
    created = org.post("sobjects/Lead", {**LEAD, "Email": "ng@example.com", "NumberOfEmployees": 12})
    assert created.status_code == 201
    lead = created.json()["id"]
    assert created.json() == {"id": lead, "success": True, "errors": []}
    assert created.headers["Location"] == f"/services/data/v66.0/sobjects/Lead/{lead}"
    assert (len(lead), lead[:3]) == (18, "00Q")
    body = org.read("Lead", lead)
    assert body["attributes"] == {"type": "Lead", "url": f"/services/data/v66.0/sobjects/Lead/{lead}"}
    assert (body["NumberOfEmployees"], body["Title"], body["IsConverted"]) == (12, None, False)
    assert body["Status"] == "Open - Not Contacted"
    updated = org.patch(f"sobjects/Lead/{lead}", {"Title": "Cook", "NumberOfEmployees": None})
    assert (updated.status_code, updated.content) == (204, b"")
    assert org.read("Lead", lead, "Title", "NumberOfEmployees")["Title"] == "Cook"
    deleted = org.delete(f"sobjects/Lead/{lead}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    again = org.get(f"sobjects/Lead/{lead}")
    assert (again.status_code, again.json()[0]["errorCode"]) == (404, "ENTITY_IS_DELETED")


def test_only_the_fields_that_are_asked_for_come_back(org: OrgClient) -> None:
    lead = org.lead(Title="Cook")
    assert set(org.read("Lead", lead, "title", "Company")) == {"attributes", "Id", "Title", "Company"}
    reply = org.get(f"sobjects/Lead/{lead}", params={"fields": "Nope"})
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, "INVALID_FIELD")


def test_names_of_objects_and_fields_have_no_case(org: OrgClient) -> None:
    reply = org.post("sobjects/lEAD", {"lastname": "Ng", "COMPANY": "Ng Ltd", "ext__C": "x"})
    assert reply.status_code == 201
    assert org.get("sobjects/LEAD/EXT__C/x").json()["LastName"] == "Ng"


def test_ids_of_fifteen_characters_are_taken_everywhere(org: OrgClient) -> None:
    lead, account = org.lead(), org.create("Account", Name="x")
    assert org.read("Lead", lead[:15])["Id"] == lead
    assert org.patch(f"sobjects/Lead/{lead[:15]}", {"Title": "x"}).status_code == 204
    assert org.column(f"SELECT Id FROM Lead WHERE Id = '{lead[:15]}'") == [lead]
    contact = org.create("Contact", LastName="x", AccountId=account[:15])
    assert org.read("Contact", contact, "AccountId")["AccountId"] == account
    assert org.delete(f"sobjects/Lead/{lead[:15]}").status_code == 204


def test_an_id_whose_last_three_characters_do_not_fit_is_none(org: OrgClient) -> None:
    lead = org.lead()
    wrong = lead[:15] + ("AAB" if ids.suffix(lead[:15]) != "AAB" else "AAC")
    for text in (wrong, lead[:14], f"{lead}x", "nonsense"):
        reply = org.get(f"sobjects/Lead/{text}")
        assert reply.status_code == 404
        assert reply.json()[0]["message"].endswith(f"or is not accessible: {text}")


def test_the_id_stands_in_the_path_alone(org: OrgClient) -> None:
    for reply in (
        org.post("sobjects/Lead", {**LEAD, "Id": UNKNOWN}),
        org.patch(f"sobjects/Lead/{org.lead()}", {"id": UNKNOWN}),
    ):
        assert reply.status_code == 400
        assert reply.json() == [
            {"message": "The Id field should not be specified in the sobject data.", "errorCode": "INVALID_FIELD"}
        ]


def test_patch_may_be_sent_as_post(org: OrgClient) -> None:
    lead = org.lead()
    assert org.post(f"sobjects/Lead/{lead}?_HttpMethod=PATCH", {"Title": "Cook"}).status_code == 204
    assert org.read("Lead", lead, "Title")["Title"] == "Cook"


def test_a_record_can_be_inserted_by_an_upsert_without_an_id(org: OrgClient) -> None:
    assert org.post("sobjects/Lead/Id", LEAD).status_code == 201
    lead = org.lead()
    assert org.patch(f"sobjects/Lead/Id/{lead}", {"Title": "x"}).status_code == 204
    assert org.get(f"sobjects/Lead/Id/{lead}").json()["Title"] == "x"


def test_a_relationship_leads_to_its_record(org: OrgClient) -> None:
    account = org.create("Account", Name="Ng Ltd")
    contact = org.create("Contact", LastName="Ng", AccountId=account)
    assert org.get(f"sobjects/Contact/{contact}/Account").json()["Name"] == "Ng Ltd"
    assert org.get(f"sobjects/Contact/{contact}/ReportsTo").status_code == 404


# Upserts by an external Id.


def test_an_upsert_creates_and_then_updates(org: OrgClient) -> None:
    created = org.patch("sobjects/Lead/Ext__c/k%201", LEAD)
    assert created.status_code == 201
    assert created.json() == {"id": created.json()["id"], "success": True, "errors": [], "created": True}
    assert created.headers["Location"].endswith(created.json()["id"])
    updated = org.patch("sobjects/Lead/Ext__c/K%201", {"Title": "Cook"})
    assert updated.status_code == 200
    assert updated.json() == {**created.json(), "created": False}
    found = org.get("sobjects/Lead/Ext__c/k%201").json()
    assert (found["Ext__c"], found["Title"]) == ("k 1", "Cook")
    assert org.delete("sobjects/Lead/Ext__c/k%201").status_code == 204
    assert org.get("sobjects/Lead/Ext__c/k%201").status_code == 404


def test_an_upsert_before_version_46_updates_without_a_body(org: OrgClient) -> None:
    org.lead(Ext__c="k")
    reply = org.patch("sobjects/Lead/Ext__c/k", {"Title": "x"}, version="45.0")
    assert (reply.status_code, reply.content) == (204, b"")


def test_an_upsert_that_may_only_update_creates_nothing(org: OrgClient) -> None:
    assert org.patch("sobjects/Lead/Ext__c/k?updateOnly=true", LEAD).status_code == 404
    assert org.records("SELECT Id FROM Lead") == []


def test_an_upsert_by_email_matches_without_case_and_leaves_the_email(org: OrgClient) -> None:
    lead = org.lead(Email="Ng@Example.com")
    assert org.patch("sobjects/Lead/Email/ng%40example.com", {"Title": "x"}).json()["id"] == lead
    assert org.read("Lead", lead, "Email")["Email"] == "Ng@Example.com"


def test_a_case_sensitive_key_tells_case_apart(org: OrgClient) -> None:
    first = org.patch("sobjects/Lead/Exact__c/k", LEAD).json()["id"]
    assert org.patch("sobjects/Lead/Exact__c/K", LEAD).json()["id"] != first


def test_a_number_can_be_a_key(org: OrgClient) -> None:
    lead = org.patch("sobjects/Lead/Number__c/7", LEAD).json()["id"]
    assert org.patch("sobjects/Lead/Number__c/7", {"Title": "x"}).json() == {
        "id": lead,
        "success": True,
        "errors": [],
        "created": False,
    }
    assert org.patch("sobjects/Lead/Number__c/seven", LEAD).status_code == 404


@pytest.mark.parametrize("field", ["Name", "Nope", "Company"])
def test_only_a_key_field_can_be_upserted_by(org: OrgClient, field: str) -> None:
    assert org.patch(f"sobjects/Lead/{field}/x", LEAD).status_code == 404


def test_the_key_stands_in_the_path_alone(org: OrgClient) -> None:
    reply = org.patch("sobjects/Lead/Ext__c/k", {**LEAD, "ext__c": "k"})
    assert reply.status_code == 400
    assert reply.json()[0]["message"] == "The Ext__c field should not be specified in the sobject data."


def test_an_email_that_looks_like_a_file_is_not_found(org: OrgClient) -> None:
    assert org.patch("sobjects/Lead/Email/ng@example.inc", LEAD).status_code == 404


def test_a_deleted_record_no_longer_matches_a_key(org: OrgClient) -> None:
    first = org.lead(Ext__c="k")
    org.delete(f"sobjects/Lead/{first}")
    assert org.patch("sobjects/Lead/Ext__c/k", LEAD).status_code == 201


# Forms of requests and replies.


def test_bodies_may_be_compressed_both_ways(org: OrgClient) -> None:
    body = gzip.compress(json.dumps({**LEAD, "Description": "tea " * 2_000}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    lead = org.post("sobjects/Lead", data=body, headers=headers).json()["id"]
    packed = org.get(f"sobjects/Lead/{lead}", headers={"Accept-Encoding": "gzip"})
    plain = org.get(f"sobjects/Lead/{lead}", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()


def test_replies_can_be_pretty(org: OrgClient) -> None:
    assert "\n" not in org.get("limits").text
    assert "\n  " in org.get("limits", headers={"X-PrettyPrint": "1"}).text


def test_head_has_the_headers_of_get_and_no_body(org: OrgClient) -> None:
    reply = org.call("HEAD", "limits")
    assert (reply.status_code, reply.content) == (200, b"")


def test_a_uri_of_more_than_16_kilobytes_is_refused(org: OrgClient) -> None:
    assert org.soql("SELECT Id FROM Lead WHERE LastName = '" + "x" * 16_400 + "'").status_code == 414


def test_recent_records_and_counts_are_listed(org: OrgClient) -> None:
    lead = org.lead(FirstName="Li")
    assert org.get("recent").json()[0]["Id"] == lead
    counts = org.get("limits/recordCount", params={"sObjects": "Lead,Contact"}).json()
    assert counts == {"sObjects": [{"count": 1, "name": "Lead"}, {"count": 0, "name": "Contact"}]}
