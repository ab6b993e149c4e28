"""Bounds are found in bytes, whatever stands in strings, and without recursion."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events.bounds import MOST_BYTES, MOST_DIGITS, MOST_KEYS, MOST_NESTING, elements, json_fault

TEXT = st.text(st.sampled_from('a:,[]{}"\\é\ud800\n'), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def depth_of(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(depth_of, value.values() if isinstance(value, dict) else value), default=0)


@given(JSON)
def test_nesting_is_that_of_the_decoded_value(value: Any) -> None:
    text, depth = json.dumps(value).encode(), depth_of(value)
    assert json_fault(text, nesting=depth) is None
    assert depth == 0 or json_fault(text, nesting=depth - 1) == f"is nested deeper than {depth - 1} levels"


@given(JSON)
def test_the_elements_of_a_list_and_the_members_of_an_object_are_cut_where_they_end(value: Any) -> None:
    assert [json.loads(one) for one in elements(json.dumps([value, 1]).encode())] == [value, 1]
    assert [json.loads(one) for one in elements(json.dumps({"a": value, "b": 1}).encode())] == ["a", value, "b", 1]


@pytest.mark.parametrize("text", [b"", b"5", b"[", b"[1]]", b"[1][2]", b'["', b"[[1]"])
def test_what_has_no_elements_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"neither|brackets"):
        elements(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"[" * MOST_NESTING + b"]" * MOST_NESTING, None),
        (b"[" * (MOST_NESTING + 1) + b"]" * (MOST_NESTING + 1), "is nested deeper than 32 levels"),
        (b"[" * (MOST_NESTING + 1), "is nested deeper than 32 levels"),
        (b'["' + b"[" * 99 + b'"]', None),
        (b'["\\\\"' + b',"\\""' + b',"' + b"]" * 40 + b'",' + b"[" * MOST_NESTING, "is nested deeper than 32 levels"),
        (b"[" + b"1" * MOST_DIGITS + b"]", None),
        (b"[" + b"1" * (MOST_DIGITS + 1) + b"]", "holds a number of more than 400 digits"),
        (b'["' + b"1" * (MOST_DIGITS + 1) + b'"]', None),
        (b'"' + b"a" * (MOST_BYTES - 2) + b'"', None),
        (b'"' + b"a" * (MOST_BYTES - 1) + b'"', "is 32,769 bytes of JSON; at most 32,768 are taken"),
        (json.dumps(dict.fromkeys(map(str, range(MOST_KEYS)), 1)).encode(), None),
        (
            json.dumps(dict.fromkeys(map(str, range(MOST_KEYS + 1)), 1)).encode(),
            "has 2,001 keys; at most 2,000 are taken",
        ),
        (json.dumps([":" * (MOST_KEYS + 1)]).encode(), None),
    ],
)
def test_a_bound_is_met_up_to_its_figure(text: bytes, fault: str | None) -> None:
    assert json_fault(text) == fault
