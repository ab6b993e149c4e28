"""Queries answered: pages of records, cursors for the next ones, counts and groups."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.emulator.errors import Json, refuse
from pipeline.emulator.schema import Field, SObject
from pipeline.emulator.soql.compile import Asker, Compiler
from pipeline.emulator.soql.formats import LOCALE
from pipeline.emulator.soql.parse import parse
from pipeline.emulator.soql.plan import Choice, Leaf, Node, Plan
from pipeline.emulator.soql.tree import Query, QueryError, beyond
from pipeline.emulator.store import MOST_PARAMETERS, Row, Store
from pipeline.emulator.values import today

# A page holds at most, and by default, this many records (REST API guide: query; Sforce-Query-Options).
PAGE, SMALLEST_PAGE = 2_000, 200
# Cursors that are kept; each holds the Ids of the records still to come.
_MOST_CURSORS = 100
# The most rows that groups may have, for they cannot be paged.
_MOST_GROUPS = 2_000
# Time zones in which a day is a day of the stored values.
_ZONES = frozenset({None, "GMT", "UTC", "Etc/GMT", "Etc/UTC"})


@dataclass(slots=True)
class Cursor:
    """A query whose answer takes several pages."""

    plan: Plan
    record_ids: list[str]
    page: int
    with_urls: str


class Queries:
    """Answers SOQL against the store."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._cursors: OrderedDict[str, Cursor] = OrderedDict()

    def forget(self) -> None:
        """Drop all cursors."""
        self._cursors.clear()

    def plan(
        self,
        text: str,
        *,
        deleted: bool = False,
        asker: Asker | None = None,
        looked_up: Callable[[SObject, Field], None] | None = None,
    ) -> Plan:
        """Compile a query; raise ApiError (400) when it is wrong or beyond the emulator.

        ``looked_up`` is told which fields are searched for exact values; by default they are indexed.
        """
        try:
            return self.plan_of(parse(text), deleted=deleted, asker=asker, looked_up=looked_up)
        except QueryError as problem:
            raise problem.reply(text) from None

    def plan_of(
        self,
        query: Query,
        *,
        deleted: bool = False,
        asker: Asker | None = None,
        looked_up: Callable[[SObject, Field], None] | None = None,
    ) -> Plan:
        """Compile a query that was read; raise QueryError."""
        compiler = Compiler(self._store.schema, today(self._clock()), looked_up or self._index, asker)
        plan = compiler.compile(query, deleted=deleted)
        if (plan.localized or plan.zoned) and asker is not None:
            self._check_user(plan, asker)
        return plan

    def _check_user(self, plan: Plan, asker: Asker) -> None:
        """Refuse what depends on a language or a time zone that the emulator has not."""
        sql = "SELECT LocaleSidKey, TimeZoneSidKey FROM User WHERE Id = ?"
        locale, zone = self._store.execute(sql, (asker.user_id,)).fetchone() or (LOCALE, None)
        if plan.localized and (locale != LOCALE or "CurrencyIsoCode" in plan.one.fields):
            raise beyond(f"FORMAT for the language {locale}, or in an org with several currencies")
        if zone not in _ZONES:
            raise beyond(f"days and hours in the time zone {zone}; the emulator's are GMT")

    def _index(self, one: SObject, known: Field) -> None:
        self._store.index(one, known, at_least=PAGE // 10)

    def query(
        self,
        text: str,
        root: str,
        *,
        deleted: bool = False,
        page: int = PAGE,
        pages: bool = True,
        asker: Asker | None = None,
    ) -> Json:
        """Return the first page of a query's result; ``root`` is the path that URLs begin with.

        Without ``pages`` a longer result has no address for the rest, and no other client's cursor makes room for it.
        """
        plan = self.plan(text, deleted=deleted, asker=asker)
        if plan.counts:
            return {"totalSize": self.count(plan), "done": True, "records": []}
        if plan.groups:
            return self._grouped(plan)
        parameters = [*plan.parameters, *plan.tail_parameters]
        limit = -1 if plan.limit is None else plan.limit
        cursor = self._store.execute(f"{plan.sql()} LIMIT {limit} OFFSET {plan.offset}", parameters)
        rows = cursor.fetchmany(page)
        more = cursor.fetchone() if len(rows) == page and not plan.one_page else None
        records = self.records(plan, rows, root)
        if more is None:
            return {"totalSize": len(rows), "done": True, "records": records}
        position = 0
        ids = [row[position] for row in rows]
        ids.append(more[position])
        ids.extend(row[position] for row in cursor)
        if not pages:
            return {"totalSize": len(ids), "done": False, "records": records}
        locator = self._keep(Cursor(plan, ids, page, root))
        url = f"{root}/query/{locator}-{page}"
        return {"totalSize": len(ids), "done": False, "nextRecordsUrl": url, "records": records}

    def _keep(self, cursor: Cursor) -> str:
        locator = f"0r8Em{secrets.token_hex(6)}QAA"
        self._cursors[locator] = cursor
        while len(self._cursors) > _MOST_CURSORS:
            self._cursors.popitem(last=False)
        return locator

    def knows(self, locator: str) -> bool:
        """Whether a locator is that of a cursor of these queries."""
        return locator.rpartition("-")[0] in self._cursors

    def more(self, locator: str) -> Json:
        """Return a further page; ``locator`` is the last segment of nextRecordsUrl."""
        name, _, start_text = locator.rpartition("-")
        cursor = self._cursors.get(name)
        if cursor is None or not start_text.isdigit():
            raise refuse(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        self._cursors.move_to_end(name)
        start, total = int(start_text), len(cursor.record_ids)
        records = self.records_by_id(cursor.plan, cursor.record_ids[start : start + cursor.page], cursor.with_urls)
        end = start + cursor.page
        if end >= total:
            return {"totalSize": total, "done": True, "records": records}
        url = f"{cursor.with_urls}/query/{name}-{end}"
        return {"totalSize": total, "done": False, "nextRecordsUrl": url, "records": records}

    def rows_by_id(self, plan: Plan, record_ids: Sequence[str]) -> list[Row]:
        """Return rows of a plan for some records, in the order of the Ids; records gone since are left out."""
        by_id: dict[str, Row] = {}
        for start in range(0, len(record_ids), PAGE):
            part = record_ids[start : start + PAGE]
            sql = plan.sql(extra=f"{plan.select[0]} IN ({', '.join('?' * len(part))})", columns=", ".join(plan.select))
            rows = self._store.execute(sql, [*plan.parameters, *part, *plan.tail_parameters])
            by_id.update((row[0], row) for row in rows)
        return [by_id[record_id] for record_id in record_ids if record_id in by_id]

    def records_by_id(self, plan: Plan, record_ids: Sequence[str], root: str) -> list[Json]:
        """Return records of a plan by Id, in the order of the Ids."""
        return self.records(plan, self.rows_by_id(plan, record_ids), root)

    def count(self, plan: Plan) -> int:
        """Return how many rows a plan finds."""
        inner = plan.sql(columns="1")
        if plan.limit is not None or plan.offset:
            inner += f" LIMIT {-1 if plan.limit is None else plan.limit} OFFSET {plan.offset}"
        sql = f"SELECT count(*) FROM ({inner})"  # noqa: S608 - names of the describe
        return int(self._store.execute(sql, [*plan.parameters, *plan.tail_parameters]).fetchone()[0])

    def _grouped(self, plan: Plan) -> Json:
        limit = _MOST_GROUPS + 1 if plan.limit is None else plan.limit
        sql = f"{plan.sql()} LIMIT {limit} OFFSET {plan.offset}"
        rows = self._store.execute(sql, [*plan.parameters, *plan.tail_parameters]).fetchall()
        if len(rows) > _MOST_GROUPS:
            message = (
                "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch"
            )
            raise refuse(400, "EXCEEDED_ID_LIMIT", message)
        records = [
            {
                "attributes": {"type": "AggregateResult"},
                **{group.key: group.show(value) for group, value in zip(plan.groups, row, strict=True)},
            }
            for row in rows
        ]
        return {"totalSize": len(records), "done": True, "records": records}

    def records(self, plan: Plan, rows: Sequence[Row], root: str) -> list[Json]:
        """Turn rows into records as REST writes them."""
        assert plan.node is not None
        node = plan.node
        quick = _quick(node)
        if quick is None:
            records = [_record(node, row, root) or {} for row in rows]
        else:
            name, url = node.entities[0][0].name, f"{root}/sobjects/{node.entities[0][0].name}/"
            records = []
            for row in rows:
                record: Json = {"attributes": {"type": name, "url": url + row[0]}}
                for key, place, is_boolean in quick:
                    record[key] = (row[place] == 1) if is_boolean else row[place]
                records.append(record)
        if plan.children and rows:
            self._add_children(plan, rows, records, root)
        return records

    def _add_children(self, plan: Plan, rows: Sequence[Row], records: list[Json], root: str) -> None:
        parents = [row[0] for row in rows]
        for child in plan.children:
            inner, found = child.plan, dict[str, list[Row]]()
            for start in range(0, len(parents), MOST_PARAMETERS):
                part = parents[start : start + MOST_PARAMETERS]
                column = inner.select[child.position]
                sql = inner.sql(extra=f"{column} IN ({', '.join('?' * len(part))})")
                for row in self._store.execute(sql, [*inner.parameters, *part, *inner.tail_parameters]):
                    found.setdefault(row[child.position], []).append(row)
            for parent, record in zip(parents, records, strict=True):
                own = found.get(parent, [])[inner.offset :]
                own = own if inner.limit is None else own[: inner.limit]
                shown = self.records(inner, own, root)
                record[child.key] = {"totalSize": len(shown), "done": True, "records": shown} if shown else None


def _quick(node: Node) -> list[tuple[str, int, bool]] | None:
    """Return the plain way to build a record, when it has fields only."""
    quick: list[tuple[str, int, bool]] = []
    for entry in node.entries:
        if not isinstance(entry, Leaf) or entry.field.is_compound or entry.show is not None:
            return None
        quick.append((entry.key, entry.positions[0], entry.field.type == "boolean"))
    return quick


def _record(node: Node, row: Row, root: str) -> Json | None:
    """Return one record, or None for a relationship that leads nowhere."""
    for one, place in node.entities:
        if row[place] is not None:
            attributes = {"type": one.name, "url": f"{root}/sobjects/{one.name}/{row[place]}"}
            break
    else:
        return None
    record: Json = {"attributes": attributes}
    for entry in node.entries:
        if isinstance(entry, Leaf):
            record[entry.key] = show_leaf(entry, row)
        elif isinstance(entry, Choice):
            chosen = (_record(inner, row, root) for inner in entry.nodes)
            record[entry.key] = next((inner for inner in chosen if inner is not None), None)
        else:
            record[entry[0]] = _record(entry[1], row, root)
    return record


def show_leaf(leaf: Leaf, row: Row) -> Any:
    """Return a field's value as REST writes it."""
    if leaf.show is not None:
        return leaf.show(row[leaf.positions[0]])
    if not leaf.field.is_compound:
        return show(row[leaf.positions[0]], leaf.field)
    values = [row[place] if place >= 0 else None for place in leaf.positions]
    return show_address(values)


def show(value: Any, known: Field | None) -> Any:
    """Return a stored value as REST writes it."""
    if known is not None and known.type == "boolean" and value is not None:
        return bool(value)
    return value


def show_address(values: Sequence[Any]) -> Json | None:
    """Return an address compound: null when all its parts are; ``values`` in the order of plan.address_parts."""
    if all(value is None for value in values):
        return None
    names = ("city", "country", "geocodeAccuracy", "latitude", "longitude", "postalCode", "state", "street")
    # The codes are there in orgs with picklists of states and countries alone.
    return dict(zip((*names, "countryCode", "stateCode"), values, strict=False))
