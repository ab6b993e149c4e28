"""Plans of a destination that is written in the test, for events that are."""

from typing import Any

from pipeline.events.schemas import Event
from pipeline.mapping.plan import Planner, compile_plan
from pipeline.operation import Operation, decode, encode
from pipeline.settings.file import parse_destination


def event(kind: str = "track", **body: Any) -> Event:
    return Event(type=kind, message_id="m1", time_ms=1_700_000_000_000, body={"type": kind, **body})


def planner(text: str) -> Planner:
    return compile_plan(parse_destination(text, name="destination.yaml"))


def plan(text: str, happened: Event) -> list[Operation]:
    operations = planner(text).plan(happened)
    assert [decode(encode(operation)) for operation in operations] == operations
    return operations


def case_action(lines: str) -> str:
    return f"actions:\n  - on: {{type: track}}\n    operation: create\n    object: Case\n{lines}"
