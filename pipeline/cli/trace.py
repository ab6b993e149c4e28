"""`pipeline trace`: where one event is, or what became of it."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from pipeline.events.opt_in import in_words as why_skipped

if TYPE_CHECKING:
    from pipeline.inbox.trace import MessageTrace, OperationTrace
    from pipeline.tasks.runtime import Runtime

_TIMES = ("received_ms", "since_ms", "due_ms", "lease_ms")


@click.command(epilog="\b\nExamples:\n  pipeline trace 7f0c2d1e\n  pipeline trace 7f0c2d1e --json | jq .outcome")
@click.argument("message_id")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def trace(*, message_id: str, is_json: bool) -> None:
    """Say where the event of a MESSAGE_ID is: skipped, waiting and what for, in flight, in which record, or buried.

    Kept for a day. Record keys, which may be e-mail addresses, are shown as digests; a call's id stands in the log of
    the worker that made it. Exit code 1 for an event that is not known.
    """
    from pipeline.cli import Failure
    from pipeline.settings import load_settings
    from pipeline.tasks.runtime import Runtime

    runtime = Runtime(load_settings(os.environ))
    told = find(runtime, message_id)
    if told is None:
        raise Failure(why_unknown(runtime, message_id))
    if is_json:
        click.echo(json.dumps(told))
    else:
        for line in in_words(told):
            click.echo(line)


def find(runtime: "Runtime", message_id: str) -> dict[str, Any] | None:
    """Return the trace under the names of the `--json` contract, times as ISO 8601; None for what is not known.

    `held_back` of an operation says why its object is not delivered now, None where nothing holds it back.
    """
    from pipeline.inbox.trace import trace as look

    found = look(runtime.redis, message_id)
    if found is None:
        return None
    closed = runtime.gate.status().closed or None
    operations = [{**_timed(asdict(one)), "held_back": _held_back(runtime, one, closed)} for one in found.operations]
    return {"message_id": message_id, **_timed(_message(found)), "operations": operations}


def in_words(told: dict[str, Any]) -> list[str]:
    """Return the lines that are shown."""
    lines = [message_in_words(told)]
    for one in told["operations"]:
        lines.append(f"{one['object']} ({one['rule']}): {operation_in_words(one)}")
        if one["held_back"] is not None:
            lines.append(f"  held back: {one['held_back']}")
    return lines


def message_in_words(told: dict[str, Any]) -> str:
    """Say what became of the message itself."""
    why = told["reason"]
    return f"{told['outcome']} at {told['received']}" + (f": {why_skipped(why)}" if why else "")


def operation_in_words(one: dict[str, Any]) -> str:
    """Say where one of its operations is."""
    return _WORDS[one["state"]](one)


def why_unknown(runtime: "Runtime", message_id: str) -> str:
    """Say what it can mean that nothing is known of a message."""
    from pipeline.inbox.trace import is_known

    if is_known(runtime.redis, message_id):
        return (
            "it was taken in, but with `trace: false` in destination.yaml or by an older version: nothing more is known"
        )
    return (
        "no event of this messageId was taken in within the last 24 hours. It may still be in the queue (`pipeline "
        "status` counts what is), it may never have been sent, or it went under another messageId"
    )


def _message(found: "MessageTrace") -> dict[str, Any]:
    return {name: getattr(found, name) for name in ("outcome", "received_ms", "reason")}


def _timed(values: dict[str, Any]) -> dict[str, Any]:
    return {name.removesuffix("_ms") if name in _TIMES else name: _at(name, value) for name, value in values.items()}


def _at(name: str, value: Any) -> Any:
    if name not in _TIMES or value is None:
        return value
    return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")


def _held_back(runtime: "Runtime", one: "OperationTrace", closed: str | None) -> str | None:
    if one.state != "waiting":
        return None
    paused = runtime.pause.why(one.object)
    return closed if paused is None else f"{paused.reason}; {paused.advice}"


def _waiting(one: dict[str, Any]) -> str:
    attempts = f", after {one['attempts']} failed attempts" if one["attempts"] else ""
    why = f", put off: {one['put_off']}" + (f" (call {one['call']})" if one["call"] else "") if one["put_off"] else ""
    return (
        f"waiting since {one['since']} for record {one['key']}, due {one['due']}, behind {one['keys_before']} records "
        f"and {one['operations_before']} operations of its own{attempts}{why}"
    )


def _in_flight(one: dict[str, Any]) -> str:
    if one["lease"] is None:
        return f"in flight: record {one['key']} is in a bulk job"
    return f"in flight since it was claimed; the lease of record {one['key']} runs until {one['lease']}"


def _applied(one: dict[str, Any]) -> str:
    record = f"record {one['record_id']}" if one["record_id"] else "no record is left"
    return f"applied at {one['since']}, {record}, " + (f"call {one['call']}" if one["call"] else "no write was needed")


def _buried(one: dict[str, Any]) -> str:
    call = f", call {one['call']}" if one["call"] else ""
    reason = one["reason"] or "it was retried or dropped since"
    return f"dead letter {one['dead_letter']} at {one['since']}{call}: {reason}"


def _unknown_one(_: dict[str, Any]) -> str:
    return "not known: it changed while this looked, or was taken in by another version"


_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "waiting": _waiting,
    "in_flight": _in_flight,
    "applied": _applied,
    "buried": _buried,
    "unknown": _unknown_one,
}
