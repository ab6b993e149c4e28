"""A query compiled: the SQL to run, and the shape of the records that come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.emulator.schema import Field, SObject

Show = Callable[[Any], Any]


@dataclass(slots=True)
class Leaf:
    """A field of a record that comes out: its key, where its values stand in the row, and how they are read."""

    key: str
    positions: tuple[int, ...]
    field: Field
    # What FORMAT makes of the value.
    show: Show | None = None


@dataclass(slots=True)
class Node:
    """A record that comes out: its fields and the records inside it, in the order of the select list."""

    # Positions of the Ids of the objects the record can be of.
    entities: list[tuple[SObject, int]]
    entries: list[Leaf | tuple[str, Node] | Choice] = field(default_factory=list)
    inner: dict[str, Node] = field(default_factory=dict)
    # The keys that are taken, in lower case.
    keys: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Choice:
    """A record inside another whose fields depend on its object (TYPEOF)."""

    key: str
    # Each with one object of its own, but the last, which is ELSE's.
    nodes: list[Node]


@dataclass(slots=True)
class Children:
    """A query inside the select list: its plan, and the reference field that points at the parent."""

    key: str
    plan: Plan
    position: int


@dataclass(slots=True)
class Group:
    """A value of the rows that an aggregate returns: its key, the field it is of the kind of, and what shows it."""

    key: str
    field: Field
    show: Show


@dataclass(slots=True)
class Plan:
    """What answers a query. ``sql`` lacks LIMIT and OFFSET, which the reader adds."""

    one: SObject
    select: list[str] = field(default_factory=list)
    source: str = ""
    where: str = ""
    parameters: list[Any] = field(default_factory=list)
    tail: str = ""
    tail_parameters: list[Any] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0
    # With OFFSET there is one page and no further one.
    one_page: bool = False
    node: Node | None = None
    # What an aggregate's rows hold; empty for a query that returns records.
    groups: list[Group] = field(default_factory=list)
    counts: bool = False
    children: list[Children] = field(default_factory=list)
    # The whole statement, where it takes several (GROUP BY ROLLUP and CUBE).
    whole: str = ""
    # Whether the answer depends on the language and the time zone of the user.
    localized: bool = False
    zoned: bool = False
    # Whether TYPEOF is part of it.
    chooses: bool = False

    def sql(self, *, extra: str = "", columns: str | None = None) -> str:
        """Return the statement, with a further condition or other columns."""
        if self.whole:
            return self.whole
        where = " AND ".join(filter(None, (self.where, extra)))
        return (
            f"SELECT {columns or ', '.join(self.select)} FROM {self.source}"  # noqa: S608 - names of the describe
            f"{' WHERE ' + where if where else ''}{self.tail}"
        )

    def place(self, sql: str) -> int:
        """Return the position of a column in the row, adding it when it is new."""
        if sql not in self.select:
            self.select.append(sql)
        return self.select.index(sql)


def address_parts(one: SObject, compound: Field) -> list[Field | None]:
    """Return city, country, accuracy, latitude, longitude, postal code, state and street of an address field.

    In an org with picklists of states and countries, the codes of country and state follow.
    """
    prefix = compound.name.removesuffix("Address")
    names = ["City", "Country", "GeocodeAccuracy", "Latitude", "Longitude", "PostalCode", "State", "Street"]
    names += ["CountryCode", "StateCode"] if f"{prefix}CountryCode" in one.fields else []
    return [one.fields.get(prefix + name) for name in names]
