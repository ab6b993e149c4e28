"""Bulk jobs of one object: which keys each holds and how far it has come, in Redis, so that any worker can go on.

Keys below `pipeline:{<Object>}:`; every change is one Lua script, in which the concurrency argument stands.
    bulk                sorted set: token of a job → when it is to be looked at, or its worker's lease ends, Unix ms
    bulk:<token>        hash: stage, since_ms, worker (the token of who has it, or ""), deaths (workers whose lease was
                        over), kind, job (Salesforce's id), …
    bulk:<token>:keys   list: the record keys it holds, locked under its token without an end
    bulk:<token>:rows   hash: record key → its row, and how the key is settled once that is written, see `Row`
    bulk_left           set for a while after a job began, so that the next one is a large one
    bulk_off            set while bulk jobs are no good for the object
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, cast

from redis import Redis

from pipeline.errors import PipelineError
from pipeline.inbox.claims import Claim, Written
from pipeline.inbox.inbox import Inbox, read_claim
from pipeline.inbox.scripts import Script
from pipeline.operation import compressed, read_document

_next, _take, _save, _rows, _claims, _part, _split, _wake = (
    Script(f"bulk_{name}") for name in ("next", "take", "save", "rows", "claims", "part", "split", "wake")
)

Stage: TypeAlias = Literal["collecting", "looking", "uploading", "running"]
CHUNK: Final = 1000  # keys of one script call, so that none holds Redis up
_OFF_S: Final = 3600.0
_MOST_DEATHS: Final = 3


class JobLost(PipelineError):  # noqa: N818  (nothing went wrong)
    """Another worker has taken the job over; nothing more may be done for it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkBounds:
    """From which backlog on jobs are made, and how large."""

    threshold: int = 20_000  # due keys; 0: never
    # Of a job: its file, a few hundred bytes a key, and their Ids are held in memory. Few enough that several processes
    # share a backlog, and enough that a job's calls, between ten and twenty, are nothing for each.
    most_keys: int = 50_000
    # A backlog that grows while a job is on its way is one job again, instead of a small one every few seconds.
    linger_s: float = 10.0
    most_jobs: int = 10  # at once; a backlog beyond that is delivered without one


@dataclass(frozen=True, slots=True)
class Held:
    """A job in this worker's hands. `taken_from`: whose lease was over, or ""."""

    token: str
    worker: str = field(repr=False)
    stage: Stage
    since_ms: int = 0
    taken_from: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)  # kind, job, and what the stages note for each other

    @property
    def job(self) -> str:
        """The id of the job at Salesforce, "" before there is one."""
        return self.notes.get("job", "")

    @property
    def is_deadly(self) -> bool:
        """Whether so many workers went while they had it that it may be too much for any, as in memory."""
        return int(self.notes.get("deaths", 0)) >= _MOST_DEATHS


@dataclass(frozen=True, slots=True)
class Row:
    """What a job writes for a key, and how the key is settled once that is written, so that nothing is read for it."""

    taken: int  # operations of the inbox that it is made of
    kind: str
    record_id: str = ""  # "" for a new one
    digest: str = ""  # by which the result of a new one is told
    clock: str = ""  # as it is then, "" for unchanged
    ids: tuple[str, ...] = ()  # of the operations, where they are traced
    left_out: Mapping[str, int] = field(default_factory=dict)  # what is told of values that are not written → times

    def stored(self) -> bytes:
        """Return what is stored: "operations:kind:record Id:digest:", and compressed what only settling asks for."""
        told = f"{self.taken}:{self.kind}:{self.record_id}:{self.digest}:"
        return told.encode() + compressed((self.clock, self.ids, self.left_out))

    @classmethod
    def read(cls, stored: bytes) -> "Row | None":
        """Read what `stored` gave; None for nothing, and for what another version wrote: such a key is looked up."""
        try:
            *told, rest = stored.split(b":", 4)
            taken, kind, record_id, digest = (one.decode() for one in told)
            clock, ids, left_out = read_document(rest)
            return cls(int(taken), kind, record_id, digest, clock, tuple(ids), dict(left_out))
        except (ValueError, TypeError):
            return None

    def written(self, key: str, record_id: str, call: str) -> Written:
        """Return how the key is settled, as the row was written to a record."""
        return Written(key, self.taken, record_id, call, self.clock, self.ids)


