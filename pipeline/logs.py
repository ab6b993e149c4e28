"""What workers and beat write to their log: one line for each thing that happened, and nobody's data at any level.

Messages are written as `key=value` already; with PIPELINE_LOG_FORMAT=json each line is a JSON object that holds those
pairs as its own. Libraries write what they handle into their debug lines (Celery whole messages, urllib3 addresses that
hold a query), so below INFO only the pipeline's own lines pass, and those of HTTP clients pass never. A traceback is
written without the errors' texts, which quote values.
"""

import json
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from pipeline.errors import ConfigurationError

FORMATS: Final = ("text", "json")
_OURS: Final = "pipeline"
# What they warn of comes to the pipeline as an exception and is told by it; their own words quote addresses.
_QUOTES_ADDRESSES: Final = frozenset({"urllib3", "requests", "simple_salesforce", "zeep"})
_TEXT: Final = "[%(asctime)s: %(levelname)s/%(processName)s] %(where)s%(message)s"
_PAIR: Final = re.compile(r"(?<!\S)([a-z][a-z0-9_]*)=(\S+)")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")


def log_format(environ: Mapping[str, str]) -> str:
    """Return the format that PIPELINE_LOG_FORMAT asks for, `text` by default. Raises ConfigurationError."""
    chosen = environ.get("PIPELINE_LOG_FORMAT", "").strip().lower() or "text"
    if chosen not in FORMATS:
        raise ConfigurationError(f"PIPELINE_LOG_FORMAT is one of {', '.join(FORMATS)}")
    return chosen


def set_up(logger: logging.Logger, chosen: str) -> None:
    """Make the handlers of a logger that Celery has set up discreet, and write in the chosen format."""
    for handler in logger.handlers:
        handler.addFilter(is_discreet)
        handler.setFormatter(JsonFormatter() if chosen == "json" else TextFormatter())


def is_discreet(record: logging.LogRecord) -> bool:
    """Whether a line can be written: none that a library may have filled with what it handles."""
    library = record.name.partition(".")[0]
    return library == _OURS or (library not in _QUOTES_ADDRESSES and record.levelno >= logging.INFO)


class _Formatter(logging.Formatter):
    def formatException(self, ei: Any) -> str:  # noqa: N802  (logging's name)
        """Return the traceback of an exception without its text."""
        return without_values(ei[1]) if ei[1] is not None else ""


class TextFormatter(_Formatter):
    """A line as Celery writes it: time, level and process, the task and its id where there is one, the message."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and a traceback after it."""
        task = _task_of(record)
        record.where = f"{task[0]}[{task[1]}]: " if task else ""
        return super().format(record)


class JsonFormatter(_Formatter):
    """A line as a JSON object: time, level, logger, process, task and id, message, and the pairs of the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = record.getMessage()
        line: dict[str, Any] = {name: _value(value) for name, value in _PAIR.findall(message)}
        line |= {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.processName,
            "message": message,
        }
        if task := _task_of(record):
            line["task"], line["task_id"] = task
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def without_values(error: BaseException) -> str:
    """Return where an exception came from: files, lines and kinds, also of what caused it, and no text of any error."""
    return "\n".join(
        f"{''.join(traceback.format_list(traceback.extract_tb(trace)))}{kind}" for kind, trace in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[tuple[str, TracebackType | None]]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield type(one).__qualname__, one.__traceback__
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _task_of(record: logging.LogRecord) -> tuple[str, str] | None:
    """Name the task that wrote a line, if one of the pipeline's own did."""
    from celery import current_task

    # A proxy, which is falsy outside a task.
    task: Any = current_task
    if not record.name.startswith(f"{_OURS}.") or not task or not task.request.id:
        return None
    return task.name, task.request.id


def _value(text: str) -> str | int | float:
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)
