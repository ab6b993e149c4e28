"""The org's records in SQLite: one table per object, one column per stored field.

Text is compared by its folded form, as Salesforce compares it without case; the folded form is indexed the first time
a field is looked up in a table large enough to matter, so that a write pays only for what is read.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipeline.emulator.schema import ID_TYPES, NUMBER_TYPES, Field, Schema, SObject
from pipeline.emulator.values import Stored

Row = tuple[Any, ...]
# Below this many rows a scan is quicker than building an index.
_INDEX_FROM = 200
# Of the Earth, which the formula takes for a ball.
_RADIUS_KM, _RADIUS_MI = 6_371.0088, 3_958.7613
# Of the parameters that SQLite takes in one statement (32,766), how many one lookup uses.
MOST_PARAMETERS = 20_000


def fold(text: Any) -> Any:
    """Return the form in which two texts are equal when Salesforce calls them equal; other values stay as they are."""
    return text.casefold() if isinstance(text, str) else text


def folded(sql: str) -> str:
    """Return SQL for the folded form of a text; one of plain letters is folded without a call of Python.

    An index is on ``fold(...)`` itself, so what is looked up by value is compared with that.
    """
    return f"CASE WHEN length({sql}) = length(CAST({sql} AS BLOB)) THEN lower({sql}) ELSE fold({sql}) END"


def _compare_folded(one: str, other: str) -> int:
    first, second = one.casefold(), other.casefold()
    return (first > second) - (first < second)


def distance(*given: Any) -> float | None:
    """Return how far two places are apart, by the haversine formula: latitudes and longitudes, then "mi" or "km"."""
    if None in given:
        return None
    first, west, second, east = (math.radians(degrees) for degrees in given[:4])
    high, wide = math.sin((second - first) / 2) ** 2, math.sin((east - west) / 2) ** 2
    angle = 2 * math.asin(math.sqrt(min(1.0, high + math.cos(first) * math.cos(second) * wide)))
    return angle * (_RADIUS_MI if given[4] == "mi" else _RADIUS_KM)


def quote(name: str) -> str:
    """Quote a table or column name; names come from the describe, never from a request."""
    return f'"{name}"'


def _affinity(field: Field) -> str:
    if field.type in {"boolean", "int"}:
        return "INTEGER"
    return "REAL" if field.type in NUMBER_TYPES else "TEXT"


def _column(field: Field) -> str:
    if field.name == "Id":
        return '"Id" TEXT PRIMARY KEY NOT NULL'
    default = ""
    if field.type == "boolean":
        default = f" NOT NULL DEFAULT {int(bool(field.default_value))}"
    elif field.type in NUMBER_TYPES and not field.nillable:
        default = " DEFAULT 0"
    return f"{quote(field.name)} {_affinity(field)}{default}"


class Store:
    """The database. It is used by one thread, the server's; a transaction ends before its reply is sent."""

    def __init__(self, schema: Schema, path: str | None = None) -> None:
        self.schema = schema
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        # A crash of the machine may lose the last replies; a crash of the process loses nothing.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.create_function("fold", 1, fold, deterministic=True)
        self._db.create_function("distance", 5, distance, deterministic=True)
        self._db.create_collation("folded", _compare_folded)
        self._depth = 0
        self._indexed: set[str] = set()
        self._db.execute("CREATE TABLE IF NOT EXISTS emulator_sequence (name TEXT PRIMARY KEY, last INTEGER NOT NULL)")
        for one in schema.objects.values():
            self.add_table(one)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def add_table(self, one: SObject) -> None:
        """Create an object's table, or add the columns it has not yet (a file kept from an earlier run)."""
        columns = ", ".join(_column(field) for field in one.stored)
        self._db.execute(f"CREATE TABLE IF NOT EXISTS {quote(one.name)} ({columns})")
        known = {row[1] for row in self._db.execute(f"PRAGMA table_info({quote(one.name)})")}
        for field in one.stored:
            if field.name not in known:
                self._db.execute(f"ALTER TABLE {quote(one.name)} ADD COLUMN {_column(field)}")
        for field in one.unique:
            self.index(one, field)

    def add_function(self, name: str, function: Callable[..., Any]) -> None:
        """Let SQL call a function of Python, with any number of arguments."""
        self._db.create_function(name, -1, function, deterministic=True)

    def clear(self) -> None:
        """Delete every record; Ids start again."""
        with self.transaction():
            for name in self.schema.objects:
                self._db.execute(f"DELETE FROM {quote(name)}")  # noqa: S608 - the name comes from the describe
            self._db.execute("DELETE FROM emulator_sequence")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Do everything inside or nothing; inside another transaction it is a savepoint."""
        depth = self._depth
        self._db.execute("BEGIN IMMEDIATE" if depth == 0 else f"SAVEPOINT level{depth}")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK" if depth == 0 else f"ROLLBACK TO level{depth}")
            if depth:
                self._db.execute(f"RELEASE level{depth}")
            raise
        else:
            self._db.execute("COMMIT" if depth == 0 else f"RELEASE level{depth}")
        finally:
            self._depth = depth

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._db.execute(sql, parameters)

    def insert(self, one: SObject, rows: list[dict[str, Stored]]) -> None:
        """Insert rows; those with the same columns go in one statement."""
        for columns, group in _by_columns(rows).items():
            names = ", ".join(map(quote, columns))
            marks = ", ".join("?" * len(columns))
            sql = f"INSERT INTO {quote(one.name)} ({names}) VALUES ({marks})"  # noqa: S608 - names of the describe
            self._db.executemany(sql, [tuple(row.values()) for row in group])

    def update(self, one: SObject, changes: list[tuple[str, dict[str, Stored]]]) -> None:
        """Update records by Id, each with the columns that change."""
        groups: dict[tuple[str, ...], list[Row]] = {}
        for record_id, row in changes:
            groups.setdefault(tuple(row), []).append((*row.values(), record_id))
        for columns, group in groups.items():
            if columns:
                sets = ", ".join(f"{quote(column)} = ?" for column in columns)
                sql = f"UPDATE {quote(one.name)} SET {sets} WHERE Id = ?"  # noqa: S608 - names of the describe
                self._db.executemany(sql, group)

    def delete_for_good(self, one: SObject, record_ids: Sequence[str]) -> None:
        """Remove rows from their table."""
        sql = f"DELETE FROM {quote(one.name)} WHERE Id = ?"  # noqa: S608 - the name comes from the describe
        self._db.executemany(sql, [(record_id,) for record_id in record_ids])

    def rows(self, one: SObject, columns: Sequence[str], record_ids: Sequence[str]) -> dict[str, Row]:
        """Return the columns of records by Id, deleted ones as well; unknown Ids are left out."""
        names = ", ".join(map(quote, ("Id", *columns)))
        found: dict[str, Row] = {}
        for start in range(0, len(record_ids), MOST_PARAMETERS):
            part = list(record_ids[start : start + MOST_PARAMETERS])
            marks = ", ".join("?" * len(part))
            sql = f"SELECT {names} FROM {quote(one.name)} WHERE Id IN ({marks})"  # noqa: S608 - names of the describe
            for row in self._db.execute(sql, part):
                found[row[0]] = row[1:]
        return found

    def matching(
        self, one: SObject, field: Field, values: Sequence[Stored], *, deleted: bool = False
    ) -> list[tuple[Stored, str]]:
        """Return (folded value, Id) of the records whose field has one of the values, in the order of creation."""
        self.index(one, field, at_least=_INDEX_FROM)
        exact = field.case_sensitive or not field.is_text
        column = quote(field.name) if exact else f"fold({quote(field.name)})"
        where = "" if deleted or not one.has_deleted else " AND IsDeleted = 0"
        found: list[tuple[Stored, str]] = []
        for start in range(0, len(values), MOST_PARAMETERS):
            part = [value if exact else fold(value) for value in values[start : start + MOST_PARAMETERS]]
            marks = ", ".join("?" * len(part))
            sql = (
                f"SELECT {column}, Id FROM {quote(one.name)}"  # noqa: S608 - names of the describe
                f" WHERE {column} IN ({marks}){where} ORDER BY rowid"
            )
            found.extend(self._db.execute(sql, part))
        return found

    def index(self, one: SObject, field: Field, *, at_least: int = 0) -> None:
        """Index a field the way it is looked up, once its table has that many rows."""
        name = f"{one.name}.{field.name}"
        if name in self._indexed or field.name == "Id" or field.is_compound:
            return
        if at_least:
            newest = self._db.execute(f"SELECT max(rowid) FROM {quote(one.name)}").fetchone()[0]  # noqa: S608 - as above
            if (newest or 0) < at_least:
                return
        plain = field.case_sensitive or field.type in ID_TYPES or not field.is_text
        column = quote(field.name) if plain else f"fold({quote(field.name)})"
        self._db.execute(f"CREATE INDEX IF NOT EXISTS {quote('by ' + name)} ON {quote(one.name)} ({column})")
        self._indexed.add(name)

    def count(self, one: SObject) -> int:
        """Return how many records an object has, without the recycle bin."""
        where = " WHERE IsDeleted = 0" if one.has_deleted else ""
        sql = f"SELECT count(*) FROM {quote(one.name)}{where}"  # noqa: S608 - the name comes from the describe
        return int(self._db.execute(sql).fetchone()[0])

    def last_number(self, sequence: str) -> int:
        """Return the number that a sequence reached."""
        row = self._db.execute("SELECT last FROM emulator_sequence WHERE name = ?", (sequence,)).fetchone()
        return int(row[0]) if row else 0

    def keep_number(self, sequence: str, last: int) -> None:
        """Store the number that a sequence reached, in the transaction that used it."""
        self._db.execute("INSERT OR REPLACE INTO emulator_sequence VALUES (?, ?)", (sequence, last))


def _by_columns(rows: list[dict[str, Stored]]) -> dict[tuple[str, ...], list[dict[str, Stored]]]:
    groups: dict[tuple[str, ...], list[dict[str, Stored]]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return groups
