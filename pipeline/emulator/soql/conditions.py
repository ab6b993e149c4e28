"""WHERE and HAVING as SQL, with Salesforce's rules for case, nulls and types (SOQL reference, comparison operators)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, NoReturn

from pipeline.emulator import ids
from pipeline.emulator.schema import ID_TYPES, NUMBER_TYPES, Field
from pipeline.emulator.soql.columns import Column
from pipeline.emulator.soql.dates import Days, days_of
from pipeline.emulator.soql.parse import (
    Compare,
    Condition,
    Expression,
    Function,
    Member,
    Path,
    Query,
    QueryError,
    Value,
    malformed,
    unescape,
)
from pipeline.emulator.store import fold
from pipeline.emulator.values import DATETIME_FORMAT, read_datetime

_WORDS = {"datetime": "dateTime", "currency": "double", "percent": "double"}
_LARGEST = 2**63
# (SQL, parameters)
Sql = tuple[str, list[Any]]


class Conditions:
    """Translates conditions; ``column_of`` finds an expression's column, ``semi_join`` compiles an inner query."""

    def __init__(
        self,
        column_of: Callable[[Expression], Column],
        semi_join: Callable[[Query], Sql],
        looked_up: Callable[[Column], None],
        today: date,
    ) -> None:
        self._column_of = column_of
        self._semi_join = semi_join
        self._looked_up = looked_up
        self._today = today

    def sql(self, condition: Condition) -> Sql:
        """Return a condition as SQL."""
        if isinstance(condition, Compare):
            return self._compare(condition)
        if isinstance(condition, Member):
            return self._member(condition)
        parts = [self.sql(part) for part in condition.parts]
        parameters = [parameter for _, given in parts for parameter in given]
        if condition.operator == "NOT":
            # SOQL knows true and false only: a comparison with a null is false, and its negation true.
            return f"NOT COALESCE(({parts[0][0]}), 0)", parameters
        return "(" + f" {condition.operator} ".join(sql for sql, _ in parts) + ")", parameters

    def _filterable(self, expression: Expression) -> Column:
        column = self._column_of(expression)
        if isinstance(expression, Path) and (not column.field.filterable or column.field.is_compound):
            message = f"field '{column.field.name}' can not be filtered in a query call"
            raise QueryError("INVALID_FIELD", message, expression.position)
        return column

    def _compare(self, condition: Compare) -> Sql:  # noqa: PLR0911  (one return for each kind of comparison)
        column = self._filterable(condition.left)
        known, sql, operator, value = column.field, column.sql, condition.operator, condition.right
        if value.kind == "null" or (value.kind == "string" and value.value == "" and known.is_text):
            if known.type == "boolean":
                return f"{sql} {'=' if operator == '=' else '!='} 0", []
            if operator not in {"=", "!="}:
                return "0", []
            return f"{sql} IS {'NOT ' if operator == '!=' else ''}NULL", []
        if operator == "LIKE":
            return self._like(column, value)
        if value.kind == "date_literal":
            return self._date_literal(column, operator, value)
        given = self._literal(known, value)
        if operator == "=":
            self._looked_up(column)
        if known.is_text and not known.case_sensitive:
            sql, given = f"fold({sql})", fold(given)
        if operator == "!=":
            return f"({sql} != ? OR {sql} IS NULL)", [given]
        return f"{sql} {operator} ?", [given]

    def _like(self, column: Column, value: Value) -> Sql:
        if value.kind != "string" or not column.field.is_text:
            _refuse_operator(column.field, value)
        pattern = unescape(value.raw, value.position, like=True)
        return f"fold({column.sql}) LIKE ? ESCAPE '\\'", [fold(pattern)]

    def _date_literal(self, column: Column, operator: str, value: Value) -> Sql:
        days = days_of(value.value, self._today)
        if days is None:
            # A bare word is no literal at all.
            raise malformed(f"unexpected token: '{value.value}'", value.position)
        if column.field.type not in {"date", "datetime"}:
            _refuse_type(column.field, value)
        return self._in_days(column.sql, operator, days, column.field)

    @staticmethod
    def _in_days(sql: str, operator: str, days: Days, known: Field) -> Sql:
        first, after = (day.isoformat() for day in days)
        if known.type == "datetime":
            first, after = (f"{day}T00:00:00.000+0000" for day in (first, after))
        if operator == "=":
            return f"({sql} >= ? AND {sql} < ?)", [first, after]
        if operator == "!=":
            return f"({sql} < ? OR {sql} >= ? OR {sql} IS NULL)", [first, after]
        # Before the range, or from its end on; "greater or equal" includes it.
        if operator in {"<", ">="}:
            return f"{sql} {operator} ?", [first]
        return f"{sql} {'<' if operator == '<=' else '>='} ?", [after]

    def _member(self, condition: Member) -> Sql:
        column = self._filterable(condition.left)
        known, negated = column.field, condition.operator in {"NOT IN", "EXCLUDES"}
        if condition.operator in {"INCLUDES", "EXCLUDES"}:
            return self._includes(column, condition, negated=negated)
        if isinstance(condition.choices, Query):
            inner, parameters = self._semi_join(condition.choices)
            return f"{column.sql} {'NOT ' if negated else ''}IN ({inner})", parameters
        sql = column.sql
        folds = known.is_text and not known.case_sensitive
        given: list[Any] = []
        with_null = False
        for choice in condition.choices:
            if choice.kind == "null" or (choice.kind == "string" and choice.value == "" and known.is_text):
                with_null = True
            elif choice.kind == "date_literal":
                raise malformed(f"unexpected token: '{choice.value}'", choice.position)
            else:
                value = self._literal(known, choice)
                given.append(fold(value) if folds else value)
        if not negated:
            self._looked_up(column)
        if folds:
            sql = f"fold({sql})"
        inside = f"{sql} {'NOT ' if negated else ''}IN ({', '.join('?' * len(given))})"
        if negated:
            return f"({inside} {'AND' if with_null else 'OR'} {sql} IS {'NOT ' if with_null else ''}NULL)", given
        return (f"({inside} OR {sql} IS NULL)" if with_null else inside), given

    @staticmethod
    def _includes(column: Column, condition: Member, *, negated: bool) -> Sql:
        if column.field.type != "multipicklist" or isinstance(condition.choices, Query):
            operator = condition.operator.lower()
            message = f"{operator} operator only valid on multi picklist fields"
            raise QueryError("INVALID_QUERY_FILTER_OPERATOR", message, getattr(condition.left, "position", None))
        parts: list[str] = []
        parameters: list[Any] = []
        for choice in condition.choices:
            # "A;B" asks for records that have both.
            wanted = [one.strip() for one in str(choice.value).split(";")]
            parts.append(" AND ".join([f"instr(';' || fold({column.sql}) || ';', ?)"] * len(wanted)))
            parameters += [f";{fold(one)};" for one in wanted]
        sql = " OR ".join(f"({part})" for part in parts)
        return (f"NOT COALESCE(({sql}), 0)" if negated else f"({sql})"), parameters

    def _literal(self, known: Field, value: Value) -> Any:  # noqa: C901, PLR0911  (one branch for each type)
        """Return a literal in stored form, or refuse one whose type does not fit the field."""
        if known.type in ID_TYPES:
            if value.kind != "string":
                _refuse_type(known, value)
            try:
                return ids.canonical(value.value)
            except ids.NotAnId:
                message = f"invalid ID field: {value.value}"
                raise QueryError("INVALID_QUERY_FILTER_OPERATOR", message, value.position) from None
        if known.is_text:
            if value.kind != "string":
                _refuse_type(known, value)
            return value.value
        if known.type in NUMBER_TYPES and value.kind == "number":
            # Beyond what the database holds as an integer.
            return value.value if abs(value.value) < _LARGEST else float(value.value)
        if known.type == "boolean" and value.kind == "boolean":
            return int(value.value)
        if known.type == "date" and value.kind == "date":
            try:
                return date.fromisoformat(value.value).isoformat()
            except ValueError:
                raise malformed(f"Invalid date value: {value.value}", value.position) from None
        if known.type == "datetime" and value.kind == "datetime":
            try:
                return read_datetime(value.value).strftime(DATETIME_FORMAT)
            except ValueError:
                raise malformed(f"Invalid dateTime value: {value.value}", value.position) from None
        return _refuse_type(known, value)


def _refuse_type(known: Field, value: Value) -> NoReturn:
    word = "string" if known.is_text or known.type in ID_TYPES else _WORDS.get(known.type, known.type)
    wrapped = "should be enclosed in quotes" if word == "string" else "should not be enclosed in quotes"
    message = f"value of filter criterion for field '{known.name}' must be of type {word} and {wrapped}"
    raise QueryError("INVALID_FIELD", message, value.position)


def _refuse_operator(known: Field, value: Value) -> NoReturn:
    message = f"invalid operator on {known.type} field"
    raise QueryError("INVALID_QUERY_FILTER_OPERATOR", message, value.position)


def is_aggregate(expression: Expression) -> bool:
    """Whether an expression summarises rows."""
    return isinstance(expression, Function) and expression.name in AGGREGATES


AGGREGATES = frozenset({"COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"})
