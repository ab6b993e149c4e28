"""`pipeline demo`: the whole system on this machine, two thousand real events through it, and the result."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import Failure
from pipeline.cli.demo_expectation import Verdict, expect, judge, messages
from pipeline.cli.flow import Flow, observe
from pipeline.cli.send import chunks, read_events
from pipeline.errors import InvalidEvent
from pipeline.events.plain import plain

if TYPE_CHECKING:
    from redis import Redis
    from rich.console import Console
    from rich.progress import Progress

    from pipeline.local import LocalStack

_OBJECTS = ("Lead", "Account", "Case")  # what demo.yaml writes
_CHUNK = 50
_STALLED_AFTER_S = 60.0  # without anything moving; a retry waits a few seconds at most here
_QUIET_S = 2.0  # of nothing anywhere, after which an event that was not counted is lost
_POLL_S = 0.05
_CLASSIC_CALLS = 2  # a lookup and a write for each event, as the classic destination spends them


@dataclass(frozen=True, slots=True)
class Result:
    """What the demo measured. `seconds` runs from the first event sent until the last one was settled."""

    outcomes: Mapping[str, int]
    verdict: Verdict
    writes: int
    dead: int
    refused: int  # events beyond a bound, which were not sent; they count as rejected
    lost_events: int
    api_calls: int
    seconds: float

    @property
    def events(self) -> int:
        """Messages the pipeline has accounted for: accepted, skipped and rejected."""
        return sum(self.outcomes.values())

    def as_json(self) -> dict[str, Any]:
        """Return the figures under the names of the `--json` contract."""
        return {
            "events": self.events,
            **self.outcomes,
            "records": dict(self.verdict.records),
            "duplicates": self.verdict.duplicates,
            "api_calls": self.api_calls,
            "api_calls_per_event": round(self.api_calls / self.events, 5) if self.events else 0.0,
            "seconds": round(self.seconds, 2),
        }


@click.command(epilog="\b\nExamples:\n  pipeline demo\n  pipeline demo --events my-events.jsonl --json")
@click.option(
    "--events",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON Lines of Segment events.  [default: 2,000 events that come with the project]",
)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def demo(*, file: Path | None, is_json: bool) -> None:
    """Run the whole system on this machine and show what lands in Salesforce, an emulated one.

    Starts a Redis server, an emulated org, two workers, beat and Flower as processes of their own, sends events, and
    compares the org with what those events must leave there. Needs no account and no network. Exit code 1 if a record
    is missing or there twice.
    """
    from rich.console import Console

    source = file or files("pipeline.data") / "sdk_events.jsonl"
    with source.open("rb") as lines:
        events = list(read_events(lines))
    console = Console(stderr=is_json)
    result = _run(events, console)
    if is_json:
        click.echo(json.dumps(result.as_json()))
    else:
        _show(result, console)
    verdict = result.verdict
    if not verdict.is_clean or result.lost_events:
        raise Failure(
            f"{result.lost_events} events lost, {verdict.lost} records missing, {verdict.duplicates} duplicated, "
            f"{verdict.unexpected} that no event asks for"
        )


def _within_bounds(event: Any) -> bool:
    """Tell whether an event can be sent; of others `send_events` says why not."""
    try:
        plain(event)
    except InvalidEvent:
        return False
    return True


def _run(given: Sequence[Any], console: "Console") -> Result:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from pipeline.local import LocalStack, connect_producer, flower

    events = [event for event in given if _within_bounds(event)]
    destination = (files("pipeline.cli") / "demo.yaml").read_text()
    stack = LocalStack(destination=destination, pages=[flower()])
    columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ExitStack() as running:
        with console.status("starting Redis, an emulated org, two workers, beat and Flower"):
            running.enter_context(stack)
        console.print(f"Flower shows the workers at {stack.addresses['flower']} while this runs")
        connect_producer(stack.redis.url)
        with Progress(*columns, console=console) as progress, stack.redis.client() as redis:
            begun = time.monotonic()
            _send(events, progress)
            _wait_until_settled(stack, redis, events, progress)
            seconds = time.monotonic() - begun
        return _measure(stack, events, seconds, refused=len(given) - len(events))


def _send(events: Sequence[Any], progress: "Progress") -> None:
    """Send as any producer does: this process knows the broker's address and nothing else."""
    from pipeline import send_events

    bar = progress.add_task("sent", total=len(events))
    for chunk in chunks(events, _CHUNK):
        send_events.delay(chunk)
        progress.advance(bar, len(chunk))


