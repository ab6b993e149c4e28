"""History: what happened in each minute of the last day, from samples that any worker takes once a minute."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from itertools import pairwise
from typing import Any, Final, cast

from redis import Redis

from pipeline.metrics.snapshot import Snapshot, look
from pipeline.salesforce.quota import usage

HISTORY: Final = "pipeline:{metrics}:history"
KEPT_MINUTES: Final = 24 * 60

_SAMPLE: Final = resources.files(__package__).joinpath("sample.lua").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class _Sample:
    """Counts of all time and levels at one moment. What is missing in a stored one, of an older version, is 0."""

    at_s: float
    accepted: int = 0
    skipped: int = 0
    rejected: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    calls: int = 0
    buried: int = 0
    backlog: int = 0
    oldest_s: float = 0.0
    dead_letters: int = 0
    quota_used: int | None = None
    quota_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What happened from `start_s` (Unix time) for `seconds`, a minute as a rule and longer while no worker ran.

    Events taken in by outcome, records by change, API calls, operations buried; then how things stood at the end:
    operations waiting and the age of the oldest, dead letters, and the org's quota, None while it is not known.
    """

    start_s: float
    seconds: float
    accepted: int
    skipped: int
    rejected: int
    created: int
    updated: int
    deleted: int
    calls: int
    buried: int
    backlog: int
    oldest_s: float
    dead_letters: int
    quota_used: int | None
    quota_limit: int | None


_COUNTS: Final = ("accepted", "skipped", "rejected", "created", "updated", "deleted", "calls", "buried")
_LEVELS: Final = ("backlog", "oldest_s", "dead_letters", "quota_used", "quota_limit")


def sample(redis: Redis) -> bool:
    """Store how things stand, unless this minute has its sample; returns whether this one was stored."""
    taken = _take(redis)
    minute_ms = int(taken.at_s // 60) * 60_000
    return bool(redis.eval(_SAMPLE, 1, HISTORY, minute_ms, KEPT_MINUTES, json.dumps(asdict(taken))))


def history(redis: Redis, since_s: float = 86_400.0) -> list[Row]:
    """Return what happened in the last `since_s` seconds, oldest first; the last row ends now.

    Some seven round trips, whatever the number of events; nothing before the first sample, which workers take.
    """
    now = _take(redis)
    start_ms = max(0, int((now.at_s - since_s) * 1000))
    read = cast("list[tuple[bytes, dict[bytes, bytes]]]", redis.xrange(HISTORY, min=start_ms, max="+"))
    samples = [_Sample(**_known(json.loads(entry[b"sample"]))) for _, entry in read]
    return [_row(before, after) for before, after in pairwise([*samples, now]) if after.at_s > before.at_s]


def _row(before: _Sample, after: _Sample) -> Row:
    # Counts fall only where Redis was emptied: then all there is happened since.
    counts = {
        name: new - old if (new := getattr(after, name)) >= (old := getattr(before, name)) else new for name in _COUNTS
    }
    levels = {name: getattr(after, name) for name in _LEVELS}
    return Row(start_s=before.at_s, seconds=round(after.at_s - before.at_s, 3), **counts, **levels)


def _take(redis: Redis) -> _Sample:
    snapshot, told = look(redis), usage(redis)
    return _Sample(
        at_s=round(snapshot.at_s, 3),
        **snapshot.events,
        **_changes(snapshot),
        calls=_total(snapshot, "calls"),
        buried=_total(snapshot, "buried"),
        backlog=sum(one.backlog for one in snapshot.objects.values()),
        oldest_s=max((round(one.oldest_s, 3) for one in snapshot.objects.values()), default=0.0),
        dead_letters=snapshot.rejected + sum(one.dead_letters for one in snapshot.objects.values()),
        quota_used=None if told is None else told[0],
        quota_limit=None if told is None else told[1],
    )


def _total(snapshot: Snapshot, figure: str) -> int:
    return sum(
        number
        for name, number in snapshot.totals.items()
        if name.startswith(f"{figure}|") and name != "calls|login"  # a login is no API call
    )


def _changes(snapshot: Snapshot) -> dict[str, int]:
    changed = dict.fromkeys(("created", "updated", "deleted"), 0)
    for name, number in snapshot.totals.items():
        figure, _, rest = name.partition("|")
        change = rest.rpartition("|")[2]
        if figure == "records" and change in changed:  # a later version may know others
            changed[change] += number
    return changed


def _known(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if name in _Sample.__slots__}
