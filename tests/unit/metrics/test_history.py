"""The history of the last day, from samples."""

import json

import fakeredis
import pytest
from redis import Redis

from pipeline.inbox.dead_letters import Receipt, receive
from pipeline.metrics.history import HISTORY, KEPT_MINUTES, history, sample
from pipeline.metrics.tally import TOTALS


@pytest.fixture
def redis() -> Redis:
    return fakeredis.FakeRedis()


def store(redis: Redis, minutes_ago: int, **figures: float) -> float:
    seconds, _ = redis.time()
    minute_s = seconds // 60 * 60 - 60 * minutes_ago
    stored = {"at_s": minute_s + 1, **figures}
    redis.xadd(HISTORY, {"sample": json.dumps(stored)}, id=f"{minute_s * 1000}-0")
    return minute_s + 1


def test_a_row_says_what_happened_in_its_minute_and_how_it_ended(redis: Redis) -> None:
    start = store(redis, 3, accepted=10, calls=2, backlog=5)
    store(redis, 2, accepted=25, calls=4, backlog=7, quota_used=40)
    receive(redis, [Receipt(f"m{number}", "accepted") for number in range(30)])
    redis.hset(TOTALS, mapping={"calls|write": 4, "calls|login": 9, "records|Lead|created": 8})
    first, last = history(redis)
    assert (first.start_s, first.seconds, first.accepted, first.calls) == (start, 60, 15, 2)
    assert (first.backlog, first.quota_used) == (7, 40)
    assert (last.accepted, last.calls, last.created, last.backlog) == (5, 0, 8, 0)
    assert last.quota_used is None
    assert last.seconds > 60


def test_counts_that_fell_began_anew(redis: Redis) -> None:
    store(redis, 2, accepted=100)
    store(redis, 1, accepted=3)
    assert history(redis)[0].accepted == 3


def test_only_the_time_that_was_asked_for_is_told(redis: Redis) -> None:
    for minutes in (50, 40, 3):
        store(redis, minutes)
    assert len(history(redis, since_s=45 * 60)) == 2
    assert len(history(redis)) == 3
    assert len(history(redis, since_s=10)) == 0


def test_a_minute_has_one_sample_and_the_past_has_a_bound(redis: Redis) -> None:
    assert history(redis) == []
    for minutes in range(KEPT_MINUTES + 5, 0, -1):
        store(redis, minutes)
    assert sample(redis)
    assert not sample(redis)
    assert redis.xlen(HISTORY) == KEPT_MINUTES


def test_what_another_version_stored_is_read_as_far_as_it_is_known(redis: Redis) -> None:
    store(redis, 1, accepted=1, invented=9)
    assert len(history(redis)) == 1
