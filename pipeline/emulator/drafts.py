"""A record as a request sends it, read into stored values before anything touches the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.emulator import errors
from pipeline.emulator.errors import ApiError, Json, RecordError
from pipeline.emulator.schema import Field, SObject
from pipeline.emulator.values import Check, Refused, Stored, Unreadable, check_of, text_check_of

# A bulk CSV cell that says "set this field to null" (Bulk API 2.0 guide, valid CSV record rows).
CSV_NULL = "#N/A"


class UnparsableError(ApiError):
    """A JSON_PARSER_ERROR about one value; ``path`` leads to it, so that the reply can say line and column."""

    def __init__(self, problem: Unreadable, path: tuple[str | int, ...]) -> None:
        super().__init__(400, errors.json_invalid(problem.message).body)
        self.problem = problem
        self.path = path


# A parent named by an external Id instead of its own: reference field, object or None, key field and value.
Link = tuple[Field, str | None, str, Any]


@dataclass(slots=True)
class Draft:
    """One record to write: stored values by field name, and what is wrong with it so far."""

    values: dict[str, Stored] = field(default_factory=dict)
    problems: list[RecordError] = field(default_factory=list)
    record_id: str | None = None
    links: list[Link] = field(default_factory=list)

    def forbid(self, one: SObject, *, creating: bool, key: Field | None = None) -> None:
        """Refuse what an upsert named and cannot write, now that it is known to be a create or an update."""
        names = (*self.values, *(link[0].name for link in self.links))
        forbidden = [name for name in names if one.fields[name] is not key and not _may(one.fields[name], creating)]
        if forbidden:
            self.problems.append(errors.read_only(tuple(forbidden)))


# Puts the text of one cell, None for null, into a draft.
Cell = Callable[[Draft, str | None], None]


class UnknownColumn(ValueError):  # noqa: N818 - it says what the column is
    """A CSV header names a field that the object has not; the message is its name."""


@dataclass(slots=True)
class _Plan:
    """What one object's request keys mean, ready for the quick path; None as check means read-only."""

    one: SObject
    checks: dict[str, tuple[str, Check | None]]


class DraftReader:
    """Reads request bodies into drafts, with the checks of every field prepared once."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, bool | None], _Plan] = {}

    def forget(self) -> None:
        """Drop what was prepared, because the schema changed."""
        self._plans.clear()

    def _plan(self, one: SObject, *, creating: bool | None) -> _Plan:
        plan = self._plans.get((one.name, creating))
        if plan is None:
            checks = {
                known.name: (known.name, check_of(known) if _may(known, creating) else None)
                for known in one.fields.values()
                if known.name != "Id"
            }
            plan = self._plans[one.name, creating] = _Plan(one, checks)
        return plan

    def read(
        self,
        one: SObject,
        body: Any,
        *,
        creating: bool | None,
        path: tuple[str | int, ...] = (),
        key: Field | None = None,
        writes_read_only: bool = False,
    ) -> Draft:
        """Read a JSON object; raise ApiError where Salesforce cannot parse it and so refuses the whole request.

        ``creating`` is None for an upsert that may turn out to be either; ``key`` is the field of an upsert, which may
        be named although it could not be updated.
        """
        if not isinstance(body, dict):
            raise errors.json_invalid(f"Unexpected value: expected an object of type {one.name}")
        checks = self._plan(one, creating=creating).checks
        draft = Draft()
        values = draft.values
        forbidden: list[str] = []
        for name, value in body.items():
            known = checks.get(name) or self._resolve(one, checks, draft, name, value)
            if known is None:
                continue
            canonical, check = known
            if check is None:
                if key is not None and canonical == key.name:
                    check = check_of(key)
                elif writes_read_only and canonical in one.fields:
                    check = check_of(one.fields[canonical])
                else:
                    forbidden.append(canonical)
                    continue
            try:
                values[canonical] = check(value)
            except Refused as refused:
                draft.problems.append(refused.error)
            except Unreadable as problem:
                raise UnparsableError(problem, (*path, name)) from None
        if forbidden:
            draft.problems.append(errors.read_only(tuple(forbidden)))
        return draft

    def _resolve(
        self, one: SObject, checks: Mapping[str, tuple[str, Check | None]], draft: Draft, name: str, value: Any
    ) -> tuple[str, Check | None] | None:
        """Find what a key means that is not written as in the describe; None when it is dealt with."""
        lowered = name.lower()
        if lowered == "attributes":
            return None
        if lowered == "id":
            draft.record_id = value
            return None
        known = one.field(name)
        if known is not None:
            return checks[known.name]
        reference = one.relationship(name)
        if reference is None:
            raise errors.no_such_column(name, one.name)
        if value is None:
            draft.values[reference.name] = None
            return None
        if not isinstance(value, dict):
            raise errors.json_invalid(f"Cannot deserialize instance of {reference.type} from the value of {name}")
        target = attributes_type(value)
        keys = [(inner, given) for inner, given in value.items() if inner != "attributes"]
        if len(keys) != 1:
            raise errors.refuse(400, "INVALID_FIELD", f"{name} must name its record by one external ID field")
        draft.links.append((reference, target, keys[0][0], keys[0][1]))
        return None

    def columns(
        self, one: SObject, header: Sequence[str], *, creating: bool | None, key: Field | None = None
    ) -> list[Cell]:
        """Return what puts each cell of a CSV row into a draft; raise UnknownColumn for a name that means nothing.

        ``key`` is the field of an upsert, as in ``read``.
        """
        return [self._cell(one, name, creating=creating, key=key) for name in header]

    @staticmethod
    def _cell(one: SObject, name: str, *, creating: bool | None, key: Field | None) -> Cell:
        if "." in name:
            return _link_cell(one, name)
        if name.lower() == "id":

            def own_id(draft: Draft, text: str | None) -> None:
                draft.record_id = text

            return own_id
        known = one.field(name)
        if known is None:
            raise UnknownColumn(name)
        field = known
        if not _may(field, creating) and field is not key:

            def forbidden(draft: Draft, text: str | None) -> None:
                del text
                draft.problems.append(errors.read_only((field.name,)))

            return forbidden
        read = text_check_of(field)

        def value(draft: Draft, text: str | None) -> None:
            try:
                draft.values[field.name] = None if text is None else read(text)
            except Refused as refused:
                draft.problems.append(refused.error)

        return value


def _link_cell(one: SObject, name: str) -> Cell:
    """Return the cell of a column such as ``Account.MyExt__c`` or ``Lead:Who.Email``."""
    path, _, key = name.rpartition(".")
    target, _, relationship = path.rpartition(":")
    reference = one.relationship(relationship)
    if reference is None:
        raise UnknownColumn(name)
    found = reference

    def link(draft: Draft, text: str | None) -> None:
        draft.links.append((found, target or None, key, text))

    return link


def read_row(cells: Sequence[Cell], row: Sequence[str]) -> Draft:
    """Read one CSV row of a bulk job; an empty cell leaves its field alone, ``#N/A`` sets it to null."""
    draft = Draft()
    for cell, text in zip(cells, row, strict=True):
        if text:
            cell(draft, None if text == CSV_NULL else text)
    return draft


def _may(known: Field, creating: bool | None) -> bool:
    """Whether a create, an update, or for None one of the two, may write a field."""
    if creating is None:
        return known.createable or known.updateable
    return known.createable if creating else known.updateable


def attributes_type(body: Json) -> str | None:
    """Return the object that a record's attributes name, or None."""
    attributes = body.get("attributes")
    kind = attributes.get("type") if isinstance(attributes, dict) else None
    return kind if isinstance(kind, str) else None
