"""Queries that return groups: GROUP BY, ROLLUP and CUBE, aggregates, HAVING, and the order of groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, Final

from pipeline.emulator.schema import Field
from pipeline.emulator.soql.columns import Column
from pipeline.emulator.soql.conditions import Conditions
from pipeline.emulator.soql.expressions import Expressions
from pipeline.emulator.soql.formats import formatted
from pipeline.emulator.soql.functions import (
    AGGREGATES,
    DATE_FUNCTIONS,
    SHOWN_AS,
    argument,
    groupable,
    in_order,
    is_aggregate,
)
from pipeline.emulator.soql.plan import Group, Plan, Show
from pipeline.emulator.soql.records import fields_of
from pipeline.emulator.soql.tree import Expression, Function, Path, Query, Selected, TypeOf, malformed
from pipeline.emulator.store import folded

_MOST_SUBTOTALED: Final = 3
_ONLY_GROUPED: Final = "Non-grouped query that uses overall aggregate functions cannot also use {}"


def is_grouped(query: Query) -> bool:
    """Whether a query returns groups and no records."""
    return bool(query.group) or any(
        isinstance(item, Selected) and is_aggregate(item.expression) for item in query.selected
    )


class Groups:
    """Compiles the parts of a query that returns groups; ``conditions`` makes those of HAVING."""

    def __init__(
        self,
        query: Query,
        plan: Plan,
        expressions: Expressions,
        conditions: Callable[[Callable[..., Column]], Conditions],
    ) -> None:
        self._query = query
        self._plan = plan
        self._expressions = expressions
        self._conditions = conditions
        # The SQL of what is grouped, each with its expression.
        self._grouped: dict[str, Expression] = {}

    def select(self) -> None:
        """Fill the plan."""
        self._group()
        columns = [self._selected(item) for item in self._items()]
        keys = self._keys()
        self._plan.groups = [Group(key, field, show) for key, (_, field, show) in zip(keys, columns, strict=True)]
        selected = [sql for sql, _, _ in columns]
        having, parameters = self._having()
        orders = self._orders()
        if self._query.grouping:
            self._whole(selected, having, parameters, orders)
            return
        plan = self._plan
        plan.select = selected
        grouped = ", ".join(self._key(sql) for sql in self._grouped)
        plan.tail = f"{' GROUP BY ' + grouped if grouped else ''}{having}"
        plan.tail_parameters = parameters
        if orders:
            plan.tail += f" ORDER BY {', '.join(f'{sql} {direction}' for sql, direction in orders)}"

    def _group(self) -> None:
        query = self._query
        if not query.group:
            for clause, given in (("ORDER BY", query.order), ("LIMIT", query.limit), ("OFFSET", query.offset)):
                if given or given == 0:
                    raise malformed(_ONLY_GROUPED.format(clause), query.position)
        if query.grouping and len(query.group) > _MOST_SUBTOTALED:
            message = f"GROUP BY {query.grouping} takes at most {_MOST_SUBTOTALED} fields"
            raise malformed(message, query.group[_MOST_SUBTOTALED].position)
        for expression in query.group:
            if is_aggregate(expression):
                raise malformed(f"Grouped field should not be aggregated: {expression}", expression.position)
            column = self._expressions.column(expression, "GROUP BY")
            if isinstance(expression, Path) and not groupable(column.field):
                message = f"field '{column.field.name}' can not be grouped in a query call"
                raise malformed(message, expression.position)
            if column.sql in self._grouped:
                raise malformed(f"duplicate grouping expression: {expression}", expression.position)
            self._grouped[column.sql] = expression
            if query.grouping:
                self._expressions.subtotals[column.sql] = _subtotal(len(self._grouped) - 1)

    def _items(self) -> list[Selected]:
        items: list[Selected] = []
        for item in self._query.selected:
            if isinstance(item, Query):
                raise malformed("a query inside the select list cannot be grouped", item.source_position)
            if isinstance(item, TypeOf):
                raise malformed("TYPEOF cannot be used in a query that is grouped", item.path.position)
            if isinstance(item.expression, Function) and item.expression.name == "FIELDS":
                items += [Selected(path) for path in fields_of(item.expression, self._query, self._plan.one)]
            else:
                items.append(item)
        return items

    def _selected(self, item: Selected) -> tuple[str, Field, Show]:
        """Return the SQL of an item of the select list, the field it is of the kind of, and what shows its values."""
        expression = item.expression
        column = self._column(expression, "SELECT", "Field must be grouped or aggregated")
        formats = isinstance(expression, Function) and expression.name == "FORMAT"
        self._plan.localized |= formats
        if formats:
            return column.sql, column.field, formatted(column.field)
        return column.sql, column.field, bool_or_value if column.field.type == "boolean" else _same

    def _keys(self) -> list[str]:
        """Return the keys of a group's values: aliases, names of fields, or expr0, expr1 and so on."""
        keys: list[str] = []
        unnamed = 0
        for item in self._items():
            key, shown = item.alias, item.expression
            while isinstance(shown, Function) and shown.name in SHOWN_AS:
                shown = argument(shown)
            if key is None and isinstance(shown, Path):
                key = self._expressions.columns.find(shown).field.name
            elif key is None:
                key, unnamed = f"expr{unnamed}", unnamed + 1
            if key.lower() in {known.lower() for known in keys}:
                raise malformed(f"duplicate alias: {key}", item.expression.position)
            keys.append(key)
        return keys

    def _column(self, expression: Expression, clause: str, refusal: str) -> Column:
        """Return an expression's column; raise QueryError when it is neither grouped nor an aggregate."""
        column = self._expressions.column(expression, clause)
        if not self._is_of_group(expression, column):
            raise malformed(f"{refusal}: {expression}", expression.position)
        if not self._query.grouping or is_aggregate(expression):
            return column
        sql = column.sql
        for number, grouped in enumerate(self._grouped):
            sql = sql.replace(grouped, _group(number))
        return replace(column, sql=sql)

    def _is_of_group(self, expression: Expression, column: Column) -> bool:
        if column.sql in self._grouped or column.sql in self._expressions.subtotals.values():
            return True
        if isinstance(expression, Path):
            return False
        if expression.name in AGGREGATES:
            inner = self._expressions.columns.find(argument(expression))  # type: ignore[arg-type]
            if inner.sql in self._grouped and not self._query.grouping:
                message = f"Grouped field should not be aggregated: {argument(expression)}"
                raise malformed(message, expression.position)
            return True
        if expression.name in DATE_FUNCTIONS:
            # A part of a date that is grouped by itself; it does not hold for a dateTime.
            inner_expression = argument(expression)
            inner = self._expressions.columns.find(inner_expression) if isinstance(inner_expression, Path) else column
            return inner.field.type == "date" and inner.sql in self._grouped
        within = argument(expression)
        return self._is_of_group(within, self._expressions.column(within, "SELECT"))

    def _having(self) -> tuple[str, list[Any]]:
        if self._query.having is None:
            return "", []

        def column_of(expression: Expression) -> Column:
            return self._column(expression, "HAVING", "Field must be grouped or aggregated")

        sql, parameters = self._conditions(column_of).sql(self._query.having)
        return f" HAVING {sql}", parameters

    def _orders(self) -> list[tuple[str, str]]:
        """Return what groups are sorted by, with its direction."""
        orders: list[tuple[str, str]] = []
        for item in self._query.order:
            column = self._column(item.expression, "ORDER BY", "Ordered field must be grouped or aggregated")
            direction = "DESC" if item.descending else "ASC"
            nulls_last = item.nulls_last and column.field.type != "reference"
            nulls = f"NULLS {'LAST' if nulls_last else 'FIRST'}"
            orders += [(sql, f"{direction} {nulls}") for sql in in_order(column.field, column.sql)]
        return orders

    def _key(self, sql: str) -> str:
        column = self._expressions.column(self._grouped[sql], "GROUP BY")
        return folded(sql) if column.field.is_text else sql

    # ROLLUP and CUBE.

    def _whole(
        self, columns: Sequence[str], having: str, parameters: list[Any], orders: Sequence[tuple[str, str]]
    ) -> None:
        """Put together one statement for each set of groups, as SQLite has no ROLLUP and no CUBE."""
        plan, grouped = self._plan, list(self._grouped)
        parts: list[str] = []
        sets = _sets(len(grouped), every=self._query.grouping == "CUBE")
        source = f"{self._expressions.columns.from_sql()}{' WHERE ' + plan.where if plan.where else ''}"
        names = [f"c{number}" for number in range(len(columns))]
        order_names = [f"o{number}" for number in range(len(orders))]
        for kept in sets:
            # What is not grouped in this set is null, and its row a subtotal.
            filled = {_subtotal(number): str(int(number not in kept)) for number in range(len(grouped))}
            filled |= {_group(number): sql if number in kept else "NULL" for number, sql in enumerate(grouped)}
            keys = ", ".join(self._key(grouped[number]) for number in kept)
            shown = [
                f"{_with(sql, filled)} AS {name}"
                for sql, name in zip((*columns, *(sql for sql, _ in orders)), (*names, *order_names), strict=True)
            ]
            group = f" GROUP BY {keys}" if keys else ""
            # The grand total has no group of its own; that it counts makes it one row.
            part = f"SELECT {', '.join(shown)}, COUNT(*) FROM {source}{group}"  # noqa: S608 - names of the describe
            parts.append(part + _with(having, filled))
        directions = [f"{name} {direction}" for name, (_, direction) in zip(order_names, orders, strict=True)]
        order = f" ORDER BY {', '.join(directions)}" if directions else ""
        plan.whole = f"SELECT {', '.join(names)} FROM ({' UNION ALL '.join(parts)}){order}"  # noqa: S608 - as above
        plan.parameters = [*plan.parameters, *parameters] * len(sets)


def _sets(count: int, *, every: bool) -> list[tuple[int, ...]]:
    """Return the sets of fields that are grouped: for ROLLUP the first n, for CUBE all combinations; largest first."""
    if every:
        return [kept for size in range(count, -1, -1) for kept in combinations(range(count), size)]
    return [tuple(range(size)) for size in range(count, -1, -1)]


def _subtotal(number: int) -> str:
    return f"{{subtotal {number}}}"


def _group(number: int) -> str:
    return f"{{group {number}}}"


def _with(sql: str, filled: dict[str, str]) -> str:
    """Return SQL with the marks of groups and subtotals filled in."""
    for mark, meant in filled.items():
        sql = sql.replace(mark, meant)
    return sql


def bool_or_value(value: Any) -> Any:
    """Return a stored boolean as one."""
    return None if value is None else bool(value)


def _same(value: Any) -> Any:
    return value
