"""Which event of a message it is that costs processes their lives.

A message that has done so comes again alone, and its events are taken in one by one. Which of them is being taken in
stands in Redis meanwhile, so whoever reads the message next knows of which one the last process died.

Keys
    pipeline:{events}:trial:<hash of the message's events>   position of the event that is being taken in; for an hour
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, cast

from redis.exceptions import RedisError

from pipeline.events.ids import message_id

if TYPE_CHECKING:
    from redis import Redis

_KEPT_S: Final = 3_600
# The first process may have died with others' messages in its hands, or of something else; the second one had this.
_ENOUGH: Final = 2


class Trials:
    """The taking in of a message's events one by one, after it has cost `lost` processes their lives."""

    def __init__(self, redis: "Redis", events: list[Any], *, lost: int) -> None:
        self._redis = redis
        ids = "\n".join(message_id({"": event}) for event in events)
        self._key = f"pipeline:{{events}}:trial:{hashlib.sha256(ids.encode()).hexdigest()}"
        found = cast("bytes | None", redis.get(self._key))
        self._deadly = int(found) if found and lost >= _ENOUGH else None

    def is_deadly(self, position: int) -> bool:
        """Say whether the last process died while it took in the event at this position."""
        return position == self._deadly

    @contextmanager
    def of(self, position: int) -> Iterator[None]:
        """Have it known which event is being taken in, until that has ended in any way but the process's death."""
        self._redis.set(self._key, position, ex=_KEPT_S)
        try:
            yield
        finally:
            with suppress(RedisError):
                self._redis.delete(self._key)
