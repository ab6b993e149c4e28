"""`pipeline status` and `pipeline dead-letters` against a real server, with state that the pipeline wrote."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from pipeline import send_event
from pipeline.cli import main
from pipeline.inbox.claims import Batch, Settlement
from pipeline.inbox.dead_letters import Receipt, receive
from pipeline.inbox.inbox import OTHERS_LEFT_OUT, Inbox
from pipeline.local import LocalRedis, connect_producer, free_port
from pipeline.operation import Json, Operation

EVENT: dict[str, Json] = {"type": "identify", "userId": "u1", "traits": {"email": "a@example.com"}}


@pytest.fixture(autouse=True)
def _environment(redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    destination = tmp_path / "destination.yaml"
    destination.write_text("{}", encoding="utf-8")
    monkeypatch.setenv("PIPELINE_DESTINATION", str(destination))
    monkeypatch.setenv("PIPELINE_REDIS_URL", redis_server.url)
    for name in ("PIPELINE_BROKER_URL", "PIPELINE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    connect_producer(redis_server.url)


def pipeline(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def read(*arguments: str) -> dict[str, Any]:
    ran = pipeline(*arguments)
    assert ran.exit_code == 0, ran.output
    shown: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return shown


def operation(number: int) -> Operation:
    return Operation(
        id=f"m{number}#identify",
        object="Lead",
        verb="upsert",
        match={"Email": f"{number}@example.com"},
        event_time_ms=number,
        event=EVENT,
    )


def bury_one(redis: Redis) -> None:
    """Append two operations on leads, claim both, bury one with Salesforce's words, and leave the other claimed."""
    inbox = Inbox(redis, "Lead")
    inbox.append([operation(1), operation(2)])
    batch = inbox.claim("deliverer")
    assert isinstance(batch, Batch)
    claim = batch.claims[0]
    inbox.commit(batch.token, [Settlement(claim, bury={0: "INVALID_EMAIL_ADDRESS: Email: invalid"})])


def test_the_status_of_a_new_system_is_all_zero_and_says_what_is_not_known() -> None:
    shown = read("status", "--json")
    assert set(shown) == {
        "backlog",
        "oldest_event_age_s",
        "in_flight",
        "dead_letters",
        "quota",
        "session",
        "paused",
        "left_out",
        "paused_objects",
        "unreadable",
        "redis",
        "events",
        "clock_skew_s",
    }
    assert shown["clock_skew_s"] == {}
    assert shown["events"] == {"accepted": 0, "skipped": 0, "rejected": 0, "skipped_by_reason": {}}
    assert set(shown["backlog"]) == {"events", "Account", "Contact", "Lead"}
    assert not any(shown["backlog"].values())
    assert set(shown["quota"]) == {"limit", "used", "budget_left"}
    assert shown["session"] == {"age_s": None}
    assert not shown["paused"]
    assert "quota: not known yet" in pipeline("status").output


def test_the_status_counts_what_waits_where(redis_client: Redis) -> None:
    send_event.delay(EVENT)
    bury_one(redis_client)
    Inbox(redis_client, "Account").append([operation(3)])
    shown = read("status", "--json")
    assert shown["backlog"] == {"events": 1, "Account": 1, "Contact": 0, "Lead": 1}
    assert shown["in_flight"] == {"Account": 0, "Contact": 0, "Lead": 1}
    assert shown["dead_letters"] == {"events": 0, "Account": 0, "Contact": 0, "Lead": 1}
    assert 0 <= shown["oldest_event_age_s"]["Lead"] < 60
    assert pipeline("status").exit_code == 0


def test_the_status_tells_why_events_were_skipped(redis_client: Redis) -> None:
    near = 'near miss: "Salesforce (Actions)": true'
    receive(redis_client, [Receipt("m1", "skipped", near), Receipt("m2", "skipped", near), Receipt("m3", "accepted")])
    receive(redis_client, [Receipt("m4", "skipped", "all_is_true")])
    assert read("status", "--json")["events"] == {
        "accepted": 1,
        "skipped": 3,
        "rejected": 0,
        "skipped_by_reason": {near: 2, "all_is_true": 1},
    }
    told = pipeline("status").output
    assert (
        'skipped: 2 events: it says `"Salesforce (Actions)": true`, and only `"Salesforce": true` asks for it' in told
    )
    assert "skipped: 1 event: it says `All: true`" in told


def test_the_status_counts_what_is_no_message(redis_client: Redis) -> None:
    redis_client.lpush("ingest.unreadable", "5", "null")
    assert read("status", "--json")["unreadable"] == 2
    assert "unreadable: 2 in the list ingest.unreadable" in pipeline("status").output


def test_the_status_shows_the_quota_and_why_delivery_is_paused(redis_client: Redis) -> None:
    redis_client.hset("pipeline:{quota}:usage", mapping={"used": 30_000, "limit": 100_000})
    assert "delivery is paused" in pipeline("pause", "--reason", "a [release]").output
    assert "paused already" in pipeline("pause").output
    pipeline("pause", "Lead", "--reason", "its triggers")
    shown = read("status", "--json")
    assert shown["quota"] == {"limit": 100_000, "used": 30_000, "budget_left": 50_000}
    assert shown["paused"]["reason"] == "paused by hand: a [release]"
    assert datetime.now(UTC) - datetime.fromisoformat(shown["paused"]["since"]) < timedelta(minutes=1)
    assert shown["paused_objects"]["Lead"]["advice"] == "`pipeline resume Lead` ends it"
    told = pipeline("status").output
    assert "30,000 of 100,000 calls used" in told
    assert f"paused: paused by hand: a [release], since {shown['paused']['since']}" in told
    assert "paused: Lead is paused by hand: its triggers" in told


