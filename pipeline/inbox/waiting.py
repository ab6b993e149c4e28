"""How much waits in the inboxes, of any number of objects in two round trips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

_LOOKED_AT = 100  # keys of those that are due first, and of those in flight, among which the oldest is looked for


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for one object: operations, keys in flight, seconds since the oldest arrived, dead letters.

    `counts` are its operations so far: appended, repeated, applied, buried, retried; and `lock_waits`, due keys that
    were passed by because another batch held one of their match values.
    """

    backlog: int
    in_flight: int
    oldest_s: float
    dead_letters: int
    counts: Mapping[str, int]


def waiting(redis: Redis, object_names: Sequence[str]) -> dict[str, Waiting]:
    """Measure what waits; counts are exact, the age is that of the oldest among the first hundred due keys."""
    names = list(dict.fromkeys(object_names))
    if not names:
        return {}
    pipe = redis.pipeline(transaction=False)
    for name in names:
        base = f"pipeline:{{{name}}}:"
        pipe.hgetall(base + "counts")
        pipe.zcard(base + "claims")
        pipe.xlen(base + "dead")
        pipe.zrange(base + "ready", 0, _LOOKED_AT - 1)
        pipe.zrange(base + "claims", 0, _LOOKED_AT - 1)
    pipe.time()
    *read, (seconds, micros) = pipe.execute()
    looked_at: list[Sequence[Any]] = [read[5 * n : 5 * n + 5] for n in range(len(names))]
    for name, (*_, ready, claimed) in zip(names, looked_at, strict=True):
        for key in (*ready, *claimed):
            pipe.lindex(f"pipeline:{{{name}}}:inbox:{key.decode()}", 0)
    entries = iter(pipe.execute())
    now_ms = seconds * 1000 + micros // 1000
    measured = {}
    for name, (counts, in_flight, dead, ready, claimed) in zip(names, looked_at, strict=True):
        oldest = [entry for _ in (*ready, *claimed) if (entry := next(entries))]
        arrivals = [int(arrival) for entry in oldest if (arrival := entry.split(b" ", 1)[0]).isdigit()]
        figures = {field.decode(): int(count) for field, count in counts.items()}
        measured[name] = Waiting(
            backlog=figures.get("appended", 0) - figures.get("applied", 0) - figures.get("buried", 0),
            in_flight=in_flight,
            oldest_s=max(0.0, (now_ms - min(arrivals, default=now_ms)) / 1000),
            dead_letters=dead,
            counts=figures,
        )
    return measured
