"""A day of identifies against a quota, hour by hour: calls, waiting times, backlog and Redis memory.

    python benchmarks/day.py [--people 10000000 --identifies 50000000 --quota 100000 ...]

Prints a Markdown table and writes a plot where --plot says. It simulates, in seconds, what docs/scaling.md states the
assumptions of; the quota gate in it is the pipeline's own.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this file is run by its path

from benchmarks.cohorts import HOURS  # noqa: E402  (after the path)
from benchmarks.day_model import FIRST_HOUR, Day, Result, quantile_s, simulate  # noqa: E402
from benchmarks.memory import Bytes  # noqa: E402
from benchmarks.report import table  # noqa: E402
from benchmarks.svg import Axis, Line, chart  # noqa: E402

_WORDS = {
    "people": "people who send",
    "identifies": "identifies a day",
    "quota": "API calls a day that the org has",
    "share": "quota.share of destination.yaml",
    "reserve": "quota.reserve of destination.yaml",
    "others": "calls a day that others make",
    "active_people": "share of the people that sends ...",
    "active_events": "... this share of the identifies",
    "new_people": "share of the people that the org does not have yet",
    "request_s": "seconds that a request takes",
    "record_s": "seconds that each record of a write adds",
    "linger_s": "linger of destination.yaml",
    "bulk_from": "waiting keys from which on bulk jobs are made; 0: none",
    "bulk_keys": "keys of a bulk job at most",
    "bulk_calls": "calls of a bulk job, at most 10",
    "bulk_s": "seconds that a bulk job takes",
    "bulk_pause_s": "seconds between two bulk jobs",
    "days": "days to simulate, of which the last is shown",
    "seed": "of the little that is drawn by lot",
}


def hourly(day: Day, result: Result, sizes: Bytes) -> list[str]:
    """Return the day as a Markdown table, an hour a row, and its sums."""
    head = [
        *("hour", "identifies", "API calls", "records written", "events a record", "wait, median", "wait, p99"),
        *("keys waiting, end", "Redis, GB"),
    ]
    rows = [
        [
            f"{(FIRST_HOUR + number) % HOURS:02d}",
            f"{hour.identifies:,.0f}",
            f"{hour.calls:,}",
            f"{hour.keys:,.0f}",
            f"{hour.written_events / max(1.0, hour.keys):.2f}",
            words(quantile_s(hour.waits, 0.5)),
            words(quantile_s(hour.waits, 0.99)),
            f"{hour.waiting_keys:,.0f}",
            f"{_gb(day, sizes, hour.waiting_keys, hour.waiting_events):.1f}",
        ]
        for number, hour in enumerate(result.hours)
    ]
    return [*table(head, rows), "", summary(day, result, sizes)]


def summary(day: Day, result: Result, sizes: Bytes) -> str:
    """Return the day in a sentence."""
    calls = sum(hour.calls for hour in result.hours)
    events = sum(hour.identifies for hour in result.hours)
    waits = sum((hour.waits for hour in result.hours), start=type(result.hours[0].waits)())
    peak = max(_gb(day, sizes, hour.waiting_keys, hour.waiting_events) for hour in result.hours)
    return (
        f"{events:,.0f} identifies in {calls:,} calls ({calls / events:.5f} an event), "
        f"wait {words(quantile_s(waits, 0.5))} (median), {words(quantile_s(waits, 0.99))} (p99), at most "
        f"{max(hour.waiting_keys for hour in result.hours):,.0f} keys waiting and {peak:.1f} GB in Redis; the org's "
        f"usage reached {result.most_used:,.0f} of {day.quota:,} calls."
    )


def plot(result: Result) -> str:
    """Return the picture of the day: what comes, what is written, what waits."""
    hours = list(enumerate(result.hours, start=FIRST_HOUR))
    return chart(
        "A day against the quota",
        Axis("hour (24 is midnight)"),
        Axis("millions"),
        [
            Line("identifies in the hour", [(number, hour.identifies / 1e6) for number, hour in hours]),
            Line("records written", [(number, hour.keys / 1e6) for number, hour in hours]),
            Line("keys waiting", [(number, hour.waiting_keys / 1e6) for number, hour in hours]),
        ],
    )


def words(seconds: float) -> str:
    """Return a time in the unit that is read easily, such as 2.5 h."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _gb(day: Day, sizes: Bytes, keys: float, events: float) -> float:
    # What is remembered for a day: every message, and of every person who sent anything the Id and the clock.
    remembered = day.identifies * sizes.seen + day.people * sizes.known
    return (keys * sizes.key + events * sizes.event + remembered) / 1e9


def parsed(arguments: Sequence[str] | None) -> tuple[Day, Path | None]:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for one in fields(Day):
        if one.name in _WORDS:
            option = f"--{one.name.replace('_', '-')}"
            parser.add_argument(
                option, type=type(one.default), default=one.default, help=f"{_WORDS[one.name]} (%(default)s)"
            )
    parser.add_argument("--no-lookups", dest="has_lookups", action="store_false", help="as if every Id were cached")
    parser.add_argument("--curve", help="24 numbers with commas between them: what comes in each hour, against others")
    parser.add_argument("--plot", type=Path, help="where to write the plot, an SVG file")
    given = vars(parser.parse_args(arguments))
    place = given.pop("plot")
    curve = given.pop("curve")
    if curve:
        given["curve"] = tuple(float(part) for part in curve.split(","))
    return Day(**given), place


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate and print."""
    day, place = parsed(arguments)
    result = simulate(day)
    print("\n".join(hourly(day, result, Bytes())))
    if place is not None:
        place.write_text(plot(result), encoding="utf-8")


if __name__ == "__main__":
    main()
