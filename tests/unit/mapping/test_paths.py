"""Dotted paths into an event."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.mapping.paths import MISSING, compile_path, parse_path

EVENT: dict[str, Any] = {
    "userId": "u1",
    "traits": {"address": {"city": "Rome"}, "a.b": 1, "x[0]": 2, "back\\slash": 3, "none": None, "": 4},
    "properties": {"products": [{"sku": "s1"}, {"sku": "s2"}], "grid": [[1, 2], [3, 4]], "0": "zero"},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("userId", "u1"),
        ("traits.address.city", "Rome"),
        ("traits.address", {"city": "Rome"}),
        ("properties.products[0].sku", "s1"),
        ("properties.products.1.sku", "s2"),
        ("properties.products[-1].sku", "s2"),
        ("properties.grid[1][0]", 3),
        ("properties.0", "zero"),
        (r"traits.a\.b", 1),
        (r"traits.x\[0\]", 2),
        (r"traits.back\\slash", 3),
        ("traits.none", None),
    ],
)
def test_a_path_finds_what_it_names(path: str, value: Any) -> None:
    assert compile_path(path)(EVENT) == value


@pytest.mark.parametrize(
    "path",
    [
        "groupId",
        "traits.phone",
        "traits.address.city.name",
        "traits.none.more",
        "userId.length",
        "userId[0]",
        "properties.products[2]",
        "properties.products[-3]",
        "properties.products.sku",
        "properties[0]",
        "traits[0]",
    ],
)
def test_a_path_that_leads_nowhere_is_missing_and_not_null(path: str) -> None:
    assert compile_path(path)(EVENT) is MISSING


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a]", "[0]", "a.[0]", "a[0]b", "a\\"])
def test_what_is_no_path_is_refused_with_an_example(path: str) -> None:
    with pytest.raises(ValueError, match=r"traits\.address\.city"):
        parse_path(path)


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4))
def test_any_key_can_be_written_with_escapes(keys: list[str]) -> None:
    path = ".".join(
        "".join(f"\\{character}" if character in "\\.[]" else character for character in key) for key in keys
    )
    event: Any = "found"
    for key in reversed(keys):
        event = {key: event}

    assert compile_path(path)(event) == "found"


@pytest.mark.parametrize(
    ("event", "found"),
    [
        ({"type": "identify", "traits": {"a": 1}, "context": {"traits": {"a": 2}}}, 1),
        ({"type": "identify", "traits": {"b": 1}, "context": {"traits": {"a": 2}}}, 2),
        ({"type": "identify", "traits": {"a": None}, "context": {"traits": {"a": 2}}}, 2),
        ({"type": "identify", "traits": {"a": ""}, "context": {"traits": {"a": 2}}}, 2),
        ({"type": "identify", "traits": {"a": False}, "context": {"traits": {"a": 2}}}, False),
        ({"type": "identify", "traits": {"a": None}, "context": {"traits": {}}}, None),
        ({"type": "track", "context": {"traits": {"a": 2}}}, 2),
        ({"type": "identify", "traits": {}}, MISSING),
        ({"type": "group", "traits": {}, "context": {"traits": {"a": 2}}}, MISSING),  # the person's
    ],
)
def test_a_trait_that_traits_lack_is_looked_for_in_the_context(event: dict[str, Any], found: Any) -> None:
    assert compile_path("traits.a")(event) is found or compile_path("traits.a")(event) == found
