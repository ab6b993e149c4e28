"""The Redis that holds the pipeline's state, for commands that look at it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis


@contextmanager
def connected() -> Iterator["Redis"]:
    """Open the state store that PIPELINE_REDIS_URL names, for as long as the context lasts."""
    import redis

    from pipeline.settings import redis_url

    client = redis.Redis.from_url(redis_url(os.environ), socket_timeout=10, socket_connect_timeout=5)
    with client:
        yield client
