"""`pipeline dead-letters`: what could not be delivered, why, and what to do with it."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.chosen_letters import chosen, filters, find, letters_of

if TYPE_CHECKING:
    from pipeline.inbox.chosen_letters import Choice
    from pipeline.inbox.dead_letters import DeadLetter


@click.group(
    name="dead-letters",
    epilog="\b\nExample, after a rule of the org was mended:\n"
    "  pipeline dead-letters list --object Lead --since 2h\n"
    "  pipeline dead-letters retry --object Lead --since 2h",
)
def dead_letters() -> None:
    """Show what could not be delivered and why; retry, export or drop it.

    A dead letter is an event that was rejected on arrival (its object is `events`), or an operation on an object that
    Salesforce refused for good. Nothing leaves the pipeline without being delivered, skipped or kept here.
    """


@dead_letters.command(
    name="list",
    epilog="\b\nExamples:\n  pipeline dead-letters list --object Lead\n"
    "  pipeline dead-letters list --reason INVALID_EMAIL_ADDRESS --since 2h",
)
@filters
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), help="At most so many.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def list_letters(*, limit: int, is_json: bool, **options: Any) -> None:
    """List dead letters, oldest first: id, time, and the reason in Salesforce's own words where it gave one."""
    from rich.console import Console
    from rich.text import Text

    from pipeline.cli.connection import connected
    from pipeline.inbox.chosen_letters import name_of

    with connected() as redis:
        letters = list(islice(letters_of(redis, *chosen(**options)), limit + 1))
    shown = letters[:limit]
    if is_json:
        rows = [{"id": name_of(letter), "time": _time(letter), "reason": letter.reason} for letter in shown]
        click.echo(json.dumps({"dead_letters": rows, "more": len(letters) > limit}))
        return
    console = Console(highlight=False)
    for letter in shown:
        line = Text.assemble((name_of(letter), "bold"), (f"  {_time(letter)}  ", "dim"), letter.reason)
        console.print(line, soft_wrap=True)
    if not shown:
        click.echo("no dead letters")
    elif len(letters) > limit:
        click.echo(f"... and more; see --limit (now {limit})")


@dead_letters.command(epilog="\b\nExample:\n  pipeline dead-letters show Lead/1795478781298-0")
@click.argument("letter_id", metavar="ID")
def show(*, letter_id: str) -> None:
    """Show one dead letter as JSON: event, operation, attempts, and Salesforce's answer as the reason.

    ID is what `list` prints; the event is personal data.
    """
    from pipeline.cli.connection import connected

    with connected() as redis:
        letter = find(redis, letter_id)
    shown: dict[str, Any] = asdict(letter) | {"id": letter_id, "time": _time(letter), "retriable": letter.is_retriable}
    click.echo(json.dumps(shown, indent=2))


@dead_letters.command(
    epilog="\b\nExamples:\n  pipeline dead-letters retry Lead/1795478781298-0\n"
    "  pipeline dead-letters retry --object Lead --reason FIELD_CUSTOM_VALIDATION_EXCEPTION\n"
    "  pipeline dead-letters retry --all"
)
@click.argument("names", metavar="[ID]...", nargs=-1)
@filters
@click.option("--all", "is_all", is_flag=True, help="Every dead letter.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def retry(*, is_all: bool, is_json: bool, **options: Any) -> None:
    """Put dead letters on their way again, once what refused them was mended.

    An operation goes back into its record's inbox with the time of its event, so it overwrites nothing newer that was
    written in the last day. A rejected event is checked and mapped anew by destination.yaml as it is here; one that is
    still invalid stays. What Salesforce refuses again is a new dead letter.
    """
    import os

    from pipeline.settings import load_settings
    from pipeline.tasks.retry import retry_all
    from pipeline.tasks.runtime import Runtime

    names, choice = _limited(*chosen(**options), is_all=is_all)
    runtime = Runtime(load_settings(os.environ))
    done = retry_all(letters_of(runtime.redis, names, choice), runtime)
    if is_json:
        click.echo(json.dumps({"retried": done.moved, "still_refused": done.refused, "gone": done.gone}))
        return
    click.echo(f"{done.moved:,} on their way again")
    if done.refused:
        click.echo(f"{done.refused:,} still cannot be taken in and stay; see `pipeline dead-letters list`")
    if done.unfit:
        click.echo(f"{done.unfit:,} of them cannot be retried: what came was no event in JSON, and is kept as text")
    if done.gone:
        click.echo(f"{done.gone:,} were retried or dropped by somebody else")


@dead_letters.command(
    epilog="\b\nExample, to mend events by hand and send them again:\n"
    "  pipeline dead-letters export --reason INVALID_EMAIL_ADDRESS > events.jsonl\n"
    "  pipeline send events.jsonl\n"
    "  pipeline dead-letters drop --reason INVALID_EMAIL_ADDRESS"
)
@click.argument("names", metavar="[ID]...", nargs=-1)
@filters
def export(**options: Any) -> None:
    """Print the events of dead letters, one JSON object per line, for `pipeline send`. They are personal data.

    The pipeline passes by a message that it has seen, so each event gets a messageId that tells it apart: the old one
    and the dead letter's. Sent twice, it is applied once. All rules apply to it again, not only the one that failed:
    prefer `retry` where the event itself is right.
    """
    from pipeline.cli.connection import connected

    with connected() as redis:
        for letter in letters_of(redis, *chosen(**options)):
            click.echo(json.dumps(_told_apart(letter), separators=(",", ":")))


@dead_letters.command(
    epilog="\b\nExamples:\n  pipeline dead-letters drop events/1795478781298-0\n"
    "  pipeline dead-letters drop --object Lead --until 30d --yes"
)
@click.argument("names", metavar="[ID]...", nargs=-1)
@filters
@click.option("--all", "is_all", is_flag=True, help="Every dead letter.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def drop(*, is_all: bool, is_sure: bool, is_json: bool, **options: Any) -> None:
    """Delete dead letters for good, after asking. There is no way back: `export` them first."""
    from pipeline.cli.connection import connected
    from pipeline.inbox.chosen_letters import drop_all

    names, choice = _limited(*chosen(**options), is_all=is_all)
    with connected() as redis:
        letters = list(letters_of(redis, names, choice))
        if letters and not is_sure:
            click.confirm(f"Delete {len(letters):,} dead letters for good?", abort=True, err=is_json)
        dropped = drop_all(redis, letters)
    click.echo(json.dumps({"deleted": dropped}) if is_json else f"{dropped:,} deleted")


def _limited(names: tuple[str, ...], choice: "Choice", *, is_all: bool) -> "tuple[tuple[str, ...], Choice]":
    is_everything = not names and choice.is_everything
    if is_everything != is_all:
        raise click.UsageError("name dead letters, or choose them by an option; --all stands for every one")
    return names, choice


def _told_apart(letter: "DeadLetter") -> Any:
    from pipeline.events.ids import is_id

    event = letter.event
    if not isinstance(event, dict) or not is_id(event.get("messageId")):
        return event
    return {**event, "messageId": f"{event['messageId']}+{letter.id}"}


def _time(letter: "DeadLetter") -> str:
    return datetime.fromtimestamp(letter.time_ms / 1000, UTC).isoformat(timespec="seconds")
