"""When to leave the org alone: a circuit that opens by itself when the org is well again, and pauses made by hand.

Keys, one hash tag so that a script touches one slot
    pipeline:{pause}:circuit  hash: reason, advice, since_ms, interval_ms, next_ms, probing_until_ms; absent: all well
    pipeline:{pause}:held     hash: object, or * for all → {since_ms, reason} (JSON); what `pipeline pause` holds back
"""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Final, Protocol, cast

from redis import Redis

# What passes by itself is tried soon and often enough; what waits for a person is left alone, because each refused
# login counts towards a lockout.
PASSING_S: Final = (1.0, 300.0)  # first and longest interval between probes
FOR_OPERATOR_S: Final = (60.0, 3600.0)
# A probe that has said nothing for so long was killed, or found nothing to deliver; another may try.
PROBE_S: Final = 30.0

_CIRCUIT, _HELD = "pipeline:{pause}:circuit", "pipeline:{pause}:held"
_ALL = "*"
_OTHERWISE = "it is tried again by itself; `pipeline resume` tries at once"


class Cause(Protocol):
    """Why delivery has to wait, in words without personal data, and whether it takes a person to change it."""

    @property
    def reason(self) -> str:
        """What happened."""
        ...

    @property
    def advice(self) -> str:
        """What to do about it."""
        ...

    @property
    def needs_operator(self) -> bool:
        """Whether nothing changes by itself."""
        ...


@dataclass(frozen=True, slots=True)
class PauseState:
    """Why nothing is delivered, since when, and when the org is tried next (Unix ms; None for a pause by hand)."""

    reason: str
    advice: str
    since_ms: int
    next_probe_ms: int | None


class Pause:
    """The circuit and the pauses by hand, as all workers see them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._close = redis.register_script(_script("pause_close"))
        self._probe = redis.register_script(_script("pause_probe"))

    def close(self, cause: Cause) -> None:
        """Make all delivery wait. Where it does already, this is the news that a probe has failed."""
        first_s, longest_s = FOR_OPERATOR_S if cause.needs_operator else PASSING_S
        self._close(keys=[_CIRCUIT], args=[cause.reason, cause.advice, round(first_s * 1000), round(longest_s * 1000)])

    def why(self, object_name: str | None = None) -> PauseState | None:
        """Return why delivery (of an object, where one is named) waits, or None where it does not."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hmget(_HELD, [_ALL, object_name or _ALL])
            pipe.hmget(_CIRCUIT, ["reason", "advice", "since_ms", "next_ms"])
            (held_all, held_object), (reason, advice, since_ms, next_ms) = pipe.execute()
        if held_all is not None:
            return _held(None, held_all)
        if held_object is not None:
            return _held(object_name, held_object)
        if next_ms is None:
            return None
        return PauseState(_text(reason), _text(advice) or _OTHERWISE, int(since_ms), int(next_ms))

    def held_objects(self) -> dict[str, PauseState]:
        """Return what is paused by hand apart from everything: object → since when and why."""
        held = cast("dict[bytes, bytes]", self._redis.hgetall(_HELD))
        names = sorted(_text(name) for name in held)
        return {name: _held(name, held[name.encode()]) for name in names if name != _ALL}

    def probe(self, object_name: str | None = None) -> bool:
        """Whether the caller may try although the circuit is closed: one caller, each time that the probe is due.

        Nobody may try what is paused by hand.
        """
        if any(one is not None for one in self._redis.hmget(_HELD, [_ALL, object_name or _ALL])):
            return False
        return bool(self._probe(keys=[_CIRCUIT], args=[round(PROBE_S * 1000)]))

    def clear(self) -> None:
        """Let delivery go on: the org was called and is well. Pauses by hand stay."""
        self._redis.delete(_CIRCUIT)

    def probe_soon(self) -> None:
        """Make the next probe due now: a worker has started, perhaps with the credentials that were wrong before.

        A login that was refused is not repeated for it: the session store remembers which credentials were.
        """
        if self._redis.exists(_CIRCUIT):
            self._redis.hset(_CIRCUIT, "next_ms", 0)

    def hold(self, object_name: str | None = None, *, reason: str = "") -> bool:
        """Pause by hand: everything, or one object. False where it is paused already, which stays as it is."""
        seconds, micros = self._redis.time()
        held = json.dumps({"since_ms": seconds * 1000 + micros // 1000, "reason": reason})
        return bool(self._redis.hsetnx(_HELD, object_name or _ALL, held))

    def resume(self, object_name: str | None = None) -> bool:
        """End a pause by hand; returns whether there was any.

        For everything it ends those of single objects too, and tries the org at once if that is what waits.
        """
        if object_name is not None:
            return bool(self._redis.hdel(_HELD, object_name))
        return bool(self._redis.delete(_HELD, _CIRCUIT))


def _held(object_name: str | None, stored: bytes | str) -> PauseState:
    held = json.loads(stored)
    what = "paused" if object_name is None else f"{object_name} is paused"
    why = f": {held['reason']}" if held["reason"] else ""
    command = "pipeline resume" if object_name is None else f"pipeline resume {object_name}"
    return PauseState(f"{what} by hand{why}", f"`{command}` ends it", held["since_ms"], None)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _script(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.lua").read_text()
