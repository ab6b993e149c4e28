"""Field values from JSON and CSV to what is stored."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.emulator.schema import Field, field_of
from pipeline.emulator.values import (
    Refused,
    Unreadable,
    check_of,
    datetime_text,
    is_email,
    json_token,
    read_datetime,
    text_check_of,
)


def field(kind: str, **more: Any) -> Field:
    return field_of({"name": "F__c", "type": kind, "label": "F", **more})


@given(text=st.text(max_size=30))
def test_texts_are_trimmed_and_never_longer_than_the_field(text: str) -> None:
    check = check_of(field("string", length=10))
    trimmed = text.strip()
    if len(trimmed) > 10:
        with pytest.raises(Refused) as refused:
            check(text)
        assert refused.value.error.code == "STRING_TOO_LONG"
    else:
        assert check(text) == (trimmed or None)


@given(number=st.integers(min_value=-(10**9), max_value=10**9))
def test_whole_numbers_are_read_alike_from_every_form(number: int) -> None:
    check = check_of(field("int", digits=9))
    expected: Any = number if abs(number) < 10**9 else Refused
    for given_as in (number, str(number), f" {number} ", float(number)):
        try:
            found: Any = check(given_as)
        except Refused:
            found = Refused
        assert found == expected


@pytest.mark.parametrize("value", ["x", "1.5.2", "1_000", "nan", "inf", "٣", True, [], {}, float("inf")])
def test_what_is_no_number_cannot_be_read(value: Any) -> None:
    for kind in ("int", "double", "currency", "percent"):
        with pytest.raises((Unreadable, Refused)):
            check_of(field(kind))(value)


@given(seconds=st.integers(min_value=-8_520_336_000, max_value=64_060_588_799))
def test_a_stored_datetime_reads_back_as_itself(seconds: int) -> None:
    """From 1700 to the end of 3999."""
    text = datetime_text(seconds)
    assert read_datetime(text) == datetime.fromtimestamp(seconds, UTC)


def test_a_moment_is_written_in_utc_with_milliseconds() -> None:
    assert datetime_text(0) == "1970-01-01T00:00:00.000+0000"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ("VALUE_NULL", "null")),
        (True, ("VALUE_TRUE", "true")),
        (False, ("VALUE_FALSE", "false")),
        (1, ("VALUE_NUMBER_INT", "1")),
        (1.5, ("VALUE_NUMBER_FLOAT", "1.5")),
        ("x", ("VALUE_STRING", "x")),
        ([1], ("START_ARRAY", "[")),
        ({}, ("START_OBJECT", "{")),
    ],
)
def test_tokens_have_the_names_of_salesforces_parser(value: Any, expected: tuple[str, str]) -> None:
    assert json_token(value) == expected


@pytest.mark.parametrize(
    ("cell", "stored"),
    [("Yes", 1), ("y", 1), ("ON", 1), ("1", 1), ("true", 1), ("No", 0), ("n", 0), ("off", 0), ("0", 0), ("FALSE", 0)],
)
def test_cells_say_yes_and_no_in_many_ways(cell: str, stored: int) -> None:
    assert text_check_of(field("boolean"))(cell) == stored


def test_an_unreadable_cell_is_refused_for_its_row_alone() -> None:
    with pytest.raises(Refused) as refused:
        text_check_of(field("date"))("someday")
    assert refused.value.error.code == "INVALID_TYPE_ON_FIELD_IN_RECORD"


@given(
    local=st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
    domain=st.from_regex(r"[a-z0-9]{1,8}\.[a-z]{2,4}", fullmatch=True),
)
def test_plain_addresses_are_emails_and_broken_ones_are_not(local: str, domain: str) -> None:
    assert is_email(f"{local}@{domain}")
    for broken in (f"{local}{domain}", f"{local}@@{domain}", f"{local} @{domain}", f"@{domain}", f"{local}@"):
        assert not is_email(broken)
