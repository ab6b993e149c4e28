"""The Segment spec: which events are accepted, and when they happened.

One marshmallow schema per type of event. Unknown keys are kept, `null` means absent (SDKs send `"anonymousId": null`),
ids that come as whole numbers become text, and an empty list is an empty object, as PHP writes one. Half a
surrogate pair, which UTF-8 cannot hold, becomes U+FFFD, as wherever text is written as UTF-8: an SDK leaves one where
it cuts a text within an emoji. Reasons name fields, never what stands in them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, cast

from marshmallow import INCLUDE, Schema, ValidationError, fields, validates_schema

from pipeline.errors import InvalidEvent
from pipeline.events import opt_in
from pipeline.events.bounds import MOST_BYTES, MOST_KEYS, MOST_NESTING, json_fault
from pipeline.events.ids import message_id, well_formed
from pipeline.events.moments import read_moment
from pipeline.operation import Json

_EXACT: Final = 2**53  # from here on a float stands for several whole numbers, so for several people
# Made once: json.dumps makes an encoder for each call that wants other separators.
_to_json: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


@dataclass(frozen=True, slots=True)
class Event:
    """An event that was accepted.

    `time_ms` is when it happened, in Unix milliseconds. `body` is the whole event as plain JSON, unknown keys included.
    """

    type: str
    message_id: str
    time_ms: int
    body: Mapping[str, Json] = field(repr=False)


def validate(event: Any, *, received_ms: int) -> Event:
    """Hold an event against the Segment spec and this pipeline's bounds.

    `received_ms` is the Unix time in milliseconds at which the event arrived: no event is later than that, and one
    without a timestamp happened then. Raises InvalidEvent with every reason at once.
    """
    if not isinstance(event, dict):
        raise InvalidEvent(f"an event is a JSON object, not {_kind(event)}")
    body = _plain(event)
    _check_size(body)
    schema = _SCHEMAS.get(_type_of(body))
    if schema is None:
        if isinstance(batch := body.get("batch"), list):
            raise InvalidEvent(
                f"this is the body of a request with {len(batch):,} events: send each event of its `batch`"
            )
        raise InvalidEvent(f"type is missing or unknown; it is one of {', '.join(_SCHEMAS)}")
    try:
        loaded: dict[str, Json] = schema.load(body)
    except ValidationError as refused:
        raise InvalidEvent(f"{body['type']} {_reasons(refused)}") from None
    return Event(
        type=cast("str", loaded["type"]),
        message_id=message_id(loaded),
        time_ms=_time_ms(loaded, received_ms=received_ms),
        body=loaded,
    )


def opted_in(event: Event, *, always: bool = False) -> bool:
    """Answer whether the event asks to go to Salesforce; with `always` it goes unless it says no. See `opt_in`."""
    return opt_in.opted_in(event.body, always=always)


class _Identifier(fields.Field[str | None]):
    """An id: text that is not blank, or a whole number, which becomes text: 42 and 42.0 are "42"."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | None:  # noqa: ARG002  (marshmallow's signature)
        if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
            return str(int(value))
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value == []:
            return None
        if not isinstance(value, str):
            raise ValidationError("must be text or a whole number")
        return value if value.strip() else None


