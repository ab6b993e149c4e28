import pytest
from redis import Redis
from redis.exceptions import RedisError

from pipeline.inbox.dead_letters import Receipt, received, receiving
from pipeline.inbox.inbox import Inbox
from pipeline.inbox.scripts import run_together
from pipeline.operation import Operation


def test_one_script_that_fails_is_raised_and_repeating_all_of_them_is_safe(redis_client: Redis) -> None:
    operation = Operation(id="m1", object="Lead", verb="upsert", match={"Email": "a@example.com"}, event_time_ms=1)
    inbox = Inbox(redis_client, "Lead")
    redis_client.set("pipeline:{Lead}:counts", "no hash")
    counting = receiving([Receipt("m1", "accepted")])
    with pytest.raises(RedisError):
        run_together(redis_client, [inbox.appending([operation]).call, counting])
    redis_client.delete("pipeline:{Lead}:counts")
    run_together(redis_client, [inbox.appending([operation]).call, counting])
    assert received(redis_client) == {"accepted": 1}
    assert redis_client.llen(f"pipeline:{{Lead}}:inbox:{operation.key}") == 1
