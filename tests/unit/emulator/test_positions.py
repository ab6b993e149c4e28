"""Where a value stands in a JSON text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.emulator.positions import position_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('{"a": 1}', ("a",), (1, 7)),
        ('{"a": 1, "b": "x"}', ("b",), (1, 15)),
        ('{\n  "a": {"b":\n [1, 2]}}', ("a", "b", 1), (3, 6)),
        ('{"a\\"b": {"c": 1}, "d": 2}', ("d",), (1, 25)),
        ('{"records": [{"x": [1]}, {"x":   5}]}', ("records", 1, "x"), (1, 34)),
        ('{"é": 1, "b": 2}', ("b",), (1, 15)),
        ("{}", (), (1, 1)),
        ('{"a": 1}', ("b",), (1, 1)),
        ("[1]", ("a",), (1, 1)),
        ('{"a": 1', ("b",), (1, 1)),
        ("", ("a",), (1, 1)),
    ],
)
def test_line_and_column_count_from_one(text: str, path: tuple[str | int, ...], expected: tuple[int, int]) -> None:
    assert position_of(text.encode(), path) == expected


def paths_of(value: Any, above: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(above, value), *(found for key, one in inner for found in paths_of(one, (*above, key)))]


@given(value=JSON, indent=st.sampled_from([None, 2]))
def test_every_value_is_found_where_it_stands(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    lines = text.split("\n")
    for path, inner in paths_of(value):
        line, column = position_of(text.encode(), path)
        rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
        found, _ = json.JSONDecoder().raw_decode(rest)
        assert found == inner
