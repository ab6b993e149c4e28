"""docs/benchmarks.md and its plots, out of the figures that were measured. Pure text: no clock, no file."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from benchmarks.scenarios import CONCURRENCY, Results
from benchmarks.svg import Axis, Line, chart
from pipeline.bench.figures import Run, Sample, percentile

Row: TypeAlias = Sequence[str]
_MISSING = "not measured"

_HOW = """# Benchmarks

Written by `{command}` on {machine}, which Redis, the emulated org, the producer and {processes} worker processes share.
Figures in seconds differ from machine to machine and from run to run; compare the ratios, whose two sides are measured
one after the other in the same run.

A producer fills the queue, then a worker starts, and time runs from the first message it takes until the last record is
committed in the org. A *task that does nothing* is a Celery task with the same event as its argument, Celery's own
settings and as many worker processes, timed the same way. The *two-call deliverer* (`benchmarks/two_calls.py`) looks
each Lead up and writes it with simple-salesforce. The session and the describe are cached before, as they are in a
system that runs.

## Against the targets
"""

_STEADY = """
## Latency beside a steady stream

Single events are sent beside the stream and timed until they are committed. The linger bounds it (half a second,
`linger` in destination.yaml), which makes batches out of a stream, and so does the batch that is on its way.
"""


def document(results: Results, repeats: Sequence[Results] = (), *, machine: str, command: str) -> str:
    """Return docs/benchmarks.md."""
    run_head = ["scenario", "events", "records", "events/s", "API calls", "calls/event", "Redis, peak"]
    latency_head = ["other events/s", "p50, ms", "p90, ms", "p99, ms", "API calls/event"]
    target_head = ["what", "target", "measured", *([f"least, median, most of {len(repeats)} more"] if repeats else [])]
    pictures = [f"![{title}](images/{name}.svg)\n" for name, title, _ in plots(results)]
    return "\n".join(
        [
            _HOW.format(command=command, machine=machine, processes=CONCURRENCY),
            *table(target_head, targets(results, repeats)),
            "\n## Every run\n",
            *table(run_head, runs(results)),
            _STEADY,
            *table(latency_head, latencies(results)),
            "",
            *pictures,
        ]
    )


def table(head: Row, rows: Iterable[Row]) -> list[str]:
    """Return a Markdown table; the first column is words, the others figures."""
    aligned = ["---", *("---:" for _ in head[1:])]
    return [f"| {' | '.join(row)} |" for row in (head, aligned, *rows)]


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached: `measure` returns None where the scenario was not run."""

    what: str
    bound: str
    form: str
    measure: Callable[[Results], float | None]


def _idle_over_org_ms(results: Results) -> float | None:
    return results.idle.at(0.99) - percentile(results.org_ms, 0.5) if results.idle else None


def _growth(results: Results) -> float | None:
    small, large = results.runs.get("small backlog"), results.runs.get("large backlog")
    return small.events_per_s / large.events_per_s if small and large else None


def _growth_without_bulk(results: Results) -> float | None:
    small, large = results.runs.get("small backlog"), results.runs.get("large backlog, no bulk jobs")
    return small.events_per_s / large.events_per_s if small and large else None


def _ratio(run: Run | None, other_per_s: float | None) -> float | None:
    return run.events_per_s / other_per_s if run and other_per_s else None


_ALONE, _TOGETHER, _SLOW = "burst, one event a message", "burst, 100 events a message", "slow org (100 ms)"
TARGETS = (
    Target(
        "API calls for each record, burst on new emails",
        "at most 0.002",
        "{:.4f}",
        lambda results: run.calls_per_key if (run := results.runs.get(_TOGETHER)) else None,
    ),
    Target(
        "API calls for each event, backfill",
        "at most 0.0005",
        "{:.5f}",
        lambda results: run.calls_per_event if (run := results.runs.get("backfill")) else None,
    ),
    Target(
        "`send_event`: events for each task that does nothing",
        "at least 0.8",
        "{:.2f}",
        lambda results: _ratio(results.runs.get(_ALONE), results.noops.get(_ALONE)),
    ),
    Target(
        "`send_events`, 100 a message: the same",
        "at least 4",
        "{:.2f}",
        lambda results: _ratio(results.runs.get(_TOGETHER), results.noops.get(_TOGETHER)),
    ),
    Target(
        "org that takes 100 ms: times the two-call deliverer",
        "at least 50",
        "{:.0f}",
        lambda results: _ratio(results.runs.get(_SLOW), results.two_calls_per_s.get(100)),
    ),
    Target("time for an event, large backlog over small", "at most 1.2", "{:.2f}", _growth),
    Target("the same in batches: 100,000 events, no bulk jobs", "at most 1.2", "{:.2f}", _growth_without_bulk),
    Target("idle latency, p99, over the org's own (its median)", "at most 100 ms", "{:.0f} ms", _idle_over_org_ms),
)


