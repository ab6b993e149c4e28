"""Where a value stands in a JSON text: Salesforce's parser names line and column, Python's forgets them."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # public, but missing from the stubs

_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def position_of(raw: bytes, path: tuple[str | int, ...]) -> tuple[int, int]:
    """Return line and column, from 1, of the value at a path of keys and indexes; (1, 1) when there is none."""
    text = raw.decode("utf-8", "replace")
    try:
        place = _find(text, path)
    except (ValueError, IndexError):
        return 1, 1
    return text.count("\n", 0, place) + 1, place - (text.rfind("\n", 0, place) + 1) + 1


def _skip(text: str, place: int) -> int:
    match = _BLANK.match(text, place)
    return match.end() if match else place


def _find(text: str, path: tuple[str | int, ...]) -> int:
    place = _skip(text, 0)
    for step in path:
        place = _into_object(text, place, step) if isinstance(step, str) else _into_array(text, place, step)
    return place


def _into_object(text: str, place: int, key: str) -> int:
    if text[place] != "{":
        raise ValueError(key)
    place = _skip(text, place + 1)
    while text[place] == '"':
        name, place = scanstring(text, place + 1)
        place = _skip(text, _skip(text, place) + 1)
        if name == key:
            return place
        _, place = _DECODER.raw_decode(text, place)
        place = _skip(text, place)
        if text[place] == ",":
            place = _skip(text, place + 1)
    raise ValueError(key)


def _into_array(text: str, place: int, index: int) -> int:
    if text[place] != "[":
        raise ValueError(index)
    place = _skip(text, place + 1)
    for _ in range(index):
        _, place = _DECODER.raw_decode(text, place)
        place = _skip(text, _skip(text, place) + 1)
    return place
