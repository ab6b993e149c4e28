"""Field values: from JSON or CSV to what is stored, checked as the field's type demands.

Stored forms: text as sent (trimmed), booleans as 0 and 1, dates as ``YYYY-MM-DD`` and datetimes in UTC as
``YYYY-MM-DDTHH:MM:SS.000+0000``, which is also how Salesforce writes them (REST API guide, valid date formats).
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from pipeline.emulator import errors, ids
from pipeline.emulator.errors import RecordError
from pipeline.emulator.schema import NUMBER_TYPES, Field

Stored = str | int | float | None
Check = Callable[[Any], Stored]

DATETIME_FORMAT = "%Y-%m-%dT%H:%M:%S.000+0000"
_LOCAL = r"[A-Za-z0-9!#$%&'*/=?^_+\-`{|}~]+(?:\.+[A-Za-z0-9!#$%&'*/=?^_+\-`{|}~]+)*"
_EMAIL = re.compile(
    _LOCAL + r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
)
_DATETIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII | re.IGNORECASE
)
# More digits than any field holds are no number at all.
_INTEGER = re.compile(r"[+-]?\d{1,100}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
# Half of a character pair, which JSON can escape and UTF-8 cannot hold; Java writes a question mark for it.
_SURROGATE = re.compile("[\ud800-\udfff]")
# What a CSV cell of a boolean field may say (Bulk API 2.0 guide, valid field formats).
_BOOLEAN_CELLS = dict.fromkeys(("yes", "y", "true", "on", "1"), "true")
_BOOLEAN_CELLS |= dict.fromkeys(("no", "n", "false", "off", "0"), "false")
# An HTML tag, as far as it has to be told from a lone angle bracket.
_TAG = re.compile(r"(</?[A-Za-z][^<>]*>)")
_MIN_YEAR, _MAX_YEAR = 1700, 4000
_SHORT_INT = 2**31


class Unreadable(ValueError):  # noqa: N818 - it says what the value is
    """The value's JSON type or wording does not fit the field, so the request cannot be parsed at all."""

    def __init__(self, kind: str, value: Any) -> None:
        super().__init__(kind)
        self.kind = kind
        self.value = value

    @property
    def message(self) -> str:
        """The text of JSON_PARSER_ERROR, without the position."""
        token, shown = json_token(self.value)
        return (
            f"Cannot deserialize instance of {self.kind} from {token} value {shown}"
            " or request may be missing a required field"
        )


class Refused(ValueError):  # noqa: N818 - it says what happened to the value
    """The value was understood and refused; ``error`` says why."""

    def __init__(self, error: RecordError) -> None:
        super().__init__(error.code)
        self.error = error


def json_token(value: Any) -> tuple[str, str]:
    """Return the name that Salesforce's JSON parser gives to a value, and the value as its messages show it."""
    if value is None:
        return "VALUE_NULL", "null"
    if isinstance(value, bool):
        return ("VALUE_TRUE", "true") if value else ("VALUE_FALSE", "false")
    if isinstance(value, int):
        return "VALUE_NUMBER_INT", str(value)
    if isinstance(value, float):
        return "VALUE_NUMBER_FLOAT", str(value)
    if isinstance(value, str):
        return "VALUE_STRING", value
    return ("START_ARRAY", "[") if isinstance(value, list) else ("START_OBJECT", "{")


def datetime_text(moment: float) -> str:
    """Return a datetime's stored form; ``moment`` in seconds since 1970."""
    return datetime.fromtimestamp(moment, UTC).strftime(DATETIME_FORMAT)


def read_datetime(text: str) -> datetime:
    """Read a date or datetime in ISO 8601 as REST takes it; without an offset it is UTC. Raise ValueError."""
    match = _DATETIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    if not _MIN_YEAR <= year <= _MAX_YEAR:
        raise ValueError(text)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    offset = match.group(7)
    if offset and offset not in {"Z", "z"}:
        digits = offset[1:].replace(":", "")
        seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
        moment = datetime.fromtimestamp(moment.timestamp() - (seconds if offset[0] == "+" else -seconds), UTC)
    return moment


def is_email(text: str) -> bool:
    """Whether Salesforce takes the text as an e-mail address: one @, a domain with a dot, no blanks."""
    return _EMAIL.fullmatch(text) is not None


def check_of(field: Field) -> Check:  # noqa: PLR0911  (one return for each type)
    """Return the function that turns a JSON value into the stored one; it raises Unreadable or Refused."""
    if field.type == "boolean":
        return _boolean(field)
    if field.type == "int":
        return _integer(field)
    if field.type in NUMBER_TYPES:
        return _number(field)
    if field.type in {"date", "datetime"}:
        return _moment(field)
    if field.type in {"id", "reference"}:
        return _reference(field)
    if field.is_compound:
        return _compound(field)
    return _text(field)


def _text(field: Field) -> Check:
    length, label, name, kind = field.length, field.label, field.name, field.type
    further = _further(field)
    # Three bytes a character are what a describe gives room for; a field with fewer counts bytes as well.
    most_bytes = field.byte_length if field.byte_length < 3 * length else 0
    rich = field.html_formatted and kind == "textarea"

    def check(value: Any) -> Stored:
        if value is None:
            return None
        if type(value) is not str:
            raise Unreadable(kind, value)
        text = value.strip()
        if not text:
            return None
        if not text.isascii():
            text = _SURROGATE.sub("?", text)
        if rich:
            text = rich_text(text)
        if len(text) > length or (most_bytes and len(text.encode()) > most_bytes):
            message = f"{label}: data value too large: {text} (max length={length})"
            raise Refused(RecordError("STRING_TOO_LONG", message, (name,)))
        if further is not None:
            further(text)
        return text

    return check


