"""The clock of a key as it is stored: which event time each field's value has."""

import json
from collections.abc import Mapping


def write_clock(clock: Mapping[str, int]) -> str:
    """Return a clock, field → Unix milliseconds, as text."""
    # Nearly always all fields have one time, so they are grouped by it: a quarter of the size of field → time.
    fields_at: dict[str, list[str]] = {}
    for name, time_ms in clock.items():
        fields_at.setdefault(str(time_ms), []).append(name)
    return json.dumps(fields_at, separators=(",", ":"))


def read_clock(stored: bytes) -> dict[str, int]:
    """Read what `write_clock` wrote; nothing for b""."""
    fields_at: dict[str, list[str]] = json.loads(stored) if stored else {}
    return {name: int(time_ms) for time_ms, names in fields_at.items() for name in names}
