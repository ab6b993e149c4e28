"""Values as FORMAT() shows them to a user whose language is English (United States).

Source: SOQL and SOSL Reference, "FORMAT ()": 4/10/2025, 3:31 PM and $44,000.00.
"""

from __future__ import annotations

from typing import Any

from pipeline.emulator.schema import Field
from pipeline.emulator.soql.plan import Show
from pipeline.emulator.values import read_datetime

LOCALE = "en_US"
_NOON = 12


def formatted(known: Field) -> Show:
    """Return what FORMAT makes of a field's stored values."""
    if known.type in {"date", "datetime"}:
        return _day if known.type == "date" else _moment
    before, after = {"currency": ("$", ""), "percent": ("", "%")}.get(known.type, ("", ""))
    scale = 0 if known.type == "int" else known.scale

    def show(value: Any) -> str | None:
        if value is None:
            return None
        sign = "-" if value < 0 else ""
        return f"{sign}{before}{abs(value):,.{scale}f}{after}"

    return show


def _day(value: Any) -> str | None:
    if value is None:
        return None
    year, month, day = str(value).split("-")
    return f"{int(month)}/{int(day)}/{int(year)}"


def _moment(value: Any) -> str | None:
    if value is None:
        return None
    moment = read_datetime(str(value))
    half = "AM" if moment.hour < _NOON else "PM"
    hour = moment.hour % _NOON or _NOON
    return f"{moment.month}/{moment.day}/{moment.year}, {hour}:{moment.minute:02} {half}"
