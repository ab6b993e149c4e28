"""What ingest does with a message that it cannot take in: Celery acknowledges whatever a task raises but Reject."""

import json
from typing import Any

import fakeredis
import pytest
from celery.exceptions import Reject, SoftTimeLimitExceeded
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pipeline.errors import ConfigurationError
from pipeline.inbox.dead_letters import Receipt, dead_letters, receive, received
from pipeline.settings import load_settings
from pipeline.tasks import ingest, runtime
from pipeline.tasks.retry import retry_all

EVENTS = [{"type": "identify", "userId": "u", "messageId": f"m{number}"} for number in range(2)]


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Redis:
    redis = fakeredis.FakeRedis()
    held = runtime.Runtime(load_settings({}))
    held.redis = redis
    monkeypatch.setattr(runtime, "runtime", lambda: held)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return redis


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(ingest, "ingest", fail)


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("destination.yaml, line 3: unknown key"),
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        ReadOnlyError("You can't write against a read only replica."),
        RedisTimeoutError(),
        OperationalError(),
        SoftTimeLimitExceeded(),
        AttributeError("as kombu has it of a lost connection"),
    ],
)
def test_a_message_goes_back_to_its_queue_for_what_passes(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    failing(monkeypatch, error)
    with pytest.raises(Reject) as rejected:
        ingest._ingest(EVENTS, is_again=False)
    assert vars(rejected.value)["requeue"]
    assert dead_letters(redis, "events") == []


@pytest.mark.parametrize("error", [TypeError("about a@example.com"), SoftTimeLimitExceeded()])
def test_events_that_we_fail_to_take_in_twice_become_dead_letters(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    failing(monkeypatch, error)
    ingest._ingest(EVENTS, is_again=True)
    letters = dead_letters(redis, "events")
    assert [letter.event for letter in letters] == EVENTS
    assert {letter.reason for letter in letters} == {f"the pipeline failed to take it in: {type(error).__name__}"}


def test_a_fault_of_one_of_several_messages_buries_none_of_them(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, TypeError())
    bodies = [(json.dumps([[event], {}, {}]), "application/json", "utf-8") for event in EVENTS]
    with pytest.raises(Reject) as rejected:
        ingest.take_in(bodies)
    assert vars(rejected.value)["requeue"]
    assert dead_letters(redis, "events") == []
    for body in bodies:  # so they come again one by one
        ingest.take_in([body], is_again=True)
    assert [letter.event for letter in dead_letters(redis, "events")] == EVENTS


def test_one_event_that_we_fail_to_take_in_is_buried_alone(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    working = ingest.ingest

    def failing_for_one(events: list[Any], runtime: Any) -> None:
        if EVENTS[0] in events:
            raise TypeError
        working(events, runtime)

    monkeypatch.setattr(ingest, "ingest", failing_for_one)
    with pytest.raises(Reject):
        ingest._ingest(EVENTS, is_again=False)
    ingest._ingest(EVENTS, is_again=True)
    assert [letter.event for letter in dead_letters(redis, "events")] == EVENTS[:1]
    assert received(redis) == {"rejected": 1, "skipped": 1}


@pytest.mark.parametrize("body", ["{", b"{", b"{\xff"])
def test_a_message_that_cannot_be_read_after_all_becomes_a_dead_letter(redis: Redis, body: str | bytes) -> None:
    ingest.take_in([(body, "application/json", "utf-8")])
    (letter,) = dead_letters(redis, "events")
    assert str(letter.event).startswith("{")


def test_an_event_that_is_retried_arrived_when_it_was_refused(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    receive(redis, [Receipt("m1", "rejected", "no email", {"type": "identify", "timestamp": "2999-01-01T00:00:00Z"})])
    (letter,) = dead_letters(redis, "events")
    arrived: list[int] = []

    def plan(event: Any, received_ms: int, _: Any) -> Any:
        arrived.append(received_ms)
        return Receipt("m1", "rejected", "no email", event), []

    monkeypatch.setattr("pipeline.tasks.ingest.plan", plan)
    retry_all([letter], runtime.runtime())
    assert arrived == [letter.time_ms]
