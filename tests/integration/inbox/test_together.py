import pytest
from redis import Redis
from redis.exceptions import RedisError

from pipeline.inbox.inbox import Inbox
from pipeline.inbox.scripts import run_together
from pipeline.operation import Operation


def test_one_script_that_fails_is_raised_and_repeating_all_of_them_is_safe(redis_client: Redis) -> None:
    operations = [
        Operation(id="m1", object=name, verb="upsert", match={"Email": "a@example.com"}, event_time_ms=1)
        for name in ("Lead", "Contact")
    ]
    inboxes = [Inbox(redis_client, operation.object) for operation in operations]

    def append() -> list[object]:
        return run_together(
            redis_client,
            [inbox.appending([one]).call for inbox, one in zip(inboxes, operations, strict=True)],
        )

    redis_client.set("pipeline:{Lead}:counts", "no hash")
    with pytest.raises(RedisError):
        append()
    redis_client.delete("pipeline:{Lead}:counts")
    append()
    for operation in operations:
        assert redis_client.llen(f"pipeline:{{{operation.object}}}:inbox:{operation.key}") == 1
