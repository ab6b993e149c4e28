"""Snapshot: the figures in Redis at one moment, read in a number of round trips that no figure changes."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import cast

from redis import Redis

from pipeline.inbox.dead_letters import EVENTS, SKIPPED, as_counts
from pipeline.inbox.inbox import objects
from pipeline.inbox.waiting import Waiting, waiting
from pipeline.metrics.alive import BEAT, HEARD_WITHIN_S, ROLES, WORKERS
from pipeline.metrics.tally import TOTALS, as_totals
from pipeline.salesforce.session import ISSUED_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Figures at `at_s` (Unix time of the server). Counts are of all time, the rest is as it was then."""

    at_s: float
    events: Mapping[str, int]  # outcome → messages; one that was readmitted counts as what it was and what it became
    objects: Mapping[str, Waiting]
    left_out: Mapping[str, int]  # object → values that were not written
    rejected: int  # dead letters that never became an operation
    totals: Mapping[str, int]  # see `metrics.tally`
    session_issued_s: float | None
    beat_s: float | None
    workers: Mapping[str, int]  # role → workers heard of lately
    skipped: Mapping[str, int] = field(default_factory=dict)  # why → messages


def look(redis: Redis, object_names: Collection[str] = ()) -> Snapshot:
    """Read the figures of the objects named and of all that ever had an operation, in four round trips."""
    names = sorted({*objects(redis), *object_names})
    measured = waiting(redis, names)
    base = f"pipeline:{{{EVENTS}}}:"
    pipe = redis.pipeline(transaction=False)
    pipe.time()
    pipe.hgetall(base + "counts")
    pipe.get(base + "readmitted")
    pipe.xlen(base + "dead")
    pipe.hgetall(TOTALS)
    pipe.get(ISSUED_KEY)
    pipe.get(BEAT)
    pipe.zrange(WORKERS, 0, -1, withscores=True)
    pipe.hgetall(SKIPPED)
    for name in names:
        pipe.hvals(f"pipeline:{{{name}}}:left_out")
    (seconds, micros), counts, readmitted, rejected, totals, issued, beat, heard, skipped, *left_out = pipe.execute()
    return Snapshot(
        at_s=seconds + micros / 1e6,
        events=_events(counts, int(readmitted or 0)),
        objects=measured,
        left_out={name: sum(map(int, values)) for name, values in zip(names, left_out, strict=True)},
        rejected=rejected,
        totals=as_totals(totals),
        session_issued_s=None if issued is None else int(issued) / 1000,
        beat_s=None if beat is None else float(beat),
        workers=_workers(heard, seconds - HEARD_WITHIN_S),
        skipped=as_counts(skipped),
    )


def _events(counts: Mapping[bytes, bytes], readmitted: int) -> dict[str, int]:
    # A readmitted event leaves the rejected ones, and a count that falls would be taken for a restart.
    counted = {outcome: int(counts.get(outcome.encode(), 0)) for outcome in ("accepted", "skipped", "rejected")}
    counted["rejected"] += readmitted
    return counted


def _workers(heard: object, since_s: float) -> dict[str, int]:
    members = cast("list[tuple[bytes, float]]", heard)
    alive = Counter(member.decode().partition("|")[0] for member, last_s in members if last_s > since_s)
    return {role: alive[role] for role in ROLES}
