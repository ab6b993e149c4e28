"""The client side against an emulated org over HTTP: every way in, every kind of call, the faults it offers."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from pipeline.salesforce.client import Org, create, delete, query, update
from pipeline.salesforce.credentials import Credentials
from pipeline.salesforce.describe import DescribeCache
from pipeline.salesforce.errors import LoginRefused, NoAnswer, Refused, Unavailable, UnknownObject
from pipeline.salesforce.quota import QuotaGate, Wait
from pipeline.salesforce.session import SessionStore
from pipeline.salesforce.soql import lookup_queries

APP = Credentials(consumer_key="key", consumer_secret="secret", domain="acme.my")
USER = Credentials(username="admin@example.com", password="password", security_token="token")


class Emulator:
    """The emulator's own doors, beside those of Salesforce."""

    def __init__(self, url: str) -> None:
        self.url = url

    def tell(self, what: str, body: Any) -> None:
        requests.post(f"{self.url}/_emulator/{what}", json=body, timeout=10).raise_for_status()

    def api_calls(self) -> int:
        stats: dict[str, Any] = requests.get(f"{self.url}/_emulator/stats", timeout=10).json()
        return int(stats["api_calls"]["total"])

    def records(self, name: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = requests.get(f"{self.url}/_emulator/records/{name}", timeout=10).json()
        return found


@pytest.fixture
def emulator(emulator_url: str) -> Emulator:
    return Emulator(emulator_url)


@pytest.fixture
def gate(redis_client: redis.Redis) -> QuotaGate:
    return QuotaGate(redis_client, share=0.8, reserve=1000)


@pytest.fixture
def real_org(redis_client: redis.Redis, emulator: Emulator, gate: QuotaGate) -> Org:
    store = SessionStore(redis_client, APP, endpoint_url=emulator.url)
    return Org(store, api_version="66.0", on_usage=gate.observe)


def leads(count: int) -> list[dict[str, Any]]:
    return [
        {"LastName": f"Name {number}", "Company": "ACME", "Email": f"p{number}@example.com"} for number in range(count)
    ]


def test_every_way_to_log_in_leads_to_an_org_that_answers(
    redis_client: redis.Redis, emulator: Emulator, tmp_path: Path
) -> None:
    key = requests.get(f"{emulator.url}/_emulator/jwt_key", timeout=10)
    (tmp_path / "key.pem").write_bytes(key.content)
    signed = Credentials(
        username="admin@example.com", consumer_key="key", private_key_file=str(tmp_path / "key.pem"), domain="login"
    )
    for credentials in (APP, USER, signed):
        org = Org(SessionStore(redis_client, credentials, endpoint_url=emulator.url), api_version="66.0")
        used, limit = org.limits()
        assert 0 < used <= limit


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (Credentials(username="admin@example.com", password="wrong", security_token="token"), "INVALID_LOGIN"),
        (Credentials(username="admin@example.com", password="password"), "LOGIN_MUST_USE_SECURITY_TOKEN"),
        (Credentials(consumer_key="key", consumer_secret="wrong", domain="acme.my"), "invalid_client"),
        (Credentials(consumer_key="other", consumer_secret="secret", domain="acme.my"), "invalid_client_id"),
    ],
)
def test_a_refused_login_says_what_to_set(
    redis_client: redis.Redis, emulator: Emulator, credentials: Credentials, code: str
) -> None:
    with pytest.raises(LoginRefused) as refused:
        SessionStore(redis_client, credentials, endpoint_url=emulator.url).get()
    assert refused.value.code == code
    assert "SALESFORCE_" in refused.value.advice
    assert "wrong" not in str(refused.value)


def test_a_thousand_records_are_created_in_one_call_and_found_in_another(emulator: Emulator, real_org: Org) -> None:
    wanted = leads(1000)
    before = emulator.api_calls()
    answers = real_org.send([create("Lead", wanted[start : start + 200]) for start in range(0, 1000, 200)])
    assert emulator.api_calls() == before + 1
    ids = [result.id for answer in answers for result in answer.results()]
    assert len(set(ids)) == 1000

    queries = lookup_queries("Lead", ["Email"], [{"Email": lead["Email"].upper()} for lead in wanted])
    pages = real_org.send([query(soql) for soql, _ in queries])
    assert emulator.api_calls() == before + 2
    found = {row["Email"]: row["Id"] for page in pages for row in page.body["records"]}
    assert found == {lead["Email"]: id_ for lead, id_ in zip(wanted, ids, strict=True)}
    assert real_org.calls == {"composite": 2}


