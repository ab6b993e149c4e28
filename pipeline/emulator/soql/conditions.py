"""WHERE and HAVING as SQL, with Salesforce's rules for case, nulls and types (SOQL reference, comparison operators)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, NoReturn

from pipeline.emulator import ids
from pipeline.emulator.schema import ID_TYPES, NUMBER_TYPES, Field
from pipeline.emulator.soql.columns import Column
from pipeline.emulator.soql.dates import Days, days_of
from pipeline.emulator.soql.functions import DATE_FUNCTIONS, filterable, operators
from pipeline.emulator.soql.parse import unescape
from pipeline.emulator.soql.tree import (
    Compare,
    Condition,
    Expression,
    Function,
    Member,
    Path,
    Query,
    QueryError,
    Value,
    beyond,
    malformed,
    unexpected,
)
from pipeline.emulator.store import fold, folded
from pipeline.emulator.values import DATETIME_FORMAT, read_datetime

_WORDS = {"datetime": "dateTime", "currency": "double", "percent": "double"}
_LARGEST = 2**63
# Dates that a query may name (Date Formats and Date Literals in WHERE).
_FIRST_DAY, _LAST_DAY = "1700-01-01", "4000-12-31"
# (SQL, parameters)
Sql = tuple[str, list[Any]]


class Conditions:
    """Translates conditions; ``column_of`` finds an expression's column, ``semi_join`` compiles an inner query."""

    def __init__(
        self,
        column_of: Callable[[Expression], Column],
        semi_join: Callable[[Member, Column], Sql],
        looked_up: Callable[[Column], None],
        today: date,
        spans_days: Callable[[], None],
    ) -> None:
        self._column_of = column_of
        self._semi_join = semi_join
        self._looked_up = looked_up
        self._today = today
        # Called for a literal that stands for days, which are the user's own.
        self._spans_days = spans_days

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
        if isinstance(expression, Path) and not filterable(column.field):
            message = f"field '{column.field.name}' can not be filtered in a query call"
            raise QueryError("INVALID_FIELD", message, expression.position)
        if column.field.type == "boolean" and column.join is not None:
            # Of a parent that is not there, too, a boolean is false.
            column = Column(column.field, f"COALESCE({column.sql}, 0)", column.entity, column.join)
        return column

    def _compare(self, condition: Compare) -> Sql:
        column = self._filterable(condition.left)
        known, sql, operator, value = column.field, column.sql, condition.operator, condition.right
        _check_distance(condition)
        if operator not in operators(known) or (value.kind == "null" and operator not in {"=", "!="}):
            _refuse_operator(known, value)
        if _is_null(known, value):
            return _null_test(column, operator)
        if operator == "LIKE":
            return self._like(column, value)
        if value.kind == "date_literal":
            return self._date_literal(column, condition, value)
        given = self._literal(known, value)
        if operator == "=":
            self._looked_up(column)
        if known.is_text and not known.case_sensitive:
            sql, given = f"fold({sql})" if operator == "=" else folded(sql), fold(given)
        if operator == "!=":
            return f"({sql} != ? OR {sql} IS NULL)", [given]
        return f"{sql} {operator} ?", [given]

    def _like(self, column: Column, value: Value) -> Sql:
        if value.kind != "string":
            _refuse_operator(column.field, value)
        pattern = unescape(value.raw, value.position, like=True)
        return f"{folded(column.sql)} LIKE ? ESCAPE '\\'", [fold(pattern)]

    def _date_literal(self, column: Column, condition: Compare, value: Value) -> Sql:
        days = days_of(value.value, self._today)
        if days is None:
            # A bare word is no literal at all.
            raise unexpected(value.value, value.position)
        if column.field.type not in {"date", "datetime"} or _is_date_function(condition.left):
            _refuse_type(column.field, value)
        self._spans_days()
        return self._in_days(column.sql, condition.operator, days, column.field)

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
        if isinstance(condition.choices, Query):
            return self._semi_join(condition, column)
        known, negated = column.field, condition.operator in {"NOT IN", "EXCLUDES"}
        _check_member(condition, condition.choices, known)
        if known.type == "multipicklist":
            return self._includes(column, condition.choices, negated=negated)
        sql = column.sql
        folds = known.is_text and not known.case_sensitive
        given: list[Any] = []
        with_null = False
        for choice in condition.choices:
            if _is_null(known, choice):
                with_null = True
            else:
                value = self._literal(known, choice)
                given.append(fold(value) if folds else value)
        if known.type == "boolean" and with_null:
            # A null matches false.
            given.append(0)
            with_null = False
        if not negated:
            self._looked_up(column)
        if folds:
            sql = folded(sql) if negated else f"fold({sql})"
        inside = f"{sql} {'NOT ' if negated else ''}IN ({', '.join('?' * len(given))})"
        if negated:
            return f"({inside} {'AND' if with_null else 'OR'} {sql} IS {'NOT ' if with_null else ''}NULL)", given
        return (f"({inside} OR {sql} IS NULL)" if with_null else inside), given

    @staticmethod
    def _includes(column: Column, choices: tuple[Value, ...], *, negated: bool) -> Sql:
        parts: list[str] = []
        parameters: list[Any] = []
        for choice in choices:
            if choice.kind != "string":
                _refuse_type(column.field, choice)
            # "A;B" asks for records that have both.
            wanted = [one.strip() for one in str(choice.value).split(";")]
            parts.append(" AND ".join([f"instr(';' || {folded(column.sql)} || ';', ?)"] * len(wanted)))
            parameters += [f";{fold(one)};" for one in wanted]
        sql = " OR ".join(f"({part})" for part in parts)
        return (f"NOT COALESCE(({sql}), 0)" if negated else f"({sql})"), parameters

    def _literal(self, known: Field, value: Value) -> Any:  # noqa: C901, PLR0911  (one branch for each type)
        """Return a literal in stored form, or refuse one whose type does not fit the field."""
        if value.kind == "date_literal":
            # One of a list; or a bare word, which is no literal at all.
            if days_of(value.value, self._today) is None:
                raise unexpected(value.value, value.position)
            raise beyond(f"date literals in a list ({value.value})")
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
        if known.type == "currency" and value.kind == "currency":
            raise beyond(f"{value.value}: no currency is converted")
        if known.type == "boolean" and value.kind == "boolean":
            return int(value.value)
        if known.type == "date" and value.kind == "date":
            return _checked_day(value, lambda: date.fromisoformat(value.value).isoformat(), "date")
        if known.type == "datetime" and value.kind == "datetime":
            return _checked_day(value, lambda: read_datetime(value.value).strftime(DATETIME_FORMAT), "dateTime")
        return _refuse_type(known, value)


