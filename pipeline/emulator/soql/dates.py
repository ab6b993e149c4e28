"""SOQL's date literals: TODAY, LAST_N_DAYS:7, THIS_FISCAL_QUARTER, as ranges of days (SOQL reference, date formats)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

# The first and the day after the last day.
Days = tuple[date, date]


def _month(today: date, shift: int, length: int = 1) -> Days:
    first = today.year * 12 + today.month - 1 + shift
    last = first + length
    return date(first // 12, first % 12 + 1, 1), date(last // 12, last % 12 + 1, 1)


def _week(today: date, shift: int, length: int = 1) -> Days:
    # Weeks begin on Sunday in the default locale.
    sunday = today - timedelta(days=(today.weekday() + 1) % 7) + timedelta(weeks=shift)
    return sunday, sunday + timedelta(weeks=length)


def _quarter(today: date, shift: int, length: int = 1) -> Days:
    begin = (today.month - 1) // 3 * 3 + 1
    return _month(today.replace(month=begin, day=1), shift * 3, length * 3)


def _year(today: date, shift: int, length: int = 1) -> Days:
    return date(today.year + shift, 1, 1), date(today.year + shift + length, 1, 1)


def _days(today: date, shift: int, length: int = 1) -> Days:
    first = today + timedelta(days=shift)
    return first, first + timedelta(days=length)


_UNITS: dict[str, Callable[..., Days]] = {
    "DAYS": _days,
    "WEEKS": _week,
    "MONTHS": _month,
    "QUARTERS": _quarter,
    "YEARS": _year,
    # The emulated org's fiscal year is the calendar year, Salesforce's default.
    "FISCAL_QUARTERS": _quarter,
    "FISCAL_YEARS": _year,
}
_SHIFTS = {"THIS": 0, "LAST": -1, "NEXT": 1}
# LAST_90_DAYS and NEXT_90_DAYS are words of their own.
_NINETY = 90


def days_of(literal: str, today: date) -> Days | None:
    """Return the days that a literal means, or None when it is none; ``literal`` in capitals."""
    fixed = {"TODAY": _days(today, 0), "YESTERDAY": _days(today, -1), "TOMORROW": _days(today, 1)}
    fixed["LAST_90_DAYS"] = (today - timedelta(days=_NINETY), today + timedelta(days=1))
    fixed["NEXT_90_DAYS"] = _days(today, 1, _NINETY)
    if literal in fixed:
        return fixed[literal]
    name, _, count = literal.partition(":")
    which, _, unit = name.partition("_")
    if not count:
        span = (
            _UNITS.get(f"{unit}S")
            if unit in {"WEEK", "MONTH", "QUARTER", "YEAR"} or unit.startswith("FISCAL")
            else None
        )
        return span(today, _SHIFTS[which]) if span is not None and which in _SHIFTS else None
    try:
        return _counted(name, int(count), today)
    except (OverflowError, ValueError):
        # Beyond the years that a calendar has.
        return None


def _counted(name: str, count: int, today: date) -> Days | None:
    """Return the days of LAST_N_…, NEXT_N_… and N_…_AGO; LAST_N_DAYS includes today, the other units leave it out."""
    if name.endswith("_AGO") and name.startswith("N_"):
        span = _UNITS.get(name[2:-4])
        return span(today, -count) if span is not None else None
    for which in ("LAST_N_", "NEXT_N_"):
        if name.startswith(which) and name[len(which) :] in _UNITS:
            unit = name[len(which) :]
            if unit == "DAYS":
                return (
                    (today - timedelta(days=count), today + timedelta(days=1))
                    if which == "LAST_N_"
                    else _days(today, 1, count)
                )
            span = _UNITS[unit]
            return span(today, -count, count) if which == "LAST_N_" else span(today, 1, count)
    return None
