"""What the producer adds to an event."""

import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pipeline.events.stamp import stamp

NOW = datetime(2026, 11, 23, 19, 6, 21, 298765, tzinfo=UTC)


def test_an_event_without_id_and_time_gets_both() -> None:
    stamped = stamp({"type": "track"}, now=NOW)

    assert stamped["timestamp"] == "2026-11-23T19:06:21.298Z"
    assert uuid.UUID(stamped["messageId"]).version == 4


def test_two_events_get_two_ids() -> None:
    assert stamp({}, now=NOW)["messageId"] != stamp({}, now=NOW)["messageId"]


def test_the_callers_id_is_used() -> None:
    assert stamp({}, now=NOW, message_id="m1")["messageId"] == "m1"


def test_what_the_event_has_is_kept() -> None:
    event = {"messageId": "m1", "timestamp": "2020-01-01T00:00:00Z", "anonymousId": None, "extra": [1]}

    assert stamp(event, now=NOW, message_id="other") == event


@pytest.mark.parametrize("missing", [None, "", "  "])
def test_null_and_blank_count_as_missing(missing: str | None) -> None:
    stamped = stamp({"messageId": missing, "timestamp": missing}, now=NOW, message_id="m1")

    assert stamped == {"messageId": "m1", "timestamp": "2026-11-23T19:06:21.298Z"}


def test_the_time_is_written_in_utc() -> None:
    now = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert stamp({}, now=now)["timestamp"] == "2026-11-23T19:06:21.298Z"


def test_the_callers_event_is_not_changed() -> None:
    event: dict[str, str] = {"type": "track"}

    stamp(event, now=NOW)

    assert event == {"type": "track"}


@pytest.mark.parametrize("no_event", [None, "text", 5, ["a"], b"bytes"])
def test_what_is_no_object_is_left_for_the_worker_to_refuse(no_event: object) -> None:
    assert stamp(no_event, now=NOW) is no_event


def test_stamping_imports_nothing_beyond_the_standard_library() -> None:
    code = (
        "import sys, importlib.util\n"
        "spec = importlib.util.spec_from_file_location('stamp', 'pipeline/events/stamp.py')\n"
        "spec.loader.exec_module(importlib.util.module_from_spec(spec))\n"
        "foreign = {name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names\n"
        "print(sorted(name for name in foreign if not name.startswith('_')))\n"
    )
    run = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