def test_a_pause_is_ended_as_a_whole_or_for_one_object() -> None:
    assert "Lead is paused" in pipeline("pause", "Lead").output
    pipeline("pause", "Account")
    assert "Lead goes on" in pipeline("resume", "Lead").output
    assert "Lead was not paused" in pipeline("resume", "Lead").output
    assert set(read("status", "--json")["paused_objects"]) == {"Account"}
    assert "delivery goes on" in pipeline("resume").output
    assert read("status", "--json")["paused_objects"] == {}


def test_only_objects_that_are_delivered_to_are_paused(redis_client: Redis) -> None:
    redis_client.sadd("pipeline:objects", "Case")  # whose rule is gone, but not its operations
    assert "Case is paused" in pipeline("pause", "Case").output
    ran = pipeline("pause", "lead")
    assert ran.exit_code == 2
    assert "write one of Account, Case, Contact, Lead" in " ".join(ran.output.split())
    assert set(read("status", "--json")["paused_objects"]) == {"Case"}


def test_the_status_tells_what_was_left_out_and_how_often(redis_client: Redis) -> None:
    leads, accounts = Inbox(redis_client, "Lead"), Inbox(redis_client, "Account")
    plan, markup = (
        "trait `plan` had no field `plan__c` on Lead",
        "trait `[red]x[/]` had no field `[red]x[/]__c` on Lead",
    )
    for times in (1_000, 189):
        leads.count_left_out({plan: times, markup: 1})
    accounts.count_left_out({"`rating`: Rating is of type picklist: it is too good": 3})
    assert read("status", "--json")["left_out"] == {
        "Account": {"`rating`: Rating is of type picklist: it is too good": 3},
        "Lead": {plan: 1_189, markup: 2},
    }
    shown = pipeline("status").output
    assert f"left out: {plan}: 1,189 times\n" in shown
    assert f"left out: {markup}: 2 times\n" in shown
    assert "left out: Account: `rating`: Rating is of type picklist: it is too good: 3 times\n" in shown


def test_names_that_a_producer_invents_are_counted_up_to_a_bound(redis_client: Redis) -> None:
    leads = Inbox(redis_client, "Lead")
    leads.count_left_out({"known": 1})
    leads.count_left_out({f"trait {number}": 1 for number in range(1_500)})
    leads.count_left_out({"known": 1})
    counted = leads.left_out()
    assert len(counted) == 1_001
    assert counted["known"] == 2
    assert counted[OTHERS_LEFT_OUT] == 501
    assert "more kinds, see --json" in pipeline("status").output


def test_a_redis_that_is_not_there_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_REDIS_URL", f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    for arguments in (["status"], ["dead-letters", "list"]):
        ran = pipeline(*arguments)
        assert ran.exit_code == 1
        assert "Redis does not answer" in ran.output
        assert "hunter2" not in ran.output


def test_dead_letters_are_listed_with_their_reason_and_without_the_event(redis_client: Redis) -> None:
    receive(redis_client, [Receipt("m9", "rejected", "track needs event", {"type": "track"})])
    bury_one(redis_client)
    shown = read("dead-letters", "list", "--json")
    assert [letter["reason"] for letter in shown["dead_letters"]] == [
        "track needs event",
        "INVALID_EMAIL_ADDRESS: Email: invalid",
    ]
    assert [letter["id"].split("/")[0] for letter in shown["dead_letters"]] == ["events", "Lead"]
    listed = pipeline("dead-letters", "list", "--object", "Lead").output
    assert listed.count("\n") == 1
    assert "a@example.com" not in listed


def test_one_dead_letter_is_shown_with_the_whole_event(redis_client: Redis) -> None:
    bury_one(redis_client)
    (letter,) = read("dead-letters", "list", "--json")["dead_letters"]
    ran = pipeline("dead-letters", "show", letter["id"])
    shown = json.loads(ran.output)
    assert (shown["event"], shown["object"], shown["reason"]) == (EVENT, "Lead", letter["reason"])


def test_a_long_list_is_cut_and_says_so(redis_client: Redis) -> None:
    receive(redis_client, [Receipt(f"m{number}", "rejected", f"reason {number}", {}) for number in range(1200)])
    assert read("dead-letters", "list", "--limit", "3", "--json")["more"] is True
    everything = read("dead-letters", "list", "--limit", "5000", "--json")
    assert len(everything["dead_letters"]) == 1200
    assert everything["more"] is False
    assert "... and more" in pipeline("dead-letters", "list", "--limit", "3").output


@pytest.mark.parametrize(
    ("letter_id", "exit_code"),
    [
        ("Lead/1-0", 1),
        (f"Lead/{2**64 - 1}-0", 1),
        ("1-0", 2),
        ("Lead/abc", 2),
        ("a b/1-0", 2),
        ("Lead/99999999999999999999999-0", 2),
        (f"Lead/1-{'9' * 5000}", 2),
        ("Lead/\N{ARABIC-INDIC DIGIT THREE}-0", 2),
    ],
)
def test_an_id_that_is_none_says_so(letter_id: str, exit_code: int) -> None:
    ran = pipeline("dead-letters", "show", letter_id)
    assert ran.exit_code == exit_code
    assert "Error" in ran.output


def test_there_being_none_is_said() -> None:
    assert "no dead letters" in pipeline("dead-letters", "list").output
