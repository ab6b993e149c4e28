"""`pipeline bench`: a queue of events worked off on this machine, held against a Celery task that does nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

_CONCURRENCY = 2
_MOST_NOOPS = 10_000  # tells the rate well enough
_PROBE_EVERY_S = 0.6  # a little more than the linger, so that every probe finds the pipeline idle
_DAILY_LIMIT = "100000000"  # quotas have a benchmark of their own


@click.command(
    epilog="\b\nExamples:\n  pipeline bench\n  pipeline bench --events 20000 --keys 5000 --per-message 100 --json"
    "\n  pipeline bench --latency-ms 100 --events 5000"
)
@click.option("--events", default=20_000, show_default=True, type=click.IntRange(min=1), help="Identify events.")
@click.option("--keys", type=click.IntRange(min=1), help="People they are about, in turn.  [default: events / 4]")
@click.option("--per-message", default=1, show_default=True, type=click.IntRange(min=1), help="Events in one message.")
@click.option("--latency-ms", default=0.0, show_default=True, help="What each request to the org takes, in ms.")
@click.option("--concurrency", default=_CONCURRENCY, show_default=True, type=click.IntRange(min=1), help="Processes.")
@click.option("--probes", default=20, show_default=True, type=click.IntRange(min=1), help="Single events timed.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def bench(
    *, events: int, keys: int | None, per_message: int, latency_ms: float, concurrency: int, probes: int, is_json: bool
) -> None:
    """Measure how fast, how frugal and how prompt the pipeline is on this machine.

    A producer fills the queue; then a worker starts, and time runs until the last record is committed in an emulated
    org. The same is done with a Celery task that does nothing, on as many processes. Then single events are timed from
    being sent to being committed, in an idle pipeline. `docs/benchmarks.md` has more, and what it was measured on.
    """
    from rich.console import Console

    from pipeline.bench.figures import contract
    from pipeline.bench.measure import Bench
    from pipeline.local import LocalStack

    console = Console(stderr=True)
    keys = min(events, keys or max(1, events // 4))
    options = ("--latency-ms", str(latency_ms), "--daily-limit", _DAILY_LIMIT)
    noops = min(events, _MOST_NOOPS)
    with LocalStack(workers={}, has_beat=False, emulator_arguments=options) as stack:
        measured = Bench(stack, concurrency=concurrency)
        with _bar(console, "doing nothing", noops) as progress:
            noop_per_s = measured.noop_per_s(noops, progress=progress)
        with _bar(console, "filling the queue", events) as progress:
            measured.fill(events, keys, per_message=per_message, progress=progress)
        with _bar(console, "working it off", events) as progress:
            run = measured.work_off(events, keys, progress=progress)
        with _bar(console, "timing single events", probes) as progress:
            measured.start_worker().wait_until_ready()
            latencies_ms = measured.latencies_ms(probes, pause_s=_PROBE_EVERY_S, progress=progress)
        measured.close()
    figures = contract(run, latencies_ms, noop_per_s)
    if is_json:
        click.echo(json.dumps(figures))
    else:
        _show({**figures, "api_calls": run.api_calls, "events": events, "keys": keys})


@contextmanager
def _bar(console: "Console", what: str, total: int) -> "Iterator[Callable[[int], object]]":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:>20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
        progress.update(task, completed=total)


def _show(figures: dict[str, float]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, title_justify="left", title="What was measured")
    table.add_column(justify="right", style="bold")
    table.add_column()
    rate, noop, ratio = (figures[name] for name in ("events_per_s", "noop_events_per_s", "ratio_to_noop"))
    table.add_row(f"{rate:,.0f}", "events a second, from the queue to a committed record")
    table.add_row(f"{noop:,.0f}", f"Celery tasks a second that do nothing: the pipeline does {ratio:.2f} times as many")
    table.add_row(
        f"{figures['api_calls']:,}",
        f"API calls for {figures['events']:,} events on {figures['keys']:,} new people: "
        f"{figures['api_calls_per_event']:.5f} an event",
    )
    table.add_row(f"{figures['p50_ms']:,.0f} ms", "from sending an event to its record, pipeline idle, median")
    table.add_row(f"{figures['p99_ms']:,.0f} ms", "the slowest one in a hundred")
    Console().print(table)
