"""A line of the log says what happened, in the format that was asked for, and quotes nothing."""

import json
import logging
from typing import Any

import pytest

from pipeline import app
from pipeline.errors import ConfigurationError
from pipeline.logs import JsonFormatter, TextFormatter, is_discreet, log_format, without_values
from pipeline.tasks.base import PipelineTask, TaskFailed

PERSON = "ada@example.com"


def record(
    name: str = "pipeline.tasks.deliver", level: int = logging.INFO, message: str = "", error: Any = None
) -> Any:
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, level, __file__, 1, message, None, exc_info)


def failed() -> Exception:
    try:
        look_up(PERSON)
    except LookupError as error:
        return error
    raise AssertionError


def look_up(person: str) -> str:
    known: dict[str, str] = {}
    try:
        return known[person]
    except KeyError as first:
        raise LookupError(f"no {person}") from first


def test_a_line_of_json_holds_the_pairs_of_the_message() -> None:
    line = json.loads(
        JsonFormatter().format(record(message="object=Lead calls=2 ms=1.5 batch=a1b2 waits: x=1; at a=b=c"))
    )
    assert (line["object"], line["calls"], line["ms"], line["batch"]) == ("Lead", 2, 1.5, "a1b2")
    assert line["level"] == "INFO"
    assert line["logger"] == "pipeline.tasks.deliver"
    assert line["time"].endswith("+00:00")
    assert "\n" not in JsonFormatter().format(record(message="two\nlines"))


def test_a_pair_of_the_message_cannot_pass_for_what_the_log_itself_says() -> None:
    line = json.loads(JsonFormatter().format(record(message="level=CRITICAL time=never")))
    assert line["level"] == "INFO"
    assert line["time"] != "never"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_traceback_says_where_and_what_kind_and_quotes_nothing(formatter: logging.Formatter) -> None:
    line = formatter.format(record(message="it failed", error=failed()))
    assert "LookupError" in line
    assert "KeyError" in line
    assert "test_logs.py" in line
    assert PERSON not in line


def test_below_info_only_our_own_lines_pass_and_http_clients_never() -> None:
    assert is_discreet(record("pipeline.broker", logging.DEBUG))
    assert is_discreet(record("celery.worker", logging.INFO))
    for name, level in (("celery.pool", logging.DEBUG), ("kombu", logging.DEBUG), ("urllib3.connectionpool", 40)):
        assert not is_discreet(record(name, level)), name
    assert not is_discreet(record("pipelines.of.others", logging.DEBUG))


def test_an_unknown_format_is_refused() -> None:
    assert log_format({}) == "text"
    assert log_format({"PIPELINE_LOG_FORMAT": " JSON "}) == "json"
    with pytest.raises(ConfigurationError, match="text, json"):
        log_format({"PIPELINE_LOG_FORMAT": "xml"})


def test_a_task_that_fails_is_shown_by_the_kind_of_the_failure(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(PipelineTask):
        name = "pipeline.failing"

        def run(self, *_: Any, **__: Any) -> None:
            raise failed()

    Failing.bind(app)
    with pytest.raises(TaskFailed) as told:
        Failing()(PERSON)
    assert str(told.value) == "LookupError"
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__
    assert "LookupError" in caplog.text
    assert PERSON not in caplog.text


def test_errors_that_cause_each_other_end() -> None:
    one, other = ValueError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one
    assert without_values(one) == "ValueError\nKeyError"
