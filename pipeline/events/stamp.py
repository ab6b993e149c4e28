"""What the producer adds to an event before it enters the queue."""

import uuid
from datetime import UTC, datetime
from typing import Any


def stamp(event: Any, *, now: datetime, message_id: str | None = None) -> Any:
    """Return `event` with a `messageId` and a `timestamp`, where it has none. An `originalTimestamp` is a time as well.

    Both are set where the event enters and not in the worker: a message that the broker delivers twice has to carry
    the same id both times, and the time an event waited in a queue is not part of when it happened. `now` is an aware
    datetime, `message_id` the id to use (a random UUID by default). The event given is not changed. Anything but a dict
    is returned as it is: the worker rejects it with a reason, where it can be seen.
    """
    if not isinstance(event, dict):
        return event
    stamped = dict(event)
    if _is_missing(event.get("messageId")):
        stamped["messageId"] = message_id or str(uuid.uuid4())
    if _is_missing(event.get("timestamp")) and _is_missing(event.get("originalTimestamp")):
        stamped["timestamp"] = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return stamped


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
