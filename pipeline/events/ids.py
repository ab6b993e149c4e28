"""By which id a message is recognised when it comes twice."""

import hashlib
import json
import re
from typing import Any, Final, TypeGuard
from uuid import uuid4

_LONGEST: Final = 128  # Segment's bound is 100; what is longer is hashed, not refused
_PLAIN = re.compile(rf"[\x21-\x7e]{{1,{_LONGEST}}}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SENT_WITH: Final = frozenset({"messageId", "sentAt", "receivedAt"})  # may differ between two sendings of one event


def message_id(event: Any) -> str:
    """Return the id by which one message is recognised when it comes twice, whether it is a valid event or not.

    That is the `stored_id` of its `messageId`. Where it has none that is text or a whole number, it is a hash of what
    the event says, but for the times at which it was sent and received, which a repeated sending changes.
    """
    said = event
    if isinstance(event, dict):
        given = event.get("messageId")
        if is_id(given):
            return stored_id(given)
        said = {name: value for name, value in event.items() if name not in _SENT_WITH}
        if given:  # too strange to be an id, but it still tells messages apart
            said["messageId"] = given
    try:
        canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), default=repr)
    except (TypeError, ValueError, RecursionError):
        return str(uuid4())  # no JSON, so no event: it is refused, once or twice makes no difference
    return _hash(canonical)


def is_id(given: Any) -> TypeGuard[str | int]:
    """Whether a `messageId` is one: text that is not blank, or a whole number."""
    return bool(given.strip()) if isinstance(given, str) else isinstance(given, int) and not isinstance(given, bool)


def stored_id(given: str | int) -> str:
    """Return what a `messageId` is stored as: itself, or a hash if it is no printable ASCII of at most 128 characters.

    Space around it does not count, and a whole number is text.
    """
    text = str(given).strip()
    return text if _PLAIN.fullmatch(text) else _hash(well_formed(text))


def well_formed(text: str) -> str:
    """Replace halves of surrogate pairs, which UTF-8 cannot hold, by U+FFFD, as the WHATWG's USVString does."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _hash(text: str) -> str:
    return "sha256-" + hashlib.sha256(text.encode()).hexdigest()
