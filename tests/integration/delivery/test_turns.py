"""While calls are scarce, deliverers take turns: the object with urgent records gets the next ones."""

import time

from pipeline.tasks.deliver import deliver_due
from pipeline.tasks.ingest import ingest
from pipeline.tasks.spending import CALLS
from tests.integration.delivery.test_rules import event, identify
from tests.integration.environment import Environment


def test_the_object_with_urgent_records_gets_the_calls_that_are_left(environment: Environment) -> None:
    environment.destination("identify: {priority: high}\nquota: {weights: {Account: 3}}")
    runtime = environment.runtime
    runtime.describes.refresh(["Account", "Lead"])
    limit = runtime.gate.status().limit
    assert limit is not None

    def leave(calls: float) -> None:
        burst = (0.8 * limit - 1000) / 145
        now_ms = round(time.time() * 1000)
        environment.redis.hset("pipeline:{quota}:bucket", mapping={"debt": burst - calls, "at_ms": now_ms})

    ingest([identify(lastName="Lovelace"), event("group", groupId="813", traits={"name": "Engines"})], runtime)
    leave(0)
    assert deliver_due("Lead", "lead", runtime).calls == 0
    leave(CALLS + 0.1)
    refused = deliver_due("Account", "account", runtime)
    assert (refused.calls, "another object's turn" in refused.why) == (0, True)
    assert deliver_due("Lead", "lead", runtime).created == 1
    leave(CALLS + 0.1)
    assert deliver_due("Account", "account", runtime).created == 1
    had = environment.redis.hmget("pipeline:{quota}:turns", ["Account", "Lead"])
    assert [(turn or b"").split()[1] for turn in had] == [b"3.0", b"1.0"]  # their weights
