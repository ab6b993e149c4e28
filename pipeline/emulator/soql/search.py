"""SOSL answered: which fields are searched, how many records of each object come out, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from pipeline.emulator.errors import Json, type_not_supported
from pipeline.emulator.schema import Field, SObject
from pipeline.emulator.soql.compile import MOST_OFFSET, Asker
from pipeline.emulator.soql.groups import is_grouped
from pipeline.emulator.soql.parse import parse
from pipeline.emulator.soql.plan import Plan
from pipeline.emulator.soql.run import Queries
from pipeline.emulator.soql.terms import finder, words_of
from pipeline.emulator.soql.tree import Path, Query, QueryError, Returned, Search, Selected, Source, beyond
from pipeline.emulator.store import Store, quote

# SOSL Limits on Search Results: of all objects, and of one whose records are neither filtered nor sorted.
MOST_FOUND: Final = 2_000
MOST_OF_AN_OBJECT: Final = 250
_TEXTS: Final = frozenset({"string", "email", "phone", "textarea", "url", "combobox"})
# IN SearchGroup: the fields of NAME beside an object's name field.
_NAMES: Final = {
    "Account": ("Website", "Site", "NameLocal"),
    "Case": ("SuppliedName", "SuppliedCompany", "Subject"),
    "Contact": ("AssistantName", "FirstNameLocal", "LastNameLocal", "AccountName"),
    "Event": ("Subject",),
    "Lead": ("Company", "CompanyLocal", "FirstNameLocal", "LastNameLocal"),
    "Task": ("Subject",),
    "User": ("CommunityNickname",),
}
# Objects that are found only where RETURNING names them, and searched in all fields whatever IN says.
_NAMED_ONLY: Final = frozenset({"Product2"})


class Searches:
    """Answers SOSL against the store."""

    def __init__(self, store: Store, queries: Queries) -> None:
        self._store = store
        self._queries = queries
        store.add_function("found", _found)

    def search(self, search: Search, root: str, asker: Asker) -> list[Json]:
        """Return the records that a search finds, object by object; raise QueryError."""
        group = search.group
        if group == "SIDEBAR":
            raise beyond("IN SIDEBAR FIELDS")
        if group not in {"ALL", "NAME", "EMAIL", "PHONE"}:
            raise QueryError("MALFORMED_SEARCH", f"unexpected token: '{group}'")
        # Read here first, so that a mistake in it is refused even where nothing is searched.
        finder(search.term)
        returned = search.returned or self._everything()
        self._check(returned)
        overall = min(MOST_FOUND if search.limit is None else search.limit, MOST_FOUND)
        most = min(MOST_FOUND // len(returned), MOST_OF_AN_OBJECT) if len(returned) > 1 else MOST_OF_AN_OBJECT
        found = [self._find(one, search.term, group, most, len(returned), asker) for one in returned]
        shares = _shares([len(rows) for _, rows in found], overall)
        records: list[Json] = []
        for (plan, rows), share in zip(found, shares, strict=True):
            records += self._queries.records(plan, rows[:share], root)
        return records

    def _everything(self) -> tuple[Returned, ...]:
        objects = self._store.schema.objects.values()
        names = [one.name for one in objects if one.searchable and one.name not in _NAMED_ONLY]
        return tuple(Returned(Path((name,), 0)) for name in names)

    def _check(self, returned: Sequence[Returned]) -> None:
        seen: set[str] = set()
        for one in returned:
            name = str(one.name)
            known = self._store.schema.get(name)
            if known is None:
                message = type_not_supported(name).body[0]["message"]
                raise QueryError("INVALID_TYPE", message, one.name.position)
            if not known.searchable:
                raise QueryError("INVALID_TYPE", f"sObject type '{name}' is not searchable.", one.name.position)
            if known.name in seen:
                raise QueryError("MALFORMED_SEARCH", f"duplicate object: {name}", one.name.position)
            seen.add(known.name)
            query = one.query
            if query is None:
                continue
            if query.offset is not None and len(returned) > 1:
                raise QueryError("MALFORMED_SEARCH", "OFFSET can be used only when one object is searched")
            if query.offset is not None and query.offset > MOST_OFFSET:
                raise QueryError("NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOSL offset allowed is 2000")
            if is_grouped(query) or not all(isinstance(item, Selected) for item in query.selected):
                message = "RETURNING takes fields, and neither aggregates nor queries"
                raise QueryError("MALFORMED_SEARCH", message, query.position)

    def _find(  # noqa: PLR0917  (the parts of a search, in its own order)
        self, returned: Returned, term: str, group: str, most: int, objects: int, asker: Asker
    ) -> tuple[Plan, list[Any]]:
        query = returned.query or Query(0, (Selected(Path(("Id",), 0)),), (Source(returned.name),))
        plan = self._queries.plan_of(query, asker=asker)
        columns = [f"t.{quote(known.name)}" for known in _searched(plan.one, group)]
        if not columns:
            return plan, []
        # One object that is filtered or sorted may return more.
        if objects == 1 and (query.where or query.order):
            most = MOST_FOUND
        limit = most if query.limit is None else min(query.limit, most)
        sql = plan.sql(extra=f"found(?, {', '.join(columns)})")
        parameters = [*plan.parameters, term, *plan.tail_parameters, limit, plan.offset]
        return plan, self._store.execute(f"{sql} LIMIT ? OFFSET ?", parameters).fetchall()


def _searched(one: SObject, group: str) -> list[Field]:
    """Return the fields of an object that a search looks into."""
    if group == "NAME" and one.name not in _NAMED_ONLY:
        names = _NAMES.get(one.name, ())
        return [known for known in one.stored if known.name_field or known.name in names]
    kinds = _TEXTS if group == "ALL" or one.name in _NAMED_ONLY else {group.lower()}
    return [known for known in one.stored if known.type in kinds]


def _found(term: str, *texts: Any) -> bool:
    return finder(term)([words_of(text) for text in texts if isinstance(text, str)])


def _shares(counts: Sequence[int], overall: int) -> list[int]:
    """Distribute a limit evenly among objects; what one does not use goes to the others (LIMIT n)."""
    shares = [0] * len(counts)
    left = overall
    while left > 0 and (hungry := [number for number, count in enumerate(counts) if shares[number] < count]):
        each = max(left // len(hungry), 1)
        for number in hungry:
            more = min(each, counts[number] - shares[number], left)
            shares[number] += more
            left -= more
    return shares


def query_of(  # noqa: PLR0917  (the clauses of a query, in their order)
    name: str, fields: Sequence[str], where: str, order: str, limit: int | None, offset: int | None
) -> Query:
    """Return the query that a parameterized search gives in pieces; raise QueryError."""
    text = f"SELECT {', '.join(fields)} FROM {name}"  # noqa: S608 - SOQL
    pieces = (("WHERE", where and f"({where})"), ("ORDER BY", order), ("LIMIT", limit), ("OFFSET", offset))
    for word, given in pieces:
        text += f" {word} {given}" if given or given == 0 else ""
    try:
        query = parse(text)
    except QueryError as problem:
        raise QueryError(problem.code, problem.message) from None
    # A piece holds no clauses but its own.
    own = Query(0, query.selected, (Source(query.sources[0].path),), where=query.where, order=query.order)
    if query != replace(own, limit=limit, offset=offset) or query.source != name:
        raise QueryError("MALFORMED_SEARCH", "a parameter holds another clause")
    return query
