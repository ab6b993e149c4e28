"""The inboxes of one object. Every method is one Lua script; the concurrency argument stands in the scripts."""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from pipeline.inbox.claims import Appended, Batch, Claim, Empty, Settlement, Swept, Wait, Written
from pipeline.inbox.clock import read_clock, write_clock
from pipeline.inbox.results import ReadResult, keep_results
from pipeline.inbox.scripts import Call, Script, run_together
from pipeline.inbox.trace import NOTHING
from pipeline.inbox.waiting import Waiting, waiting
from pipeline.operation import Operation, decode, encode, in_words

_append, _claim, _renew, _commit, _release, _sweep, _rest, _left_out, _chunk = (
    Script(name) for name in ("append", "claim", "renew", "commit", "release", "sweep", "rest", "left_out", "chunk")
)

_OBJECTS = "pipeline:objects"
_MOST_LEFT_OUT = 1000
_to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
OTHERS_LEFT_OUT = "others, too many to be counted apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Sizes and times of the inboxes. The defaults are the ones in production; tests shorten the times."""

    batch: int = 1000  # keys: one composite request carries five collections of 200 records
    operations_of_key: int = 200
    operations: int = 20_000  # of a batch, so that a worker's memory stays bounded
    linger_s: float = 0.5
    gather_s: float = 30.0  # a burst is taken in by then; while events queue for longer, none is written sooner anyway
    lease_s: float = 130.0  # renewed before every request; has to outlive the slowest one
    wake_s: float = 15.0  # a deliverer unheard of for so long no longer keeps others from being woken
    deliverers: int = 5  # at once for one object; a Developer Edition org runs five long requests at a time
    seen_s: int = 86_400  # a message that comes again within a day is known
    clock_s: int = 86_400  # an event up to a day late does not overwrite a newer value
    record_s: int = 86_400
    is_traced: bool = True  # whether what is remembered of an id tells where the operation is
    chunk_s: int = 86_400  # an object that was too much for a trigger is tried with full collections again after this


@dataclass(frozen=True, slots=True)
class Appending:
    """An append that is still to be made."""

    call: Call
    wake: str

    def read(self, answer: Any) -> Appended:
        """Read what the script returned."""
        appended, repeated, woken = answer
        return Appended(appended, repeated, self.wake if woken else None)


