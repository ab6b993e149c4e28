"""Words: numbers, spans of time and reasons as a person on call reads them."""

import re
from datetime import UTC, datetime
from typing import Final

from pipeline.delivery.outcome import MEANINGS
from pipeline.delivery.reasons import label_of

NOT_KNOWN: Final = "—"
_THOUSAND, _MILLION = 1_000, 1_000_000
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
# Their text may quote what somebody sent. That of the other codes is Salesforce's or an administrator's, and ours.
_QUOTING: Final = frozenset(
    {
        "BAD_CUSTOM_ENTITY_PARENT_DOMAIN",
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "DUPLICATE_EXTERNAL_ID",
        "DUPLICATE_VALUE",
        "FIELD_INTEGRITY_EXCEPTION",
        "INVALID_EMAIL_ADDRESS",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
        "JSON_PARSER_ERROR",
        "MALFORMED_ID",
        "NUMBER_OUTSIDE_VALID_RANGE",
        "STRING_TOO_LONG",
    }
)
_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,}")
_ADDRESS = re.compile(r"[^\s@<>\"',;:()]+@[^\s@<>\"',;:()]+")
_DIGITS = re.compile(r"\+?\d[\d\s().-]{5,}\d")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d\.\d{3})\+00:00")
_LONGEST_TEXT: Final = 160


def count(number: float | None) -> str:
    """Write a number of things: 1,234 and 12.3k."""
    if number is None:
        return NOT_KNOWN
    if number >= 10 * _MILLION:
        return f"{number / _MILLION:,.1f}M"
    return f"{number:,.0f}" if number < 100 * _THOUSAND else f"{number / _THOUSAND:,.0f}k"


def rate(per_minute: float | None) -> str:
    """Write how often something happens."""
    if per_minute is None:
        return f"{NOT_KNOWN} / min"
    return f"{per_minute:.1f} / min" if 0 < per_minute < 10 else f"{count(per_minute)} / min"  # noqa: PLR2004  (digits)


def span(seconds: float) -> str:
    """Write how long something takes or is ago."""
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def plural(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(unix_s: float) -> str:
    """Write a time, in UTC as everything here."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def in_utc(text: str) -> str:
    """Write times of ISO 8601 in a text as they stand elsewhere here."""
    return _ISO.sub(r"\1 \2 UTC", text)


def without_values(reason: str) -> str:
    """Return what a reason says that is about nobody: what it may quote of an event is left out.

    The whole of it stands on the dead letter's own page. Salesforce quotes values in the texts of some codes
    (`Email: invalid email address: …`); of these, and of codes we do not know, the code alone is left. In other texts
    whatever looks like an e-mail address or a telephone number is left out.
    """
    code = _CODE.match(reason)
    if code is not None and (code[0] in _QUOTING or code[0] not in MEANINGS):
        return code[0] if "_" in code[0] else label_of(reason)
    if _CODE.search(reason) and any(quoting in reason for quoting in _QUOTING):
        return label_of(reason)  # one of several errors quotes
    masked = _DIGITS.sub("…", _ADDRESS.sub("…", reason)).rstrip(": ")
    return masked if len(masked) <= _LONGEST_TEXT else f"{masked[:_LONGEST_TEXT]}…"
