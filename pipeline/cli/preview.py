"""`pipeline preview`: what events would write, without writing it."""

import json
import os
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pipeline.cli.events_file import EventsFile

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.operation import Json
    from pipeline.review.preview import Forecast, Seen
    from pipeline.review.rehearsal import Record

_COLOURS = {"accepted": "green", "skipped": "yellow", "rejected": "red"}


@click.command(
    epilog="\b\nExamples:\n  pipeline preview events.jsonl\n  pipeline preview --diff events.jsonl\n"
    "  head -1 events.jsonl | pipeline preview --json - | jq '.events[0].operations'"
)
@click.argument("file", type=EventsFile())
@click.option("--diff", "is_looking", is_flag=True, help="Look the records up and show what would change in them.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def preview(*, file: BinaryIO, is_looking: bool, is_json: bool) -> None:
    """Show what the events in FILE, one JSON object per line, would write; `-` is standard input.

    Nothing is written: not to the org, not to an inbox, and no event is counted. The figure of API calls is what
    delivery would spend if all came at once and no record were known from before. Without --diff the org is asked for
    its describe alone, where that is not in the cache; with it the records are looked up, as delivery does, by calls
    that the quota gate grants. What is shown is personal data.
    """
    from rich.console import Console
    from rich.progress import Progress

    from pipeline.cli.org import GatedOrg, describes
    from pipeline.cli.send import advancing, read_events, size_of
    from pipeline.review.preview import Preview
    from pipeline.settings import load_settings
    from pipeline.tasks.runtime import Runtime

    runtime = Runtime(load_settings(os.environ))
    org = GatedOrg(runtime) if is_looking else None
    previewed = Preview(
        runtime.planner,
        describes(runtime, runtime.settings.destination.objects, is_fresh=False),
        org,
        always_enabled=runtime.settings.destination.always_enabled,
    )
    console, progress_console = Console(highlight=False, soft_wrap=True), Console(stderr=True)
    shown: list[dict[str, Any]] = []
    outcomes = {"accepted": 0, "skipped": 0, "rejected": 0}
    with Progress(console=progress_console, transient=True, disable=not progress_console.is_terminal) as progress:
        bar = progress.add_task("looking at events", total=size_of(file))
        for number, event in enumerate(read_events(advancing(file, progress, bar)), start=1):
            seen = previewed.look_at(event)
            outcomes[seen.outcome] += 1
            if is_json:
                shown.append(_as_json(number, seen))
            else:
                _show_event(console, number, seen)
        forecast = previewed.forecast()
    if is_json:
        figures = _figures(outcomes, forecast, org)
        click.echo(json.dumps({**figures, "events": shown} | _diffs(forecast, is_looking=is_looking)))
    else:
        if is_looking:
            for record in forecast.records:
                _show_record(console, record)
        _show_figures(console, outcomes, forecast, org)


def _as_json(number: int, seen: "Seen") -> dict[str, Any]:
    told: dict[str, Any] = {
        "event": number,
        "type": seen.type,
        "message_id": seen.message_id,
        "outcome": seen.outcome,
        "reason": seen.reason,
        "operations": [planned.shown() for planned in seen.operations],
    }
    return {name: value for name, value in told.items() if value}


def _figures(outcomes: dict[str, int], forecast: "Forecast", org: Any) -> dict[str, Any]:
    return {
        **outcomes,
        "records": {name: dict(counted) for name, counted in sorted(forecast.counts().items())},
        "api_calls": {"total": forecast.calls.total(), **dict(sorted(forecast.calls.items()))},
        "api_calls_spent": org.calls if org is not None else 0,
        "dead_letters": [{"operation": name, "reason": reason} for name, reason in forecast.dead],
        "left_out": dict(forecast.left_out.most_common()),
    }


def _diffs(forecast: "Forecast", *, is_looking: bool) -> dict[str, Any]:
    from pipeline.review.preview import differences, fate_of

    if not is_looking:
        return {}
    return {
        "diff": [
            {
                "object": record.object,
                "id": record.id if record.before is not None else None,
                "fate": fate_of(record),
                "fields": {name: [before, after] for name, before, after in differences(record)},
            }
            for record in forecast.records
        ]
    }


def _show_event(console: "Console", number: int, seen: "Seen") -> None:
    from rich.text import Text

    head = Text.assemble(f"event {number:,} ", (seen.type or "?", "bold"), f" {seen.message_id}: ")
    console.print(head.append(seen.outcome, _COLOURS[seen.outcome]).append(f", {seen.reason}" if seen.reason else ""))
    for planned in seen.operations:
        told = planned.shown()
        match = ", ".join(f"{name} = {_value(value)}" for name, value in told.get("match", {}).items())
        where = f" where {match}" if match else ""
        console.print(Text(f"  {told['operation']} {told['object']}{where}"))
        if "refusal" in told:
            console.print(Text(f"    would be a dead letter: {told['refusal']}", "red"))
        rows = [(name, _value(value), "") for name, value in told.get("fields", {}).items()]
        rows += [(name, _value(value), "  (on a new record)") for name, value in told.get("on_create", {}).items()]
        rows += [(name, _value(value), "") for name, value in told.get("lookups", {}).items()]
        rows += [(name, "is read", "") for name in told.get("read", ())]
        for name, value, note in rows:
            console.print(Text(f"    {name}: {value}{note}"))
        for name, reason in told.get("left_out", {}).items():
            console.print(Text(f"    left out: {name}: {reason}", "yellow"))


def _show_record(console: "Console", record: "Record") -> None:
    from rich.text import Text

    from pipeline.review.preview import differences, fate_of

    fate = fate_of(record)
    name = "a new record" if record.before is None else record.id
    console.print(Text.assemble((f"{record.object} {name}", "bold"), f": {fate}"))
    if record.is_deleted:
        return
    for field, before, after in differences(record):
        if before is not None:
            console.print(Text(f"  - {field}: {_value(before)}", "red"))
        console.print(Text(f"  + {field}: {_value(after)}", "green"))


def _show_figures(console: "Console", outcomes: dict[str, int], forecast: "Forecast", org: Any) -> None:
    from rich.text import Text

    told = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())
    console.print(Text(f"{sum(outcomes.values()):,} events: {told}"))
    for name, counted in sorted(forecast.counts().items()):
        fates = ", ".join(f"{count:,} {fate}" for fate, count in sorted(counted.items()))
        console.print(Text(f"{name}: {fates}" + ("" if org else ", if upserts find nothing and all else is there")))
    for operation_id, reason in forecast.dead:
        console.print(Text(f"dead letter: {operation_id}: {reason}", "red"))
    for sentence, times in forecast.left_out.most_common():
        console.print(Text(f"left out: {sentence}: {times:,} times", "yellow"))
    calls = forecast.calls.total()
    spent = f"; {org.calls:,} spent on this preview" if org else ""
    console.print(Text(f"{calls:,} API calls would be spent, if all came at once{spent}; nothing was written"))


def _value(value: "Json") -> str:
    if isinstance(value, dict) and value.keys() >= {"object", "match"}:
        match = value["match"]
        assert isinstance(match, dict)
        return f"the {value['object']} where " + ", ".join(f"{name} = {_value(one)}" for name, one in match.items())
    return json.dumps(value, ensure_ascii=False)
