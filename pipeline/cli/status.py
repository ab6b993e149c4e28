"""`pipeline status`: what waits, what is in flight, what the quota allows, at one look."""

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.flow import UNREADABLE

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.salesforce.pause import PauseState
    from pipeline.tasks.runtime import Runtime

_HERE = "this machine"
_MOST_SHOWN = 15  # of what was left out; `--json` has all of it


@click.command(epilog="\b\nExamples:\n  pipeline status\n  pipeline status --json | jq .backlog")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def status(*, is_json: bool) -> None:
    """Show what waits, what is in flight, what the quota allows, and whether delivery is paused.

    `events` stands for events that no worker has taken in yet. Values that were left out of a record, because the org
    has no field for them or none that they fit, are counted by name. Exit code 0 whatever it shows.
    """
    from pipeline.settings import load_settings
    from pipeline.tasks.runtime import Runtime

    figures = measure(Runtime(load_settings(os.environ)))
    if is_json:
        click.echo(json.dumps(figures))
    else:
        _show(figures)


def measure(runtime: "Runtime") -> dict[str, Any]:
    """Return the figures under the names of the `--json` contract; None for what the org has not told yet."""
    from pipeline.inbox.dead_letters import EVENTS, count_dead_letters, received, skipped_by_reason
    from pipeline.inbox.inbox import objects
    from pipeline.inbox.waiting import waiting
    from pipeline.metrics.alive import server_time, skews
    from pipeline.settings import unchecked
    from pipeline.tasks.eviction import warnings
    from pipeline.tasks.ingest import queued

    redis = runtime.redis
    own_skew_s = server_time(redis)[1]
    names = sorted({*objects(redis), *runtime.settings.destination.objects})
    measured = waiting(redis, names)
    quota, paused, age_s = runtime.gate.status(), runtime.pause.why(), runtime.session.age_s()
    return {
        "backlog": {EVENTS: queued(), **{name: it.backlog for name, it in measured.items()}},
        "oldest_event_age_s": {name: round(it.oldest_s, 3) for name, it in measured.items()},
        "in_flight": {name: it.in_flight for name, it in measured.items()},
        "dead_letters": {
            EVENTS: count_dead_letters(redis, EVENTS),
            **{name: it.dead_letters for name, it in measured.items()},
        },
        "unreadable": queued(UNREADABLE),
        "events": {
            **dict.fromkeys(("accepted", "skipped", "rejected"), 0),
            **received(redis),
            "skipped_by_reason": skipped_by_reason(redis),
        },
        "redis": {
            "address": runtime.settings.redis.shown,
            "broker": runtime.settings.broker.shown,
            "warnings": warnings(runtime.settings, redis) + unchecked(runtime.settings.redis, runtime.settings.broker),
        },
        "quota": {"limit": quota.limit, "used": quota.used, "budget_left": quota.budget_left},
        "session": {"age_s": None if age_s is None else round(age_s, 1)},
        "left_out": {name: told for name in names if (told := runtime.inbox(name).left_out())},
        "clock_skew_s": skews(redis) | ({_HERE: own_skew_s} if own_skew_s else {}),
        "paused": None if paused is None else _told(paused),
        "paused_objects": {name: _told(state) for name, state in runtime.pause.held_objects().items()},
    }


def _told(state: "PauseState") -> dict[str, str]:
    since = datetime.fromtimestamp(state.since_ms / 1000, UTC)
    return {"reason": state.reason, "advice": state.advice, "since": since.isoformat(timespec="seconds")}


def _show(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from pipeline.metrics.alive import skew_in_words

    console = Console()
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("waiting", "oldest", "in flight", "dead letters"):
        table.add_column(heading, justify="right")
    for name, backlog in figures["backlog"].items():
        age_s = figures["oldest_event_age_s"].get(name)
        table.add_row(
            name,
            f"{backlog:,}",
            f"{age_s:,.0f} s" if age_s else "",
            f"{figures['in_flight'].get(name, 0):,}",
            f"{figures['dead_letters'][name]:,}",
        )
    console.print(table)
    quota, age_s = figures["quota"], figures["session"]["age_s"]
    if quota["limit"] is None:
        console.print("quota: not known yet; the org tells it with its first answer")
    else:
        used, limit, left = quota["used"], quota["limit"], quota["budget_left"]
        console.print(f"quota: {used:,} of {limit:,} calls used in 24 hours, {left:,} left to this pipeline")
    console.print("session: none yet" if age_s is None else f"session: {age_s / 60:,.0f} minutes old")
    if figures["unreadable"]:
        console.print(f"unreadable: {figures['unreadable']:,} in the list {UNREADABLE}, which are no Celery messages")
    for node, skew_s in figures["clock_skew_s"].items():
        told = skew_in_words(f"the clock of {node}", skew_s)
        console.print(f"[bold red]clock[/]: {escape(told)}", highlight=False, soft_wrap=True)
    _show_skipped(console, figures["events"]["skipped_by_reason"])
    console.print(f"redis: {figures['redis']['address']}", markup=False, highlight=False, soft_wrap=True)
    for warning in figures["redis"]["warnings"]:
        console.print(f"redis: {warning}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    _show_left_out(console, figures["left_out"])
    for pause in filter(None, (figures["paused"], *figures["paused_objects"].values())):
        # Salesforce's and the operator's own words: nothing in them is markup.
        text = escape(f"{pause['reason']}, since {pause['since']}\n  {pause['advice']}")
        console.print(f"[bold red]paused[/]: {text}", highlight=False)


def _show_skipped(console: "Console", skipped: dict[str, int]) -> None:
    from pipeline.events.opt_in import in_words

    for reason, times in skipped.items():
        told = f"skipped: {times:,} event{'' if times == 1 else 's'}: {in_words(reason)}"
        console.print(told, markup=False, highlight=False, soft_wrap=True)


def _show_left_out(console: "Console", left_out: dict[str, dict[str, int]]) -> None:
    told = [(times, name, sentence) for name, counted in left_out.items() for sentence, times in counted.items()]
    for times, name, sentence in sorted(told, key=lambda one: (-one[0], one[1:]))[:_MOST_SHOWN]:
        where = "" if sentence.endswith(f" on {name}") else f"{name}: "
        # Names of traits come from events: brackets in them are no markup.
        console.print(f"left out: {where}{sentence}: {times:,} times", markup=False, highlight=False, soft_wrap=True)
    if len(told) > _MOST_SHOWN:
        console.print(f"left out: {len(told) - _MOST_SHOWN} more kinds, see --json")