def _wait_until_settled(stack: "LocalStack", redis: "Redis", events: Sequence[Any], progress: "Progress") -> None:
    """Return once nothing waits anywhere. Raises Failure if nothing moves for a minute, or a service has died."""
    expected = messages(events)
    ingested = progress.add_task("ingested", total=expected)
    landed = progress.add_task("in the org", total=None)
    last: Flow | None = None
    moved = time.monotonic()
    while True:
        stack.check()
        flow = observe(redis)
        now = time.monotonic()
        if flow != last:
            last, moved = flow, now
        progress.update(ingested, completed=flow.received)
        progress.update(landed, completed=flow.settled, total=flow.operations)
        is_quiet = flow.is_idle and (flow.received >= expected or now - moved > _QUIET_S)
        if is_quiet:
            return
        if now - moved > _STALLED_AFTER_S:
            logs = "\n".join(worker.log_tail() for worker in stack.workers.values())
            raise Failure(f"nothing moved for {_STALLED_AFTER_S:.0f} s: {flow}\n{logs}")
        time.sleep(_POLL_S)


def _measure(stack: "LocalStack", events: Sequence[Any], seconds: float, *, refused: int) -> Result:
    import requests

    from pipeline.inbox.chosen_letters import Choice
    from pipeline.inbox.dead_letters import received

    def ask(path: str) -> Any:
        answer = requests.get(f"{stack.emulator_url}/_emulator/{path}", timeout=60)
        answer.raise_for_status()
        return answer.json()

    with stack.redis.client() as redis:
        outcomes = {name: received(redis).get(name, 0) for name in ("accepted", "skipped", "rejected")}
        outcomes["rejected"] += refused
        dead = [letter.event for letter in Choice().letters(redis)]
    expected = expect(events, dead)
    verdict = judge(expected, {name: ask(f"records/{name}") for name in _OBJECTS})
    return Result(
        outcomes=outcomes,
        verdict=verdict,
        writes=expected.writes,
        dead=len(dead),
        refused=refused,
        lost_events=max(0, messages(events) + refused - sum(outcomes.values())),
        api_calls=ask("stats")["api_calls"]["total"],
        seconds=seconds,
    )


def _show(result: Result, console: "Console") -> None:
    from rich.table import Table

    verdict, outcomes = result.verdict, result.outcomes
    table = Table(title="What landed in Salesforce", show_header=False, title_justify="left")
    table.add_column(justify="right", style="bold")
    table.add_column()
    for name, count in verdict.records.items():
        table.add_row(f"{count:,}", f"{name} records")
    table.add_row(f"{verdict.duplicates:,}", "duplicates")
    table.add_section()
    table.add_row(f"{result.events:,}", f"events: {outcomes['accepted']:,} accepted, {outcomes['skipped']:,} skipped")
    kept = outcomes["rejected"] - result.refused
    table.add_row(f"{kept:,}", "rejected, kept as dead letters with the reason")
    if result.refused:
        table.add_row(f"{result.refused:,}", "beyond a bound of events, so not sent")
    if result.dead > kept:
        table.add_row(f"{result.dead - kept:,}", "refused by Salesforce, kept as dead letters")
    table.add_section()
    table.add_row(f"{result.api_calls:,}", "API calls used, logins and describes included")
    table.add_row(f"{_CLASSIC_CALLS * result.writes:,}", "API calls at two for every event that writes")
    table.add_row(f"{result.seconds:.1f}", "seconds from the first event sent to the last record written")
    console.print(table)
