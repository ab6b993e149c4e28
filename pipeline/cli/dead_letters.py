"""`pipeline dead-letters`: what could not be delivered, and why."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli import Failure

if TYPE_CHECKING:
    from redis import Redis

    from pipeline.inbox.dead_letters import DeadLetter

_PAGE = 500
_ID = re.compile(r"(?P<object>\w+)/(?P<place>\d+-\d+)")


def every_dead_letter(redis: "Redis", object_name: str | None = None) -> "Iterator[DeadLetter]":
    """Read the dead letters of one object, or of all and of rejected events, a page at a time, oldest first."""
    from pipeline.inbox.dead_letters import EVENTS
    from pipeline.inbox.dead_letters import dead_letters as read_page
    from pipeline.inbox.inbox import objects

    for name in [object_name] if object_name else [EVENTS, *objects(redis)]:
        after = "-"
        while page := read_page(redis, name, after=after, most=_PAGE):
            yield from page
            after = page[-1].id


@click.group(name="dead-letters")
def dead_letters() -> None:
    """Show what could not be delivered, and why.

    A dead letter is an event that was rejected on arrival (its object is `events`), or an operation on an object that
    Salesforce refused for good. Nothing leaves the pipeline without being delivered, skipped or kept here.
    """


@dead_letters.command(name="list", epilog="\b\nExample:\n  pipeline dead-letters list --object Lead")
@click.option("--object", "object_name", help="Only this object's, as Lead; `events` for rejected events.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), help="At most so many.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def list_letters(*, object_name: str | None, limit: int, is_json: bool) -> None:
    """List dead letters, oldest first: id, time, and the reason in Salesforce's own words where it gave one."""
    from itertools import islice

    from pipeline.cli.connection import connected

    with connected() as redis:
        letters = list(islice(every_dead_letter(redis, object_name), limit + 1))
    shown = letters[:limit]
    if is_json:
        rows = [{"id": _name(letter), "time": _time(letter), "reason": letter.reason} for letter in shown]
        click.echo(json.dumps({"dead_letters": rows, "more": len(letters) > limit}))
        return
    for letter in shown:
        click.echo(f"{_name(letter)}  {_time(letter)}  {letter.reason}")
    if not shown:
        click.echo("no dead letters")
    elif len(letters) > limit:
        click.echo(f"... and more; see --limit (now {limit})")


@dead_letters.command(epilog="\b\nExample:\n  pipeline dead-letters show Lead/1795478781298-0")
@click.argument("letter_id", metavar="ID")
def show(*, letter_id: str) -> None:
    """Show one dead letter with the whole event, as JSON. ID is what `list` prints; the event is personal data."""
    from pipeline.cli.connection import connected
    from pipeline.inbox.dead_letters import find_dead_letter

    given = _ID.fullmatch(letter_id)
    if given is None:
        raise click.BadParameter("an id looks like Lead/1795478781298-0", param_hint="ID")
    with connected() as redis:
        letter = find_dead_letter(redis, given["object"], given["place"])
    if letter is None:
        raise Failure(f"there is no dead letter {letter_id}; see `pipeline dead-letters list`")
    shown: dict[str, Any] = asdict(letter) | {"id": letter_id, "time": _time(letter)}
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False))


def _name(letter: "DeadLetter") -> str:
    return f"{letter.object}/{letter.id}"


def _time(letter: "DeadLetter") -> str:
    return datetime.fromtimestamp(letter.time_ms / 1000, UTC).isoformat(timespec="seconds")
