"""Search over REST: SOSL, and parameterized search (REST API guide: Search, Parameterized Search)."""

from __future__ import annotations

import re
from typing import Any, Final

from pipeline.emulator import errors
from pipeline.emulator.errors import Json
from pipeline.emulator.http import Call, Reply
from pipeline.emulator.org import Org
from pipeline.emulator.router import CHECKS_ITSELF, Router
from pipeline.emulator.soql.compile import Asker
from pipeline.emulator.soql.parse import parse_search
from pipeline.emulator.soql.search import MOST_FOUND, Searches, query_of
from pipeline.emulator.soql.tree import Path, QueryError, Returned, Search

_NAME = re.compile(r"\w+")
_OBJECT_PARAMETERS: Final = frozenset({"name", "fields", "limit", "orderBy", "where"})
_PARAMETERS: Final = frozenset({"q", "in", "sobjects", "sobject", "fields", "defaultLimit", "overallLimit", "offset"})
# Parameters whose only value that changes nothing is given here; with another one they are refused.
_UNCHANGED: Final = {"updateTracking": "false", "updateViewStat": "false", "spellCorrection": "false"}


class Searching:
    """Answers for searches."""

    def __init__(self, org: Org, router: Router) -> None:
        self.org = org
        self._searches = Searches(org.store, org.queries)
        router.add("GET", "search", "search", self.search, "q")
        router.add("GET", "parameterizedSearch", "search", self.parameterized_search, CHECKS_ITSELF)
        router.add("POST", "parameterizedSearch", "search", self.parameterized_search)

    def search(self, call: Call) -> Reply:
        """Answer a SOSL statement."""
        text = call.query.get("q", "")
        try:
            return self._answer(parse_search(text), call)
        except QueryError as problem:
            raise problem.reply(text) from None

    def parameterized_search(self, call: Call) -> Reply:
        """Answer a search given as parameters."""
        given: Json = _of_address(call.query) if call.method == "GET" else call.json()
        if not isinstance(given, dict):
            raise errors.json_invalid("The search must be an object")
        term = str(given.get("q") or "").strip()
        if not term:
            raise errors.refuse(400, "MALFORMED_SEARCH", "search term is required")
        _check_names(given)
        try:
            return self._answer(_search_of(given, term), call)
        except QueryError as problem:
            problem.position = None
            raise problem.reply(term) from None

    def _answer(self, search: Search, call: Call) -> Reply:
        found = self._searches.search(search, call.root, Asker(call.user_id, call.number))
        return Reply(200, {"searchRecords": found})


def _of_address(query: dict[str, str]) -> Json:
    """Return the parameters of an address in the form of a body: ``Account.fields`` belongs to its object."""
    objects: dict[str, Json] = {name: {"name": name} for name in query.get("sobject", "").split(",") if name}
    given: Json = {}
    for name, value in query.items():
        owner, _, parameter = name.partition(".")
        if parameter and owner not in objects:
            raise errors.refuse(400, "MALFORMED_SEARCH", f"{name} needs sobject={owner}")
        if parameter:
            objects[owner][parameter] = value
        elif name != "sobject":
            given[name] = value
    return given | {"sobjects": list(objects.values())}


def _check_names(given: Json) -> None:
    """Refuse parameters that nobody reads."""
    for name, value in given.items():
        if name not in _PARAMETERS and str(value).lower() != _UNCHANGED.get(name):
            raise _not_read(name)


def _search_of(given: Json, term: str) -> Search:
    objects = given.get("sobjects") or []
    if not isinstance(objects, list) or not all(isinstance(asked, dict) for asked in objects):
        raise errors.json_invalid("sobjects must be a list of objects")
    for name in ("fields", "defaultLimit", "offset"):
        if given.get(name) is not None and not objects:
            raise errors.refuse(400, "MALFORMED_SEARCH", f"{name} needs an sobject")
    if given.get("offset") is not None and len(objects) > 1:
        raise errors.refuse(400, "MALFORMED_SEARCH", "offset can be used only when one sobject is searched")
    returned = tuple(_returned(asked, given) for asked in objects)
    return Search(term, str(given.get("in", "ALL")).upper(), returned, _limit(given.get("overallLimit")))


def _returned(asked: Json, given: Json) -> Returned:
    unknown = sorted(asked.keys() - _OBJECT_PARAMETERS)
    if unknown:
        raise _not_read(f"{asked.get('name')}.{unknown[0]}")
    name = str(asked.get("name"))
    if not _NAME.fullmatch(name):
        raise errors.type_not_supported(name)
    fields = _field_names(asked.get("fields")) or _field_names(given.get("fields")) or ["Id"]
    limit = _limit(asked.get("limit"))
    limit = _limit(given.get("defaultLimit")) if limit is None else limit
    order = re.sub(r"\bNULLS_(FIRST|LAST)\b", r"NULLS \1", str(asked.get("orderBy") or ""), flags=re.IGNORECASE)
    offset = _whole(given.get("offset"))
    return Returned(Path((name,), 0), query_of(name, fields, str(asked.get("where") or ""), order, limit, offset))


def _not_read(name: str) -> errors.ApiError:
    return errors.not_covered(f"the query parameter {name} of /parameterizedSearch")


def _limit(given: Any) -> int | None:
    """Return a limit of a search."""
    whole = _whole(given)
    return None if whole is None else min(whole, MOST_FOUND)


def _whole(given: Any) -> int | None:
    """Return a number of a search, which a query string has as text."""
    if given is None:
        return None
    if not str(given).isdecimal():
        raise errors.refuse(400, "MALFORMED_SEARCH", "a limit or an offset is a whole number")
    return int(str(given)[:9])


def _field_names(given: Any) -> list[str]:
    """Return the fields that a search asks for: a list, or in a query string their names with commas between."""
    names = given.split(",") if isinstance(given, str) else given or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise errors.json_invalid("fields must be a list of names")
    return [name.strip() for name in names if name.strip()]
