"""What SOQL says of rows, written down once more in plain Python: the judge of the emulator's SQL.

A condition is a tuple: ("compare", field, operator, value), ("and" | "or", ...), ("not", condition). A row is a dict.
The kinds of the fields stand in FIELDS.
"""

import re
from collections.abc import Callable
from datetime import date
from functools import partial
from operator import ge, gt, le, lt
from typing import Any

RATINGS = ["Hot", "Warm", "Cold"]
FIELDS = {
    "Title": "string",
    "NumberOfEmployees": "int",
    "HasOptedOutOfEmail": "boolean",
    "Born__c": "date",
    "Rating": "picklist",
    "Topics__c": "multipicklist",
}
EQUAL = {"=", "!=", "IN", "NOT IN"}
ORDERED = EQUAL | {"<", "<=", ">", ">="}
OPERATORS = {
    "string": ORDERED | {"LIKE"},
    "picklist": ORDERED | {"LIKE"},
    "int": ORDERED,
    "date": ORDERED,
    "boolean": EQUAL,
    "multipicklist": {"=", "!=", "INCLUDES", "EXCLUDES"},
}
PYTHON = {"string": str, "picklist": str, "multipicklist": str, "int": int, "boolean": bool, "date": date}


def written(value: Any) -> str:
    """Write a value as SOQL does."""
    if isinstance(value, list):
        return f"({', '.join(map(written, value))})"
    if value is None or isinstance(value, bool):
        return str(value).replace("None", "null")
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)


def text_of(condition: tuple[Any, ...]) -> str:
    """Write a condition."""
    kind, *parts = condition
    if kind == "compare":
        field, operator, value = parts
        # In a pattern a percent sign and an underscore are wildcards, and stand as they are.
        return f"{field} {operator} {written(value)}"
    if kind == "not":
        return f"NOT ({text_of(parts[0])})"
    return f" {kind.upper()} ".join(f"({text_of(part)})" for part in parts)


def is_legal(condition: tuple[Any, ...]) -> bool:
    """Say whether each operator and each value of a condition is one that its field's type takes."""
    kind, *parts = condition
    if kind != "compare":
        return all(map(is_legal, parts))
    field, operator, value = parts
    wanted = FIELDS[field]
    if operator not in OPERATORS[wanted] or (value is None and operator not in {"=", "!="}):
        return False
    return all(one is None or type(one) is PYTHON[wanted] for one in (value if isinstance(value, list) else [value]))


def holds(condition: tuple[Any, ...], row: dict[str, Any]) -> bool:
    """Say whether a row fulfils a condition: true or false, and never unknown."""
    kind, *parts = condition
    if kind != "compare":
        found = [holds(part, row) for part in parts]
        return not found[0] if kind == "not" else (all if kind == "and" else any)(found)
    field, operator, given = parts
    value: Any = folded(row[field])
    wanted: Any = [folded(one) for one in given] if isinstance(given, list) else folded(given)
    if FIELDS[field] == "boolean":
        # A null stands for false.
        wanted = [bool(one) for one in wanted] if isinstance(wanted, list) else bool(wanted)
    if operator in {"=", "!="}:
        return bool((value == wanted) == (operator == "="))
    if operator in {"IN", "NOT IN"}:
        return bool((value in wanted) == (operator == "IN"))
    if operator in {"INCLUDES", "EXCLUDES"}:
        has = set(value.split(";")) if value else set()
        return bool(any(set(one.split(";")) <= has for one in wanted) == (operator == "INCLUDES"))
    return value is not None and wanted is not None and _compared(value, operator, wanted)


def _compared(value: Any, operator: str, wanted: Any) -> bool:
    if operator == "LIKE":
        pattern = "".join({"%": ".*", "_": "."}.get(letter) or re.escape(letter) for letter in wanted)
        return re.fullmatch(pattern, value, re.DOTALL) is not None
    compare: Callable[[Any, Any], bool] = {"<": lt, "<=": le, ">": gt, ">=": ge}[operator]
    return compare(value, wanted)


def folded(value: Any) -> Any:
    """Return a value as it is compared: without case, and an empty text as none."""
    return (value.casefold() or None) if isinstance(value, str) else value


def place(field: str, value: Any) -> Any:
    """Return what a value is sorted by."""
    return RATINGS.index(value) if field == "Rating" else folded(value)


def _place_in(field: str, row: dict[str, Any]) -> Any:
    return place(field, row[field])


def in_order(rows: list[dict[str, Any]], orders: list[tuple[str, bool, bool]]) -> list[dict[str, Any]]:
    """Sort rows by (field, descending, nulls last)."""
    for field, descending, nulls_last in reversed(orders):
        without = [row for row in rows if row[field] is None]
        # Stable in both directions: rows that are alike stay in their order.
        with_value = sorted(
            (row for row in rows if row[field] is not None), key=partial(_place_in, field), reverse=descending
        )
        rows = [*with_value, *without] if nulls_last else [*without, *with_value]
    return rows


def aggregate(name: str, field: str, rows: list[dict[str, Any]]) -> Any:
    """Return an aggregate of rows."""
    if (name, field) == ("COUNT", "Id"):
        return len(rows)
    values = [row[field] for row in rows if row[field] is not None]
    if name == "COUNT":
        return len(values)
    if name == "COUNT_DISTINCT":
        return len({folded(value) for value in values})
    if not values:
        return None
    if name in {"SUM", "AVG"}:
        return sum(values) / (len(values) if name == "AVG" else 1)
    return (min if name == "MIN" else max)(values, key=partial(place, field))
