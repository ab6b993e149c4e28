"""Which dead letters a command is about: those that are named, or those that fit the options."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli import Failure

if TYPE_CHECKING:
    from redis import Redis

    from pipeline.inbox.chosen_letters import Choice
    from pipeline.inbox.dead_letters import DeadLetter

_AGO = re.compile(r"(?P<number>[0-9]+)\s*(?P<unit>[smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Time(click.ParamType["datetime | timedelta"]):
    """A time, or how long ago, which is counted from now by the clock of Redis."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        if isinstance(value, datetime | timedelta):
            return value
        ago = _AGO.fullmatch(value.strip().lower())
        try:
            if ago:
                age = timedelta(**{_UNITS[ago["unit"]]: int(ago["number"])})
                datetime.now(UTC) - age  # raises for more than there were years
                return age
            time = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            self.fail("write a time as 2026-01-31T08:00:00Z, or an age as 30m, 2h or 7d", param, ctx)
        return time if time.tzinfo else time.replace(tzinfo=UTC)


def filters(command: _Command) -> _Command:
    """Add the options that choose dead letters."""
    for option in (
        click.option("--until", type=_Time(), help="Buried before this time; as --since."),
        click.option("--since", type=_Time(), help="Buried since this time, as 2026-01-31T08:00Z, or so long ago: 2h."),
        click.option("--reason", metavar="TEXT", help="With this text in the reason, as INVALID_EMAIL_ADDRESS."),
        click.option("--object", "object_name", help="Only this object's, as Lead; `events` for rejected events."),
    ):
        command = option(command)
    return command


def chosen(names: tuple[str, ...] = (), **filters: Any) -> "tuple[tuple[str, ...], Choice]":
    """Return the names that a command was given, and what its options say."""
    from pipeline.cli.connection import connected
    from pipeline.inbox.chosen_letters import Choice
    from pipeline.state_store import ServerClock

    ages = {name: value for name, value in filters.items() if isinstance(value, timedelta)}
    if ages:
        with connected() as redis:
            now = ServerClock(redis).now()
        filters |= {name: now - age for name, age in ages.items()}
    return names, Choice(**filters)


def letters_of(redis: "Redis", names: tuple[str, ...], choice: "Choice") -> "Iterator[DeadLetter]":
    """Read the letters that are named, else those that fit. Raises Failure for a name that no letter has."""
    return (find(redis, name) for name in names) if names else choice.letters(redis)


def find(redis: "Redis", name: str) -> "DeadLetter":
    """Read the letter of a name as `list` prints it. Raises Failure, and BadParameter for what is no name."""
    from pipeline.inbox.chosen_letters import find_by_name

    try:
        letter = find_by_name(redis, name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ID") from None
    if letter is None:
        raise Failure(f"there is no dead letter {name}; see `pipeline dead-letters list`")
    return letter
