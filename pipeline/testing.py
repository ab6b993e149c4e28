"""For the tests of programs that send events: what was sent, and whether it would be taken in; without a Redis."""

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import ConfigurationError, InvalidEvent
from pipeline.extras import advice
from pipeline.sending import recording


def sent_events() -> AbstractContextManager[list[dict[str, Any]]]:
    """Collect the events that this process sends, in place of sending them.

    with sent_events() as sent:
        sign_up("ada@example.com")
    assert [event["type"] for event in sent] == ["identify"]

    Events are as the queue would hold them: JSON, with the `messageId` and `timestamp` that they got. It holds for all
    threads. Where contexts are nested the innermost has them.
    """
    return recording()


def rejection(event: Any) -> str | None:
    """Say why the pipeline would reject an event as invalid; None if it would not.

    Needs what workers need, and raises ConfigurationError where that is not installed.
    """
    try:
        from pipeline.events.schemas import validate
    except ModuleNotFoundError as missing:
        raise ConfigurationError(advice(missing.name or "")) from None

    try:
        validate(event, received_ms=int(datetime.now(UTC).timestamp() * 1000))
    except InvalidEvent as invalid:
        return str(invalid)
    return None
