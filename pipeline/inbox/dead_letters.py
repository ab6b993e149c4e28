"""What could not be delivered and why, and the figures of what became of every message."""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from redis import Redis

from pipeline.inbox.scripts import Script
from pipeline.operation import decode, read_document

_receive, _retry, _readmit = Script("receive"), Script("retry"), Script("readmit")

EVENTS = "events"  # where the dead letters stand that never became an operation on an object
SKIPPED = f"pipeline:{{{EVENTS}}}:skipped"  # hash: why → messages that were skipped

Outcome: TypeAlias = Literal["accepted", "skipped", "rejected"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one message. A rejected one carries its reason and the whole event.

    Of a skipped one the reason is one of few, under which it is counted. `planned` are the operations of an accepted
    one, see `trace.planned_as`.
    """

    message_id: str
    outcome: Outcome
    reason: str = ""
    event: Any = None
    planned: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message or operation that needs a person: `id` is its place in the stream, which begins with its time."""

    id: str
    object: str  # "events" for one that never became an operation
    reason: str
    attempts: int
    event: Any
    operation: Any  # None for an event that was rejected

    @property
    def key(self) -> str | None:
        """The record key of its operation; None where there is none, or none of a format this version reads."""
        try:
            return decode(json.dumps(self.operation).encode()).key
        except ValueError:
            return None

    @property
    def is_retriable(self) -> bool:
        """Whether what is kept is the event that came, or its operation, and so can be put on its way again."""
        return self.key is not None if self.object != EVENTS else isinstance(self.event, dict)

    @property
    def time_ms(self) -> int:
        """Unix time at which it was buried."""
        return int(self.id.split("-", maxsplit=1)[0])


def receive(redis: Redis, receipts: Iterable[Receipt], *, seen_s: int = 86_400, is_traced: bool = True) -> int:
    """Count what became of messages, each once in `seen_s` seconds; returns how many were new.

    What is remembered of them tells what became of them, unless `is_traced` is False.
    """
    arguments: list[str] = []
    for receipt in receipts:
        event = _stored(receipt.event) if receipt.outcome == "rejected" else ""
        arguments += (receipt.message_id, receipt.outcome, receipt.planned or receipt.reason, event)
    return int(_receive(redis, _base(EVENTS), seen_s, int(is_traced), *arguments))


def received(redis: Redis) -> dict[str, int]:
    """Messages so far by outcome: accepted, skipped, rejected."""
    read = cast("dict[bytes, bytes]", redis.hgetall(_base(EVENTS) + "counts"))
    return {name.decode(): int(count) for name, count in read.items()}


def skipped_by_reason(redis: Redis) -> dict[str, int]:
    """Messages so far that were skipped, by why: see `events.opt_in`."""
    return as_counts(cast("dict[bytes, bytes]", redis.hgetall(SKIPPED)))


def as_counts(read: Mapping[bytes, bytes]) -> dict[str, int]:
    """Read a hash of counts, the largest first."""
    return {name.decode(): int(count) for name, count in sorted(read.items(), key=lambda one: (-int(one[1]), one[0]))}


def dead_letters(redis: Redis, object_name: str, *, after: str = "-", most: int = 100) -> list[DeadLetter]:
    """Read up to `most` dead letters of an object (or "events"), oldest first, from the id `after` (exclusive) on."""
    start = after if after == "-" else f"({after}"
    entries = cast("list[Any]", redis.xrange(_base(object_name) + "dead", min=start, max="+", count=most))
    return [_read(object_name, letter_id.decode(), fields) for letter_id, fields in entries]


def find_dead_letter(redis: Redis, object_name: str, letter_id: str) -> DeadLetter | None:
    """Read one dead letter by its id, or None where there is none."""
    found = cast("list[Any]", redis.xrange(_base(object_name) + "dead", min=letter_id, max=letter_id, count=1))
    return _read(object_name, letter_id, found[0][1]) if found else None


def count_dead_letters(redis: Redis, object_name: str) -> int:
    """Count the dead letters of an object (or "events")."""
    return redis.xlen(_base(object_name) + "dead")


def retry(
    redis: Redis, object_name: str, letters: Iterable[DeadLetter], *, wake_s: float = 15.0, is_traced: bool = True
) -> tuple[int, str | None]:
    """Move dead letters back into their inboxes; returns how many, and the token of a wake-up that has to be sent.

    Letters that are gone by now are passed by, and so are those without a key.
    """
    wake = secrets.token_hex(8)
    arguments: list[str] = []
    for letter in letters:
        if letter.key is not None:
            arguments += (letter.id, letter.key, letter.operation["id"] if is_traced else "")
    moved, woken = _retry(redis, _base(object_name), round(wake_s * 1000), wake, *arguments)
    return int(moved), wake if woken else None


def readmit(redis: Redis, letter: DeadLetter, receipt: Receipt, *, is_traced: bool = True) -> bool:
    """End the dead letter of a rejected event that was taken in after all; False where it is gone by now."""
    traced_id = receipt.message_id if is_traced else ""
    told = receipt.planned or receipt.reason
    return bool(_readmit(redis, _base(EVENTS), letter.id, receipt.outcome, traced_id, told))


def drop(redis: Redis, object_name: str, letters: Iterable[DeadLetter]) -> int:
    """Delete dead letters for good; returns how many there were."""
    ids = [letter.id for letter in letters]
    return redis.xdel(_base(object_name) + "dead", *ids) if ids else 0


def _stored(event: Any) -> str:
    """Return the JSON that a dead letter keeps of an event: the event, or as text what of it is not JSON.

    Text is no event, so nobody takes it for one when the letter is retried.
    """
    try:
        return json.dumps(event, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        pass
    try:
        return json.dumps(json.dumps(event, default=_named))
    except (TypeError, ValueError, RecursionError):
        return json.dumps(f"an event that is no JSON, of type {type(event).__name__}")


def _named(value: Any) -> str:
    return f"<{type(value).__name__}>"


def _base(object_name: str) -> str:
    return f"pipeline:{{{object_name}}}:"


def _read(object_name: str, letter_id: str, fields: dict[bytes, bytes]) -> DeadLetter:
    operation = _json(fields[b"operation"].split(b" ", 1)[-1]) if b"operation" in fields else None
    inside = operation.get("event") if isinstance(operation, dict) else None
    return DeadLetter(
        id=letter_id,
        object=object_name,
        reason=fields[b"reason"].decode(),
        attempts=int(fields[b"attempts"]),
        event=_json(fields[b"event"]) if b"event" in fields else inside,
        operation=operation,
    )


def _json(stored: bytes) -> Any:
    try:
        return read_document(stored)
    except ValueError:
        return stored.decode("utf-8", "replace")
