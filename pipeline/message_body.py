"""The body of a task's message: the text of its arguments, and the events in it, each read by itself if need be.

A body is JSON: `[args, kwargs, embed]`, or in Celery's first protocol an object that holds the same beside the task's
name. It comes from anybody who can write into the broker, so its bounds are looked at before it is decoded. One that is
beyond them, or is no JSON in some place, is cut into the texts of its events, so that only the bad ones are refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.events.bounds import MOST_BODY_BYTES, MOST_BODY_NESTING, MOST_BYTES, MOST_EVENTS, elements, json_fault
from pipeline.plain_json import loads
from pipeline.signing import CONTENT_TYPE, verified_text

JSON_TYPE: Final = "application/json"
# What a worker's main process calls a body that its pool has to take apart. No sender's content type: it is refused.
APART_TYPE: Final = "application/x-events-apart"

_MOST_KEPT: Final = MOST_BYTES  # characters that are kept of an event which cannot be read


class NotATask(ValueError):  # noqa: N818  (a fact about a body)
    """A body is JSON, and not that of a task."""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event that was not decoded: the text that came, as far as it is kept, and why. It cannot be retried."""

    text: str = field(repr=False)
    reason: str


@dataclass(frozen=True, slots=True)
class TaskBody:
    """A body that was read: its JSON as `[args, kwargs, embed]`, and what that says, if it was decoded whole.

    `payload` is None where `text` has to be taken apart. `headers` are what Celery's first protocol has in the body.
    """

    text: bytes
    payload: list[Any] | None
    embed: dict[str, Any]
    headers: dict[str, Any] | None = None


def read_body(body: bytes | str | None, content_type: str) -> TaskBody:
    """Read the body of a message. Raises ValueError, which says why and quotes nothing, where no task can be read."""
    text = body.encode() if isinstance(body, str) else bytes(body or b"")
    if content_type == CONTENT_TYPE:
        text = verified_text(text)
    elif content_type != JSON_TYPE:
        raise ValueError("its body is not JSON")
    if len(text) > MOST_BODY_BYTES:
        raise ValueError(f"its body is more than {MOST_BODY_BYTES:,} bytes")
    text = text.strip()
    if text[:1] == b"{":
        return _of_the_first_protocol(text)
    payload = _decoded(text)
    if payload is None and text != b"null":
        return _apart(text)
    if not isinstance(payload, list) or [type(part) for part in payload] != [list, dict, dict]:
        raise NotATask("its body is not that of a task")
    return TaskBody(text, payload, payload[2])


def events_of(text: bytes | str, content_type: str, *, are_lists: bool) -> Iterator[Any]:
    """Give the events of a body that `read_body` has let pass; of `send_events`, which has lists, with `are_lists`.

    An event that cannot be decoded, or is beyond a bound, comes as a RawEvent. Raises ValueError.
    """
    if content_type != APART_TYPE:
        args, kwargs, _ = loads(text)
        for given in (*args, *kwargs.values()):
            yield from given if are_lists and isinstance(given, list) else (given,)
        return
    args_text, kwargs_text, _ = elements(text if isinstance(text, bytes) else text.encode())
    for given in (*elements(args_text), *elements(kwargs_text)[1::2]):
        for event in elements(given) if are_lists and given[:1] == b"[" else (given,):
            yield read_event(event)


def read_event(text: bytes) -> Any:
    """Decode the text of one event; a RawEvent where that cannot be."""
    # Its size is looked at once it is decoded, so that the dead letter of one that is only large has it whole.
    fault = json_fault(text, most_bytes=MOST_BODY_BYTES)
    if fault is None:
        try:
            return loads(text)
        except ValueError:
            fault = "is no JSON"
    return unread(text, fault)


def unread(given: bytes | str, fault: str) -> RawEvent:
    """Return what stands for an event that was not decoded, with the beginning of its text."""
    text = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given
    kept = text[: 4 * _MOST_KEPT].decode("utf-8", "backslashreplace")
    if len(kept) > _MOST_KEPT:
        kept, fault = f"{kept[:_MOST_KEPT]}…", f"{fault}; only the beginning of its text is kept"
    return RawEvent(kept, f"the event {fault}")


def _decoded(text: bytes) -> Any:
    """Decode a body; None where it has to be taken apart."""
    if json_fault(text, most_bytes=MOST_BODY_BYTES, nesting=MOST_BODY_NESTING, events=MOST_EVENTS):
        return None
    try:
        return loads(text)
    except ValueError:
        return None


def _apart(text: bytes, headers: dict[str, Any] | None = None) -> TaskBody:
    parts = elements(text)
    if [part[:1] for part in parts] != [b"[", b"{", b"{"]:
        raise NotATask("its body is not that of a task")
    embed = _decoded(parts[2])
    if not isinstance(embed, dict):
        raise ValueError("what its body says of the tasks around it cannot be read")  # noqa: TRY004  (of a message)
    # Whether all of it can be cut is found out here, where the message can still be set aside.
    for given in (*elements(parts[0]), *elements(parts[1])[1::2]):
        if given[:1] == b"[":
            elements(given)
    return TaskBody(text, None, embed, headers)


def _of_the_first_protocol(text: bytes) -> TaskBody:
    members = elements(text)
    names = [_decoded(name) for name in members[::2]]
    if len(members) % 2 or not all(isinstance(name, str) for name in names):
        raise ValueError("its body cannot be read")
    said = dict(zip(names, members[1::2], strict=True))
    args, kwargs = said.pop("args", b"[]"), said.pop("kwargs", b"{}")
    headers = {name: _decoded(value) for name, value in said.items()}
    embed = b"{}"
    text = b"[%s, %s, %s]" % (args, kwargs, embed)
    body = _decoded(text)
    followers = {name: headers.get(name) for name in ("callbacks", "chord")}
    if body is None:
        apart = _apart(text)
        return TaskBody(text, None, {**apart.embed, **followers}, headers)
    if [type(part) for part in body] != [list, dict, dict]:
        raise NotATask("its body is not that of a task")
    return TaskBody(text, body, followers, headers)