@dataclass(frozen=True, slots=True)
class Taken:
    """How far taking keys for a job has come. Of those `taken`, so many have no record Id that is known."""

    looked_at: int = 0  # the last time
    passed: int = 0  # due keys that are not for the job
    taken: int = 0
    unknown: int = 0


class BulkJobs:
    """The bulk jobs of an inbox's object. Methods that take a `Held` raise JobLost where it is another's by now."""

    def __init__(self, redis: Redis, inbox: Inbox, bounds: BulkBounds | None = None) -> None:
        self.bounds = bounds or BulkBounds()
        self._redis = redis
        self._inbox = inbox
        self._base = f"pipeline:{{{inbox.object}}}:"
        self._lease_ms = round(inbox.bounds.lease_s * 1000)

    def next(self, deliverer: str, *, more_to_come: bool = False) -> Held | Literal["none", "wait", "leave"]:
        """Take a job that is to be looked at, or begin one; "wait": the backlog is for a job that leaves a bit later.

        The place of the deliverer, a token, is then kept for as long as `Inbox.claim` keeps it; "leave" is told to one
        that has none while others wait already. `more_to_come` says that events wait to be taken in, for which a
        backlog is gathered as `Inbox.claim` does.
        """
        worker, token, bounds = secrets.token_hex(8), secrets.token_hex(16), self.bounds
        kind, *rest = _next(
            self._redis,
            self._base,
            worker,
            self._lease_ms,
            bounds.threshold,
            bounds.most_keys,
            round(bounds.linger_s * 1000),
            bounds.most_jobs,
            token,
            deliverer,
            round(self._inbox.bounds.wake_s * 1000),
            round(self._inbox.bounds.gather_s * 1000),
            max(1, round(self._inbox.bounds.linger_s * 1000)) if more_to_come else 0,
        )
        if kind == b"collect":
            return Held(token, worker, "collecting")
        if kind != b"job":
            return "wait" if kind == b"wait" else "leave" if kind == b"leave" else "none"
        found, taken_from, *told = (one.decode() for one in rest)
        notes = dict(zip(told[::2], told[1::2], strict=True))
        stage: Any = notes.get("stage", "collecting")
        return Held(found, worker, stage, int(notes.get("since_ms", 0)), taken_from, notes)

    def are_there(self) -> bool:
        """Tell whether the object has a job, whoever has it."""
        return bool(self._redis.exists(self._base + "bulk"))

    def due(self, most: int) -> list[str]:
        """Return the keys that are due longest, not those of high priority."""
        stored: Any = self._redis.zrange(self._base + "ready", "0", "+inf", byscore=True, offset=0, num=most)
        return [key.decode() for key in stored]

    def take(self, held: Held, fields: str, *, so_far: Taken, most: int) -> Taken:
        """Give due keys that match on `fields`, as "company&email", to a job that collects; never failed ones."""
        most = min(most, CHUNK)
        looked_at, *rest = _take(
            self._redis, self._base, held.token, held.worker, self._lease_ms, fields, most, so_far.passed, 2 * CHUNK
        )
        if looked_at < 0:
            raise JobLost("the bulk job has gone to another worker")
        passed, taken, unknown = rest
        return Taken(looked_at, passed, so_far.taken + taken, so_far.unknown + unknown)

    def keep(self, held: Held, **notes: object) -> None:
        """Extend the lease of a job, and note how far it has come."""
        self._save(held, self._lease_ms, 1, notes)

    def hand_over(self, held: Held, *, delay_s: float, **notes: object) -> None:
        """Leave a job to whoever is there when it is to be looked at again."""
        self._save(held, round(delay_s * 1000), 0, notes)

    def again(self, held: Held) -> Held:
        """Read a job anew that this worker still has."""
        stored: Any = self._redis.hgetall(f"{self._base}bulk:{held.token}")
        notes = {name.decode(): value.decode() for name, value in stored.items()}
        if notes.get("worker") != held.worker:
            raise JobLost("the bulk job has gone to another worker")
        stage: Any = notes["stage"]
        return replace(held, stage=stage, notes=notes)

    def end(self, held: Held) -> None:
        """Forget a job that holds no keys any more."""
        self._save(held, -1, 0, {})

    def note_rows(self, held: Held, rows: Mapping[str, Row | None]) -> None:
        """Note what will be written for keys; None for what has no row, or none any more."""
        noted = [part for key, row in rows.items() for part in (key, row.stored() if row else b"")]
        if not _rows(self._redis, self._base, held.token, held.worker, self._lease_ms, *noted):
            raise JobLost("the bulk job has gone to another worker")

    def claims(self, held: Held, keys: Sequence[str]) -> Iterator[list[tuple[Claim, Row | None]]]:
        """Read what waits for keys, up to a thousand at a time, without those that the job no longer holds."""
        start, bounds = 0, self._inbox.bounds
        while start < len(keys):
            chunk = keys[start : start + CHUNK]
            looked_at, *found = _claims(
                self._redis, self._base, held.token, bounds.operations_of_key, bounds.operations, *chunk
            )
            yield [(read_claim(key, *rest), Row.read(row)) for key, row, *rest in found]
            start += looked_at

    def rows(self, held: Held, keys: Sequence[str]) -> dict[str, Row | None]:
        """Return what is written for keys, whether the job still holds them or not."""
        stored = cast("list[bytes | None]", self._redis.hmget(f"{self._base}bulk:{held.token}:rows", keys))
        return {key: Row.read(row) if row else None for key, row in zip(keys, stored, strict=True)}

    def part(self, held: Held, keys: Iterable[str]) -> tuple[str, set[str]]:
        """Take keys out of the job into a claim with a lease; returns its token and the keys that were still there.

        Where the job is another's by now, only those that it does not write.
        """
        token = secrets.token_hex(16)
        parted = _part(self._redis, self._base, held.token, held.worker, token, self._lease_ms, *keys)
        return token, {key.decode() for key in parted}

    def split(self, held: Held, keys: Sequence[str]) -> None:
        """Give keys whose rows are noted to a job of their own, which anybody may go on with."""
        other = secrets.token_hex(16)
        for start in range(0, len(keys), CHUNK):
            chunk = keys[start : start + CHUNK]
            if _split(self._redis, self._base, held.token, held.worker, self._lease_ms, other, *chunk) < 0:
                raise JobLost("the bulk job has gone to another worker")
        self.hand_over(Held(other, held.worker, "looking"), delay_s=0)

    def due_in_s(self, held: Held) -> float | None:
        """Return the seconds until a job is to be looked at that was handed over; None where it ended or goes on."""
        asked = self._redis.pipeline(transaction=False)
        asked.zscore(self._base + "bulk", held.token)
        asked.hget(f"{self._base}bulk:{held.token}", "worker")
        asked.time()
        score, worker, (seconds, micros) = asked.execute()
        return None if score is None or worker else max(0.0, score / 1000 - seconds - micros / 1e6)

    def keys(self, held: Held) -> list[str]:
        """Return the keys that were given to the job."""
        stored: Any = self._redis.lrange(f"{self._base}bulk:{held.token}:keys", 0, -1)
        return [key.decode() for key in stored]

    def switch_off(self, *, for_s: float = _OFF_S) -> None:
        """Begin no job for a while: the object's backlog is delivered without."""
        self._redis.set(self._base + "bulk_off", 1, px=round(for_s * 1000))

    def wake(self) -> str | None:
        """Return the token of a wake-up that has to be sent, where a job is to be looked at and nobody is at work."""
        token = secrets.token_hex(8)
        return token if _wake(self._redis, self._base, round(self._inbox.bounds.wake_s * 1000), token) else None

    def _save(self, held: Held, delay_ms: int, keeps: int, notes: Mapping[str, object]) -> None:
        told = [str(part) for note in notes.items() for part in note]
        if not _save(self._redis, self._base, held.token, held.worker, delay_ms, keeps, *told):
            raise JobLost("the bulk job has gone to another worker")
