"""API calls: counted as Salesforce counts them, over a rolling window, with a cap on long requests at once.

Rules: LIMITS cheat sheet ("Total API Request Allocations" is an aggregate over 24 hours; concurrent requests of 20 s
and longer are capped) and REST API guide (composite is one call, each batch subrequest is one).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

DAY_S = 24 * 60 * 60.0
# Usage is kept in this many slices of the window, which bounds both memory and the error of the window's edge.
_SLICES = 1440
LONG_REQUEST_S = 20.0
DEFAULT_DAILY_LIMIT = 100_000
DEFAULT_CONCURRENT_LIMIT = 25


@dataclass
class Limits:
    """The org's allowance and what was used of it. Times in seconds."""

    clock: Callable[[], float]
    daily_limit: int = DEFAULT_DAILY_LIMIT
    window_s: float = DAY_S
    concurrent_limit: int = DEFAULT_CONCURRENT_LIMIT
    long_request_s: float = LONG_REQUEST_S
    total: int = 0
    refused: int = 0
    by_resource: dict[str, int] = field(default_factory=dict)
    _slices: deque[tuple[float, int]] = field(default_factory=deque)
    _used: int = 0
    _running: dict[int, float] = field(default_factory=dict)
    _next_token: int = 0

    def __post_init__(self) -> None:
        self._allowed = (self.daily_limit, self.window_s, self.concurrent_limit, self.long_request_s)

    def used(self) -> int:
        """Return the calls inside the window that ends now."""
        edge = self.clock() - self.window_s
        while self._slices and self._slices[0][0] <= edge:
            self._used -= self._slices.popleft()[1]
        return self._used

    def charge(self, resource: str, calls: int = 1) -> None:
        """Count calls of the client and name the resource they went to."""
        self.total += calls
        self.by_resource[resource] = self.by_resource.get(resource, 0) + calls
        self.use(calls)

    def note(self, resource: str) -> None:
        """List a request that costs nothing, such as a login."""
        self.by_resource[resource] = self.by_resource.get(resource, 0) + 1

    def use(self, calls: int) -> None:
        """Add to the window's usage, whoever made the calls; another client's are not in ``total``."""
        now = self.clock()
        width = self.window_s / _SLICES
        slice_start = now - now % width
        if self._slices and self._slices[-1][0] == slice_start:
            self._slices[-1] = (slice_start, self._slices[-1][1] + calls)
        else:
            self._slices.append((slice_start, calls))
        self._used += calls

    def exhausted(self, calls: int = 1) -> bool:
        """Whether that many calls more would pass the limit."""
        return self.used() + calls > self.daily_limit

    def header(self) -> str:
        """Return the value of Sforce-Limit-Info."""
        return f"api-usage={self.used()}/{self.daily_limit}"

    def crowded(self) -> bool:
        """Whether as many long requests as allowed are running, so that a further one is refused."""
        if len(self._running) < self.concurrent_limit:
            return False
        edge = self.clock() - self.long_request_s
        return sum(1 for started in self._running.values() if started <= edge) >= self.concurrent_limit

    def begin(self) -> int:
        """Register a request that takes its time, and return its token."""
        self._next_token += 1
        self._running[self._next_token] = self.clock()
        return self._next_token

    def end(self, token: int) -> None:
        """Forget a request that has been answered."""
        self._running.pop(token, None)

    def clear(self) -> None:
        """Forget all usage, and what was changed about the limits."""
        self.daily_limit, self.window_s, self.concurrent_limit, self.long_request_s = self._allowed
        self.total = self.refused = self._used = 0
        self.by_resource.clear()
        self._slices.clear()
