"""What a worker counts, and how it gets to Redis."""

from collections import Counter
from typing import Any

import fakeredis
import pytest
from redis.client import Pipeline

from pipeline.delivery.report import Report
from pipeline.metrics.tally import Tally, totals


def report(*, created: int = 0, updated: int = 0, calls: int = 0) -> Report:
    dead = Counter({"INVALID_FIELD": 1})
    return Report("Lead", created=created, updated=updated, calls=calls, dead=1, why_dead=dead)


def test_a_batch_is_counted_once_it_is_written() -> None:
    redis, tally = fakeredis.FakeRedis(), Tally()
    tally.count_call("lookup", 0.07)
    tally.count_batch(3, report(created=2, updated=1))
    assert totals(redis) == {}
    tally.write(redis)
    tally.write(redis)
    assert totals(redis) == {
        "calls|lookup": 1,
        "request|lookup|0.1": 1,
        "request|lookup|sum": 70,
        "batch|Lead|5": 1,
        "batch|Lead|sum": 3000,
        "records|Lead|created": 2,
        "records|Lead|updated": 1,
        "buried|Lead|INVALID_FIELD": 1,
    }


def test_a_value_at_a_bound_is_within_it_and_one_above_all_is_infinite() -> None:
    redis, tally = fakeredis.FakeRedis(), Tally()
    for seconds in (0.05, 120.0, 121.0):
        tally.count_call("write", seconds)
    tally.write(redis)
    counted = totals(redis)
    assert [counted[f"request|write|{bound}"] for bound in ("0.05", "120", "+Inf")] == [1, 1, 1]


def test_what_redis_does_not_take_waits_for_the_next_batch() -> None:
    server = fakeredis.FakeServer()
    redis, tally = fakeredis.FakeRedis(server=server), Tally()
    tally.count_call("write", 1)
    server.connected = False
    tally.write(redis)
    server.connected = True
    tally.count_call("write", 1)
    tally.write(redis)
    assert totals(redis)["calls|write"] == 2


def test_a_batch_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    redis, tally = fakeredis.FakeRedis(), Tally()
    executed = []
    execute = Pipeline.execute

    def count(pipe: Any, *arguments: Any) -> Any:
        executed.append(pipe)
        return execute(pipe, *arguments)

    monkeypatch.setattr(Pipeline, "execute", count)
    for number in range(100):
        tally.count_call("write", number)
    tally.count_batch(1000, report(created=1000))
    tally.write(redis)
    assert len(executed) == 1


def test_a_batch_adds_to_the_report_of_its_turn() -> None:
    turn = report(created=1, calls=2)
    turn.add(report(created=2, calls=3))
    assert (turn.created, turn.calls, turn.dead, turn.why_dead) == (3, 5, 2, {"INVALID_FIELD": 2})
