"""Query, search, limits and the lists of resources (REST API guide: Query, Parameterized Search, Limits)."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from pipeline.emulator import errors, ids
from pipeline.emulator.bulk import MOST_BATCHES
from pipeline.emulator.errors import Json
from pipeline.emulator.http import Call, Reply, read_options
from pipeline.emulator.org import Org
from pipeline.emulator.query_columns import columns, plans
from pipeline.emulator.router import Router
from pipeline.emulator.schema import Field, SObject
from pipeline.emulator.soql.run import PAGE, SMALLEST_PAGE
from pipeline.emulator.store import fold

# Newest first; a winter release is named after the year it leads into.
_SEASONS = (("Winter", 27), ("Summer", 26), ("Spring", 26))
OLDEST, NEWEST = 31, 68
# Versions before the oldest were retired; the first that existed.
FIRST_RETIRED = 7
_FIND = re.compile(
    r"\s*FIND\s*\{(?P<term>(?:\\.|[^}\\])*)\}(?:\s+IN\s+(?P<group>\w+)\s+FIELDS)?(?:\s+RETURNING\s+(?P<returning>.*?))?"
    r"(?:\s+LIMIT\s+(?P<limit>\d+))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_RETURNED = re.compile(r"(\w+)\s*(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\))?")
_GROUPS: dict[str, frozenset[str]] = {
    "EMAIL": frozenset({"email"}),
    "PHONE": frozenset({"phone"}),
    "NAME": frozenset(),
    "ALL": frozenset({"string", "email", "phone", "textarea", "url", "picklist", "combobox"}),
}
_MOST_FOUND = 2_000
_SEARCH_PARAMETERS = "q in fields sobject defaultLimit overallLimit"


def versions() -> list[Json]:
    """Return the API versions with the seasons they were released in; three a year, v68.0 is Winter '27."""
    found = []
    for number in range(OLDEST, NEWEST + 1):
        season, year = _SEASONS[(NEWEST - number) % 3]
        label = f"{season} '{year - (NEWEST - number) // 3:02d}"
        found.append({"label": label, "url": f"/services/data/v{number}.0", "version": f"{number}.0"})
    return found


def _limit(given: Any, default: int) -> int:
    """Return a limit of a search, which a query string has as text."""
    if given is None:
        return default
    if not str(given).isdecimal():
        raise errors.refuse(400, "MALFORMED_SEARCH", "a limit is a whole number")
    return min(int(str(given)[:9]), _MOST_FOUND)


def _field_names(given: Any) -> list[str]:
    """Return the fields that a search asks for: a list, or in a query string their names with commas between."""
    names = given.split(",") if isinstance(given, str) else given or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise errors.json_invalid("fields must be a list of names")
    return names