def _is_null(known: Field, value: Value) -> bool:
    """Whether a literal stands for no value; an empty text does."""
    return value.kind == "null" or (value.kind == "string" and value.raw == "" and known.is_text)


def _null_test(column: Column, operator: str) -> Sql:
    if operator not in {"=", "!="}:
        return "0", []
    if column.field.type == "boolean":
        return f"{column.sql} {operator} 0", []
    return f"{column.sql} IS {'NOT ' if operator == '!=' else ''}NULL", []


def _check_member(condition: Member, choices: tuple[Value, ...], known: Field) -> None:
    """Refuse a list's operator that the field's type has not."""
    if condition.operator in operators(known):
        return
    if condition.operator in {"INCLUDES", "EXCLUDES"}:
        message = f"{condition.operator.lower()} operator only valid on multi picklist fields"
        raise QueryError("INVALID_QUERY_FILTER_OPERATOR", message, condition.left.position)
    _refuse_operator(known, choices[0])


def _checked_day(value: Value, read: Callable[[], str], word: str) -> str:
    try:
        found = read()
    except ValueError:
        found = ""
    if not _FIRST_DAY <= found[:10] <= _LAST_DAY:
        raise malformed(f"Invalid {word} value: {value.value}", value.position)
    return found


def _is_date_function(expression: Expression) -> bool:
    return isinstance(expression, Function) and expression.name in DATE_FUNCTIONS


def _check_distance(condition: Compare) -> None:
    """Refuse a distance in a comparison other than < and > (Location-Based SOQL Queries)."""
    left = condition.left
    if isinstance(left, Function) and left.name == "DISTANCE" and condition.operator not in {"<", ">"}:
        raise malformed("DISTANCE supports only the operators < and >", condition.right.position)


def _refuse_type(known: Field, value: Value) -> NoReturn:
    word = "string" if known.is_text or known.type in ID_TYPES else _WORDS.get(known.type, known.type)
    wrapped = "should be enclosed in quotes" if word == "string" else "should not be enclosed in quotes"
    message = f"value of filter criterion for field '{known.name}' must be of type {word} and {wrapped}"
    raise QueryError("INVALID_FIELD", message, value.position)


def _refuse_operator(known: Field, value: Value) -> NoReturn:
    message = f"invalid operator on {known.type} field"
    raise QueryError("INVALID_QUERY_FILTER_OPERATOR", message, value.position)
