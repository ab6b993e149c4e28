"""How far `pipeline send` got with a file, so that the next run goes on where one was killed, or the file has grown.

Keys
    pipeline:{sent}:<SHA-256 of the file>              JSON {run, offset, events, is_done}, a week
    pipeline:{sent}:first:<SHA-256 of its first line>  sorted set: SHA-256 of a file that begins so → its bytes, a week

It is in the Redis that holds the pipeline's state: whoever has lost that has lost the events as well, and sends anew.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from redis import Redis

_KEPT_S: Final = 7 * 24 * 3600
_MOST_BEGINNINGS: Final = 20  # of files with one first line; the longest are kept
_CHUNK: Final = 1 << 20


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
    """Remembers how far a file was sent. Raises RedisError where the server is out of reach."""

    def __init__(self, redis: "Redis", path: Path) -> None:
        """Read the file once, to know it and the beginnings of it that were sent."""
        self._redis = redis
        with path.open("rb") as file:
            self._first = _key(f"first:{hashlib.sha256(file.readline().rstrip()).hexdigest()}")
        self._size = path.stat().st_size
        known = cast("list[tuple[bytes, float]]", redis.zrange(self._first, 0, -1, withscores=True))
        sizes = {int(size): digest.decode() for digest, size in known if size < self._size}
        digests = digests_of(path, [*sizes, self._size])
        self._digest = digests[self._size]
        self._beginnings = [sizes[size] for size in sorted(sizes, reverse=True) if digests[size] == sizes[size]]

    def read(self) -> Sent:
        """Return how far the file was sent, or the longest beginning of it that was a file once."""
        stored = self._redis.mget([_key(digest) for digest in (self._digest, *self._beginnings)])
        for position, text in enumerate(stored):
            if text is not None:
                sent = Sent(**json.loads(text))
                return replace(sent, is_done=False) if position else sent
        return new_sending()

    def note(self, sent: Sent) -> None:
        """Remember how far the file was sent."""
        with self._redis.pipeline() as pipe:
            pipe.set(_key(self._digest), json.dumps(asdict(sent)), ex=_KEPT_S)
            pipe.zadd(self._first, {self._digest: self._size})
            pipe.zremrangebyrank(self._first, 0, -_MOST_BEGINNINGS - 1)
            pipe.expire(self._first, _KEPT_S)
            pipe.execute()


class NoMarks(Marks):
    """Remembers nothing: for what cannot be read twice, and where the state's Redis is out of the producer's reach."""

    def __init__(self) -> None:
        """Need no server."""

    def read(self) -> Sent:
        """Return that nothing was sent."""
        return new_sending()

    def note(self, sent: Sent) -> None:
        """Forget it."""


def digests_of(path: Path, sizes: Iterable[int]) -> dict[int, str]:
    """Return size → SHA-256 of the file's first so many bytes, read once."""
    digests, hashed, at = {}, hashlib.sha256(), 0
    with path.open("rb") as file:
        for size in sorted(set(sizes)):
            while at < size and (chunk := file.read(min(_CHUNK, size - at))):
                hashed.update(chunk)
                at += len(chunk)
            digests[size] = hashed.hexdigest()
    return digests


def _key(name: str) -> str:
    return f"pipeline:{{sent}}:{name}"
