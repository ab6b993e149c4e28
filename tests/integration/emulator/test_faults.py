"""Faults on request, as a client meets them."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.emulator.org_client import LEAD, OrgClient


def leads(org: OrgClient) -> int:
    return len(org.control("records/Lead"))


def statuses(org: OrgClient, count: int) -> list[int]:
    return [org.get("limits").status_code for _ in range(count)]


def test_a_rule_hits_the_next_n_requests_and_is_listed_with_its_count(org: OrgClient) -> None:
    rule = {"fault": "unavailable", "next": 2}
    assert org.control("faults", rule) == [{**rule, "fired": 0}]
    assert statuses(org, 4) == [503, 503, 200, 200]
    assert org.control("faults") == [{**rule, "fired": 2}]
    assert org.control("faults", {"clear": True}) == []


def test_a_rule_is_about_a_method_and_a_path(org: OrgClient) -> None:
    org.control("faults", {"fault": "server_error", "method": "post", "path": "/sobjects/Lead$"})
    assert org.get("sobjects/Lead").status_code == 200
    assert org.post("sobjects/Contact", {"LastName": "x"}).status_code == 201
    assert org.post("sobjects/Lead", LEAD).status_code == 500
    assert leads(org) == 0


def test_chance_with_a_seed_repeats_itself(org: OrgClient) -> None:
    rule = {"fault": "unavailable", "probability": 0.5, "seed": 7}
    runs = []
    for _ in range(2):
        org.control("reset", {})
        org.control("faults", rule)
        runs.append(statuses(org, 30))
    assert runs[0] == runs[1]
    assert 5 < runs[0].count(503) < 25


def test_a_connection_can_break_before_and_after_the_write(org: OrgClient) -> None:
    for fault, written in (("reset_before", 0), ("reset_after", 1)):
        org.control("reset", {})
        org.control("faults", {"fault": fault, "next": 1})
        with pytest.raises(requests.ConnectionError):
            org.post("sobjects/Lead", LEAD)
        assert leads(org) == written


def test_an_answer_can_break_off_in_the_middle(org: OrgClient) -> None:
    org.control("faults", {"fault": "truncated", "next": 1})
    with pytest.raises(requests.exceptions.RequestException):
        org.get("sobjects/Lead/describe", headers={"Accept-Encoding": "identity"})
    assert org.get("limits").status_code == 200


def test_a_locked_row_fails_alone_and_a_poisoned_one_its_whole_chunk(org: OrgClient) -> None:
    records = [{**LEAD, "LastName": name} for name in ("a", "b", "c")]
    org.control("faults", {"fault": "row_lock", "match": {"lastname": "B"}, "next": 1})
    codes = [[error["statusCode"] for error in entry["errors"]] for entry in org.upload(records).json()]
    assert codes == [[], ["UNABLE_TO_LOCK_ROW"], []]
    org.control("faults", {"fault": "poison", "match": {"LastName": "b", "Company": "ng ltd"}, "next": 1})
    codes = [[error["statusCode"] for error in entry["errors"]] for entry in org.upload(records).json()]
    assert codes == [["CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"]] * 3
    assert [entry["success"] for entry in org.upload(records).json()] == [True] * 3


def test_some_rows_of_a_request_can_be_locked(org: OrgClient) -> None:
    org.control("faults", {"fault": "row_lock", "record_probability": 0.5, "seed": 1})
    refused = [entry["success"] for entry in org.upload([LEAD] * 100).json()].count(False)
    assert 20 < refused < 80


def test_a_record_can_be_refused_in_any_words_on_creates_updates_deletes_and_in_bulk(org: OrgClient) -> None:
    lead = org.lead(Phone="1")
    rule = {"fault": "refuse", "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "No.", "fields": ["Phone"]}
    org.control("faults", {**rule, "object": "Lead", "match": {"Phone": "2"}})
    expected = [{"message": "No.", "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "fields": ["Phone"]}]
    assert org.post("sobjects/Lead", {**LEAD, "Phone": "2"}).json() == expected
    assert org.patch(f"sobjects/Lead/{lead}", {"Phone": "2"}).json() == expected
    assert org.patch(f"sobjects/Lead/{lead}", {"Phone": "3"}).status_code == 204
    assert org.post("sobjects/Contact", {"LastName": "x", "Phone": "2"}).status_code == 201
    org.control("faults", {**rule, "match": {"Id": lead}, "method": "DELETE"})
    assert org.delete(f"sobjects/Lead/{lead}").json() == expected


def test_the_quota_can_be_gone_for_a_while(org: OrgClient) -> None:
    org.control("faults", {"fault": "quota", "next": 1})
    reply = org.get("limits")
    assert (reply.status_code, reply.json()[0]["message"]) == (403, "TotalRequests Limit exceeded.")
    assert org.get("limits").status_code == 200


def test_an_error_is_told_in_the_form_of_the_address(org: OrgClient) -> None:
    org.control("faults", {"fault": "error", "status": 400, "code": "invalid_grant", "message": "ip restricted"})
    reply = org.http.post(f"{org.url}/services/oauth2/token", data={"grant_type": "password"}, timeout=10)
    assert reply.json() == {"error": "invalid_grant", "error_description": "ip restricted"}
    assert reply.status_code == 400
    assert org.get("limits").json() == [{"message": "ip restricted", "errorCode": "invalid_grant"}]
    assert "<sf:exceptionCode>invalid_grant</sf:exceptionCode>" in org.soap_login("a", "b").text


def test_a_slow_request_takes_its_time(org: OrgClient) -> None:
    org.control("faults", {"fault": "slow", "ms": 80, "path": "/limits$"})
    started = time.perf_counter()
    org.get("limits")
    assert time.perf_counter() - started >= 0.08


@pytest.mark.parametrize(
    "rules",
    [
        {"fault": "nope"},
        [{"fault": "slow"}, {"fault": "nope"}],
        "x",
        None,
        {"fault": "slow", "ms": "long"},
        {"fault": "refuse", "code": "X", "message": "half a pair: \ud83d"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_and_none_is_set(org: OrgClient, rules: Any) -> None:
    reply = org.http.post(f"{org.url}/_emulator/faults", json=rules, timeout=10)
    assert (reply.status_code, "error" in reply.json()) == (400, True)
    assert org.control("faults") == []


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("sessions", []),
        ("sessions", {"lifetime_s": "long"}),
        ("duplicate_rules", [{"object": "Lead", "fields": ["Nope"]}]),
        ("duplicate_rules", ["x"]),
    ],
)
def test_the_control_api_says_what_it_cannot_use(org: OrgClient, what: str, body: Any) -> None:
    reply = org.http.post(f"{org.url}/_emulator/{what}", json=body, timeout=10)
    assert (reply.status_code, "error" in reply.json()) == (400, True)


def test_the_validation_rule_of_the_documentation_works(org: OrgClient, repository: Path) -> None:
    text = (repository / "docs/emulator.md").read_text(encoding="utf-8")
    rule, _ = json.JSONDecoder().raw_decode(text[text.index('{"fault": "refuse"') :])
    org.control("faults", rule)
    assert org.post("sobjects/Lead", LEAD).json()[0]["fields"] == ["Phone"]
    assert org.post("sobjects/Lead", {**LEAD, "Phone": "1"}).status_code == 201
