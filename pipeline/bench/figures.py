"""The figures of a benchmark, and how they are worked out: plain values, no clock and no Redis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a run: seconds since its start, events taken in, operations settled, memory in MB."""

    at_s: float
    received: int
    settled: int
    redis_mb: float
    workers_mb: float | None  # None where the system does not tell


@dataclass(frozen=True, slots=True)
class Run:
    """A queue that was filled and then worked off. `seconds` runs from the first message taken to the last commit."""

    events: int
    keys: int
    seconds: float
    api_calls: int
    samples: tuple[Sample, ...] = ()

    @property
    def events_per_s(self) -> float:
        """Events that went the whole way in a second."""
        return self.events / self.seconds

    @property
    def calls_per_event(self) -> float:
        """API calls divided by events."""
        return self.api_calls / self.events

    @property
    def calls_per_key(self) -> float:
        """API calls divided by records, which is what repeated events do not add to."""
        return self.api_calls / self.keys


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of `values` do not exceed, by nearest rank. Raises ValueError for none."""
    if not values:
        raise ValueError("no values, no percentile")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def contract(run: Run, latencies_ms: Sequence[float], noop_per_s: float) -> dict[str, Any]:
    """Return the figures under the names of the `--json` contract."""
    return {
        "events_per_s": round(run.events_per_s, 1),
        "api_calls_per_event": round(run.calls_per_event, 6),
        "p50_ms": round(percentile(latencies_ms, 0.50), 1),
        "p99_ms": round(percentile(latencies_ms, 0.99), 1),
        "noop_events_per_s": round(noop_per_s, 1),
        "ratio_to_noop": round(run.events_per_s / noop_per_s, 3),
    }
