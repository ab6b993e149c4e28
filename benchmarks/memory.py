"""What Redis holds for each event and key, in bytes, by kind of key: measured with MEMORY USAGE, and as figures."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from pipeline.bench.workload import OBJECT

_MANY = 500  # keys of a kind tell what the others are like
KINDS = ("inbox", "seen", "record", "clock")


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes of Redis memory, as `benchmarks/units.py` measures them for identifies of the benchmark's size.

    `key` is what a waiting record key takes besides its events, `event` a waiting operation, `seen` what is remembered
    of every message for a day, `known` the Id and the clock of a record, for a day.
    """

    key: float = 251.0
    event: float = 434.0
    seen: float = 271.0
    known: float = 457.0


def by_kind(redis: Redis) -> dict[str, tuple[int, float]]:
    """Return kind of key → how many there are, and what one takes on average, of a sample."""
    found: dict[str, list[bytes]] = {}
    for key in cast("Iterable[bytes]", redis.scan_iter(count=10_000)):
        found.setdefault(_kind(key.decode()), []).append(key)
    measured = {}
    for kind, keys in sorted(found.items()):
        sample = keys[:: max(1, len(keys) // _MANY)]
        pipe = redis.pipeline(transaction=False)
        for key in sample:
            pipe.memory_usage(key, samples=0)
        taken = [size for size in pipe.execute() if size]
        measured[kind] = (len(keys), sum(taken) / max(1, len(taken)))
    return measured


def tables_bytes(redis: Redis) -> float:
    """Return what each key takes in the tables in which keys and their ends stand, which MEMORY USAGE leaves out."""
    stats = cast("dict[str, Any]", redis.memory_stats())
    tables = stats.get("db.0", {})
    return float(sum(size for name, size in tables.items() if "hashtable" in name) / max(1, redis.dbsize()))


def _kind(key: str) -> str:
    """Return `inbox` of `pipeline:{Lead}:inbox:email=a@x.com`, `events seen` of `pipeline:{events}:seen:…`."""
    if not key.startswith("pipeline:"):
        return key
    parts = key.split(":")
    return " ".join(parts[1:3]).replace("{", "").replace("}", "").removeprefix(f"{OBJECT} ")
