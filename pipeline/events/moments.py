"""Moments: the times that SDKs write, as Unix milliseconds.

What is read: ISO 8601 with a whole date and RFC 3339, Unix times, and what JavaScript, Java, .NET, Go and Ruby print by
default. What could be read in two ways, as `03/10/2024`, is not. `docs/mapping.md` has the table.
"""

import re
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_MILLISECOND: Final = timedelta(milliseconds=1)
_DAY_MS: Final = 86_400_000
_FIRST_MS: Final = -62_135_596_800_000  # the year 1, which stands for all before it
_LAST_MS: Final = 253_402_300_800_000  # the year 10000, which stands for all after it
# A Unix time tells its unit by its size: each bound is the year 5138 in one unit and 1973 in the next.
_UNITS: Final = ((10**11, 1000, 1), (10**14, 1, 1), (10**17, 1, 1000), (10**20, 1, 1_000_000))
_DAY_OF_YEAR: Final = 3  # digits

# As text only the lengths that today's times have: 14 digits may be a date without separators.
_UNIX: Final = re.compile(r"(?:\d{10}|\d{13}|\d{16}|\d{19})(?:[.,]\d+)?", re.ASCII)
_CLOCK: Final = (
    r"(?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d))?)?(?:[.,](?P<fraction>\d+))?"
    r" ?(?P<zone>Z|UTC|GMT)?(?:(?P<sign>[+-])(?P<off_hour>\d\d):?(?P<off_minute>\d\d)?(?::?\d\d)?)?"
    r"(?: (?:UTC|GMT|[A-Z]{3,5}|\([^()]*\)))?"  # a zone's name, which the offset tells as well
)
_ISO: Final = re.compile(
    r"(?P<date>[+-]\d{5,6}-\d\d-\d\d|\d{4}-\d\d-\d\d|\d{8}|\d{4}-?\d{3}|\d{4}-?W\d\d-?\d)(?:[T_ ] ?" + _CLOCK + ")?",
    re.ASCII,
)
_WORDS: Final = re.compile(
    r"(?:[A-Z]{3,9},? )?(?:(?P<day>\d\d?) (?P<month>[A-Z]{3})|(?P<month_first>[A-Z]{3}) (?P<day_second>\d\d?))"
    r" (?P<year>\d{4}) " + _CLOCK,
    re.ASCII,
)
_JSON_DATE: Final = re.compile(r"/?DATE\((-?\d{1,15})(?:[+-]\d{4})?\)/?", re.ASCII)  # .NET before ISO 8601
_BRACKETS: Final = re.compile(r"(?:\[[^\[\]]*\])+$")  # RFC 9557, as Java's ZonedDateTime prints: +01:00[Europe/Berlin]
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def read_moment(value: Any) -> int:
    """Return the Unix time in milliseconds. Without an offset it is UTC. Raises ValueError for what is no time."""
    if isinstance(value, str):
        text = value.strip()
        if text[16:17] == ":":  # nearly always; what is shorter, or has no separators, Python reads in ways of its own
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                return _read_text(text)
            return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND
        return _read_text(text)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _UNITS[-1][0]:
        return _of_unix(Fraction(repr(value)) if isinstance(value, float) else Fraction(value))
    raise ValueError("no time")


def _read_text(given: str) -> int:
    text = _BRACKETS.sub("", " ".join(given.upper().replace("\N{MINUS SIGN}", "-").split()))
    if _UNIX.fullmatch(text):
        return _of_unix(Fraction(text.replace(",", ".")))
    if read := _JSON_DATE.fullmatch(text):
        return int(read[1])
    if read := _ISO.fullmatch(text):
        return _day_ms(read["date"]) + _clock_ms(read)
    if read := _WORDS.fullmatch(text):
        month = _MONTHS.index(read["month"] or read["month_first"]) + 1
        day = date(int(read["year"]), month, int(read["day"] or read["day_second"]))
        return (day.toordinal() - _EPOCH_DAY) * _DAY_MS + _clock_ms(read)
    raise ValueError("no time")


def _of_unix(value: Fraction) -> int:
    for bound, times, per in _UNITS:
        if abs(value) < bound:
            return int(value * times / per // 1)
    raise ValueError("no time")


def _day_ms(text: str) -> int:
    if text[0] in "+-":
        year = int(text[:-6])
        if not date.min.year <= year <= date.max.year:
            date(2000, int(text[-5:-3]), int(text[-2:]))  # which raises for what is no day
            return _LAST_MS if year > 0 else _FIRST_MS
        text = f"{year:04}{text[-6:]}"
    digits = text.replace("-", "")
    if len(digits) == 4 + _DAY_OF_YEAR and digits.isdigit():
        first, number = date(int(digits[:4]), 1, 1), int(digits[4:])
        day = first + timedelta(days=number - 1)
        if not number or day.year != first.year:
            raise ValueError("no day of that year")
    else:
        day = date.fromisoformat(text)
    return (day.toordinal() - _EPOCH_DAY) * _DAY_MS


def _clock_ms(read: re.Match[str]) -> int:
    """Return the time of day and offset: 24:00 is the end of the day, second 60 the beginning of the next minute."""
    hour, minute, second = (int(read[name] or 0) for name in ("hour", "minute", "second"))
    unit_ms = 1000 if read["second"] else 60_000 if read["minute"] else 3_600_000
    part_ms = int(Fraction(f"0.{read['fraction'] or 0}") * unit_ms)
    at_ms = ((hour * 60 + minute) * 60 + second) * 1000 + part_ms
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and at_ms > _DAY_MS):  # noqa: PLR2004  (of a clock)
        raise ValueError("no time of day")
    off_hour, off_minute = int(read["off_hour"] or 0), int(read["off_minute"] or 0)
    if off_hour > 23 or off_minute > 59:  # noqa: PLR2004
        raise ValueError("no offset")
    offset_ms = (off_hour * 60 + off_minute) * 60_000
    return at_ms + (offset_ms if read["sign"] == "-" else -offset_ms)
