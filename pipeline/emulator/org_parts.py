"""Parts of an org file: each is checked where it is read, and a mistake names its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Mapped = Mapping[str, Any]


class InvalidSeed(ValueError):  # noqa: N818 - it says what the seed is
    """What an org file adds cannot be added; the message says which part and why."""


def plain(value: Any) -> Any:
    """Return a value as a request would send it: YAML reads unquoted dates as dates."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def mapping(given: Any, place: str) -> Mapped:
    """Return a mapping; raise InvalidSeed."""
    if not isinstance(given, dict):
        raise InvalidSeed(f"{place} must be a mapping")
    return given


def listed(given: Any, place: str) -> list[Any]:
    """Return a list, empty for nothing; raise InvalidSeed."""
    if given is None:
        return []
    if not isinstance(given, list):
        raise InvalidSeed(f"{place} must be a list")
    return given


def text(given: Mapped, key: str, place: str) -> str:
    """Return a text that must be there; raise InvalidSeed."""
    value = given.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidSeed(f"{place}: {key} is missing")
    return value


def switch(given: Mapped, key: str, place: str, *, default: bool = False) -> bool:
    """Return true or false; raise InvalidSeed for anything else."""
    value = given.get(key, default)
    if not isinstance(value, bool):
        raise InvalidSeed(f"{place}: {key} must be true or false")
    return value


def only(given: Mapped, allowed: set[str], place: str) -> None:
    """Raise InvalidSeed for a key that means nothing."""
    unknown = sorted(set(map(str, given)) - allowed)
    if unknown:
        raise InvalidSeed(f"{place}: unknown key {unknown[0]!r}; known are {', '.join(sorted(allowed))}")
