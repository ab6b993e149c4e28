"""What stands around the body of a message in Redis, as kombu lays it there, read without trusting any of it."""

import bz2
import lzma
import re
import zlib
from typing import Any, Final

from kombu.transport import virtual

from pipeline.events.bounds import MOST_BODY_BYTES, MOST_MESSAGE_BYTES, json_fault
from pipeline.plain_json import loads

# Headers and properties nest four deep at most; arguments of a message stand in its body, which is text here.
_MOST_NESTING: Final = 16
# The body's length is no fault of the rest, and the rest is what is read a whole time more for each message.
MOST_BESIDE_BODY: Final = 64 * 1024
_HELD: Final = re.compile(rb', ("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*")\]\Z', re.DOTALL)


class Unfit(ValueError):  # noqa: N818  (a fact about a message)
    """What was in the queue is no message; says why, without quoting it."""


def read_envelope(raw: bytes) -> dict[str, Any]:
    """Read a message as it lies in Redis. Raises Unfit for anything that kombu or Celery would fail at."""
    fault = json_fault(raw, most_bytes=MOST_MESSAGE_BYTES, nesting=_MOST_NESTING)
    if fault:
        raise Unfit(f"it {fault}")
    try:
        envelope: dict[str, Any] = loads(raw)
    except ValueError:
        raise Unfit("it is no JSON") from None
    if not _is_message(envelope):
        raise Unfit("it is no Celery message")
    try:
        envelope["properties"]["delivery_tag"].encode()
    except ValueError:
        raise Unfit("its delivery tag is no text") from None
    if len(raw) - len(envelope.get("body") or "") > MOST_BESIDE_BODY:
        raise Unfit(f"what stands beside its body is more than {MOST_BESIDE_BODY:,} bytes")
    return envelope


def _is_message(envelope: Any) -> bool:
    """Say whether it has what kombu and Celery rely on, in the types that they rely on."""
    if not isinstance(envelope, dict) or not isinstance(envelope.get("properties"), dict):
        return False
    properties, headers = envelope["properties"], envelope.get("headers")
    delivery = properties.get("delivery_info")
    return (
        isinstance(delivery, dict)
        and isinstance(delivery.get("exchange"), str)
        and isinstance(delivery.get("routing_key"), str)
        and isinstance(properties.get("delivery_tag"), str)
        and properties["delivery_tag"] != ""
        and (headers is None or isinstance(headers, dict))
        and all(_is_text(envelope.get(name)) for name in ("body", "content-type", "content-encoding"))
        and _is_text(properties.get("body_encoding"))
    )


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def split_held(entry: bytes) -> tuple[bytes, str, str]:
    """Cut an entry of `unacked`, [message, exchange, routing key], without reading the message.

    Raises Unfit for what is no such entry.
    """
    tail = _HELD.search(entry, max(0, len(entry) - 4096))
    if not entry.startswith(b"[") or tail is None:
        raise Unfit("it is no entry of what is held")
    try:
        return entry[1 : tail.start()], loads(tail[1]), loads(tail[2])
    except ValueError:
        raise Unfit("it is no entry of what is held") from None


class Message(virtual.Message):
    """A message whose body, if it cannot be unpacked, is told of as an error and not raised where it is received."""

    def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
        try:
            is_packed = (payload.get("headers") or {}).get("compression") is not None
            unpacked = _without_compression(payload, channel) if is_packed else payload
            super().__init__(unpacked, channel=channel, **options)
        except Exception as fault:  # noqa: BLE001  (kombu tells of a body by whatever its codecs raise)
            super().__init__({**payload, "body": None, "headers": {}}, channel=channel, **options)
            self.errors = [(type(fault), fault, None)]
        self._raw = payload  # what goes back to a queue is what came


def _without_compression(payload: dict[str, Any], channel: Any) -> dict[str, Any]:
    """Decompress the body of a message, as far as one may go. Raises ValueError beyond that, or what codecs raise."""
    headers = dict(payload["headers"])
    how = headers.pop("compression")
    packed = channel.decode_body(payload.get("body") or "", payload["properties"].get("body_encoding"))
    packed = packed.encode() if isinstance(packed, str) else packed
    unpackers: dict[str, Any] = {
        "application/x-gzip": zlib.decompressobj,  # kombu's gzip is zlib
        "application/x-bz2": bz2.BZ2Decompressor,
        "application/x-lzma": lzma.LZMADecompressor,
    }
    unpack = unpackers[how]().decompress
    body = unpack(packed, MOST_BODY_BYTES + 1)
    if len(body) > MOST_BODY_BYTES:
        raise ValueError("the body is too large")
    body_encoding = payload["properties"].get("body_encoding")
    encoded, _ = channel.encode_body(body, body_encoding)
    return {**payload, "headers": headers, "body": encoded}