def test_values_with_quotes_and_backslashes_are_found_as_they_were_written(real_org: Org) -> None:
    names = [
        "O'Brien",
        "back\\slash",
        "both \\' of them",
        'double "quoted"',
        "100%_",
        "new\nline",
        "Zoë",
        "{0} @{r0.id}",
    ]
    (created,) = real_org.send([create("Account", [{"Name": name} for name in names])])
    assert all(result.success for result in created.results())
    ((soql, _),) = lookup_queries("Account", ["Name"], [{"Name": name} for name in names])
    (found,) = real_org.send([query(soql)])
    assert sorted(row["Name"] for row in found.body["records"]) == sorted(names)
    ((alone, _),) = lookup_queries("Account", ["Name"], [{"Name": "both \\' of them"}])
    assert real_org.send([query(alone)])[0].body["totalSize"] == 1


def test_the_oldest_record_comes_first(real_org: Org) -> None:
    for name in ("first", "second", "third"):
        real_org.send([create("Lead", [{"LastName": name, "Company": "ACME", "Email": "same@example.com"}])])
    ((soql, _),) = lookup_queries("Lead", ["LastName"], [{"Email": "same@example.com"}])
    (answer,) = real_org.send([query(soql)])
    assert [row["LastName"] for row in answer.body["records"]] == ["first", "second", "third"]


def test_one_bad_record_fails_alone(real_org: Org) -> None:
    (answer,) = real_org.send(
        [create("Lead", [*leads(1), {"Company": "no name"}, {**leads(1)[0], "Email": "no mail"}])]
    )
    good, nameless, bad_mail = answer.results()
    assert good.success
    assert [error.code for error in nameless.errors] == ["REQUIRED_FIELD_MISSING"]
    assert bad_mail.errors[0].code == "INVALID_EMAIL_ADDRESS"
    assert bad_mail.errors[0].fields == ("Email",)


def test_updates_and_deletes_name_their_records(emulator: Emulator, real_org: Org) -> None:
    (created,) = real_org.send([create("Lead", leads(2))])
    one, other = [str(result.id) for result in created.results()]
    updated, deleted = real_org.send([update("Lead", [{"Id": one, "City": "Paris"}]), delete([other])])
    assert [result.success for result in (*updated.results(), *deleted.results())] == [True, True]
    (left,) = emulator.records("Lead")
    assert (left["Id"], left["City"]) == (one, "Paris")
    (again,) = real_org.send([delete([other])])
    assert again.results()[0].errors[0].code == "ENTITY_IS_DELETED"


def test_two_hundred_records_are_deleted_in_one_call(emulator: Emulator, real_org: Org) -> None:
    (created,) = real_org.send([create("Lead", leads(200))])
    before = emulator.api_calls()
    (deleted,) = real_org.send([delete([str(result.id) for result in created.results()])])
    assert all(result.success for result in deleted.results())
    assert emulator.api_calls() == before + 1
    assert emulator.records("Lead") == []


def test_a_collection_with_an_unknown_field_is_refused_alone(real_org: Org) -> None:
    bad = [{**leads(1)[0], "Nowhere__c": 1}]
    good, refused = real_org.send([create("Lead", leads(1)), create("Lead", bad)])
    assert good.results()[0].success
    assert [error.code for error in refused.errors] == ["INVALID_FIELD"]
    assert [error.code for error in real_org.send([create("Lead", bad)])[0].errors] == ["INVALID_FIELD"]


def test_a_query_that_has_more_pages_goes_on(real_org: Org) -> None:
    for start in range(0, 2200, 1000):
        part = leads(2200)[start : start + 1000]
        real_org.send([create("Lead", part[at : at + 200]) for at in range(0, len(part), 200)])
    page = real_org.send([query("SELECT Id FROM Lead")])[0]
    rows = list(page.body["records"])
    while not page.body["done"]:
        page = real_org.query_rest(page.body["nextRecordsUrl"])
        rows += page.body["records"]
    assert len({row["Id"] for row in rows}) == 2200


