"""cast: a value of an event as a field of the org takes it, or why it cannot."""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

from pipeline.operation import Json
from pipeline.record_id import long_id
from pipeline.salesforce.describe import Field

_LONG_TEXT: Final = 255  # a text area beyond this length is a long one, which takes JSON
_INT_BOUND: Final = 2**31
_NUMBER_DIGITS: Final = 18  # the most that a number field can be made to hold
_LONGEST_NUMBER_TEXT: Final = 255  # digits; Python refuses to write numbers of thousands of them
_FIRST_YEAR: Final = 1700  # dates that Salesforce stores (SOAP guide, "Primitive Data Types")
_LAST_YEAR: Final = 4000
_EPOCH_IN_MS_FROM: Final = 100_000_000_000  # as seconds this is the year 5138, as milliseconds 1973
_LATITUDE_BOUND: Final = 90
_LONGITUDE_BOUND: Final = 180

# What Salesforce takes as an email address ("INVALID_EMAIL_ADDRESS" otherwise).
_LOCAL = r"[A-Za-z0-9!#$%&'*/=?^_+\-`{|}~]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_EMAIL = re.compile(rf"{_LOCAL}(?:\.{_LOCAL})*@{_LABEL}(?:\.{_LABEL})+")

_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PLAIN_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_EPOCH_TEXT = re.compile(r"-?\d{9,13}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_LINE_BREAKS = re.compile(r"\s*[\t\r\n\u2028\u2029]+\s*")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_TRUE: Final = frozenset({"true", "yes", "y", "on", "1", "t"})
_FALSE: Final = frozenset({"false", "no", "n", "off", "0", "f"})

# The first three characters of the Ids of standard objects (Salesforce's list of standard field prefixes).
_PREFIXES: Final[Mapping[str, str]] = {
    "Account": "001",
    "Contact": "003",
    "User": "005",
    "Opportunity": "006",
    "RecordType": "012",
    "Group": "00G",
    "Lead": "00Q",
    "Task": "00T",
    "Event": "00U",
    "Case": "500",
    "Campaign": "701",
    "Individual": "0PK",
}


class Unfit(Exception):  # noqa: N818  (a fact about one value, handled by whoever shapes the record)
    """The value cannot go into the field; the message says why, and nothing of the value."""


Caster: TypeAlias = Callable[[Json, Field], Json]


def cast(value: Json, field: Field) -> Json:
    """Return `value` as `field` takes it: of its type, within its length and bounds; None for blank text.

    Raises Unfit where no such value can be made without guessing.
    """
    caster = _CASTERS.get(field.type)
    if caster is None:
        raise Unfit(f"the pipeline does not write fields of type {field.type}")
    return caster(value, field)


def is_writable_type(field: Field) -> bool:
    """Tell whether there is any value that `cast` makes fit the field."""
    return field.type in _CASTERS


def clean(text: str, *, keeps_lines: bool) -> str:
    """Make text safe for JSON, CSV and SOQL: no lone surrogates, no control characters, trimmed as Salesforce does."""
    if text.isascii() and text.isprintable():
        return text.strip()
    safe = _SURROGATE.sub("\ufffd", text) if _SURROGATE.search(text) else text
    if not keeps_lines:
        safe = _LINE_BREAKS.sub(" ", safe)
    return _CONTROL.sub("", safe).strip()


def trim(text: str, length: int) -> str:
    """Cut text to a field's length without splitting a character.

    Salesforce counts UTF-16 units, so a character outside the basic plane counts twice. What a reader sees as one
    character (a letter with its accents, an emoji with its modifiers) stays whole or goes.
    """
    if len(text) * 2 <= length or (len(text) <= length and (text.isascii() or _units(text) <= length)):
        return text
    end = 0
    units = 0
    while end < len(text) and units + _width(text[end]) <= length:
        units += _width(text[end])
        end += 1
    cut = end
    while cut > 0 and cut < len(text) and _continues(text, cut):
        cut -= 1
    return text[: cut or end].rstrip()  # one endless cluster is cut after all: some of it says more than nothing


def _units(text: str) -> int:
    return sum(map(_width, text))


def _width(character: str) -> int:
    return 2 if character > "\uffff" else 1


def _continues(text: str, position: int) -> bool:
    """Tell whether the character at `position` belongs to what a reader sees as one with those before it."""
    character, before = text[position], text[position - 1]
    if unicodedata.category(character)[0] == "M" or "\u200d" in (character, before):
        return True
    if "\U0001f3fb" <= character <= "\U0001f3ff" or "\U000e0020" <= character <= "\U000e007f":  # skin tones, tags
        return True
    if _is_flag_half(character) and _is_flag_half(before):  # flags are pairs, so an odd number before splits one
        start = position
        while start > 0 and _is_flag_half(text[start - 1]):
            start -= 1
        return (position - start) % 2 == 1
    return (before, character) == ("\r", "\n")


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _scalar_text(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**_NUMBER_DIGITS:
        return str(int(value))
    if isinstance(value, int | float) and abs(value) < 10**_LONGEST_NUMBER_TEXT:
        return str(value)
    raise Unfit(f"{_kind(value)} does not fit a text field")


def _text(value: Json, field: Field) -> Json:
    return trim(clean(_scalar_text(value), keeps_lines=False), field.length) or None


def _textarea(value: Json, field: Field) -> Json:
    if isinstance(value, dict | list):
        if field.length <= _LONG_TEXT:
            raise Unfit(f"{_kind(value)} fits only a long text area")
        encoded = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        encoded = clean(encoded, keeps_lines=True)
        if _units(encoded) > field.length:
            raise Unfit(f"{_kind(value)} is longer than the field as JSON, and half of it would not be JSON")
        return encoded
    return trim(clean(_scalar_text(value), keeps_lines=True), field.length) or None


def _email(value: Json, field: Field) -> Json:
    text = clean(_scalar_text(value), keeps_lines=False)
    if not text:
        return None
    if not _EMAIL.fullmatch(text):
        raise Unfit("it is not an email address that Salesforce takes")
    if len(text) > field.length:
        raise Unfit(f"an email address of more than {field.length} characters is no address when it is cut")
    return text


def _picklist(value: Json, field: Field) -> Json:
    text = clean(_scalar_text(value), keeps_lines=False)
    if not text:
        return None
    return _choice(text, field) if field.restricted_picklist else trim(text, field.length)


def _choice(text: str, field: Field) -> str:
    if text in field.picklist_values:
        return text
    alike = [choice for choice in field.picklist_values if choice.lower() == text.lower()]
    if len(alike) != 1:
        raise Unfit("it is not a value of the restricted picklist")
    return alike[0]


def _multipicklist(value: Json, field: Field) -> Json:
    parts = value if isinstance(value, list) else [value]
    texts = [part.strip() for one in parts for part in clean(_scalar_text(one), keeps_lines=False).split(";")]
    chosen: dict[str, None] = {}
    for text in filter(None, texts):
        try:
            chosen[_choice(text, field) if field.restricted_picklist else text] = None
        except Unfit:
            continue  # the values that the picklist has are still worth writing
    kept = list(chosen)
    while kept and _units(";".join(kept)) > field.length:
        kept.pop()
    if not kept and any(texts):
        raise Unfit("none of its values fits the multi-select picklist")
    return ";".join(kept) or None


def _boolean(value: Json, _field: Field) -> Json:
    if isinstance(value, str):
        text = value.strip().lower()
        if not text:
            return None
        value = True if text in _TRUE else False if text in _FALSE else None
    elif isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if not isinstance(value, bool):
        raise Unfit("it is neither true nor false")
    return value


def _integer(value: Json, field: Field) -> Json:
    number = _decimal(value)
    if number is None:
        return None
    bound = min(10**field.digits, _INT_BOUND) if field.digits else _INT_BOUND
    if not -bound < number < bound:
        raise Unfit("it is outside the range of the field")
    if number != int(number):
        raise Unfit("it is no whole number")
    return int(number)


def _number(value: Json, field: Field) -> Json:
    number = _decimal(value)
    if number is None:
        return None
    whole = max(field.precision - field.scale, 1) if field.precision else _NUMBER_DIGITS
    bound = 10**whole
    name = field.name.removesuffix("__s").lower()
    if name.endswith("latitude"):
        bound = min(bound, _LATITUDE_BOUND + 1)
    elif name.endswith("longitude"):
        bound = min(bound, _LONGITUDE_BOUND + 1)
    if not -bound < number < bound:
        raise Unfit("it is outside the range of the field")
    if number == int(number):
        return int(number)
    written = float(number)
    if abs(written) >= bound:  # a decimal just below the bound may round up to it
        raise Unfit("it is outside the range of the field")
    return written


def _decimal(value: Json) -> Decimal | None:
    """Read a number; None for blank text."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        raise Unfit(f"{_kind(value)} is no number")
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if _THOUSANDS.fullmatch(text):
            text = text.replace(",", "")
        if not _PLAIN_NUMBER.fullmatch(text):
            raise Unfit("it is no number")
        value = text
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite():
        raise Unfit("it is no number")
    return number


def _date(value: Json, _field: Field) -> Json:
    moment = _moment(value)
    if moment is None:
        return None
    return moment.date().isoformat()  # in the offset it was written with: the day that was meant


def _datetime(value: Json, _field: Field) -> Json:
    moment = _moment(value)
    if moment is None:
        return None
    return _in_years(moment.astimezone(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(value: Json, _field: Field) -> Json:
    if not isinstance(value, str):
        raise Unfit(f"{_kind(value)} is no ISO 8601 time")
    if not value.strip():
        return None
    try:
        read = time.fromisoformat(value.strip())
    except ValueError:
        raise Unfit("it is no ISO 8601 time") from None
    return read.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _moment(value: Json) -> datetime | None:
    """Read an ISO 8601 date or datetime, or an epoch in seconds or milliseconds; without an offset it is UTC."""
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if not _EPOCH_TEXT.fullmatch(text):
            try:
                read = datetime.fromisoformat(text)
            except ValueError:
                raise Unfit("it is no ISO 8601 date") from None
            return _in_years(read if read.tzinfo else read.replace(tzinfo=UTC))
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit(f"{_kind(value)} is no date")
    try:
        seconds = value / 1000 if abs(value) >= _EPOCH_IN_MS_FROM else value
        return _in_years(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
    except (OverflowError, ValueError):
        raise Unfit("it is a date outside the years that Salesforce stores") from None


def _in_years(moment: datetime) -> datetime:
    # A day within the first and the last, so that no offset leads out of them.
    if not date(_FIRST_YEAR, 1, 2) <= moment.date() <= date(_LAST_YEAR, 12, 30):
        raise Unfit("it is a date outside the years that Salesforce stores")
    return moment


def _reference(value: Json, field: Field) -> Json:
    if isinstance(value, str) and not value.strip():
        return None
    found = long_id(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Unfit("it is no record Id")
    prefixes = [_PREFIXES.get(name) for name in field.reference_to]
    if prefixes and all(prefixes) and found[:3] not in prefixes:
        raise Unfit(f"it is not the Id of {' or '.join(field.reference_to)}")
    return found


def _kind(value: Json) -> str:
    kinds = {dict: "an object", list: "a list", bool: "a boolean", type(None): "null", str: "text"}
    return kinds.get(type(value), "a number")


_CASTERS: Final[Mapping[str, Caster]] = {
    "string": _text,
    "phone": _text,
    "url": _text,
    "combobox": _text,
    "encryptedstring": _text,
    "textarea": _textarea,
    "email": _email,
    "picklist": _picklist,
    "multipicklist": _multipicklist,
    "boolean": _boolean,
    "int": _integer,
    "double": _number,
    "currency": _number,
    "percent": _number,
    "date": _date,
    "datetime": _datetime,
    "time": _time,
    "reference": _reference,
    "id": _reference,
}