class _Moment(fields.Field[Any]):
    """When it happened, kept as it came. Asked for only where no key of `instead` tells it."""

    def __init__(self, *, instead: str | None = None) -> None:
        super().__init__(allow_none=True)
        self._instead = instead

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ARG002  (marshmallow's signature)
        if _is_absent(value):
            return None
        if self._instead is None or _is_absent(data.get(self._instead)):
            try:
                read_moment(value)
            except ValueError:
                raise ValidationError(
                    "must be an ISO 8601 date and time, such as 2026-11-23T19:06:21.298Z, or a Unix time"
                ) from None
        return value


class _Object(fields.Field[dict[str, Any] | None]):
    """A JSON object. An empty list is an empty one, as PHP writes it; blank text is absent."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any] | None:  # noqa: ARG002  (marshmallow's signature)
        if isinstance(value, dict):
            return value
        if value == []:
            return {}
        if _is_absent(value):
            return None
        raise ValidationError("must be an object")


def _is_absent(value: Json) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _text() -> fields.String:
    return fields.String(allow_none=True, error_messages={"invalid": "must be text"})


class EventSchema(Schema):
    """What all types of events have in common."""

    class Meta:
        """Keep the keys that the spec does not name: actions may map them."""

        unknown = INCLUDE

    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # what the event needs → the keys that give it

    type = fields.String(required=True)
    userId = _Identifier(allow_none=True)  # noqa: N815  (the spec's name)
    anonymousId = _Identifier(allow_none=True)  # noqa: N815  (the spec's name)
    timestamp = _Moment()
    originalTimestamp = _Moment(instead="timestamp")  # noqa: N815  (the spec's name)
    sentAt = fields.Raw(allow_none=True)  # noqa: N815  (the spec's name)
    receivedAt = fields.Raw(allow_none=True)  # noqa: N815  (the spec's name)
    context = _Object(allow_none=True)
    integrations = _Object(allow_none=True)

    @validates_schema
    def has_what_it_needs(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse an event without a key that its type cannot do without."""
        for need, keys in self.needs.items():
            if all(data.get(key) is None or not str(data[key]).strip() for key in keys):
                raise ValidationError({"_needs": [need]})


class IdentifySchema(EventSchema):
    """Who somebody is."""

    needs: ClassVar = {"userId or anonymousId": ("userId", "anonymousId")}
    traits = _Object(allow_none=True)


class GroupSchema(EventSchema):
    """Which company somebody belongs to."""

    needs: ClassVar = {"groupId": ("groupId",)}
    groupId = _Identifier(allow_none=True)  # noqa: N815  (the spec's name)
    traits = _Object(allow_none=True)


class TrackSchema(EventSchema):
    """What somebody did."""

    needs: ClassVar = {"event, the name of what happened": ("event",)}
    event = _text()
    properties = _Object(allow_none=True)


class PageSchema(EventSchema):
    """Which page somebody looked at."""

    name = _text()
    category = _text()
    properties = _Object(allow_none=True)


class ScreenSchema(PageSchema):
    """Which screen of an app somebody looked at."""


class AliasSchema(EventSchema):
    """Which two ids are one person."""

    previousId = _Identifier(allow_none=True)  # noqa: N815  (the spec's name)


_SCHEMAS: Final[Mapping[str, Schema]] = {
    "identify": IdentifySchema(),
    "group": GroupSchema(),
    "track": TrackSchema(),
    "page": PageSchema(),
    "screen": ScreenSchema(),
    "alias": AliasSchema(),
}


def _type_of(event: Mapping[str, Json]) -> str:
    kind = event.get("type")
    return kind if isinstance(kind, str) else ""


def _reasons(refused: ValidationError) -> str:
    messages = cast("dict[str, list[str]]", refused.messages)
    return "; ".join(
        f"needs {texts[0]}" if name == "_needs" else f"has a wrong {name}: it {texts[0]}"
        for name, texts in messages.items()
    )


def _plain(event: dict[Any, Any]) -> dict[str, Json]:
    """Copy the event as plain JSON, which it is but for halves of surrogate pairs and infinite numbers."""
    plain: dict[str, Json] = {}
    for name, value in event.items():
        if not isinstance(name, str):
            raise InvalidEvent("a key of the event is not text")
        try:
            plain[well_formed(name)] = _plain_value(value, 2)
        except _Unfit as unfit:
            # A name that is not the spec's may be anything, a person's address too: it is not repeated.
            where = name if name in _NAMES else "a key that the spec does not name"
            raise InvalidEvent(f"{where} {unfit}") from None
    return plain


class _Unfit(Exception):  # noqa: N818  (says where a value does not fit; never leaves this module)
    pass


def _plain_value(value: Any, depth: int) -> Json:
    if isinstance(value, str):
        return value if value.isascii() else well_formed(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if value - value != 0:  # NaN and the infinities, which no JSON document can hold
            raise _Unfit("holds NaN or an infinite number")
        return value
    if isinstance(value, dict | list | tuple):
        if depth > MOST_NESTING:
            raise _Unfit(f"is nested deeper than {MOST_NESTING} levels")
        if not isinstance(value, dict):
            return [_plain_value(part, depth + 1) for part in value]
        plain = {}
        for name, part in value.items():
            if not isinstance(name, str):
                raise _Unfit("holds an object with a key that is not text")
            plain[name if name.isascii() else well_formed(name)] = _plain_value(part, depth + 1)
        return plain
    raise _Unfit(f"holds {_kind(value)}, which JSON does not have")


def _check_size(event: Mapping[str, Json]) -> None:
    try:
        escaped = _to_json(event)
    except ValueError:
        raise InvalidEvent("the event holds a whole number of thousands of digits") from None
    if escaped.count(":") > MOST_KEYS:
        fault = json_fault(escaped.encode(), most_bytes=len(escaped))
        if fault:
            raise InvalidEvent(f"the event {fault}")
    if len(escaped) <= MOST_BYTES:  # escapes only ever lengthen, so most events need no second look
        return
    size = len(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode())
    if size > MOST_BYTES:
        raise InvalidEvent(f"the event is {size:,} bytes of JSON; at most {MOST_BYTES:,} are taken")


def _time_ms(event: Mapping[str, Json], *, received_ms: int) -> int:
    """When the event happened, by the receiver's clock.

    That is what `timestamp` says: who corrects clocks, as Segment's servers do, has corrected it, and who does not has
    left what the sender's program set. Only without it the Segment spec's correction is for us to make, and where that
    cannot be made `originalTimestamp` is taken as it is.
    """
    happened = _moment(event, "timestamp")
    if happened is None:
        happened = _moment(event, "originalTimestamp")
        if happened is not None:
            sent, received = _moment(event, "sentAt"), _moment(event, "receivedAt")
            if sent is not None and received is not None:
                happened = received - (sent - happened)
    return received_ms if happened is None else min(happened, received_ms)


def _moment(event: Mapping[str, Json], name: str) -> int | None:
    """Return a time of the event, None where it has none or none that can be read."""
    value = event.get(name)
    if value is None:
        return None
    try:
        return read_moment(value)
    except ValueError:
        return None


def _kind(value: Any) -> str:
    kinds = {type(None): "null", str: "text", bool: "a boolean", int: "a number", float: "a number", list: "a list"}
    return kinds.get(type(value), f"a {type(value).__name__}")


_NAMES: Final = frozenset(name for schema in _SCHEMAS.values() for name in schema.fields) | {"messageId"}
