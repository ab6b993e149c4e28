"""What ingest does with a message that it cannot take in: Celery acknowledges whatever a task raises but Reject."""

from typing import Any

import fakeredis
import pytest
from celery.exceptions import Reject, SoftTimeLimitExceeded
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pipeline.errors import ConfigurationError
from pipeline.inbox.dead_letters import dead_letters, received
from pipeline.settings import load_settings
from pipeline.tasks import ingest, runtime

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


@pytest.mark.parametrize(
    ("error", "is_again"), [(TypeError("about a@example.com"), False), (SoftTimeLimitExceeded(), True)]
)
def test_events_that_we_fail_to_take_in_become_dead_letters(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, error: BaseException, is_again: bool
) -> None:
    failing(monkeypatch, error)
    ingest._ingest(EVENTS, is_again=is_again)
    letters = dead_letters(redis, "events")
    assert [letter.event for letter in letters] == EVENTS
    assert {letter.reason for letter in letters} == {f"the pipeline failed to take it in: {type(error).__name__}"}


@pytest.mark.parametrize("is_again", [False, True])
def test_one_event_that_we_fail_to_take_in_is_buried_alone(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, is_again: bool
) -> None:
    working = ingest.ingest

    def failing_for_one(events: list[Any], runtime: Any) -> None:
        if EVENTS[0] in events:
            raise TypeError
        working(events, runtime)

    monkeypatch.setattr(ingest, "ingest", failing_for_one)
    ingest._ingest(EVENTS, is_again=is_again)
    assert [letter.event for letter in dead_letters(redis, "events")] == EVENTS[:1]
    assert received(redis) == {"rejected": 1, "skipped": 1}
