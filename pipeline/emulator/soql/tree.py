"""What a SOQL or SOSL statement says, as plain values that remember where they stood in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pipeline.emulator.errors import ApiError, not_covered, refuse

# How much of the statement an error message shows around the position.
_BEFORE, _AFTER = 60, 20


@dataclass(frozen=True, slots=True)
class Path:
    """A field, reached through relationships: ``Account.Owner.Name``."""

    names: tuple[str, ...]
    position: int

    def __str__(self) -> str:
        """Return the path as it is written."""
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Function:
    """A call such as ``COUNT(Id)`` or ``FIELDS(ALL)``; the name in capitals."""

    name: str
    arguments: tuple[Path | Function | Value, ...]
    position: int

    def __str__(self) -> str:
        """Return the call as it is written, its name in capitals."""
        return f"{self.name}({', '.join(map(str, self.arguments))})"


Expression = Path | Function


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: its kind, its value, and for a string its text before the escapes were read."""

    kind: Literal["string", "number", "datetime", "date", "boolean", "null", "date_literal", "currency", "bind"]
    value: Any
    position: int
    raw: str = ""

    def __str__(self) -> str:
        """Return the literal, roughly as it is written."""
        return f"'{self.raw}'" if self.kind == "string" else str(self.value)


@dataclass(frozen=True, slots=True)
class Compare:
    """``field operator value``; LIKE is an operator too."""

    left: Expression
    operator: str
    right: Value


@dataclass(frozen=True, slots=True)
class Member:
    """``field IN (...)`` and its kin; ``choices`` are literals or a query of one field."""

    left: Expression
    operator: str
    choices: tuple[Value, ...] | Query


@dataclass(frozen=True, slots=True)
class Logic:
    """AND, OR or NOT over conditions."""

    operator: Literal["AND", "OR", "NOT"]
    parts: tuple[Condition, ...]


Condition = Compare | Member | Logic


@dataclass(frozen=True, slots=True)
class Selected:
    """One item of the select list."""

    expression: Expression
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class TypeOf:
    """``TYPEOF What WHEN Account THEN Phone ELSE Name END``; without ELSE ``otherwise`` is None."""

    path: Path
    whens: tuple[tuple[Path, tuple[Selected, ...]], ...]
    otherwise: tuple[Selected, ...] | None


@dataclass(frozen=True, slots=True)
class Order:
    """One item of ORDER BY; nulls come first unless the query says otherwise."""

    expression: Expression
    descending: bool = False
    nulls_last: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """One object of FROM, or a relationship that gets a short name there: ``Contact c, c.Account a``."""

    path: Path
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query, or one inside another."""

    position: int
    selected: tuple[Selected | Query | TypeOf, ...]
    sources: tuple[Source, ...]
    scope: Path | None = None
    where: Condition | None = None
    # What stands behind WITH, and where.
    with_clause: Value | None = None
    group: tuple[Expression, ...] = ()
    grouping: Literal["", "ROLLUP", "CUBE"] = ""
    having: Condition | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int | None = None
    # FOR VIEW, UPDATE TRACKING and their like, with their places.
    ends: tuple[tuple[str, int], ...] = ()

    @property
    def source(self) -> str:
        """The object or relationship that is queried, as it is written."""
        return str(self.sources[0].path)

    @property
    def alias(self) -> str | None:
        """The short name of what is queried."""
        return self.sources[0].alias

    @property
    def source_position(self) -> int:
        """Where the object stands."""
        return self.sources[0].path.position


@dataclass(frozen=True, slots=True)
class Returned:
    """One object of RETURNING; ``query`` is None when no fields are named."""

    name: Path
    query: Query | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """A SOSL statement."""

    term: str
    group: str = "ALL"
    returned: tuple[Returned, ...] = ()
    limit: int | None = None


@dataclass
class QueryError(Exception):
    """What is wrong with a query, and where; ``position`` counts characters from 0."""

    code: str
    message: str
    position: int | None = None
    # Not wrong, but beyond what the emulator does.
    beyond: bool = False

    def reply(self, text: str) -> ApiError:
        """Return the 400 with the snippet and the caret under the place."""
        if self.beyond:
            return not_covered(self.message)
        if self.position is None:
            return refuse(400, self.code, self.message)
        before = text[: self.position]
        row = before.count("\n") + 1
        column = self.position - (before.rfind("\n") + 1) + 1
        start = max(self.position - _BEFORE, before.rfind("\n") + 1)
        end = text.find("\n", self.position)
        shown = text[start : min(self.position + _AFTER, end if end >= 0 else len(text))]
        caret = " " * (self.position - start) + "^"
        return refuse(400, self.code, f"\n{shown}\n{caret}\nERROR at Row:{row}:Column:{column}\n{self.message}")


def malformed(message: str, position: int | None = None) -> QueryError:
    """Return a MALFORMED_QUERY."""
    return QueryError("MALFORMED_QUERY", message, position)


def unexpected(token: object, position: int | None = None) -> QueryError:
    """Return the refusal of a word that the grammar has no place for."""
    return malformed(f"unexpected token: '{token}'", position)


def beyond(what: str) -> QueryError:
    """Return the refusal of what Salesforce answers and this emulator does not."""
    return QueryError("NOT_COVERED", what, beyond=True)