def targets(results: Results, repeats: Sequence[Results] = ()) -> list[Row]:
    """Return each target with what was measured, and the least, the median and the most of the repeats."""
    rows: list[Row] = []
    for target in TARGETS:
        value = target.measure(results)
        row = [target.what, target.bound, _MISSING if value is None else target.form.format(value)]
        again = [measured for one in repeats if (measured := target.measure(one)) is not None]
        if again:
            row.append(", ".join(target.form.format(one) for one in (min(again), median(again), max(again))))
        elif repeats:
            row.append(_MISSING)
        rows.append(row)
    return rows


def runs(results: Results) -> list[Row]:
    """Return a row for each run."""
    return [
        [
            name,
            f"{run.events:,}",
            f"{run.keys:,}",
            f"{run.events_per_s:,.0f}",
            f"{run.api_calls:,}",
            f"{run.calls_per_event:.5f}",
            f"{max((sample.redis_mb for sample in run.samples), default=0):,.0f} MB",
        ]
        for name, run in results.runs.items()
    ]


def latencies(results: Results) -> list[Row]:
    """Return a row for the idle pipeline and each rate."""
    measured = [*([results.idle] if results.idle else []), *results.rates]
    return [
        [
            f"{one.rate:g}" if one.rate else "none",
            *(f"{one.at(share):,.0f}" for share in (0.5, 0.9, 0.99)),
            f"{one.calls_per_event:.4f}" if one.calls_per_event else "2",
        ]
        for one in measured
        if one.values
    ]


def plots(results: Results) -> list[tuple[str, str, str]]:
    """Return (file name, title, SVG) of every plot for which there are figures."""
    found: list[tuple[str, str, str]] = []

    def add(name: str, title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> None:
        if any(line.points for line in lines):
            found.append((name, title, chart(title, x, y, lines)))

    rates = [one for one in results.rates if one.values]
    add(
        "calls_by_rate",
        "API calls for each event against the rate of events",
        Axis("events a second", is_log=True),
        Axis("API calls for each event", is_log=True),
        [
            Line("this pipeline", [(one.rate, one.calls_per_event) for one in rates]),
            Line("two calls an event", [(one.rate, 2.0) for one in rates]),
        ],
    )
    add(
        "rate_by_latency",
        "Events a second against the org's latency",
        Axis("latency of each request, ms"),
        Axis("events a second", is_log=True),
        [
            Line("this pipeline", sorted(results.by_latency.items())),
            Line("two calls an event", sorted(results.two_calls_per_s.items())),
        ],
    )
    add(
        "latency_percentiles",
        "Latency beside a steady stream",
        Axis("events a second", is_log=True),
        Axis("ms from sent to committed"),
        [Line(f"p{share:.0%}"[:-1], [(one.rate, one.at(share)) for one in rates]) for share in (0.5, 0.9, 0.99)],
    )
    large = results.runs.get("large backlog")
    samples = large.samples if large else ()
    add(
        "memory",
        "Memory while the large backlog is worked off",
        Axis("seconds"),
        Axis("MB"),
        [
            Line("Redis", [(one.at_s, one.redis_mb) for one in _thin(samples)]),
            Line("worker processes", [(one.at_s, one.workers_mb) for one in _thin(samples) if one.workers_mb]),
        ],
    )
    return found


def _thin(samples: Sequence[Sample], most: int = 100) -> Sequence[Sample]:
    return samples[:: max(1, len(samples) // most)]