class Reading:
    """Answers for queries, searches and limits."""

    def __init__(self, org: Org, router: Router) -> None:
        self.org = org
        router.add("GET", "query", "query", self.query, "q columns explain")
        router.add("GET", "queryAll", "query", self.query_all, "q columns explain")
        router.add("GET", "query/{locator}", "query", self.more)
        router.add("GET", "queryAll/{locator}", "query", self.more)
        router.add("GET", "search", "search", self.search, "q")
        router.add("GET POST", "parameterizedSearch", "search", self.parameterized_search, _SEARCH_PARAMETERS)
        router.add("GET", "limits", "limits", self.limits)
        router.add("GET", "limits/recordCount", "limits", self.record_count, "sObjects")
        router.add("GET", "recent", "recent", self.recent, "limit")

    def query(self, call: Call) -> Reply:
        """Answer a query without the recycle bin."""
        return self._query(call, deleted=False)

    def query_all(self, call: Call) -> Reply:
        """Answer a query with the recycle bin."""
        return self._query(call, deleted=True)

    def _query(self, call: Call, *, deleted: bool) -> Reply:
        text = call.query.get("q")
        if "explain" in call.query:
            return self._explain(call, deleted=deleted)
        if text is None:
            raise errors.refuse(400, "MALFORMED_QUERY", "A query string has to be specified")
        if "columns" in call.query:
            if call.query["columns"].lower() != "true":
                raise errors.not_covered(f"columns={call.query['columns']} of /{call.path[0]}")
            return Reply(200, columns(self.org.queries.plan(text, deleted=deleted), text))
        wanted = read_options(call, "sforce-query-options", frozenset({"batchsize"})).get("batchsize", "")
        page = min(max(int(wanted), SMALLEST_PAGE), PAGE) if wanted.isdigit() else PAGE
        return Reply(200, self.org.queries.query(text, call.root, deleted=deleted, page=page))

    def _explain(self, call: Call, *, deleted: bool) -> Reply:
        text = call.query["explain"]
        if "q" in call.query or "columns" in call.query:
            raise errors.not_covered("explain together with q or columns")
        with contextlib.suppress(ids.NotAnId):
            raise errors.not_covered(f"explain for a report or a list view: {ids.canonical(text)}")
        looked_up: list[Field] = []
        plan = self.org.queries.plan(text, deleted=deleted, looked_up=lambda _, field: looked_up.append(field))
        found, total = self.org.queries.count(plan), self.org.store.count(plan.one)
        return Reply(200, plans(plan.one, text, looked_up, found, total))

    def more(self, call: Call, locator: str) -> Reply:
        """Answer with a further page."""
        del call
        return Reply(200, self.org.queries.more(locator))

    # Search.

    def search(self, call: Call) -> Reply:
        """Answer a SOSL FIND of a word or a phrase."""
        text = call.query.get("q", "")
        match = _FIND.fullmatch(text)
        if match is None:
            raise errors.refuse(400, "MALFORMED_SEARCH", "No FIND clause found at the beginning of the search string")
        term = re.sub(r"\\(.)", r"\1", match["term"]).strip().strip('"')
        group = (match["group"] or "ALL").upper()
        limit = int(match["limit"] or _MOST_FOUND)
        found: list[Json] = []
        for name, inner in _RETURNED.findall(match["returning"] or "") or [(name, "") for name in self._searchable()]:
            one = self._object(name)
            fields, _, where = re.split(r"\bWHERE\b", inner, maxsplit=1, flags=re.IGNORECASE)[0], "", ""
            parts = re.split(r"\bWHERE\b", inner, maxsplit=1, flags=re.IGNORECASE)
            fields, where = parts[0], parts[1] if len(parts) > 1 else ""
            names = [part.strip() for part in fields.split(",") if part.strip()] or ["Id"]
            found += self._find(call, one, term, group, names, where, limit - len(found))
        return Reply(200, {"searchRecords": found})

    def parameterized_search(self, call: Call) -> Reply:
        """Answer a search given as parameters."""
        given: Json = dict(call.query) if call.method == "GET" else call.json()
        if not isinstance(given, dict):
            raise errors.json_invalid("The search must be an object")
        term = str(given.get("q", "")).strip()
        if not term:
            raise errors.refuse(400, "MALFORMED_SEARCH", "search term is required")
        group = str(given.get("in", "ALL")).upper()
        objects = given.get("sobjects") or given.get("sobject") or []
        objects = [{"name": name} for name in objects.split(",")] if isinstance(objects, str) else objects
        if not isinstance(objects, list) or not all(isinstance(asked, dict) for asked in objects):
            raise errors.json_invalid("sobjects must be a list of objects")
        general = _field_names(given.get("fields")) or ["Id"]
        overall = _limit(given.get("overallLimit"), _MOST_FOUND)
        default = _limit(given.get("defaultLimit"), _MOST_FOUND)
        found: list[Json] = []
        for asked in objects or [{"name": name} for name in self._searchable()]:
            one = self._object(str(asked.get("name")))
            limit = min(_limit(asked.get("limit"), default), overall - len(found))
            fields = _field_names(asked.get("fields")) or general
            found += self._find(call, one, term, group, fields, str(asked.get("where") or ""), limit)
        return Reply(200, {"searchRecords": found})

    def _searchable(self) -> list[str]:
        return [one.name for one in self.org.schema.objects.values() if one.searchable]

    def _object(self, name: str) -> SObject:
        one = self.org.schema.get(name)
        if one is None:
            raise errors.type_not_supported(name)
        return one

    def _find(  # noqa: PLR0917  (the parts of a search, in its own order)
        self, call: Call, one: SObject, term: str, group: str, fields: list[str], where: str, limit: int
    ) -> list[Json]:
        """Return records that have the term in a field of the group; the index never lags here."""
        if group not in _GROUPS:
            raise errors.refuse(400, "MALFORMED_SEARCH", f"unexpected token: '{group}'")
        kinds = _GROUPS[group]
        names = [
            known.name
            for known in one.stored
            if (known.name_field if group == "NAME" else known.type in kinds) and known.filterable
        ]
        if limit <= 0 or not names:
            return []
        escaped = term.replace("\\", "\\\\").replace("'", "\\'").replace("%", "\\%").replace("_", "\\_")
        pattern = fold(escaped.replace("*", "%").replace("?", "_"))
        hits = " OR ".join(f"{name} LIKE '%{pattern}%'" for name in names)
        further = f" AND ({where})" if where else ""
        text = f"SELECT {', '.join(fields)} FROM {one.name} WHERE ({hits}){further} LIMIT {limit}"  # noqa: S608 - SOQL
        records: list[Json] = self.org.queries.query(text, call.root)["records"]
        return records

    # Limits and lists.

    def limits(self, call: Call) -> Reply:
        """Say what the org may use and what is left of it."""
        del call
        limits = self.org.limits
        left = max(limits.daily_limit - limits.used(), 0)

        def untouched(most: int) -> Json:
            return {"Max": most, "Remaining": most}

        body: dict[str, Any] = {
            "ConcurrentAsyncGetReportInstances": untouched(200),
            "DailyApiRequests": {"Max": limits.daily_limit, "Remaining": left},
            "DailyAsyncApexExecutions": untouched(250_000),
            "DailyBulkApiBatches": {"Max": MOST_BATCHES, "Remaining": max(MOST_BATCHES - self.org.bulk.batches, 0)},
            "DailyBulkV2QueryFileStorageMB": untouched(976_562),
            "DailyBulkV2QueryJobs": untouched(10_000),
            "DataStorageMB": untouched(5),
            "FileStorageMB": untouched(20),
            "HourlyTimeBasedWorkflow": untouched(1_000),
            "MassEmail": untouched(5_000),
            "PermissionSets": {**untouched(1_500), "CreateCustom": untouched(1_000)},
            "SingleEmail": untouched(5_000),
        }
        return Reply(200, body)

    def record_count(self, call: Call) -> Reply:
        """Count records by object."""
        wanted = [name for name in call.query.get("sObjects", "").split(",") if name]
        objects = [self._object(name) for name in wanted] or list(self.org.schema.objects.values())
        counts = [{"count": self.org.store.count(one), "name": one.name} for one in objects]
        return Reply(200, {"sObjects": counts})

    def recent(self, call: Call) -> Reply:
        """List the records that were created last."""
        limit = int(call.query.get("limit", "200")) if call.query.get("limit", "200").isdigit() else 200
        found: list[tuple[str, SObject, str, str]] = []
        for name in ("Account", "Contact", "Lead", "Opportunity", "Case", "Campaign"):
            one = self.org.schema.objects[name]
            shown = one.name_field.name if one.name_field else "Id"
            sql = (
                f'SELECT LastModifiedDate, Id, "{shown}" FROM "{name}"'  # noqa: S608 - names of the describe
                " WHERE IsDeleted = 0 ORDER BY LastModifiedDate DESC, rowid DESC LIMIT ?"
            )
            found += [(row[0], one, row[1], row[2]) for row in self.org.store.execute(sql, (limit,))]
        found.sort(key=lambda entry: entry[0], reverse=True)
        body = [
            {
                "attributes": {"type": one.name, "url": f"{call.root}/sobjects/{one.name}/{record_id}"},
                "Id": record_id,
                "Name": name,
            }
            for _, one, record_id, name in found[:limit]
        ]
        return Reply(200, body)
