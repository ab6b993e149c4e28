"""read_result: what the `read` actions of a message have found, for the producer that sent it."""

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis

    from pipeline.inbox.results import ReadResult
    from pipeline.settings.address import Server
    from pipeline.settings.sentinels import Sentinels


def read_result(message_id: str | int) -> "dict[str, ReadResult] | None":
    """Return what the read actions of a message have found: the rule's name, as `actions[0]`, → its result.

    None: nothing is there, because delivery has not come to it, because a quarter of an hour has passed since, or
    because no action reads for this event. `message_id` is the `messageId` that the producer gave the event, of
    whatever form. Reads the Redis that PIPELINE_REDIS_URL names; raises ConfigurationError for no address, RedisError
    where it does not answer.
    """
    from pipeline.events.ids import stored_id
    from pipeline.inbox.results import results_of
    from pipeline.settings import redis_address

    return results_of(_client(redis_address(os.environ)), stored_id(message_id))


@cache
def _client(address: "Server | Sentinels") -> "Redis":
    from pipeline.state_store import connect

    return connect(address)
