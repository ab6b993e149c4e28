"""What a producer gives becomes plain JSON, or is refused where it is sent with the place and the reason."""

import datetime as dt
import enum
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import send_event, send_events
from pipeline.errors import InvalidEvent
from pipeline.events.bounds import MOST_BYTES, MOST_DIGITS, MOST_KEYS, MOST_NESTING
from pipeline.events.plain import plain

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


class Colour(enum.Enum):
    RED = 1


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5))
def test_what_is_plain_json_goes_out_as_it_is(event: dict[str, Any]) -> None:
    assert plain(event) == event


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (dt.datetime(2026, 11, 23, 19, 6, 21, tzinfo=dt.UTC), "2026-11-23T19:06:21+00:00"),
        (dt.date(2026, 11, 23), "2026-11-23"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("19.90"), 19.9),
        (Decimal(5), 5),
        (Decimal("0.12345678901234567890"), "0.12345678901234567890"),
        ((1, [2]), [1, [2]]),
        ({1: {None: True}}, {"1": {"null": True}}),
        ({"__type__": "decimal", "__value__": "5"}, {"__type__": "decimal", "__value__": "5"}),
        (1e300, 1e300),
        ("x" * (MOST_BYTES // 2), "x" * (MOST_BYTES // 2)),
    ],
)
def test_what_json_has_another_way_to_say_is_said_so(given: Any, made: Any) -> None:
    sent = plain({"traits": {"it": given}})
    assert json.loads(json.dumps(sent, allow_nan=False)) == {"traits": {"it": made}}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (dt.time(1, 2, 3), r"traits\.it is a time, which JSON does not have"),
        (b"x", r"traits\.it is a bytes, which"),
        ({1, 2}, r"traits\.it is a set, which"),
        (Colour.RED, r"traits\.it is a Colour, which"),
        (object(), r"traits\.it is an object, which"),
        (float("nan"), r"traits\.it is NaN or an infinite number"),
        (Decimal("NaN"), r"traits\.it is NaN or an infinite number"),
        (Decimal("1E+1000000"), r"traits\.it is a number of more than 400 digits"),
        ([1, {"b": float("-inf")}], r"traits\.it\[1\]\.b is NaN or an infinite number"),
        (10**MOST_DIGITS, r"traits\.it is a number of more than 400 digits"),
        ({("a", 1): 2}, "a key is a tuple; keys are text"),
        (nested(MOST_NESTING - 1), "nested deeper than 32 levels"),
        (endless(), "nested deeper than 32 levels"),
        (dict.fromkeys(map(str, range(MOST_KEYS)), 1), "more than 2,000 keys"),
        ("x" * MOST_BYTES, "bytes of JSON; at most 32,768 are taken"),
        ("é" * (MOST_BYTES // 2), "bytes of JSON; at most 32,768 are taken"),
        ([0] * MOST_BYTES, "bytes of JSON; at most"),
    ],
)
def test_what_json_cannot_hold_or_is_beyond_a_bound_is_refused_where_it_is_sent(value: Any, why: str) -> None:
    event = {"traits": {"it": value}}
    with pytest.raises(InvalidEvent, match=why):
        send_event.delay(event)
    with pytest.raises(InvalidEvent, match=r"events\[1\]: .*" + why):
        send_events.apply_async([[{}, event]])


def test_the_deepest_event_that_is_taken_is_sent() -> None:
    event = {"traits": {"it": nested(MOST_NESTING - 2)}}
    assert plain(event) is event
