"""Which times are read, and which of an event's times counts: the tables of docs/mapping.md, and their edges."""

import itertools
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidEvent
from pipeline.events.moments import read_moment
from pipeline.events.schemas import validate

TEXT = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text(encoding="utf-8")
MOMENT_MS: Final = 1_710_037_800_000  # 2024-03-10T02:30:00Z
ARRIVAL_MS: Final = 1_795_000_000_000
NAMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
WRITTEN: Final[dict[str, dict[str, Any]]] = {
    "there": {
        "timestamp": "2024-03-10T02:30:00Z",
        "originalTimestamp": "2025-01-01T00:00:00Z",
        "sentAt": "2025-01-01T00:00:09Z",
        "receivedAt": "2026-01-01T00:00:10Z",
    },
    "unreadable": dict.fromkeys(NAMES, "yesterday"),
    "absent": dict.fromkeys(NAMES),
}
TIMES: Final = {
    "`timestamp`": MOMENT_MS,
    "`originalTimestamp`": 1_735_689_600_000,
    "`receivedAt` - (`sentAt` - `originalTimestamp`)": 1_767_225_601_000,
    "its arrival": ARRIVAL_MS,
}


def table(heading: str) -> list[list[str]]:
    """The rows of the table in docs/mapping.md whose head begins so."""
    (found,) = re.findall(rf"^\| {re.escape(heading)}.*\n\| ---.*\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|\n ").split(" | ")] for line in found.splitlines()]


WAYS: Final = [way for written, _ in table("written as") for way in re.findall(r"`([^`]+)`", written)]


@pytest.mark.parametrize("written", WAYS)
def test_every_way_of_the_table_is_the_same_moment(written: str) -> None:
    assert read_moment(written) == MOMENT_MS
    assert read_moment(f" {written}\n") == MOMENT_MS


def test_the_table_has_what_it_promises() -> None:
    assert len(WAYS) > 25


@pytest.mark.parametrize("states", itertools.product(WRITTEN, repeat=4), ids=" ".join)
def test_one_row_says_which_of_the_times_counts(states: tuple[str, ...]) -> None:
    rows = table("`timestamp` | `originalTimestamp`")
    fitting = [
        row[4]
        for row in rows
        if all(said == "any" or state in said.split(", ") for state, said in zip(states, row[:4], strict=True))
    ]
    assert len(fitting) == 1
    event = {name: WRITTEN[state][name] for state, name in zip(states, NAMES, strict=True)}

    if fitting == ["refused"]:
        with pytest.raises(InvalidEvent, match=r"has a wrong (timestamp|originalTimestamp)"):
            validate({"type": "page", **event}, received_ms=ARRIVAL_MS)
    else:
        assert validate({"type": "page", **event}, received_ms=ARRIVAL_MS).time_ms == TIMES[fitting[0]]


@pytest.mark.parametrize(
    "number", [1_710_037_800, 1_710_037_800.0, MOMENT_MS, float(MOMENT_MS), MOMENT_MS * 1000, MOMENT_MS * 1_000_000]
)
def test_a_unix_time_tells_its_unit_by_its_size(number: float) -> None:
    assert read_moment(number) == MOMENT_MS
    assert read_moment(str(int(number))) == MOMENT_MS


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("2024-03-09T24:00:00Z", 1_710_028_800_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2016-12-31T23:59:60.5Z", 1_483_228_800_500),
        ("9999-12-31T24:00:00Z", 253_402_300_800_000),
        ("2024-12-31", 1_735_603_200_000),
        ("2024-366", 1_735_603_200_000),
        ("2024-03-10T02:30:00.1239999Z", MOMENT_MS + 123),
        ("2024-03-10T02:29.5Z", MOMENT_MS - 30_000),
        (1_710_037_800.123, MOMENT_MS + 123),
        ("1710037800.123", MOMENT_MS + 123),
        ("1711121512345", 1_711_121_512_345),  # which Python takes for 23:45 on a day of 1711
        (0, 0),
        (-1, -1000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),  # .NET's empty time
        ("-000001-01-01T00:00:00Z", -62_135_596_800_000),
        ("+012024-01-01T00:00:00Z", 253_402_300_800_000),
    ],
)
def test_the_edges_of_what_is_read(written: Any, ms: int) -> None:
    assert read_moment(written) == ms


@pytest.mark.parametrize(
    "written",
    [
        *("", "yesterday", "now", "03/10/2024", "10.03.2024", "2024", "2024-03", "12:30", "2024-03-10T", "T02:30:00Z"),
        *("20240310023000", "171003780012", "0000-00-00 00:00:00", "10000-01-01", "2023-366", "2024-000", "1" * 40),
        *(
            "2024-02-30T00:00:00Z",
            "2024-03-10T25:00Z",
            "2024-03-10T24:00:01Z",
            "2024-03-10T02:60Z",
            "2024-13-01t00:00Z",
        ),
        *("2024-03-10T02:30:61Z", "2024-03-10T02:30Z+24:00", "+002024-02-30T00:00Z", "+012024-02-30T00:00Z"),
        *("30 Feb 2024", "Foo 10 2024 02:30:00", "2024-03-10T02:30:00." + "1" * 5000 + "z", "\u0661" * 10),
        *(None, True, False, [], {}, {"seconds": 1}, 1e25, -1e25, float("nan"), float("inf"), 10**5000),
    ],
    ids=lambda written: repr(written)[:40] if not isinstance(written, int) or isinstance(written, bool) else "a number",
)
def test_what_could_mean_several_times_or_none_is_not_read(written: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (its text is shown to nobody)
        read_moment(written)


@given(
    st.datetimes(timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))),
    st.sampled_from(["isoformat", "basic", "lower", "spaced", "unix"]),
)
def test_every_moment_is_read_however_it_is_written(moment: datetime, way: str) -> None:
    exact = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ms = (exact - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    written: dict[str, Any] = {
        "isoformat": exact.isoformat(),
        "basic": f"{exact.year:04}" + exact.strftime("%m%dT%H%M%S.%f%z"),
        "lower": exact.isoformat(timespec="milliseconds").lower(),
        "spaced": exact.isoformat(" ", timespec="milliseconds").replace("+", " +"),
        "unix": ms / 1000 if exact.year in range(1974, 5138) else exact.isoformat(),
    }
    assert read_moment(written[way]) == ms


@given(st.text(max_size=40) | st.floats() | st.integers())
def test_anything_is_a_time_or_is_not(written: Any) -> None:
    try:
        ms = read_moment(written)
    except ValueError:
        return
    assert isinstance(ms, int)
