"""What a producer gives, as plain JSON: checked where it is sent, with an error at once and not in a worker later.

| given | sent |
|---|---|
| text, whole numbers, finite numbers, true, false, null, lists, tuples, dicts | as they are |
| `datetime`, `date` | ISO 8601 text |
| `UUID` | its text |
| `Decimal` | a number; as text where a JSON number, a double, would change it |
| a text of Django's that is translated late | the text |
| a key that is a number, a boolean or None | its JSON, as text |
| everything else: bytes, `time`, sets, NaN, infinite numbers, other objects | refused |
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from kombu.utils.json import textual_types

from pipeline.errors import InvalidEvent
from pipeline.events.bounds import MOST_BYTES, MOST_DIGITS, MOST_EVENTS, MOST_KEYS, MOST_NESTING
from pipeline.events.stamp import stamp

_LARGEST: Final = 10**MOST_DIGITS
_LARGE: Final = 10**20
_NESTED: Final = frozenset({dict, list})
_TEXT: Final = frozenset({str})
_SURELY_SMALL: Final = MOST_BYTES // 8  # in characters and values, each with its quotes and what stands between them
_to_json: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


def ready(event: Any, *, now: datetime) -> Any:
    """Return an event as it is sent: plain, and with what `stamp` adds. Raises InvalidEvent."""
    return plain(stamp(event, now=now))


def ready_all(events: Sequence[Any], *, now: datetime) -> list[Any]:
    """Return the events of one message as they are sent. Raises InvalidEvent, which names the place of the event."""
    if len(events) > MOST_EVENTS:
        raise InvalidEvent(f"the message has {len(events):,} events; at most {MOST_EVENTS:,} are taken")
    made = []
    for number, event in enumerate(events):
        try:
            made.append(ready(event, now=now))
        except InvalidEvent as invalid:
            raise InvalidEvent(f"events[{number}]: {invalid}") from None
    return made


def plain(event: Any) -> Any:
    """Return an event as plain JSON: itself where it is that already, or else a copy.

    Raises InvalidEvent, with the place and the bound, where it is beyond a bound or JSON cannot hold it.
    """
    if isinstance(event, str) or _is_surely_fine(event):  # text is no event: it becomes a dead letter that has it whole
        return event
    _check(event)
    made = _made(event)  # nested no deeper than the bound, so this may recurse
    size = len(_to_json(made).encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise InvalidEvent(f"the event is {size:,} bytes of JSON; at most {MOST_BYTES:,} are taken")
    return made


def _is_surely_fine(event: Any) -> bool:
    """Say whether an event is plain JSON already and within all bounds, in the short way that fits most events."""
    if type(event) not in _NESTED:
        return False
    level, size, keys = [event], 0, 0
    for _ in range(MOST_NESTING):
        deeper: list[Any] = []
        for one in level:
            if type(one) is dict:
                if set(map(type, one)) - _TEXT:
                    return False
                keys += len(one)
                size += sum(map(len, one))
            size += _look(one.values() if type(one) is dict else one, deeper)
            if size > _SURELY_SMALL or keys > MOST_KEYS:
                return False
        if not deeper:
            return True
        level = deeper
    return False


def _look(values: Iterable[Any], deeper: list[Any]) -> int:
    """Return how much values are, and add those that hold others to `deeper`; too much for what is not surely fine."""
    size = 0
    for value in values:
        size += 1
        kind = type(value)
        if kind is str:
            size += len(value)
        elif kind is dict or kind is list:
            deeper.append(value)
        elif kind is int or kind is float:
            if not -_LARGE < value < _LARGE:  # nor NaN
                return MOST_BYTES
        elif kind is not bool and value is not None:
            return MOST_BYTES
    return size


def _check(event: Any) -> None:
    """Look at an event step by step. Raises InvalidEvent for what is beyond a bound, or cannot be made JSON."""
    size, keys = 0, 0
    # A list or an object of the event, what it stands under, and how deep.
    open_ones: list[tuple[Any, _Place | None, int]] = [([event], None, 0)]
    while open_ones:
        container, place, depth = open_ones.pop()
        keys += len(container) if isinstance(container, dict) else 0
        if keys > MOST_KEYS:
            raise InvalidEvent(f"the event has more than {MOST_KEYS:,} keys")
        for name, value in container.items() if isinstance(container, dict) else enumerate(container):
            size += 2  # a value and what stands behind it are two bytes at least
            if not (name is None or isinstance(name, str | int | float)):
                raise InvalidEvent(f"{_path(name, place)}: a key is {_kind(name)}; keys are text")
            if isinstance(value, dict | list | tuple):
                open_ones.append((value, _Place(name, place), depth + 1))
            elif value is not None:
                size += len(_text_of(value, name, place))
            if size > 2 * MOST_BYTES:
                raise InvalidEvent(f"the event is more than {MOST_BYTES:,} bytes of JSON; at most so many are taken")
        if depth >= MOST_NESTING and open_ones and open_ones[-1][2] > MOST_NESTING:
            raise InvalidEvent(f"the event is nested deeper than {MOST_NESTING} levels")


class _Place:
    """Where in an event something stands: under a name, in something that stands elsewhere."""

    __slots__ = ("name", "within")

    def __init__(self, name: Any, within: "_Place | None") -> None:
        self.name, self.within = name, within


def _names(name: Any, place: "_Place | None") -> Iterator[str]:
    while place is not None:
        yield f"[{name}]" if type(name) is int else f".{name}"
        name, place = place.name, place.within


def _path(name: Any, place: "_Place | None") -> str:
    path = "".join(reversed(list(_names(name, place)))).removeprefix(".")
    return path or "the event"


def _unfit(what: str, name: Any, place: "_Place | None") -> InvalidEvent:
    return InvalidEvent(f"{_path(name, place)} is {what}, which JSON does not have")


def _text_of(value: Any, name: Any, place: "_Place | None") -> str:
    if isinstance(value, str):  # of a kind of one's own, as an enum or a text that is safe in HTML
        return str.__str__(value)
    if isinstance(value, float) and value - value != 0:
        raise _unfit("NaN or an infinite number", name, place)
    if isinstance(value, int | float):
        if isinstance(value, int) and not -_LARGEST < value < _LARGEST:
            raise InvalidEvent(f"{_path(name, place)} is a number of more than {MOST_DIGITS} digits")
        return ""
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise _unfit("NaN or an infinite number", name, place)
        if value.adjusted() > MOST_DIGITS or len(value.as_tuple().digits) > MOST_DIGITS:
            raise InvalidEvent(f"{_path(name, place)} is a number of more than {MOST_DIGITS} digits")
        return str(value)
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, UUID) or (textual_types and isinstance(value, textual_types)):
        return str(value)
    raise _unfit(_kind(value), name, place)


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _made(value: Any) -> Any:
    if isinstance(value, dict):
        return {name if isinstance(name, str) else json.dumps(name): _made(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_made(part) for part in value]
    if isinstance(value, Decimal):
        return _number(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return _text_of(value, "", None)


def _number(value: Decimal) -> int | float | str:
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)
