"""Merge the operations of one record key into as few changes as leave the record as applying them one by one would."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.delivery.shape import createable, updateable
from pipeline.operation import Json, Verb
from pipeline.options import Lookup
from pipeline.salesforce.describe import ObjectDescribe

# Options that say what one operation writes or when, and not how its record is found.
_PER_OPERATION = frozenset({"lookups", "clear_nulls", "priority"})
EVERYTHING = "*"  # in a clock: the time at which the record was deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One operation, shaped: values by API name, and where it stands in the inbox."""

    position: int
    time_ms: int
    verb: Verb
    match: Mapping[str, Json] = field(default_factory=dict)
    fields: Mapping[str, Json] = field(default_factory=dict)
    on_create: Mapping[str, Json] = field(default_factory=dict)
    lookups: Mapping[str, Lookup] = field(default_factory=dict)  # field → the record that it points to
    reads: tuple[str, ...] = ()  # of a read: the fields to return
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What a run of operations asks of one record, in one write."""

    parts: tuple[Part, ...]  # in event-time order; never empty

    @property
    def verb(self) -> Verb:
        """The first operation decides: after an upsert the record exists, so updates that follow join it."""
        return self.parts[0].verb

    @property
    def match(self) -> Mapping[str, Json]:
        """Field → value of the record to look for."""
        return self.parts[0].match

    @property
    def options(self) -> Mapping[str, Json]:
        """What the rule says about delivery; the same for all parts."""
        return self.parts[0].options

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields to ask for when the record is looked up."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.reads))

    @property
    def positions(self) -> tuple[int, ...]:
        """Where the operations stand in the inbox."""
        return tuple(part.position for part in self.parts)

    def halves(self) -> "tuple[Change, Change]":
        """Split a change of several operations, so that one that spoils it comes to stand alone."""
        middle = len(self.parts) // 2
        return Change(self.parts[:middle]), Change(self.parts[middle:])

    def to_update(self, describe: ObjectDescribe) -> dict[str, Json]:
        """Return what to write where the record exists; later values win."""
        return updateable(_merged(self.parts), describe)

    def to_create(self, describe: ObjectDescribe) -> tuple[dict[str, Json], dict[str, Json]]:
        """Return what to write where the record does not exist, and what only an update after that can write.

        The first operation creates, so it brings what is createable; the others update, so they bring what is
        updateable. A field that can be updated but not created has to follow in a second write.
        """
        first, *others = self.parts
        created = createable({**first.on_create, **first.fields}, describe)
        later = _merged(others)
        both = createable(updateable(later, describe), describe)
        after = {name: value for name, value in updateable(later, describe).items() if name not in both}
        return created | both, after

    def times(self) -> dict[str, int]:
        """Return for each field the event time of the value that won."""
        return {name: part.time_ms for part in self.parts for name in part.fields}


def merge(parts: Sequence[Part], clock: Mapping[str, int]) -> list[Change]:
    """Merge operations given in event-time order into changes, values older than the clock left out.

    Upserts and the updates that follow them are one change, as are runs of updates or deletes, if their rules ask for
    the same delivery. A field older than what was applied before (`clock`, field → Unix milliseconds) is left out.
    """
    runs: list[list[Part]] = []
    for part in parts:
        current = fresh(part, clock)
        if runs and _joins(current, runs[-1]):
            runs[-1].append(current)
        else:
            runs.append([current])
    return [Change(tuple(run)) for run in runs]


def fresh(part: Part, clock: Mapping[str, int]) -> Part:
    """Leave out the fields of an operation for which a newer event was applied before."""
    deleted_ms = clock.get(EVERYTHING, 0)
    kept = {name: value for name, value in part.fields.items() if part.time_ms >= max(clock.get(name, 0), deleted_ms)}
    return part if len(kept) == len(part.fields) else replace(part, fields=kept)


def advance(clock: Mapping[str, int], change: Change) -> dict[str, int]:
    """Return the clock after a change was applied."""
    if change.verb == "delete":
        return {EVERYTHING: max(part.time_ms for part in change.parts)}
    moved = dict(clock)
    for name, time_ms in change.times().items():
        moved[name] = max(moved.get(name, 0), time_ms)
    return moved


def is_stale(part: Part, clock: Mapping[str, int]) -> bool:
    """Tell whether a newer event has overtaken all that this operation would do."""
    newest = max(clock.values(), default=0)
    if part.verb == "delete":
        return part.time_ms < newest
    return part.time_ms < clock.get(EVERYTHING, 0)


def _joins(part: Part, run: Sequence[Part]) -> bool:
    first = run[0]
    verbs = (first.verb, part.verb)
    same = verbs in {("upsert", "upsert"), ("upsert", "update"), ("update", "update"), ("delete", "delete")}
    return same and _delivery(part) == _delivery(first)


def _delivery(part: Part) -> Mapping[str, Json]:
    return {name: value for name, value in part.options.items() if name not in _PER_OPERATION}


def _merged(parts: Iterable[Part]) -> dict[str, Json]:
    return {name: value for part in parts for name, value in part.fields.items()}
