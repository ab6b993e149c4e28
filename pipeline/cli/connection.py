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
    from pipeline.state_store import connect_from

    with connect_from(os.environ) as client:
        yield client
