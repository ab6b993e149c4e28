"""SOQL that looks up many records at once: values quoted by simple-salesforce's `format_soql`, names checked."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal

from simple_salesforce.format import format_soql

# SOQL and SOSL reference, "SOQL SELECT Syntax" and App Limits: characters of a statement, and of a quoted string.
MOST_STATEMENT_CHARACTERS: Final = 100_000
MOST_STRING_CHARACTERS: Final = 4_000

_OBJECT = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*){0,5}")  # through up to five parents

# "Oldest" has to mean the same record every time: records made in one batch share their CreatedDate.
_OLDEST_FIRST = " ORDER BY CreatedDate, Id"
_OR = " OR "


def lookup_queries(
    object_name: str,
    select: Sequence[str],
    matches: Sequence[Mapping[str, Any]],
    *,
    join: Literal["and", "or"] = "and",
    per_query: int = 200,
) -> list[tuple[str, slice]]:
    """Return the statements that together find every record one of `matches` selects, oldest records first.

    With each stands the slice of `matches` that it is for: it says nothing of the others.

    `matches` are field → value; a value is a non-empty string, a finite number, a boolean, a date or a datetime. A
    record is selected when it equals all values of a match (`join="and"`) or any of them ("or"). `Id` is always
    selected. A statement holds at most `per_query` matches and 100,000 characters. Which match a row answers, the
    caller tells by folding the row's values, so `select` has to name the match fields.

    Raises ValueError, without the value, for a name that is no API name and for a value that cannot be looked up:
    null and empty text (they would select every record without a value), text over 4,000 characters or that is not
    Unicode, numbers that are not finite.
    """
    if per_query < 1:
        raise ValueError("per_query has to be at least 1")
    start = f"SELECT {_selected(select)} FROM {_object(object_name)} WHERE "  # noqa: S608  (names are checked, values quoted)
    most = MOST_STATEMENT_CHARACTERS - len(start) - len(_OLDEST_FIRST)
    statements: list[tuple[str, slice]] = []
    batch: list[dict[str, str]] = []
    length = 0

    def complete(end: int) -> tuple[str, slice]:
        return f"{start}{_condition(batch, join)}{_OLDEST_FIRST}", slice(end - len(batch), end)

    for position, match in enumerate(matches):
        terms = _terms(match)
        # Values of one field share a list, which only saves characters: the sum is an upper bound.
        more = len(_condition([terms], join)) + len(_OR)
        if more > most:
            raise ValueError(f"a match on {', '.join(terms)} is too long for a SOQL statement")
        if batch and (len(batch) >= per_query or length + more > most):
            statements.append(complete(position))
            batch, length = [], 0
        batch.append(terms)
        length += more
    if batch:
        statements.append(complete(len(matches)))
    return statements


def bulk_query(object_name: str, select: Sequence[str], matched: Sequence[str], *, join: str = "and") -> str:
    """Return the statement that finds every record with a value in all fields of `matched` (join "or": in any).

    In no order: sorting keeps a bulk query from being divided (Bulk API 2.0 guide, "Query"). Raises ValueError as
    `lookup_queries` does.
    """
    conditions = (_OR if join == "or" else " AND ").join(f"{_field(name)} != null" for name in matched)
    return f"SELECT {_selected(select)} FROM {_object(object_name)} WHERE {conditions}"  # noqa: S608  (names are checked)


def _condition(batch: Sequence[Mapping[str, str]], join: Literal["and", "or"]) -> str:
    """Say that a record has the quoted values of one of the matches; a field that suffices alone gets a list."""
    lists: dict[str, list[str]] = {}
    combined: list[str] = []
    for terms in batch:
        if join == "or" or len(terms) == 1:
            for name, quoted in terms.items():
                lists.setdefault(name, []).append(quoted)
        else:
            combined.append(f"({' AND '.join(f'{name} = {quoted}' for name, quoted in terms.items())})")
    listed = [f"{name} IN ({','.join(dict.fromkeys(values))})" for name, values in lists.items()]
    return _OR.join([*listed, *dict.fromkeys(combined)])


def _terms(match: Mapping[str, Any]) -> dict[str, str]:
    if not match:
        raise ValueError("a match without a field would select every record")
    return {_field(name): _quoted(name, value) for name, value in match.items()}


def _quoted(name: str, value: Any) -> str:
    if isinstance(value, str):
        if not value.strip():
            raise ValueError(f"{name}: an empty match value would select every record without one")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name}: a match value that is not Unicode text") from None
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{name}: a match value that is not a finite number")
        value = int(value) if value.is_integer() else value
    elif not isinstance(value, (int, date)):  # a bool is an int, a datetime is a date
        raise ValueError(f"{name}: a match value has to be text, a number, a boolean or a date")  # noqa: TRY004
    quoted = format_soql("{}", value)
    if len(quoted) > MOST_STRING_CHARACTERS:
        raise ValueError(f"{name}: a match value of more than {MOST_STRING_CHARACTERS} characters")
    return quoted


def _selected(names: Sequence[str]) -> str:
    """List the fields to select, each once however it is spelled: Salesforce refuses a field selected twice."""
    spelled: dict[str, str] = {}
    for name in ("Id", *names):
        spelled.setdefault(name.lower(), _field(name))
    return ", ".join(spelled.values())


def _object(name: str) -> str:
    if not _OBJECT.fullmatch(name):
        raise ValueError("an object's API name consists of letters, digits and underscores")
    return name


def _field(name: str) -> str:
    if not _FIELD.fullmatch(name):
        raise ValueError("a field's API name consists of letters, digits and underscores")
    return name
