"""The requests that the org answered last, for the page that shows them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import parse_qs

# Requests that are kept.
MOST = 100
# Characters of a path and of a query that are kept: as many as an address may have, so the log's size has a bound.
_MOST_TEXT = 16_384


class Seen(NamedTuple):
    """One answered request, without its headers and its body.

    Of the query string only the text of a SOQL query is kept: other parameters may be tokens. ``at`` is in Unix
    seconds, ``status`` None when the connection was reset instead, ``calls`` the API calls it was charged.
    """

    at: float
    method: str
    path: str
    soql: str
    status: int | None
    calls: int
    ms: float


class RequestLog:
    """The last requests, newest first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: deque[Seen] = deque(maxlen=MOST)

    def __iter__(self) -> Iterator[Seen]:
        """Iterate over the requests."""
        return iter(self._seen)

    def add(self, method: str, path: str, query: bytes, *, status: int | None, calls: int, seconds: float) -> None:
        """Keep a request and drop the oldest; ``query`` is the query string as it came."""
        soql = ""
        if query and path.endswith(("/query", "/query/", "/queryAll", "/queryAll/")):
            soql = parse_qs(query.decode("latin-1")).get("q", [""])[-1][:_MOST_TEXT]
        self._seen.appendleft(Seen(self._clock(), method, path[:_MOST_TEXT], soql, status, calls, seconds * 1000))

    def clear(self) -> None:
        """Forget all requests."""
        self._seen.clear()
