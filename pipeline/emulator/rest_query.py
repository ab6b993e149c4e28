"""Query, limits and the lists of resources (REST API guide: Query, Limits)."""

from __future__ import annotations

import contextlib
from typing import Any

from pipeline.emulator import errors, ids
from pipeline.emulator.bulk import MOST_BATCHES
from pipeline.emulator.errors import Json
from pipeline.emulator.http import Call, Reply, read_options
from pipeline.emulator.org import Org
from pipeline.emulator.query_columns import columns, plans
from pipeline.emulator.router import Router
from pipeline.emulator.schema import Field, SObject
from pipeline.emulator.soql.compile import Asker
from pipeline.emulator.soql.run import PAGE, SMALLEST_PAGE

# Newest first; a winter release is named after the year it leads into.
_SEASONS = (("Winter", 27), ("Summer", 26), ("Spring", 26))
OLDEST, NEWEST = 31, 68
# Versions before the oldest were retired; the first that existed.
FIRST_RETIRED = 7


def versions() -> list[Json]:
    """Return the API versions with the seasons they were released in; three a year, v68.0 is Winter '27."""
    found = []
    for number in range(OLDEST, NEWEST + 1):
        season, year = _SEASONS[(NEWEST - number) % 3]
        label = f"{season} '{year - (NEWEST - number) // 3:02d}"
        found.append({"label": label, "url": f"/services/data/v{number}.0", "version": f"{number}.0"})
    return found


class Reading:
    """Answers for queries and limits."""

    def __init__(self, org: Org, router: Router) -> None:
        self.org = org
        router.add("GET", "query", "query", self.query, "q columns explain")
        router.add("GET", "queryAll", "query", self.query_all, "q columns explain")
        router.add("GET", "query/{locator}", "query", self.more)
        router.add("GET", "queryAll/{locator}", "query", self.more)
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
            plan = self.org.queries.plan(text, deleted=deleted, asker=Asker(call.user_id, call.number))
            return Reply(200, columns(plan, text))
        wanted = read_options(call, "sforce-query-options", frozenset({"batchsize"})).get("batchsize", "")
        page = min(max(int(wanted), SMALLEST_PAGE), PAGE) if wanted.isdigit() else PAGE
        asker = Asker(call.user_id, call.number)
        return Reply(200, self.org.queries.query(text, call.root, deleted=deleted, page=page, asker=asker))

    def _explain(self, call: Call, *, deleted: bool) -> Reply:
        text = call.query["explain"]
        if "q" in call.query or "columns" in call.query:
            raise errors.not_covered("explain together with q or columns")
        with contextlib.suppress(ids.NotAnId):
            raise errors.not_covered(f"explain for a report or a list view: {ids.canonical(text)}")
        looked_up: list[Field] = []
        asker = Asker(call.user_id, call.number)
        plan = self.org.queries.plan(
            text, deleted=deleted, asker=asker, looked_up=lambda _, field: looked_up.append(field)
        )
        found, total = self.org.queries.count(plan), self.org.store.count(plan.one)
        return Reply(200, plans(plan.one, text, looked_up, found, total))

    def more(self, call: Call, locator: str) -> Reply:
        """Answer with a further page."""
        del call
        return Reply(200, self.org.queries.more(locator))

    # Limits and lists.

    def _object(self, name: str) -> SObject:
        one = self.org.schema.get(name)
        if one is None:
            raise errors.type_not_supported(name)
        return one

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
