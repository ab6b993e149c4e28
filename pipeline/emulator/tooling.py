"""The Tooling API as far as the Salesforce CLI looks before it works: queries of objects and of Apex.

Source: Tooling API guide.

``EntityDefinition`` has the org's objects. Apex classes, triggers, pages and components can be asked for, and there are
none. Users, profiles, record types and the organization are those of the org. All else is refused plainly.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.emulator import errors, ids
from pipeline.emulator.describe import brief, describe
from pipeline.emulator.http import Call, Reply
from pipeline.emulator.org import Org
from pipeline.emulator.query_columns import columns
from pipeline.emulator.router import Router
from pipeline.emulator.schema import Schema, SObject
from pipeline.emulator.soql.compile import Asker
from pipeline.emulator.soql.parse import parse
from pipeline.emulator.soql.run import Queries
from pipeline.emulator.soql.tree import QueryError
from pipeline.emulator.store import Store
from pipeline.emulator.values import Stored, datetime_text

# Objects of the data API that the Tooling API shows as well.
_SHARED = frozenset({"Organization", "Profile", "RecordType", "User"})
_TEXTS = ("QualifiedApiName", "DeveloperName", "MasterLabel", "Label", "PluralLabel", "KeyPrefix", "NamespacePrefix")
_SWITCHES = (
    "IsCustomizable",
    "IsQueryable",
    "IsSearchable",
    "IsTriggerable",
    "IsCustomSetting",
    "IsDeprecatedAndHidden",
)
# Apex and its key prefixes; each has a name and a body.
_APEX = {"ApexClass": "01p", "ApexTrigger": "01q", "ApexPage": "066", "ApexComponent": "099"}
_ENTITY_PREFIX = "4ie"


def _definitions() -> list[SObject]:
    read_only = {"createable": False, "updateable": False}
    shared = {"deletable": False, "undeletable": False, "searchable": False}
    identity = {"name": "Id", "type": "id", "label": "Record ID"}
    stamps = [
        {"name": name, "type": "datetime", "label": name, **read_only}
        for name in ("CreatedDate", "LastModifiedDate", "SystemModstamp")
    ]
    texts = [{"name": name, "type": "string", "label": name, "length": 255, **read_only} for name in _TEXTS]
    durable = {"name": "DurableId", "type": "string", "label": "Durable ID", "length": 90, **read_only}
    switches = [{"name": name, "type": "boolean", "label": name, **read_only} for name in _SWITCHES]
    entity = {"name": "EntityDefinition", "label": "Entity Definition", "labelPlural": "Entity Definitions", **shared}
    entity |= {"keyPrefix": _ENTITY_PREFIX, "fields": [identity, durable, *texts, *switches, stamps[1]]}
    found = [SObject(entity)]
    for name, prefix in _APEX.items():
        body = "Body" if name in {"ApexClass", "ApexTrigger"} else "Markup"
        fields = [
            identity,
            {"name": "Name", "type": "string", "label": "Name", "length": 255, "nameField": True, **read_only},
            {"name": "NamespacePrefix", "type": "string", "label": "Namespace Prefix", "length": 15, **read_only},
            {"name": "ApiVersion", "type": "double", "label": "Api Version", "precision": 18, "scale": 1, **read_only},
            {"name": "Status", "type": "picklist", "label": "Status", "length": 40, **read_only},
            {"name": body, "type": "textarea", "label": body, "length": 1_000_000, **read_only},
            *stamps,
        ]
        told = {"name": name, "label": name, "labelPlural": name, "keyPrefix": prefix, "fields": fields, **shared}
        found.append(SObject(told))
    return found


class Tooling:
    """Answers for /tooling."""

    def __init__(self, org: Org, router: Router) -> None:
        self.org = org
        self._schema = Schema(_definitions())
        self._store = Store(self._schema)
        self._queries = Queries(self._store, org.clock)
        self._fill()
        for path, answer in (("query", self._query), ("queryAll", self._query_all)):
            router.add("GET", f"tooling/{path}", "tooling", answer, "q columns")
        router.add("GET", "tooling/query/{locator}", "tooling", self._more)
        router.add("GET", "tooling/sobjects", "tooling", self._objects)
        router.add("GET", "tooling/sobjects/{object}/describe", "tooling", self._describe)

    def _fill(self) -> None:
        """Add the org's objects, which stay as they are while it runs."""
        sequence, now = ids.IdSequence(_ENTITY_PREFIX), datetime_text(self.org.clock())
        rows: list[dict[str, Stored]] = []
        for one in self.org.schema.objects.values():
            told: dict[str, Stored] = {"Id": sequence.take(), "DurableId": one.name, "QualifiedApiName": one.name}
            told |= {"DeveloperName": one.name.removesuffix("__c"), "MasterLabel": one.label, "Label": one.label}
            told |= {"PluralLabel": one.label_plural, "KeyPrefix": one.key_prefix, "LastModifiedDate": now}
            told |= {"IsCustomizable": 1, "IsQueryable": int(one.queryable), "IsSearchable": int(one.searchable)}
            rows.append(told | {"IsTriggerable": 1, "IsCustomSetting": 0, "IsDeprecatedAndHidden": 0})
        self._store.insert(self._schema.objects["EntityDefinition"], rows)

    def _query(self, call: Call) -> Reply:
        return self._queried(call, deleted=False)

    def _query_all(self, call: Call) -> Reply:
        return self._queried(call, deleted=True)

    def _queried(self, call: Call, *, deleted: bool) -> Reply:
        text = call.query.get("q")
        if text is None:
            raise errors.refuse(400, "MALFORMED_QUERY", "A query string has to be specified")
        queries = self._queries_of(text)
        if "columns" in call.query:
            return Reply(200, columns(queries.plan(text, deleted=deleted), text))
        asker = Asker("", call.number)
        return Reply(200, queries.query(text, f"{call.root}/tooling", deleted=deleted, asker=asker))

    def _queries_of(self, text: str) -> Queries:
        """Return what answers a query; raise ApiError for an object that is not covered."""
        try:
            name = parse(text).source
        except QueryError as problem:
            raise problem.reply(text) from None
        if self._schema.get(name) is not None:
            return self._queries
        one = self.org.schema.get(name)
        if one is None or one.name not in _SHARED:
            raise errors.not_covered(f"the object {name} of the Tooling API")
        return self.org.queries

    def _more(self, call: Call, locator: str) -> Reply:
        del call
        for queries in (self._queries, self.org.queries):
            if queries.knows(locator):
                return Reply(200, queries.more(locator))
        raise errors.refuse(400, "INVALID_QUERY_LOCATOR", "invalid query locator")

    def _objects(self, call: Call) -> Reply:
        return self._listed(call, brief)

    def _listed(self, call: Call, show: Callable[[SObject, str], errors.Json]) -> Reply:
        objects = sorted(self._schema.objects.values(), key=lambda one: one.name)
        entries = [show(one, f"{call.root}/tooling") for one in objects]
        return Reply(200, {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": entries})

    def _describe(self, call: Call, name: str) -> Reply:
        one = self._schema.get(name)
        if one is None:
            raise errors.not_covered(f"the object {name} of the Tooling API")
        return Reply(200, describe(self._schema, one, f"{call.root}/tooling", call.base_url))
