"""What SOQL's functions and clauses take: one table of types by clause, one of date functions, one of aggregates.

Sources: SOQL and SOSL Reference, "Support for Field Types in Aggregate Functions", "Date Functions", "Comparison
Operators", "Query Multi-Select Picklists", "ORDER BY", "FORMAT ()", "toLabel()".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.emulator.schema import ID_TYPES, NUMBER_TYPES, TEXT_TYPES, Field, field_of
from pipeline.emulator.soql.tree import Expression, Function, malformed
from pipeline.emulator.store import folded

# A text area of more characters is a long one.
_LONG_TEXT: Final = 255
_EQUALITY = frozenset({"=", "!=", "IN", "NOT IN"})
_ORDERED = _EQUALITY | {"<", "<=", ">", ">="}
_TEXT = _ORDERED | {"LIKE"}
_CHOICES = frozenset({"=", "!=", "INCLUDES", "EXCLUDES"})
_COUNTED = frozenset({"COUNT", "COUNT_DISTINCT", "MIN", "MAX"})
_SUMMED = _COUNTED | {"SUM", "AVG"}
_NONE: frozenset[str] = frozenset()


def operators(known: Field) -> frozenset[str]:
    """Return the comparison operators that a field's type has."""
    if known.type == "multipicklist":
        return _CHOICES
    if known.type == "boolean":
        return _EQUALITY
    return _TEXT if known.is_text else _ORDERED


def is_long_text(known: Field) -> bool:
    """Whether a field is a long or rich text area."""
    return known.type == "textarea" and known.length > _LONG_TEXT


def filterable(known: Field) -> bool:
    """Whether WHERE may name the field: compound and encrypted fields and long texts it may not."""
    return known.filterable and not known.is_compound and known.type not in {"encryptedstring", "base64"}


def sortable(known: Field) -> bool:
    """Whether ORDER BY may name the field."""
    unsorted = {"multipicklist", "encryptedstring", "base64"}
    return known.sortable and not known.is_compound and known.type not in unsorted


def groupable(known: Field) -> bool:
    """Whether GROUP BY may name the field; a formula it may not."""
    return known.groupable and not known.is_compound and not known.calculated and known.type != "encryptedstring"


AGGREGATES: Final = _SUMMED
_AGGREGATED = {
    **dict.fromkeys(NUMBER_TYPES, _SUMMED),
    **dict.fromkeys(TEXT_TYPES | ID_TYPES | {"date", "datetime"}, _COUNTED),
    **dict.fromkeys(("multipicklist", "encryptedstring", "boolean", "time", "base64"), _NONE),
}


def aggregates(known: Field) -> frozenset[str]:
    """Return the aggregate functions that a field's type has."""
    return _NONE if is_long_text(known) else _AGGREGATED.get(known.type, _NONE)


def is_aggregate(expression: object) -> bool:
    """Whether an expression summarises rows; one within FORMAT counts as well."""
    if not isinstance(expression, Function):
        return False
    return expression.name in AGGREGATES or (
        expression.name == "FORMAT" and any(map(is_aggregate, expression.arguments))
    )


@dataclass(frozen=True, slots=True)
class DateFunction:
    """A part of a date: its SQL with a place for the value, whether it takes a datetime only, and what it gives."""

    sql: str
    datetime_only: bool = False
    gives: str = "int"


