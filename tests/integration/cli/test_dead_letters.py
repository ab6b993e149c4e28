"""`pipeline dead-letters retry`, `export` and `drop` against a real server and an emulated org."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from pipeline.cli import main
from pipeline.delivery.deliverer import Deliverer
from pipeline.delivery.report import Report
from pipeline.inbox.claims import Batch
from pipeline.inbox.dead_letters import Receipt, dead_letters, receive, received
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalRedis, connect_producer
from pipeline.settings import load_settings
from pipeline.tasks import ingest
from pipeline.tasks.runtime import Runtime

GOOD, BAD = "a@example.com", "no address"


@pytest.fixture
def runtime(redis_server: LocalRedis, emulator_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runtime:
    destination = tmp_path / "destination.yaml"
    destination.write_text("linger: 0\n", encoding="utf-8")
    environ = {
        "PIPELINE_DESTINATION": str(destination),
        "PIPELINE_REDIS_URL": redis_server.url,
        "SALESFORCE_ENDPOINT_URL": emulator_url,
        "SALESFORCE_CONSUMER_KEY": "key",
        "SALESFORCE_CONSUMER_SECRET": "secret",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIPELINE_BROKER_URL", raising=False)
    connect_producer(redis_server.url)
    return Runtime(load_settings(environ))


def pipeline(*arguments: str, told: str | None = None, expected: int = 0) -> Result:
    ran = CliRunner().invoke(main, ["dead-letters", *arguments], input=told)
    assert ran.exit_code == expected, ran.output
    return ran


def identify(number: int, second: int, **traits: Any) -> dict[str, Any]:
    return {
        "type": "identify",
        "userId": "u",
        "messageId": f"m{number}",
        "timestamp": f"2026-01-01T00:00:{second:02d}Z",
        "traits": {"email": GOOD, **traits},
        "integrations": {"Salesforce": True},
    }


def bury_next(runtime: Runtime, reason: str = "FIELD_CUSTOM_VALIDATION_EXCEPTION: no") -> None:
    """Let the org refuse what waits, as a validation rule would."""
    from pipeline.inbox.claims import Settlement

    inbox = runtime.inbox("Lead")
    batch = inbox.claim("deliverer")
    assert isinstance(batch, Batch)
    buried = [Settlement(claim, bury=dict.fromkeys(claim.positions, reason)) for claim in batch.claims]
    inbox.commit(batch.token, buried)


def deliver(runtime: Runtime) -> None:
    inbox = runtime.inbox("Lead")
    batch = inbox.claim("deliverer")
    assert isinstance(batch, Batch)
    deliverer = Deliverer(inbox, runtime.org, runtime.describes, may_spend=lambda: True)
    assert deliverer.deliver(batch, Report("Lead")) is None


def leads(url: str) -> list[dict[str, Any]]:
    import requests

    found: list[dict[str, Any]] = requests.get(f"{url}/_emulator/records/Lead", timeout=10).json()
    return found


def test_a_retried_operation_is_applied_and_every_figure_adds_up(
    runtime: Runtime, redis_client: Redis, emulator_url: str
) -> None:
    ingest.ingest([identify(1, 1, title="first")], runtime)
    bury_next(runtime)
    assert "1 on their way again" in pipeline("retry", "--reason", "custom_validation").output
    assert redis_client.llen("salesforce.Lead") > 0  # its deliverer was woken
    deliver(runtime)
    assert [record["Title"] for record in leads(emulator_url)] == ["first"]
    inbox = Inbox(redis_client, "Lead")
    assert inbox.counts() == {"appended": 1, "buried": 0, "applied": 1}
    assert (inbox.waiting().backlog, inbox.waiting().dead_letters) == (0, 0)


def test_a_retried_operation_overwrites_nothing_newer_and_goes_before_what_waits(
    runtime: Runtime, emulator_url: str
) -> None:
    ingest.ingest([identify(1, 1, title="oldest", phone="1")], runtime)
    bury_next(runtime)
    ingest.ingest([identify(2, 30, title="newest")], runtime)
    deliver(runtime)
    ingest.ingest([identify(3, 20, phone="2")], runtime)
    pipeline("retry", "--all")
    deliver(runtime)
    (record,) = leads(emulator_url)
    assert (record["Title"], record["Phone"]) == ("newest", "2")


def test_letters_are_retried_once_by_whoever_comes_first(runtime: Runtime, redis_client: Redis) -> None:
    from pipeline.tasks.retry import retry_letters

    ingest.ingest([identify(1, 1)], runtime)
    bury_next(runtime)
    letters = dead_letters(redis_client, "Lead")
    assert retry_letters(letters, runtime).moved == 1
    again = retry_letters(letters, runtime)
    assert (again.moved, again.gone) == (0, 1)
    assert Inbox(redis_client, "Lead").waiting().backlog == 1


def test_a_rejected_event_is_checked_anew_and_stays_while_it_is_invalid(runtime: Runtime, redis_client: Redis) -> None:
    right, wrong = identify(1, 1), {"type": "identify", "messageId": "m2"}
    receipts = [Receipt("m1", "rejected", "the pipeline failed to plan it", right)]
    receive(redis_client, [*receipts, Receipt("m2", "rejected", "no userId", wrong)])
    ran = pipeline("retry", "--object", "events", "--json")
    assert json.loads(ran.output.splitlines()[-1]) == {"retried": 1, "still_refused": 1, "gone": 0}
    assert [letter.event for letter in dead_letters(redis_client, "events")] == [wrong]
    assert {name: count for name, count in received(redis_client).items() if count} == {"accepted": 1, "rejected": 1}
    assert Inbox(redis_client, "Lead").waiting().backlog == 1


def test_a_retry_killed_halfway_neither_loses_nor_repeats_an_event(
    runtime: Runtime, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(redis_client, [Receipt("m1", "rejected", "the pipeline failed to plan it", identify(1, 1))])

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.inbox.dead_letters.readmit", killed)
        CliRunner().invoke(main, ["dead-letters", "retry", "--all"])
    assert len(dead_letters(redis_client, "events")) == 1
    pipeline("retry", "--all")
    assert dead_letters(redis_client, "events") == []
    assert Inbox(redis_client, "Lead").counts() == {"appended": 1, "repeated": 1}


@pytest.mark.parametrize("message_id", ["m1", "m 1", 777])
def test_exported_events_can_be_sent_again_and_are_not_taken_for_the_old_ones(
    runtime: Runtime, redis_client: Redis, message_id: str | int
) -> None:
    event = identify(1, 1) | {"messageId": message_id}
    ingest.ingest([event], runtime)
    bury_next(runtime)
    exported = [json.loads(line) for line in pipeline("export").output.splitlines()]
    (letter,) = dead_letters(redis_client, "Lead")
    assert exported == [event | {"messageId": f"{message_id}+{letter.id}"}]
    for _ in range(2):
        ingest.ingest(exported, runtime)
    assert Inbox(redis_client, "Lead").counts() == {"appended": 2, "buried": 1, "repeated": 1}


def test_what_was_no_event_is_kept_as_text_and_told_to_be_beyond_a_retry(runtime: Runtime, redis_client: Redis) -> None:
    came = ['{"type": "identify", "traits": {"weight": NaN}}', "identify", 5]
    ingest.ingest([identify(1, 1), *came], runtime)
    assert {name: count for name, count in received(redis_client).items() if count} == {"accepted": 1, "rejected": 3}
    letters = dead_letters(redis_client, "events")
    assert not any(letter.is_retriable for letter in letters)
    assert "3 of them cannot be retried" in pipeline("retry", "--all").output
    assert dead_letters(redis_client, "events") == letters
    exported = [json.loads(line) for line in pipeline("export").output.splitlines()]
    assert exported == [letter.event for letter in letters]
    assert exported == came
    shown = json.loads(pipeline("show", f"events/{letters[0].id}").output)
    assert shown["retriable"] is False


def test_half_a_surrogate_pair_in_an_event_neither_rejects_others_nor_stops_a_command(
    runtime: Runtime, redis_client: Redis
) -> None:
    halved = {**identify(1, 1), "type": "group", "groupId": "\ud800g"}
    ingest.ingest([identify(2, 2), halved], runtime)
    assert received(redis_client) == {"accepted": 2}
    invalid = {"type": "identify", "messageId": "m3", "traits": {"name": "\ud83d"}}
    receive(redis_client, [Receipt("m3", "rejected", "no userId", invalid), Receipt("m4", "rejected", "a bug", halved)])
    assert [json.loads(line)["traits"] for line in pipeline("export").output.splitlines()] == [
        invalid["traits"],
        halved["traits"],
    ]
    first, _ = dead_letters(redis_client, "events")
    assert json.loads(pipeline("show", f"events/{first.id}").output)["event"] == invalid
    assert "1 on their way again" in pipeline("retry", "--all").output


def test_letters_are_dropped_only_after_a_yes(runtime: Runtime, redis_client: Redis) -> None:
    for number in range(3):
        ingest.ingest([identify(number, number)], runtime)
        bury_next(runtime, f"REASON_{number}")
    pipeline("drop", "--reason", "reason_1", told="n\n", expected=1)
    assert len(dead_letters(redis_client, "Lead")) == 3
    pipeline("drop", "--reason", "reason_1", told="y\n")
    assert [letter.reason for letter in dead_letters(redis_client, "Lead")] == ["REASON_0", "REASON_2"]
    name = f"Lead/{dead_letters(redis_client, 'Lead')[0].id}"
    assert "1 deleted" in pipeline("drop", name, "--yes").output
    assert Inbox(redis_client, "Lead").waiting().backlog == 0


def test_letters_are_chosen_by_time(runtime: Runtime, redis_client: Redis) -> None:
    base = "pipeline:{Lead}:"
    redis_client.sadd("pipeline:objects", "Lead")
    fields: dict[Any, Any] = {"operation": "1 {}", "reason": "old", "attempts": "0"}
    redis_client.xadd(base + "dead", fields, id="1000-0")
    redis_client.xadd(base + "dead", fields | {"reason": "new"})
    assert "new" not in pipeline("list", "--until", "1h").output
    assert "old" not in pipeline("list", "--since", "1h").output
    assert "old" in pipeline("list", "--since", "1970-01-01T00:00:00Z", "--until", "1970-01-02").output
    for no_time in ("yesterday", "99999999999d", f"{'9' * 5000}s"):
        assert "write a time as" in pipeline("list", "--since", no_time, expected=2).output


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_everything_has_to_be_asked_for(runtime: Runtime, command: str) -> None:
    assert "--all" in pipeline(command, expected=2).output
    assert "--all" in pipeline(command, "--all", "--object", "Lead", expected=2).output
