"""Trace: what stands in Redis of one message, told from the ids that are remembered so that nothing is taken in twice.

Those ids have a value each, which the scripts write that are run anyway: no key, no command and no round trip goes into
a trace of its own, and it is kept for as long as the ids are. The values, after the time (Unix ms):
    pipeline:{events}:seen:<message id>   outcome, then an accepted one's operations as Object#rule, or why it was not
    pipeline:{Lead}:seen:<operation id>   w reason call key: it waits, after a call put it off for a reason, or "- -";
                                          a record call: it was applied; b letter call: it was buried
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, cast

from redis import Redis

from pipeline.inbox.dead_letters import EVENTS, find_dead_letter
from pipeline.operation import read_document

NOTHING: Final = "-"
UNTRACED: Final = b"1"  # the value while traces are switched off
_APPLIED, _BURIED = "a", "b"
_MOST_AHEAD: Final = 1_000  # operations of the record that are looked at
_AHEAD_MS = 10**13  # by which a key of high priority that is due stands before the others; see append.lua

State: TypeAlias = Literal["waiting", "in_flight", "applied", "buried", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationTrace:
    """Where one operation is. Times are Unix ms. `key` is a digest of the record key, which may be an e-mail address.

    One that waits has `due_ms`, how many keys are due before its own and how many operations of its own record go
    before it; one in flight has `lease_ms`, the end of its lease, unless a bulk job holds it. `put_off` is why it waits
    again, if it was tried; `call` the API request that wrote it, or tried to. `reason` is that of its dead letter.
    """

    object: str
    rule: str
    state: State
    since_ms: int | None = None
    key: str | None = None
    due_ms: int | None = None
    keys_before: int | None = None
    operations_before: int | None = None
    attempts: int | None = None
    lease_ms: int | None = None
    put_off: str | None = None
    call: str | None = None
    record_id: str | None = None
    dead_letter: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTrace:
    """What became of one message at `received_ms` (Unix ms): accepted, skipped or rejected, and why if it was not."""

    outcome: str
    received_ms: int
    reason: str | None
    operations: tuple[OperationTrace, ...]


def is_known(redis: Redis, message_id: str) -> bool:
    """Tell whether a message was counted within the time that ids are remembered."""
    return bool(redis.exists(_message_key(message_id)))


def trace(redis: Redis, message_id: str) -> MessageTrace | None:
    """Say where a message is: None where it is not known, or was taken in while traces were switched off.

    One round trip for the message, one for all its operations, two for each that is not done.
    """
    told = cast("bytes | None", redis.get(_message_key(message_id)))
    if told is None or told == UNTRACED:
        return None
    received_ms, outcome, said = told.decode().split(" ", 2)
    planned = [
        OperationTrace(object=name, rule=rule, state="unknown")
        for name, _, rule in (one.partition("#") for one in (said.split() if outcome == "accepted" else ()))
    ]
    ids = [f"{message_id}#{one.rule}" for one in planned]
    keys = [f"pipeline:{{{one.object}}}:seen:{of}" for one, of in zip(planned, ids, strict=True)]
    values = cast("list[bytes | None]", redis.mget(keys)) if keys else []
    return MessageTrace(
        outcome=outcome,
        received_ms=int(received_ms),
        reason=None if outcome == "accepted" else said or None,
        operations=tuple(
            one if value is None or value == UNTRACED else _operation(redis, one, of, value.decode())
            for one, of, value in zip(planned, ids, values, strict=True)
        ),
    )


def digest(key: str) -> str:
    """Return a short digest of a record key: the same for the same record, and no e-mail address."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def planned_as(operation_ids: Iterable[tuple[str, str]]) -> str:
    """Write which operations a message has, (object, operation id) each, as its trace holds them."""
    return " ".join(f"{name}#{operation_id.rpartition('#')[2]}" for name, operation_id in operation_ids)


def _message_key(message_id: str) -> str:
    return f"pipeline:{{{EVENTS}}}:seen:{message_id}"


def _operation(redis: Redis, planned: OperationTrace, operation_id: str, value: str) -> OperationTrace:
    time_ms, state, first, rest = value.split(" ", 3)
    known = replace(planned, since_ms=int(time_ms))
    if state == _APPLIED:
        return replace(known, state="applied", record_id=_given(first), call=_given(rest))
    if state == _BURIED:
        letter = find_dead_letter(redis, known.object, first)
        reason = None if letter is None else letter.reason
        place = f"{known.object}/{first}"
        return replace(known, state="buried", call=_given(rest), dead_letter=place, reason=reason)
    call, _, key = rest.partition(" ")
    waiting = replace(known, put_off=_given(first), call=_given(call), key=digest(key))
    return _waiting(redis, waiting, operation_id, key)


def _waiting(redis: Redis, known: OperationTrace, operation_id: str, key: str) -> OperationTrace:
    base = f"pipeline:{{{known.object}}}:"
    pipe = redis.pipeline(transaction=False)
    pipe.zscore(base + "ready", key)
    pipe.zscore(base + "claims", key)
    pipe.zrank(base + "ready", key)
    pipe.hget(base + "attempts", key)
    pipe.lrange(base + "inbox:" + key, 0, _MOST_AHEAD - 1)
    due, lease, rank, attempts, entries = pipe.execute()
    if due is None and lease is None:
        return known  # it was settled while this looked
    return replace(
        known,
        state="waiting" if lease is None else "in_flight",
        due_ms=None if due is None else int(due if due >= 0 else due + _AHEAD_MS),
        keys_before=rank,
        operations_before=next((n for n, entry in enumerate(entries) if _id_in(entry) == operation_id), len(entries)),
        attempts=int(attempts or 0),
        lease_ms=None if lease in {None, math.inf} else int(lease),
    )


def _id_in(entry: bytes) -> str | None:
    try:
        read = read_document(entry.split(b" ", 1)[1])
    except (ValueError, IndexError):
        return None
    return read.get("id") if isinstance(read, dict) else None


def _given(text: str) -> str | None:
    return None if text in ("", NOTHING) else text
