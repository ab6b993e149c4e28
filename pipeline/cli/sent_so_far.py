"""How far `pipeline send` got with a file, so that the next run goes on where a killed one stopped.

Key
    pipeline:{sent}:<SHA-256 of the file>   JSON {run, offset, events, is_done}, a week

It is in the Redis that holds the pipeline's state: whoever has lost that has lost the events as well, and sends anew.
"""

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis import Redis

_KEPT_S: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent of a file: its first `offset` bytes, which hold so many events.

    `run` goes into the messageId of events that have none: a repeated run of the same sending repeats it.
    """

    run: str
    offset: int = 0
    events: int = 0
    is_done: bool = False


def new_sending() -> Sent:
    """Return that nothing was sent, under a name that no sending had before."""
    return Sent(uuid.uuid4().hex)


class Marks:
    """Remembers how far each file was sent. Raises RedisError where the server is out of reach."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis

    def read(self, digest: str) -> Sent:
        """Return how far a file was sent."""
        stored = self._redis.get(_key(digest))
        return Sent(**json.loads(stored)) if stored else new_sending()

    def note(self, digest: str, sent: Sent) -> None:
        """Remember how far a file was sent."""
        self._redis.set(_key(digest), json.dumps(asdict(sent)), ex=_KEPT_S)


class NoMarks(Marks):
    """Remembers nothing: for what cannot be read twice, and where the state's Redis is out of the producer's reach."""

    def __init__(self) -> None:
        """Need no server."""

    def read(self, digest: str) -> Sent:  # noqa: ARG002  (as Marks)
        """Return that nothing was sent."""
        return new_sending()

    def note(self, digest: str, sent: Sent) -> None:
        """Forget it."""


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key(digest: str) -> str:
    return f"pipeline:{{sent}}:{digest}"
