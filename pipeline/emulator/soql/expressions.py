"""Expressions of one query as columns: fields, aggregates, parts of dates, distances."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pipeline.emulator.schema import COMPOUND_TYPES
from pipeline.emulator.soql.columns import Column, Columns
from pipeline.emulator.soql.functions import (
    AGGREGATES,
    CLAUSES,
    DATE_FUNCTIONS,
    aggregates,
    argument,
    check_shown,
    extreme,
    number,
)
from pipeline.emulator.soql.plan import address_parts
from pipeline.emulator.soql.tree import Expression, Function, Path, Value, beyond, malformed, unexpected
from pipeline.emulator.store import folded, quote

_WRITTEN: Final = {"TOLABEL": "toLabel", "CONVERTCURRENCY": "convertCurrency", "CONVERTTIMEZONE": "convertTimezone"}
_UNITS: Final = frozenset({"mi", "km"})


class Expressions:
    """Finds the column of an expression of one query."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        # GROUP BY ROLLUP or CUBE: the SQL of each grouped field, and whether a row is its subtotal.
        self.subtotals: dict[str, str] = {}
        self.zoned = False

    def column(self, expression: Expression, clause: str) -> Column:
        """Return an expression's column in a clause; raise QueryError where the clause has no place for it."""
        if isinstance(expression, Path):
            return self.columns.find(expression)
        name = expression.name
        if name not in CLAUSES and name not in {"CONVERTTIMEZONE", "GEOLOCATION"}:
            raise unexpected(name, expression.position)
        if clause not in CLAUSES.get(name, frozenset()):
            raise malformed(f"{_WRITTEN.get(name, name)} is not allowed in {clause}", expression.position)
        if name == "DISTANCE":
            return self._distance(expression)
        inner = argument(expression)
        if name == "CONVERTCURRENCY":
            raise beyond("convertCurrency: no currency is converted")
        if name in DATE_FUNCTIONS:
            return self._date_part(expression, inner)
        if name == "GROUPING":
            return self._grouping(expression, inner)
        if name in AGGREGATES:
            if not isinstance(inner, Path):
                raise unexpected(inner.name, inner.position)
            return self._aggregate(expression, self.columns.find(inner))
        return self._as_shown(expression, inner, clause)

    def _as_shown(self, expression: Function, inner: Expression, clause: str) -> Column:
        """Return the column of FORMAT and toLabel, whose value is another one only where it is shown."""
        column = self.column(inner, clause)
        check_shown(expression, column.field, entity=column.entity)
        return column

    def _aggregate(self, expression: Function, inner: Column) -> Column:
        name, known = expression.name, inner.field
        if name not in aggregates(known):
            message = f"field {known.name} does not support aggregate operator {name}"
            raise malformed(message, expression.position)
        if name == "COUNT_DISTINCT":
            sql = f"COUNT(DISTINCT {folded(inner.sql) if known.is_text else inner.sql})"
            return Column(number(str(expression)), sql, inner.entity)
        if name == "COUNT":
            return Column(number(str(expression)), f"COUNT({inner.sql})", inner.entity)
        if name in {"MIN", "MAX"}:
            return Column(known, extreme(name, known, inner.sql), inner.entity)
        shown = replace(known, name=str(expression), type="double" if known.type == "int" else known.type)
        return Column(shown, f"{name}({inner.sql})", inner.entity)

    def _date_part(self, expression: Function, inner: Expression) -> Column:
        function = DATE_FUNCTIONS[expression.name]
        if isinstance(inner, Function) and inner.name == "CONVERTTIMEZONE":
            self.zoned = True
            inner = argument(inner)
            of = self.columns.find(inner) if isinstance(inner, Path) else None
            if of is None or of.field.type != "datetime":
                raise malformed(f"convertTimezone takes a dateTime field, not {inner}", inner.position)
        if not isinstance(inner, Path):
            raise unexpected(inner.name, inner.position)
        column = self.columns.find(inner)
        fits = {"datetime"} if function.datetime_only else {"date", "datetime"}
        if column.field.type not in fits:
            message = f"field {column.field.name} does not support {expression.name}: its type is {column.field.type}"
            raise malformed(message, expression.position)
        return Column(number(str(expression), function.gives), function.sql.format(column.sql), column.entity)

    def _grouping(self, expression: Function, inner: Expression) -> Column:
        column = self.column(inner, "GROUP BY")
        if column.sql not in self.subtotals:
            message = f"GROUPING takes a field of GROUP BY ROLLUP or GROUP BY CUBE, not {inner}"
            raise malformed(message, expression.position)
        return Column(number(str(expression)), self.subtotals[column.sql], column.entity)

    def _distance(self, expression: Function) -> Column:
        if len(expression.arguments) != 3:  # noqa: PLR2004  (two places and a unit)
            raise malformed("DISTANCE takes two locations and a unit", expression.position)
        first, second, unit = expression.arguments
        if not isinstance(first, Path):
            raise malformed("the first location of DISTANCE must be a field", expression.position)
        if not isinstance(unit, Value) or unit.raw.lower() not in _UNITS:
            raise malformed("the unit of DISTANCE must be 'mi' or 'km'", expression.position)
        if isinstance(second, Function) and second.name == "GEOLOCATION":
            there = _coordinates(second)
        elif isinstance(second, Path):
            there = self._location(second)
        else:
            raise malformed("the second location of DISTANCE must be a field or a GEOLOCATION", expression.position)
        sql = f"distance({', '.join((*self._location(first), *there))}, '{unit.raw.lower()}')"
        return Column(number("DISTANCE", "double"), sql, self.columns.one.name)

    def _location(self, path: Path) -> tuple[str, str]:
        column = self.columns.find(path)
        if column.field.type not in COMPOUND_TYPES:
            raise malformed(f"field {column.field.name} is no location", path.position)
        parts = self.parts(column)
        latitude, longitude = parts[3], parts[4]
        if latitude is None or longitude is None:
            raise beyond(f"the location {column.field.name}")
        return latitude, longitude

    def parts(self, column: Column) -> list[str | None]:
        """Return the SQL of a compound field's parts, in the order of plan.address_parts."""
        one, alias = (self.columns.one, self.columns.alias) if column.join is None else column.join.tables[0]
        return [f"{alias}.{quote(part.name)}" if part else None for part in address_parts(one, column.field)]


def _coordinates(expression: Function) -> tuple[str, str]:
    """Return a GEOLOCATION's latitude and longitude as SQL."""
    found = [value.value for value in expression.arguments if isinstance(value, Value) and value.kind == "number"]
    if len(found) != len(expression.arguments) or len(found) != 2:  # noqa: PLR2004  (latitude and longitude)
        raise malformed("GEOLOCATION takes a latitude and a longitude", expression.position)
    latitude, longitude = (float(value) for value in found)
    return repr(latitude), repr(longitude)
