"""A worker runs what is a message of its own version in the serialization it accepts, and nothing else."""

import pickle
from typing import Any

import pytest
import yaml
from kombu.message import Message

from pipeline.consumer import is_cleanup, why_unreadable

JSON = {"application/json"}
TASKS = {"pipeline.send_event"}
BODY = '[[{"type": "identify"}], {}, {"callbacks": null}]'


class Marker:
    """What a pickle would run."""

    ran = False

    def __reduce__(self) -> Any:
        return setattr, (Marker, "ran", True)


def message(body: Any = BODY, kind: str = "application/json", encoding: str = "utf-8", **headers: Any) -> Message:
    headers = {"task": "pipeline.send_event", "id": "1", **headers}
    return Message(body=body, content_type=kind, content_encoding=encoding, headers=headers, accept=JSON)


def why(one: Any) -> str | None:
    return why_unreadable(one, tasks=TASKS, accept=JSON)


def test_a_message_of_this_version_is_taken() -> None:
    assert why(message()) is None
    assert why(message(pipeline_format=1)) is None
    assert why(message(body=BODY.encode())) is None


def test_what_an_earlier_beat_sends_each_night_is_known() -> None:
    assert is_cleanup(message(task="celery.backend_cleanup"))
    assert not is_cleanup(message())


def test_celery_s_first_protocol_is_taken_as_well() -> None:
    first = message(body='{"task": "pipeline.send_event", "id": "1", "args": [{}], "kwargs": {}}')
    del first.headers["task"]
    assert why(first) is None


@pytest.mark.parametrize("kind", ["application/x-python-serialize", "application/data", "application/json"])
def test_a_pickle_is_not_loaded_whatever_it_calls_itself(kind: str) -> None:
    assert why(message(body=pickle.dumps(Marker()), kind=kind, encoding="binary"))
    assert not Marker.ran


@pytest.mark.parametrize("kind", ["application/x-yaml", "text/plain", "application/text", "", None])
def test_yaml_and_text_are_not_read(kind: Any) -> None:
    assert why(message(body=yaml.safe_dump([[], {}, {}]), kind=kind))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"task": "pipeline.of_tomorrow"}, "workers before producers"),
        ({"task": "celery.map"}, "names no task"),
        ({"task": ["pipeline.send_event"]}, "names no task"),
        ({"pipeline_format": 2}, "newer version"),
        ({"pipeline_format": "1"}, "newer version"),
        ({"body": "{"}, "cannot be read"),
        ({"body": "[" * 100_000}, "cannot be read"),
        ({"body": "null"}, "not that of a task"),
        ({"body": "[]"}, "not that of a task"),
        ({"body": '["a", "b", "c"]'}, "not that of a task"),
        ({"body": '{"task": "pipeline.send_event", "args": "abc"}'}, "not that of a task"),
    ],
)
def test_what_is_no_message_for_this_version_is_told_without_quoting_it(changed: dict[str, Any], reason: str) -> None:
    told = why(message(**changed))
    assert told is not None
    assert reason in told
    assert "tomorrow" not in told
