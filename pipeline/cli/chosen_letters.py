"""Which dead letters a command is about: those that are named, or those that fit the options."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli import Failure

if TYPE_CHECKING:
    from redis import Redis

    from pipeline.inbox.dead_letters import DeadLetter

_PAGE = 500
_ID = re.compile(r"(?P<object>\w+)/(?P<place>[0-9]{1,20}-[0-9]{1,20})")
_MOST_IN_ID = 2**64 - 1  # of either number of a stream's id in Redis
_AGO = re.compile(r"(?P<number>[0-9]+)\s*(?P<unit>[smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Time(click.ParamType[datetime]):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        ago = _AGO.fullmatch(value.strip().lower())
        try:
            if ago:
                return datetime.now(UTC) - timedelta(**{_UNITS[ago["unit"]]: int(ago["number"])})
            time = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            self.fail("write a time as 2026-01-31T08:00:00Z, or an age as 30m, 2h or 7d", param, ctx)
        return time if time.tzinfo else time.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Choice:
    """The letters that are named, else those of an object, with words in their reason, buried in a span of time."""

    names: tuple[str, ...] = ()
    object_name: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing limits it."""
        return self == Choice()

    def letters(self, redis: "Redis") -> "Iterator[DeadLetter]":
        """Read them, a page at a time, oldest first. Raises Failure for a name that no letter has."""
        if self.names:
            return (find(redis, name) for name in self.names)
        return filter(self._fits, every_dead_letter(redis, self.object_name))

    def _fits(self, letter: "DeadLetter") -> bool:
        time = datetime.fromtimestamp(letter.time_ms / 1000, UTC)
        return (
            (self.reason is None or self.reason.lower() in letter.reason.lower())
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
        )


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


def find(redis: "Redis", name: str) -> "DeadLetter":
    """Read the letter of a name as `list` prints it. Raises Failure, and BadParameter for what is no name."""
    from pipeline.inbox.dead_letters import find_dead_letter

    given = _ID.fullmatch(name)
    if given is None or any(int(number) > _MOST_IN_ID for number in given["place"].split("-")):
        raise click.BadParameter("an id looks like Lead/1795478781298-0", param_hint="ID")
    letter = find_dead_letter(redis, given["object"], given["place"])
    if letter is None:
        raise Failure(f"there is no dead letter {name}; see `pipeline dead-letters list`")
    return letter
