"""Which dead letters are meant: those of an object, with words in their reason, buried in a span of time."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from redis import Redis

from pipeline.inbox.dead_letters import EVENTS, DeadLetter, dead_letters, drop, find_dead_letter
from pipeline.inbox.inbox import objects

AT_ONCE: Final = 500  # letters that are read, moved or deleted at once
_NAME = re.compile(r"(?P<object>\w+)/(?P<place>[0-9]{1,20}-[0-9]{1,20})")
_MOST_IN_ID: Final = 2**64 - 1  # of either number of a stream's id in Redis


@dataclass(frozen=True, slots=True)
class Choice:
    """What letters have to be to be meant; None limits nothing. `reason` is looked for without regard to case."""

    object_name: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing limits it."""
        return self == type(self)()

    def letters(self, redis: Redis, *, after: str = "") -> Iterator[DeadLetter]:
        """Read them, a page at a time: rejected events, then each object's, oldest first.

        `after` is the name of a letter, as `name_of` returns it, to go on behind.
        """
        return filter(self._fits, _every_dead_letter(redis, self.object_name, after))

    def _fits(self, letter: DeadLetter) -> bool:
        time = datetime.fromtimestamp(letter.time_ms / 1000, UTC)
        return (
            (self.reason is None or self.reason.lower() in letter.reason.lower())
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
        )


def find_by_name(redis: Redis, name: str) -> DeadLetter | None:
    """Read the letter of a name, as Lead/1795478781298-0; None where there is none. Raises ValueError for no name."""
    given = _NAME.fullmatch(name)
    if given is None or any(int(number) > _MOST_IN_ID for number in given["place"].split("-")):
        raise ValueError("an id looks like Lead/1795478781298-0")
    return find_dead_letter(redis, given["object"], given["place"])


def name_of(letter: DeadLetter) -> str:
    """Return the name by which a letter is found again."""
    return f"{letter.object}/{letter.id}"


def chunks(letters: Iterable[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Cut letters into as many as are moved or deleted at once."""
    rest = iter(letters)
    while chunk := list(islice(rest, AT_ONCE)):
        yield chunk


def drop_all(redis: Redis, letters: Iterable[DeadLetter]) -> int:
    """Delete letters of any objects for good; returns how many there were."""
    dropped = 0
    for chunk in chunks(letters):
        for name in dict.fromkeys(letter.object for letter in chunk):
            dropped += drop(redis, name, [letter for letter in chunk if letter.object == name])
    return dropped


def _every_dead_letter(redis: Redis, object_name: str | None, after: str) -> Iterator[DeadLetter]:
    names = [object_name] if object_name else [EVENTS, *objects(redis)]
    seen_object, _, seen_place = after.partition("/")
    if seen_object in names:
        names = names[names.index(seen_object) :]
    for name in names:
        position = seen_place if name == seen_object else "-"
        while page := dead_letters(redis, name, after=position, most=AT_ONCE):
            yield from page
            position = page[-1].id
