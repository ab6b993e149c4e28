"""The pipeline's own quota gate on a simulated clock: `QuotaGate` and its Lua scripts as they are, without a Redis.

The scripts run in a Lua interpreter (lupa, which the tests have through fakeredis) against the few hash commands they
use, and `TIME` is what the simulation says it is.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from lupa.lua51 import LuaRuntime  # the Lua that Redis and Valkey have
from redis import Redis

from pipeline.salesforce.quota import QuotaGate

Text = str | int | float


class Clock:
    """Seconds since the simulation began."""

    def __init__(self) -> None:
        self.now_s = 0.0


def simulated_gate(clock: Clock, *, share: float, reserve: int) -> QuotaGate:
    """Return a gate that lives by `clock`."""
    return QuotaGate(cast("Redis", _Hashes(clock)), share=share, reserve=reserve)


class _Hashes:
    """What the gate needs of a Redis client: hashes, and scripts on hashes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hashes: dict[str, dict[str, str]] = {}
        self._lua = LuaRuntime(unpack_returned_tuples=True)

    def register_script(self, text: str) -> Callable[..., Any]:
        """Return a function that runs a script, as redis-py does."""
        script = self._lua.execute(f"return function(redis, KEYS, ARGV)\n{text}\nend")
        redis = self._lua.table_from({"call": self._call})

        def run(*, keys: Sequence[str], args: Sequence[Text]) -> Any:
            texts = [one if isinstance(one, str) else str(one) for one in args]
            answer = script(redis, self._lua.table_from(keys), self._lua.table_from(texts))
            return list(answer.values()) if hasattr(answer, "values") else answer

        return run

    def hset(self, name: str, *, mapping: dict[str, int]) -> None:
        """Set fields of a hash."""
        self._hashes.setdefault(name, {}).update({field: str(value) for field, value in mapping.items()})

    def hdel(self, name: str, field: str) -> None:
        """Remove a field."""
        self._hashes.get(name, {}).pop(field, None)

    def _call(self, command: str, *arguments: Any) -> Any:
        if command == "TIME":
            whole = int(self._clock.now_s)
            return self._lua.table_from([str(whole), str(int((self._clock.now_s - whole) * 1_000_000))])
        name, *rest = arguments
        held = self._hashes.setdefault(name, {})
        match command:
            case "HGETALL":
                return self._lua.table_from([part for pair in held.items() for part in pair])
            case "HMGET":
                return self._lua.table_from([held.get(field, False) for field in rest])
            case "HGET":
                return held.get(rest[0], False)
            case "HSET":
                held.update(zip(rest[::2], (_text(value) for value in rest[1::2]), strict=True))
                return len(rest) // 2
            case "HDEL":
                return sum(held.pop(field, None) is not None for field in rest)
        raise ValueError(f"a command that the gate's scripts did not use when this was written: {command}")


def _text(value: Any) -> str:
    # As Redis takes a Lua number: up to 17 digits.
    return value if isinstance(value, str) else f"{value:.17g}"
