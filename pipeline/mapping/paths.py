r"""Dotted paths: how destination.yaml points into an event.

`traits.address.city`, `properties.products[0].name` (or `.0.`; `[-1]` is the last), and `properties.unit\.price` for a
key that holds a dot. A backslash takes the next character as it is. What `traits` lacks is looked for in
`context.traits`, where RudderStack's SDKs keep it, but for group events: there these are another's.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from pipeline.operation import Json


class Missing:
    """What a path gives where there is nothing, as opposed to null."""

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()
Found: TypeAlias = "Json | Missing"
Getter: TypeAlias = Callable[[Mapping[str, Json]], Found]

_KEY = r"(?:[^\\.\[\]]|\\.)+"
_STEP = re.compile(rf"(?P<key>{_KEY})|\[(?P<index>-?\d{{1,6}})\]")
_PATH = re.compile(rf"{_KEY}(?:\.{_KEY}|\[-?\d{{1,6}}\])*")
_ESCAPE = re.compile(r"\\(.)")
_WHOLE = re.compile(r"-?\d{1,6}")


def parse_path(text: str) -> tuple[str | int, ...]:
    """Split a path into steps: a key as text, an index in brackets as an int. Raises ValueError for what is none."""
    if not _PATH.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a path; write keys joined with dots, as in traits.address.city or "
            "properties.products[0].name, and a backslash before a dot that belongs to a key"
        )
    return tuple(
        int(step["index"]) if step["index"] else _ESCAPE.sub(r"\1", step["key"]) for step in _STEP.finditer(text)
    )


def compile_path(text: str) -> Getter:
    """Return a function that finds the path in an event, or MISSING. Raises ValueError for a path that is none."""
    steps = parse_path(text)
    if len(steps) == 1:
        only = str(steps[0])
        return lambda event: event.get(only, MISSING)

    if steps[0] != "traits":
        return lambda event: _walk(event, steps)
    others = ("context", *steps)

    def get(event: Mapping[str, Json]) -> Found:
        found = _walk(event, steps)
        if (found is MISSING or found is None or found == "") and event.get("type") != "group":
            other = _walk(event, others)
            return found if other is MISSING else other
        return found

    return get


def _walk(event: Mapping[str, Json], steps: tuple[str | int, ...]) -> Found:
    found: Found = dict(event) if not isinstance(event, dict) else event
    for step in steps:
        found = _step(found, step)
        if found is MISSING:
            break
    return found


def _step(found: Found, step: str | int) -> Found:
    if isinstance(found, dict):
        return found.get(step, MISSING) if isinstance(step, str) else MISSING
    if isinstance(found, list):
        if isinstance(step, str):
            if not _WHOLE.fullmatch(step):
                return MISSING
            step = int(step)
        return found[step] if -len(found) <= step < len(found) else MISSING
    return MISSING
