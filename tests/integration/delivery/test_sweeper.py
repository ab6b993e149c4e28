"""What every worker sweeps by itself, whatever else goes wrong meanwhile."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.metrics.tally import TOTALS
from pipeline.operation import Operation
from pipeline.tasks.runtime import runtime
from pipeline.tasks.upkeep import Sweeper
from tests.integration.environment import Environment


class Timer:
    """Calls when it is told to."""

    def __init__(self) -> None:
        self.call: Callable[[], None] = lambda: None

    def call_repeatedly(self, _every_s: float, call: Callable[[], None]) -> SimpleNamespace:
        self.call = call
        return SimpleNamespace(cancel=lambda: None)


@pytest.mark.parametrize("spoilt", ["a figure of a later version", "an entry that is no operation"])
def test_figures_that_cannot_be_read_keep_nothing_from_being_swept(environment: Environment, spoilt: str) -> None:
    redis = environment.redis
    lead = Operation(id="m1", object="Lead", verb="upsert", match={"Email": "a@example.com"}, event_time_ms=1)
    environment.runtime.inbox("Lead").append([lead])
    redis.delete("pipeline:{Lead}:deliverers")
    if spoilt == "an entry that is no operation":
        redis.lset(f"pipeline:{{Lead}}:inbox:{lead.key}", 0, "no operation")
    else:
        redis.hset(TOTALS, "records|Lead|upserted", 1)
    # As a killed worker leaves it.
    redis.zrem("pipeline:{Lead}:ready", lead.key)
    redis.zadd("pipeline:{Lead}:claims", {lead.key: 1})
    runtime.cache_clear()
    timer: Any = Timer()
    worker = SimpleNamespace(
        hostname="worker@here",
        timer=timer,
        app=SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=["ingest"]))),
    )
    try:
        Sweeper(worker).start(worker)
        timer.call()
    finally:
        runtime.cache_clear()
    assert redis.zscore("pipeline:{Lead}:ready", lead.key) is not None
    assert redis.zscore("pipeline:{Lead}:claims", lead.key) is None
    assert environment.runtime.inbox("Lead").waiting().backlog == 1
