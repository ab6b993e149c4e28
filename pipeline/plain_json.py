"""JSON as it is: what is read is what was written, and nothing in it means anything to the one who reads it.

Kombu's own JSON turns an object like {"__type__": "decimal", "__value__": "5"} into another value, wherever in an event
it stands, and fails at one whose type it does not know.
"""

import json
from typing import Any, Final

from pipeline.errors import PipelineError
from pipeline.events.bounds import MOST_BODY_BYTES, MOST_BODY_NESTING, MOST_EVENTS, json_fault


class BeyondBounds(PipelineError):  # noqa: N818  (a fact about a text)
    """JSON exceeds a bound, and was not decoded."""


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


# Made once: json.loads makes a decoder for each call that wants something of its own.
_decode: Final = json.JSONDecoder(parse_constant=_no_number).decode


def loads(text: bytes | str) -> Any:
    """Decode JSON whose bounds were looked at. Raises ValueError for what is none, NaN and Infinity included."""
    try:
        return _decode(text if isinstance(text, str) else str(text, "utf-8"))
    except RecursionError:  # the stack was nearly used up before
        raise ValueError("it is nested too deeply to be read here") from None


def loads_body(text: bytes) -> Any:
    """Decode the body of a message. Raises BeyondBounds, or ValueError for what is no JSON."""
    fault = json_fault(text, most_bytes=MOST_BODY_BYTES, nesting=MOST_BODY_NESTING, events=MOST_EVENTS)
    if fault:
        raise BeyondBounds(f"the body {fault}")
    return loads(text)
