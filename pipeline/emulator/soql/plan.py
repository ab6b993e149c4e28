"""A query compiled: the SQL to run, and the shape of the records that come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pipeline.emulator.errors import SEE_DESCRIBE
from pipeline.emulator.schema import NUMBER_TYPES, Field, Schema, SObject, field_of
from pipeline.emulator.soql.columns import Column, Columns
from pipeline.emulator.soql.conditions import AGGREGATES, Conditions, Sql, is_aggregate
from pipeline.emulator.soql.parse import Expression, Function, Path, Query, QueryError, Selected, malformed
from pipeline.emulator.store import quote

# SOQL limits.
MOST_OFFSET = 2_000
MOST_FIELDS_ROWS = 200
_DATE_PARTS = {
    "CALENDAR_YEAR": "CAST(substr({0}, 1, 4) AS INTEGER)",
    "CALENDAR_MONTH": "CAST(substr({0}, 6, 2) AS INTEGER)",
    "CALENDAR_QUARTER": "(CAST(substr({0}, 6, 2) AS INTEGER) + 2) / 3",
    "FISCAL_YEAR": "CAST(substr({0}, 1, 4) AS INTEGER)",
    "FISCAL_MONTH": "CAST(substr({0}, 6, 2) AS INTEGER)",
    "FISCAL_QUARTER": "(CAST(substr({0}, 6, 2) AS INTEGER) + 2) / 3",
    "DAY_IN_MONTH": "CAST(substr({0}, 9, 2) AS INTEGER)",
    "HOUR_IN_DAY": "CAST(substr({0}, 12, 2) AS INTEGER)",
    "DAY_ONLY": "substr({0}, 1, 10)",
}
_SHOWN_AS = frozenset({"TOLABEL", "FORMAT", "CONVERTCURRENCY", "CONVERTTIMEZONE"})
_SELECTORS = frozenset({"ALL", "STANDARD", "CUSTOM"})


@dataclass(slots=True)
class Leaf:
    """A field of a record that comes out: its key, where its values stand in the row, and how they are read."""

    key: str
    positions: tuple[int, ...]
    field: Field


@dataclass(slots=True)
class Node:
    """A record that comes out: its fields and the records inside it, in the order of the select list."""

    # Positions of the Ids of the objects the record can be of.
    entities: list[tuple[SObject, int]]
    entries: list[Leaf | tuple[str, Node]] = field(default_factory=list)
    inner: dict[str, Node] = field(default_factory=dict)


@dataclass(slots=True)
class Children:
    """A query inside the select list: its plan, and the reference field that points at the parent."""

    key: str
    plan: Plan
    position: int


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
    node: Node | None = None
    # Keys of an aggregate's rows with their fields; empty for a query that returns records.
    groups: list[tuple[str, Field | None]] = field(default_factory=list)
    counts: bool = False
    children: list[Children] = field(default_factory=list)

    def sql(self, *, extra: str = "", columns: str | None = None) -> str:
        """Return the statement, with a further condition or other columns."""
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


class Compiler:
    """Compiles queries against a schema; ``looked_up`` is told which fields are searched for exact values."""

    def __init__(self, schema: Schema, today: date, looked_up: Callable[[SObject, Field], None]) -> None:
        self._schema = schema
        self._today = today
        self._looked_up = looked_up

    def compile(self, query: Query, *, deleted: bool = False) -> Plan:
        """Return the plan of a query; raise QueryError."""
        one = self._schema.get(query.source)
        if one is None or not one.queryable:
            message = (
                f"sObject type '{query.source}' is not supported. If you are attempting to use a custom object, be sure"
                f" to append the '__c' after the entity name. {SEE_DESCRIBE}"
            )
            raise QueryError("INVALID_TYPE", message, query.source_position)
        return self._compile(query, one, deleted=deleted or query.all_rows)

    def _compile(self, query: Query, one: SObject, *, deleted: bool, alias: str = "t") -> Plan:
        names = [query.source, one.name, *([query.alias] if query.alias else [])]
        columns = Columns(self._schema, one, alias, names)
        plan = Plan(one, limit=query.limit, offset=query.offset)
        if query.offset > MOST_OFFSET:
            raise QueryError("NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000")
        if self._only_counts(query):
            plan.counts = True
        elif query.group or any(
            isinstance(item, Selected) and is_aggregate(item.expression) for item in query.selected
        ):
            self._select_groups(query, plan, columns)
        else:
            self._select_records(query, plan, columns, deleted=deleted)
        self._filter(query, plan, columns, deleted=deleted)
        self._order(query, plan, columns)
        plan.source = columns.from_sql()
        return plan

    @staticmethod
    def _only_counts(query: Query) -> bool:
        counts = [
            item
            for item in query.selected
            if isinstance(item, Selected)
            and isinstance(item.expression, Function)
            and item.expression.name == "COUNT"
            and not item.expression.arguments
        ]
        if counts and (len(query.selected) > 1 or query.group):
            function = counts[0].expression
            message = "Grouped query with COUNT() or COUNT() beside other fields is not supported"
            raise malformed(message, function.position)
        return bool(counts)

    # Records.

    def _select_records(self, query: Query, plan: Plan, columns: Columns, *, deleted: bool) -> None:
        plan.node = Node([(plan.one, plan.place(f"{columns.alias}.Id"))])
        seen: set[tuple[str, ...]] = set()
        for item in query.selected:
            if isinstance(item, Query):
                plan.children.append(self._children(item, plan, deleted=deleted))
                continue
            for path in self._expand(item.expression, query, plan.one):
                names = tuple(name.lower() for name in columns.strip(path))
                if names in seen:
                    raise QueryError(
                        "INVALID_FIELD", f"duplicate field selected: {'.'.join(path.names)}", path.position
                    )
                seen.add(names)
                self._place(plan, columns, path)

    def _expand(self, expression: Expression, query: Query, one: SObject) -> list[Path]:
        """Return the fields that an item of the select list stands for."""
        if isinstance(expression, Path):
            return [expression]
        argument = expression.arguments[0] if expression.arguments else None
        if expression.name == "FIELDS" and isinstance(argument, Path) and argument.names[0].upper() in _SELECTORS:
            which = argument.names[0].upper()
            if which != "STANDARD" and (query.limit is None or query.limit > MOST_FIELDS_ROWS):
                raise malformed("The SOQL FIELDS function must have a LIMIT of at most 200", expression.position)
            chosen = [known for known in one.fields.values() if which == "ALL" or known.custom == (which == "CUSTOM")]
            return [Path((known.name,), expression.position) for known in chosen]
        if expression.name in _SHOWN_AS and isinstance(argument, Path):
            return [argument]
        if expression.name in _DATE_PARTS:
            raise malformed(f"{expression.name} needs GROUP BY", expression.position)
        raise malformed(f"unexpected token: '{expression.name}'", expression.position)

    def _place(self, plan: Plan, columns: Columns, path: Path) -> None:
        names = columns.strip(path)
        assert plan.node is not None
        node = plan.node
        for depth in range(1, len(names)):
            join = columns.reach(names[:depth], path.position)
            assert join is not None
            key = join.reference.relationship_name or names[depth - 1]
            inner = node.inner.get(key)
            if inner is None:
                entities = [(one, plan.place(f"{alias}.Id")) for one, alias in join.tables]
                inner = node.inner[key] = Node(entities)
                node.entries.append((key, inner))
            node = inner
        column = columns.find(path)
        node.entries.append(Leaf(column.field.name, self._positions(plan, columns, column), column.field))

    @staticmethod
    def _positions(plan: Plan, columns: Columns, column: Column) -> tuple[int, ...]:
        if not column.field.is_compound:
            return (plan.place(column.sql),)
        one, alias = (columns.one, columns.alias) if column.join is None else column.join.tables[0]
        return tuple(
            plan.place(f"{alias}.{quote(part.name)}") if part else -1 for part in address_parts(one, column.field)
        )

    def _children(self, query: Query, plan: Plan, *, deleted: bool) -> Children:
        for child, reference in self._schema.children(plan.one.name):
            name = reference.child_relationship_name
            if name and name.lower() == query.source.lower():
                inner = self._compile(query, child, deleted=deleted)
                if inner.node is None:
                    raise malformed("aggregates are not allowed in a query inside a select list", query.source_position)
                return Children(name, inner, inner.place(f"t.{quote(reference.name)}"))
        message = (
            f"Didn't understand relationship '{query.source}' in FROM part of query call. If you are attempting to use"
            " a custom relationship, be sure to append the '__r' after the custom relationship name. " + SEE_DESCRIBE
        )
        raise QueryError("INVALID_TYPE", message, query.source_position)

    # Groups.

    def _select_groups(self, query: Query, plan: Plan, columns: Columns) -> None:
        grouped = {self._key(columns, expression): expression for expression in query.group}
        unnamed = 0
        for item in query.selected:
            if isinstance(item, Query):
                raise malformed("a query inside the select list cannot be grouped", item.source_position)
            expression = item.expression
            if not is_aggregate(expression) and self._key(columns, expression) not in grouped:
                name = ".".join(expression.names) if isinstance(expression, Path) else expression.name
                raise malformed(f"Field must be grouped or aggregated: {name}", expression.position)
            column = self._column(columns, expression)
            key = item.alias
            if key is None and isinstance(expression, Path):
                key = column.field.name
            elif key is None:
                key, unnamed = f"expr{unnamed}", unnamed + 1
            plan.select.append(column.sql)
            numeric = isinstance(expression, Function) and expression.name not in {"MIN", "MAX", "DAY_ONLY"}
            plan.groups.append((key, None if numeric else column.field))
        keys = []
        for expression in query.group:
            column = self._column(columns, expression)
            if isinstance(expression, Path) and not column.field.groupable:
                message = f"field '{column.field.name}' can not be grouped in a query call"
                raise malformed(message, expression.position)
            keys.append(f"fold({column.sql})" if column.field.is_text else column.sql)
        plan.tail = f" GROUP BY {', '.join(keys)}" if keys else ""
        if query.having is not None:
            sql, parameters = self._conditions(columns, grouped=True).sql(query.having)
            plan.tail += f" HAVING {sql}"
            plan.tail_parameters += parameters

    def _key(self, columns: Columns, expression: Expression) -> str:
        return self._column(columns, expression).sql

    def _column(self, columns: Columns, expression: Expression) -> Column:
        """Return any expression as a column: a field, an aggregate or a part of a date."""
        if isinstance(expression, Path):
            return columns.find(expression)
        inner = [self._column(columns, argument) for argument in expression.arguments]
        if expression.name in AGGREGATES and len(inner) == 1:
            return self._aggregate(expression, inner[0])
        if expression.name in _DATE_PARTS and len(inner) == 1 and inner[0].field.type in {"date", "datetime"}:
            return Column(inner[0].field, _DATE_PARTS[expression.name].format(inner[0].sql), inner[0].entity)
        if expression.name in _SHOWN_AS and len(inner) == 1:
            return inner[0]
        raise malformed(f"unexpected token: '{expression.name}'", expression.position)

    @staticmethod
    def _aggregate(expression: Function, inner: Column) -> Column:
        name, known = expression.name, inner.field
        if known.is_compound or (name in {"SUM", "AVG"} and known.type not in NUMBER_TYPES):
            message = f"field {known.name} does not support aggregate operator {name}"
            raise malformed(message, expression.position)
        if name == "COUNT_DISTINCT":
            sql = f"COUNT(DISTINCT {f'fold({inner.sql})' if known.is_text else inner.sql})"
        else:
            sql = f"{name}({inner.sql})"
        shown = _NUMBER if name in {"COUNT", "COUNT_DISTINCT", "SUM", "AVG"} else known
        return Column(shown, sql, inner.entity)

    # The rest of the statement.

    def _conditions(self, columns: Columns, *, grouped: bool = False) -> Conditions:
        def looked_up(column: Column) -> None:
            if column.join is None:
                self._looked_up(columns.one, column.field)

        def column_of(expression: Expression) -> Column:
            if not grouped:
                _refuse_aggregate(expression)
            return self._column(columns, expression)

        return Conditions(column_of, self._semi_join, looked_up, self._today)

    def _semi_join(self, query: Query) -> Sql:
        one = self._schema.get(query.source)
        if one is None:
            raise QueryError("INVALID_TYPE", f"sObject type '{query.source}' is not supported.", query.source_position)
        plan = self._compile(query, one, deleted=False, alias="s")
        if plan.node is None or len(query.selected) != 1 or not isinstance(plan.node.entries[0], Leaf):
            raise malformed("a query inside IN must select exactly one field", query.source_position)
        column = plan.select[plan.node.entries[0].positions[0]]
        wanted = f"{column} IS NOT NULL"
        return plan.sql(columns=column, extra=wanted), [*plan.parameters, *plan.tail_parameters]

    def _filter(self, query: Query, plan: Plan, columns: Columns, *, deleted: bool) -> None:
        wheres: list[str] = []
        if query.where is not None:
            sql, plan.parameters = self._conditions(columns).sql(query.where)
            wheres.append(sql)
        if plan.one.has_deleted and not deleted:
            wheres.append(f"{columns.alias}.IsDeleted = 0")
        plan.where = " AND ".join(wheres)

    def _order(self, query: Query, plan: Plan, columns: Columns) -> None:
        items: list[str] = []
        for item in query.order:
            if plan.node is not None or plan.counts:
                _refuse_aggregate(item.expression)
            column = self._column(columns, item.expression)
            if isinstance(item.expression, Path) and not column.field.sortable:
                message = f"field '{column.field.name}' can not be sorted in a query call"
                raise malformed(message, item.expression.position)
            sql = f"fold({column.sql})" if column.field.is_text else column.sql
            direction = "DESC" if item.descending else "ASC"
            items.append(f"{sql} {direction} NULLS {'LAST' if item.nulls_last else 'FIRST'}")
        if plan.node is not None:
            # Salesforce promises no order without ORDER BY; creation order is what it mostly shows.
            items.append(f"{columns.alias}.rowid")
        if items and not plan.counts:
            plan.tail += f" ORDER BY {', '.join(items)}"


def _refuse_aggregate(expression: Expression) -> None:
    """Refuse an aggregate where rows are not grouped."""
    if is_aggregate(expression):
        assert isinstance(expression, Function)
        raise malformed("Grouped field should not be aggregated", expression.position)


def address_parts(one: SObject, compound: Field) -> list[Field | None]:
    """Return city, country, accuracy, latitude, longitude, postal code, state and street of an address field.

    In an org with picklists of states and countries, the codes of country and state follow.
    """
    prefix = compound.name.removesuffix("Address")
    names = ["City", "Country", "GeocodeAccuracy", "Latitude", "Longitude", "PostalCode", "State", "Street"]
    names += ["CountryCode", "StateCode"] if f"{prefix}CountryCode" in one.fields else []
    return [one.fields.get(prefix + name) for name in names]


# What COUNT, SUM and AVG return.
_NUMBER = field_of({"name": "expr", "type": "double"})