def rich_text(text: str) -> str:
    """Return what a rich text field stores: HTML whose text is escaped, which is what its length counts.

    Tags stay as they are. Salesforce Help, "Rich Text Area Field Limitations": the maximum includes the HTML tags;
    replies of real orgs have quotes as ``&quot;`` and ``&#39;``.
    """
    parts = _TAG.split(text)
    parts[::2] = [html.escape(html.unescape(part)).replace("&#x27;", "&#39;") for part in parts[::2]]
    return "".join(parts)


def _further(field: Field) -> Callable[[str], None] | None:
    """Return what a text must satisfy beyond its length, or None."""
    if field.type == "email":

        def email(text: str) -> None:
            if _EMAIL.fullmatch(text) is None:
                message = f"{field.label}: invalid email address: {text}"
                raise Refused(RecordError("INVALID_EMAIL_ADDRESS", message, (field.name,)))

        return email
    if field.restricted_picklist and field.picklist_values:
        allowed, several = frozenset(field.picklist_values), field.type == "multipicklist"

        def restricted(text: str) -> None:
            for one in text.split(";") if several else (text,):
                if one not in allowed:
                    raise Refused(errors.not_in_picklist(field.label, field.name, one))

        return restricted
    return None


def _boolean(field: Field) -> Check:
    def check(value: Any) -> Stored:
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
            return int(value.strip().lower() == "true")
        raise Unreadable(field.type, value)

    return check


def _integer(field: Field) -> Check:
    bound = min(10**field.digits, _SHORT_INT) if field.digits else _SHORT_INT

    def check(value: Any) -> Stored:
        if value is None:
            return None
        if isinstance(value, str):
            if not value.strip():
                return None
            if not _INTEGER.fullmatch(value.strip()):
                raise Unreadable(field.type, value)
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unreadable(field.type, value)
        if isinstance(value, float):
            if not value.is_integer():
                raise Refused(not_of_type(field, value))
            value = int(value)
        if not -bound < value < bound:
            raise Refused(_out_of_range(field, value))
        return int(value)

    return check


def _number(field: Field) -> Check:
    bound = 10 ** max(field.precision - field.scale, 1)

    def check(value: Any) -> Stored:
        if value is None:
            return None
        if isinstance(value, str):
            if not value.strip():
                return None
            if not _DECIMAL.fullmatch(value.strip()):
                raise Unreadable(field.type, value)
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Unreadable(field.type, value)
        if not -bound < value < bound:
            raise Refused(_out_of_range(field, value))
        return float(value)

    return check


def _out_of_range(field: Field, value: float) -> RecordError:
    message = f"{field.label}: value outside of valid range on numeric field: {value}"
    return RecordError("NUMBER_OUTSIDE_VALID_RANGE", message, (field.name,))


def not_of_type(field: Field, value: Any) -> RecordError:
    """Return the refusal of a value whose type does not fit the field, where the request could still be parsed."""
    message = f"{field.label}: value not of required type: {value}"
    return RecordError("INVALID_TYPE_ON_FIELD_IN_RECORD", message, (field.name,))


def _moment(field: Field) -> Check:
    as_date = field.type == "date"

    def check(value: Any) -> Stored:
        if value is None:
            return None
        if not isinstance(value, str):
            raise Unreadable(field.type, value)
        text = value.strip()
        if not text:
            return None
        try:
            moment = read_datetime(text)
        except ValueError:
            raise Unreadable(field.type, value) from None
        # A date has no zone: the day that is written is the day that is meant.
        return text[:10] if as_date else moment.strftime(DATETIME_FORMAT)

    return check


def _reference(field: Field) -> Check:
    def check(value: Any) -> Stored:
        if value is None:
            return None
        if not isinstance(value, str):
            raise Unreadable(field.type, value)
        text = value.strip()
        if not text:
            return None
        try:
            return ids.canonical(text)
        except ids.NotAnId:
            raise Refused(RecordError("MALFORMED_ID", f"malformed id {text}", ())) from None

    return check


def wrong_type_id(field: Field, value: str) -> RecordError:
    """Return the refusal of a well-formed Id of an object that the field does not point at."""
    return RecordError("MALFORMED_ID", f"{field.label}: id value of incorrect type: {value}", (field.name,))


def _compound(field: Field) -> Check:
    def check(value: Any) -> Stored:
        if value is None:
            return None
        # Salesforce names the compound field itself here: "Cannot deserialize instance of BillingAddress".
        raise Unreadable(field.name, value)

    return check


def text_check_of(field: Field) -> Callable[[str], Stored]:
    """Return the function that reads a CSV cell; an unreadable one is refused for its row alone, with Refused."""
    check = check_of(field)
    is_boolean = field.type == "boolean"

    def read(text: str) -> Stored:
        if is_boolean:
            text = _BOOLEAN_CELLS.get(text.strip().lower(), text)
        try:
            return check(text)
        except Unreadable:
            raise Refused(not_of_type(field, text)) from None

    return read


def today(moment: float) -> date:
    """Return the day in UTC; the emulated org's time zone is UTC."""
    return datetime.fromtimestamp(moment, UTC).date()