def test_all_objects_are_described_in_one_call(redis_client: redis.Redis, emulator: Emulator, real_org: Org) -> None:
    cache = DescribeCache(redis_client, real_org)
    before = emulator.api_calls()
    cache.refresh(["Lead", "Account", "Contact", "Gadget__c"])
    assert emulator.api_calls() == before + 1
    email = cache.get("Lead").find("email")
    assert email is not None
    assert (email.type, email.length, email.id_lookup, email.filterable) == ("email", 80, True, True)
    assert cache.get("Account").key_prefix == "001"
    with pytest.raises(UnknownObject):
        cache.get("Gadget__c")
    assert emulator.api_calls() == before + 1


def test_a_session_killed_by_the_org_is_renewed_and_nothing_is_written_twice(emulator: Emulator, real_org: Org) -> None:
    real_org.send([create("Lead", leads(1))])
    emulator.tell("sessions", {"kill": True})
    assert real_org.send([create("Account", [{"Name": "ACME"}])])[0].results()[0].success
    assert len(emulator.records("Account")) == 1


def test_the_gate_follows_the_usage_that_the_org_reports(emulator: Emulator, real_org: Org, gate: QuotaGate) -> None:
    emulator.tell("limits", {"daily_limit": 10_000})
    real_org.limits()
    status = gate.status()
    assert status.limit == 10_000
    assert status.used is not None
    emulator.tell("limits", {"use": 8_000})
    real_org.limits()
    closed = gate.take(2, "a")
    assert isinstance(closed, Wait)
    assert "whoever used them" in closed.reason


def test_a_quota_that_is_used_up_is_a_refusal_of_the_whole_request(
    emulator: Emulator, real_org: Org, gate: QuotaGate
) -> None:
    emulator.tell("faults", {"fault": "quota", "method": "POST", "path": "composite", "next": 1})
    with pytest.raises(Refused) as refused:
        real_org.send([create("Lead", leads(1))])
    assert refused.value.codes == {"REQUEST_LIMIT_EXCEEDED"}
    assert not emulator.records("Lead")


@pytest.mark.parametrize(
    ("fault", "error", "written"),
    [
        ({"fault": "unavailable"}, Unavailable, 0),
        ({"fault": "unavailable", "html": True}, Unavailable, 0),
        ({"fault": "server_error"}, Unavailable, 0),
        ({"fault": "reset_before"}, NoAnswer, 0),
        ({"fault": "reset_after"}, NoAnswer, 1),
        ({"fault": "truncated"}, NoAnswer, 1),
    ],
)
def test_each_fault_is_told_for_what_it_is(
    emulator: Emulator, real_org: Org, fault: dict[str, Any], error: type[Exception], written: int
) -> None:
    real_org.limits()
    emulator.tell("faults", {**fault, "method": "POST", "next": 1})
    with pytest.raises(error) as told:
        real_org.send([create("Lead", leads(1))])
    if isinstance(told.value, NoAnswer):
        assert told.value.sent, "whatever became of it, it was sent"
    assert len(emulator.records("Lead")) == written


def test_row_locks_are_told_record_by_record(emulator: Emulator, real_org: Org) -> None:
    emulator.tell("faults", {"fault": "row_lock", "match": {"Email": "p1@example.com"}, "next": 1})
    first, second = real_org.send([create("Lead", leads(2))])[0].results()
    assert first.success
    assert [error.code for error in second.errors] == ["UNABLE_TO_LOCK_ROW"]


def test_nothing_secret_stands_in_the_clear_where_it_need_not(redis_client: redis.Redis, emulator: Emulator) -> None:
    key = base64.urlsafe_b64encode(b"k" * 32).decode()
    store = SessionStore(redis_client, USER, endpoint_url=emulator.url, secret_keys=[key])
    token = store.get().session_id
    everything = str([redis_client.get(name) for name in redis_client.keys("pipeline:*")])
    assert "gAAAA" in everything, "a Fernet token"
    assert token not in everything
    assert not re.search("password|admin@example", everything)