class Inbox:
    """Operations on one object, waiting in Redis below `pipeline:{<Object>}:`."""

    def __init__(self, redis: Redis, object_name: str, bounds: Bounds | None = None) -> None:
        self.object = object_name
        self.bounds = bounds or Bounds()
        self._redis = redis
        self._base = f"pipeline:{{{object_name}}}:"
        self._is_registered = False

    def append(self, operations: Sequence[Operation]) -> Appended:
        """Add operations unless their ids were seen in the last `seen_s` seconds. One script, one round trip."""
        appending = self.appending(operations)
        return appending.read(run_together(self._redis, [appending.call])[0])

    def appending(self, operations: Sequence[Operation]) -> Appending:
        """Return the call that appends operations, to be made together with others."""
        if not self._is_registered:
            # The sweep has to find an object even after it was taken out of destination.yaml.
            self._redis.sadd(_OBJECTS, self.object)
            self._is_registered = True
        wake = secrets.token_hex(8)
        arguments: list[str | bytes] = []
        for operation in operations:
            is_high = operation.options.get("priority") == "high"
            arguments += (operation.id, operation.key, encode(operation), "1" if is_high else "")
        bounds = self.bounds
        limits = (bounds.seen_s, bounds.batch, bounds.deliverers, _ms(bounds.wake_s))
        return Appending(_append.call(self._base, *limits, wake, int(bounds.is_traced), *arguments), wake)

    def claim(self, deliverer: str, *, more_to_come: bool = False) -> Batch | Wait | Empty:
        """Take the keys of one batch, if one leaves now, for the deliverer of that token.

        `more_to_come` says that events wait to be taken in, for which keys are gathered at most `gather_s`.
        """
        token, wake = secrets.token_hex(16), secrets.token_hex(8)
        bounds = self.bounds
        kind, *rest = _claim(
            self._redis,
            self._base,
            token,
            bounds.batch,
            _ms(bounds.linger_s),
            _ms(bounds.lease_s),
            bounds.operations_of_key,
            bounds.operations,
            deliverer,
            bounds.deliverers,
            _ms(bounds.wake_s),
            wake,
            _ms(bounds.gather_s),
            int(more_to_come),
        )
        if kind == b"empty":
            return Empty()
        if kind == b"wait":
            return Wait(rest[0] / 1000)
        woken, due_behind, *raw_claims = rest
        claims = tuple(read_claim(*raw) for raw in raw_claims)
        return Batch(token, claims, wake if woken else None, due_behind)

    def renew(self, token: str, keys: Iterable[str]) -> set[str]:
        """Extend the lease of `keys` and return those that the claim no longer holds; they must not be written."""
        return _names(_renew(self._redis, self._base, token, _ms(self.bounds.lease_s), *keys))

    def commit(self, token: str, settlements: Iterable[Settlement | Written]) -> set[str]:
        """End claims that Salesforce has answered; returns the keys that the claim no longer held."""
        settled = [
            _settle_written(one) if isinstance(one, Written) else _settle(one, is_traced=self.bounds.is_traced)
            for one in settlements
        ]
        return _names(_commit(self._redis, self._base, token, self.bounds.clock_s, self.bounds.record_s, *settled))

    def release(self, token: str, keys: Iterable[str], *, delay_s: float) -> set[str]:
        """Give keys back untouched, due in `delay_s` seconds; returns those that the claim no longer held."""
        return _names(_release(self._redis, self._base, token, _ms(delay_s), *keys))

    def sweep(self) -> Swept:
        """Return the keys of expired claims, and wake the object if keys are due and nobody is at work."""
        wake = secrets.token_hex(8)
        returned, woken = _sweep(self._redis, self._base, _ms(self.bounds.wake_s), wake)
        return Swept(returned, wake if woken else None)

    def rest(self, deliverer: str, *, in_any_case: bool) -> bool:
        """Tell whether the deliverer may go; it may not while keys are due that nobody else is at work for."""
        return bool(_rest(self._redis, self._base, deliverer, int(in_any_case)))

    def is_urgent(self) -> bool:
        """Tell whether a key of high priority is due; `append.lua` gives it a negative score."""
        return bool(self._redis.zcount(self._base + "ready", "-inf", "(0"))

    def holds(self, key: str) -> bool:
        """Tell whether operations of a key wait here."""
        return bool(self._redis.exists(self._base + "inbox:" + key))

    def chunk(self, most: int) -> int:
        """Return how many records of the object to write at once: `most`, or fewer where that was too many lately."""
        return min(most, int(cast("bytes | None", self._redis.get(self._base + "chunk")) or most))

    def shrink_chunk(self, too_many: int) -> None:
        """Take note that `too_many` records at once were too many."""
        _chunk(self._redis, self._base, self.bounds.chunk_s, max(1, too_many // 2), 0)

    def grow_chunk(self, most: int) -> None:
        """Take note that a full chunk was not too many: the next may be a tenth larger, up to `most`."""
        _chunk(self._redis, self._base, self.bounds.chunk_s, 0, most)

    def waiting(self) -> Waiting:
        """Measure what waits; see `inbox.waiting` for how exact it is."""
        return waiting(self._redis, [self.object])[self.object]

    def count_left_out(self, left_out: Mapping[str, int]) -> None:
        """Count values that were not written: what is told of them → times.

        Producers invent trait names; past a thousand sentences the others are counted together.
        """
        counted = [part for told, times in left_out.items() for part in (told, times)]
        _left_out(self._redis, self._base, _MOST_LEFT_OUT, OTHERS_LEFT_OUT, *counted)

    def left_out(self) -> dict[str, int]:
        """Values that were not written so far: what is told of them → times, the most frequent first."""
        read = cast("dict[bytes, bytes]", self._redis.hgetall(self._base + "left_out"))
        counted = {told.decode(): int(times) for told, times in read.items()}
        return dict(sorted(counted.items(), key=lambda one: (-one[1], one[0])))

    def keep_results(self, results: Mapping[str, ReadResult]) -> None:
        """Keep what reads have found: operation id → result. See `inbox.results` for how long, and how much."""
        if results:
            keep_results(self._redis, results)

    def counts(self) -> dict[str, int]:
        """Operations so far: appended, repeated, applied, buried, retried."""
        read = cast("dict[bytes, bytes]", self._redis.hgetall(self._base + "counts"))
        return {name.decode(): int(count) for name, count in read.items()}


def objects(redis: Redis) -> list[str]:
    """Name every object for which an operation was ever appended."""
    return sorted(_names(cast("Iterable[bytes]", redis.smembers(_OBJECTS))))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _names(raw: Iterable[bytes]) -> set[str]:
    return {name.decode() for name in raw}


def read_claim(key: bytes, attempts: bytes, record: bytes, clock: bytes, entries: Sequence[bytes]) -> Claim:
    """Read what a script returned of a claimed key."""
    operations, positions, unreadable = [], [], []
    for position, entry in enumerate(entries):
        try:
            operations.append(decode(entry.split(b" ", 1)[1]))
            positions.append(position)
        except (ValueError, IndexError):
            unreadable.append(position)
    return Claim(
        key=key.decode(),
        operations=tuple(operations),
        attempts=int(attempts),
        record_id=record.decode() or None,
        clock=read_clock(clock),
        positions=tuple(positions),
        unreadable=tuple(unreadable),
        arrived_ms=_arrival_ms(entries[0]) if entries else 0,
        entries=tuple(entries),
    )


def _arrival_ms(entry: bytes) -> int:
    arrival = entry.split(b" ", 1)[0]
    return int(arrival) if arrival.isdigit() else 0


def _settle(settlement: Settlement, *, is_traced: bool) -> str:
    claim, buried = settlement.claim, settlement.bury
    ids = dict(zip(claim.positions, (one.id for one in claim.operations), strict=True)) if is_traced else {}
    settled: dict[str, Any] = {
        "key": claim.key,
        "taken": claim.taken,
        "keep": settlement.keep,
        "bury": [
            (
                position,
                reason,
                ids.get(position, ""),
                settlement.sent_in.get(position, NOTHING),
                _letter(claim, position),
            )
            for position, reason in buried.items()
        ],
        "told": _told(settlement, ids),
        "clock": "" if settlement.clock is None else write_clock(settlement.clock),
        "record": settlement.record_id or "",
        "delay_ms": settlement.delay_ms,
        "attempt": settlement.counts_attempt,
    }
    if settlement.keeps_place:
        settled["place"] = claim.arrived_ms
    return _to_json(settled)


def _settle_written(written: Written) -> str:
    settled: dict[str, Any] = {
        "key": written.key,
        "taken": written.taken,
        "keep": (),
        "bury": (),
        "told": [(one, f"a {written.record_id or NOTHING} {written.call}") for one in written.ids],
        "clock": written.clock,
        "record": written.record_id,
        "delay_ms": 0,
        "attempt": False,
    }
    return _to_json(settled)


def _letter(claim: Claim, position: int) -> str:
    """Return an entry as a dead letter has it, in words; "" for one that cannot be read, which is moved as it is."""
    try:
        arrival, stored = claim.entries[position].split(b" ", 1)
        return f"{arrival.decode()} {in_words(stored)}"
    except (ValueError, IndexError):
        return ""


def _told(settlement: Settlement, ids: Mapping[int, str]) -> list[tuple[str, str]]:
    """Say for the trace what became of the operations that were not buried: (operation id, what)."""
    stays, key = frozenset(settlement.keep), settlement.claim.key
    told = []
    for position, one in ids.items():
        call = settlement.sent_in.get(position, NOTHING)
        if position in stays:
            told.append((one, f"w {settlement.why_kept} {call} {key}"))
        elif position not in settlement.bury:
            told.append((one, f"a {settlement.written_id or NOTHING} {call}"))
    return told