_DAY = "CAST(strftime('{0}', substr({{0}}, 1, 10)) AS INTEGER)"
_QUARTER = DateFunction("(CAST(substr({0}, 6, 2) AS INTEGER) + 2) / 3")
_MONTH = DateFunction("CAST(substr({0}, 6, 2) AS INTEGER)")
_YEAR = DateFunction("CAST(substr({0}, 1, 4) AS INTEGER)")
DATE_FUNCTIONS: Final = {
    "CALENDAR_YEAR": _YEAR,
    "CALENDAR_QUARTER": _QUARTER,
    "CALENDAR_MONTH": _MONTH,
    # The org's fiscal year is the calendar year, Salesforce's default.
    "FISCAL_YEAR": _YEAR,
    "FISCAL_QUARTER": _QUARTER,
    "FISCAL_MONTH": _MONTH,
    "DAY_IN_MONTH": DateFunction("CAST(substr({0}, 9, 2) AS INTEGER)"),
    # Sunday is 1.
    "DAY_IN_WEEK": DateFunction(f"({_DAY.format('%w')} + 1)"),
    "DAY_IN_YEAR": DateFunction(_DAY.format("%j")),
    # The first week is the first to the seventh day.
    "WEEK_IN_MONTH": DateFunction("((CAST(substr({0}, 9, 2) AS INTEGER) + 6) / 7)"),
    "WEEK_IN_YEAR": DateFunction(f"(({_DAY.format('%j')} + 6) / 7)"),
    "HOUR_IN_DAY": DateFunction("CAST(substr({0}, 12, 2) AS INTEGER)", datetime_only=True),
    "DAY_ONLY": DateFunction("substr({0}, 1, 10)", datetime_only=True, gives="date"),
}
# Where each function may stand; one that is missing is within another only, or unknown.
_ANYWHERE = frozenset({"SELECT", "WHERE", "GROUP BY", "HAVING", "ORDER BY"})
CLAUSES: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(AGGREGATES, frozenset({"SELECT", "HAVING", "ORDER BY"})),
    **dict.fromkeys(DATE_FUNCTIONS, _ANYWHERE),
    "GROUPING": frozenset({"SELECT", "HAVING", "ORDER BY"}),
    "FORMAT": frozenset({"SELECT"}),
    "TOLABEL": frozenset({"SELECT", "WHERE"}),
    "CONVERTCURRENCY": frozenset({"SELECT"}),
    "DISTANCE": frozenset({"SELECT", "WHERE", "ORDER BY"}),
}
# Functions of the select list that show a value in another form, and may have an alias in any query.
SHOWN_AS: Final = frozenset({"TOLABEL", "FORMAT", "CONVERTCURRENCY"})
_FORMATTED = NUMBER_TYPES | {"date", "datetime", "time"}
_LABELLED = frozenset({"picklist", "multipicklist"})


def check_shown(expression: Function, known: Field, *, entity: str) -> None:
    """Refuse FORMAT and toLabel of a field whose type they do not take."""
    if expression.name == "FORMAT":
        fits = known.type in _FORMATTED
    else:
        fits = known.type in _LABELLED or (entity == "RecordType" and known.name == "Name")
    if not fits:
        shown = "toLabel" if expression.name == "TOLABEL" else expression.name
        raise malformed(f"field {known.name} does not support {shown}", expression.position)


def number(name: str, kind: str = "int") -> Field:
    """Return the field that a function's result is."""
    return field_of({"name": name, "type": kind})


def argument(expression: Function) -> Expression:
    """Return the only argument of a function, which is a field or another function."""
    if len(expression.arguments) != 1:
        found = expression.arguments[1] if expression.arguments else ")"
        raise malformed(f"unexpected token: '{found}'", expression.position)
    (only,) = expression.arguments
    if not isinstance(only, Expression):
        raise malformed(f"unexpected token: '{only}'", only.position)
    return only


def in_order(known: Field, sql: str) -> list[str]:
    """Return the SQL that puts values in a field's order: a picklist's own, a text's without case."""
    if known.type == "picklist" and known.picklist_values:
        return [_place(known, sql), folded(sql)]
    return [folded(sql) if known.is_text else sql]


def _place(known: Field, sql: str) -> str:
    """Return the place of a value among its picklist's; values beside the list come after it."""
    whens = " ".join(
        f"WHEN {_literal(value.casefold())} THEN {place}" for place, value in enumerate(known.picklist_values)
    )
    other = f"CASE WHEN {sql} IS NULL THEN NULL ELSE {len(known.picklist_values)} END"
    return f"CASE {folded(sql)} {whens} ELSE {other} END"


def extreme(name: str, known: Field, sql: str) -> str:
    """Return MIN or MAX in the order of ``in_order``."""
    if known.type == "picklist" and known.picklist_values:
        # The place in five digits, then the value: the smallest text has the smallest place.
        return f"substr({name}(printf('%05d', {_place(known, sql)}) || {sql}), 6)"
    return f"{name}({sql} COLLATE folded)" if known.is_text else f"{name}({sql})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
