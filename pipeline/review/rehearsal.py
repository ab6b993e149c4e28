"""A rehearsal: delivery itself, with an org and inboxes in its hands that write nothing down.

What would be written, in how many calls, is not worked out again here: the code that delivers is run.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qs

from pipeline.delivery.deliverer import Deliverer
from pipeline.delivery.lookup import give_rows
from pipeline.delivery.merge import Part
from pipeline.delivery.org import Describes, Org
from pipeline.delivery.work import Work
from pipeline.inbox.claims import Settlement
from pipeline.inbox.results import ReadResult
from pipeline.operation import Json, fold, record_key
from pipeline.record_id import long_id
from pipeline.salesforce.client import Subrequest, Subresponse, query
from pipeline.salesforce.describe import ObjectDescribe
from pipeline.salesforce.soql import lookup_queries

_UPSERT: Final = re.compile(r"composite/sobjects/(\w+)/(\w+)")
_FROM: Final = re.compile(r" FROM (\w+) WHERE ")
_QUOTED: Final = re.compile(r"'((?:[^'\\]|\\.)*)'")
_UNQUOTED: Final = re.compile(r"(?: = | IN \(|,)(?=[^' ])")  # a number, a boolean or a date is compared with
_ESCAPE: Final = re.compile(r"\\(.)")
_OK: Final = 200
_NO_PREFIX: Final = "0!x"  # of objects whose Ids have none; "!" stands in no real Id


@dataclass(slots=True)
class Record:
    """One record as it is and as it would be. `before` is None for a new one, else what was looked at of it."""

    object: str
    id: str
    before: dict[str, Json] | None
    after: dict[str, Json] = field(default_factory=dict)
    is_deleted: bool = False
    is_supposed: bool = False  # nobody has looked whether it is there
    is_absent: bool = False  # an Id named it, and the org has none of it

    def row(self) -> dict[str, Json]:
        """Return it as a query would, once the writes were made."""
        return {**(self.before or {}), **self.after, "Id": self.id}


class DryOrg:
    """An org that is asked, if there is one, and never written: what would be written is remembered and shows."""

    def __init__(self, real: Org | None, describes: Describes) -> None:
        self._real = real
        self._describes = describes
        self._invented = 0
        self._pages: dict[str, str] = {}  # where the next page of a query is → the query
        self._holding: dict[tuple[str, str], dict[str, None]] = {}  # object, folded text → Ids of records that hold it
        self._seen: dict[str, dict[str, Json]] = {}  # Id → what the org said about it
        self.records: dict[str, Record] = {}  # by Id: those that would be written
        self.delivering = ""  # the object whose operations are delivered; a delete names Ids alone

    def send(self, subrequests: Sequence[Subrequest], *, by: float | None = None) -> list[Subresponse]:
        """Pass queries on, in one call; note writes and say that they were made."""
        asked = [one for one in subrequests if one.method == "GET"]
        answers = iter(
            self._real.send(asked, by=by) if self._real is not None and asked else [_no_rows() for _ in asked]
        )
        return [
            self._with_writes(next(answers), _soql_of(one.path)) if one.method == "GET" else self._write(one)
            for one in subrequests
        ]

    def query_rest(self, next_records_url: str) -> Subresponse:
        """Pass on the wish for another page."""
        assert self._real is not None  # only a real org has pages
        return self._with_writes(self._real.query_rest(next_records_url), self._pages.pop(next_records_url))

    def suppose(self, object_name: str, match: Mapping[str, Json]) -> dict[str, Json]:
        """Return a row for a record that is taken to be there, because nobody looks."""
        record_id = self._invent(object_name)
        self.records[record_id] = Record(object_name, record_id, dict(match), is_supposed=True)
        self._index(self.records[record_id], match)
        return {**match, "Id": record_id}

    def know(self, record_id: str, row: Mapping[str, Json]) -> None:
        """Take note of what the org holds of a record."""
        self._seen.setdefault(record_id, {}).update({name: row[name] for name in row if name != "attributes"})
        record = self.records.get(record_id)
        if record is not None and record.before is not None:
            record.before.update(self._seen[record_id])

    def _with_writes(self, answer: Subresponse, soql: str) -> Subresponse:
        """Lay the writes over an answer: rows as they would be, without deleted ones, new records last."""
        if not answer.ok:
            return answer
        rows: list[dict[str, Json]] = []
        for row in answer.body["records"]:
            self.know(row["Id"], row)
            record = self.records.get(row["Id"])
            if record is None:
                rows.append(row)
            elif not record.is_deleted:
                rows.append(record.row())
        if answer.body["done"]:
            there = {row["Id"] for row in rows}
            rows += [one.row() for one in self._written(soql) if one.id not in there and not one.is_deleted]
        else:
            self._pages[answer.body["nextRecordsUrl"]] = soql
        return Subresponse(answer.status, {**answer.body, "records": rows}, answer.headers)

    def _written(self, soql: str) -> Iterator[Record]:
        """Find the written records that a query may be for; whoever asked tells whose a row is by its values."""
        found = _FROM.search(soql)
        assert found is not None  # every query that delivery makes names its object so
        if _UNQUOTED.search(soql, found.end()):
            yield from (record for record in self.records.values() if record.object == found[1])
            return
        texts = (fold(_ESCAPE.sub(r"\1", quoted)) for quoted in _QUOTED.findall(soql, found.end()))
        ids = dict.fromkeys(one for text in texts for one in self._holding.get((found[1], text), ()))
        yield from (self.records[record_id] for record_id in ids)

    def _index(self, record: Record, values: Mapping[str, Json]) -> None:
        for value in (record.id, *values.values()):
            if isinstance(value, str):
                self._holding.setdefault((record.object, fold(value)), {})[record.id] = None

    def _write(self, one: Subrequest) -> Subresponse:
        if one.method == "DELETE":
            ids = parse_qs(one.path.partition("?")[2])["ids"][0].split(",")
            return Subresponse(_OK, [self._delete(record_id) for record_id in ids])
        assert isinstance(one.body, dict)
        records: Any = one.body["records"]
        upserted = _UPSERT.fullmatch(one.path)
        if upserted is not None:
            return Subresponse(_OK, self._upsert(upserted[1], upserted[2], records))
        return Subresponse(_OK, [self._take(record, record.get("id")) for record in records])

    def _upsert(self, object_name: str, by: str, records: Sequence[Mapping[str, Any]]) -> list[Json]:
        """Look for what Salesforce would find by itself, at a price that is the preview's own, and take the writes."""
        names = dict.fromkeys(name for record in records for name in record if name != "attributes")
        converted = ["IsConverted"] if self._describes.get(object_name).find("IsConverted") else []
        found: dict[str, list[Mapping[str, Any]]] = {}
        for soql, _ in lookup_queries(object_name, [*names, *converted], [{by: record[by]} for record in records]):
            answer = self.send([query(soql)])[0]
            for row in answer.body["records"] if answer.ok else ():
                if row.get(by) is not None:
                    found.setdefault(record_key({by: row[by]}), []).append(row)
        return [self._upsert_one(record, found.get(record_key({by: record[by]}), ())) for record in records]

    def _upsert_one(self, written: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Json:
        code = "DUPLICATE_EXTERNAL_ID" if len(rows) > 1 else "CANNOT_UPDATE_CONVERTED_LEAD"
        if len(rows) > 1 or any(row.get("IsConverted") for row in rows):
            return {"success": False, "errors": [{"statusCode": code, "message": "", "fields": []}]}
        return {**self._take(written, rows[0]["Id"] if rows else None), "created": not rows}

    def _take(self, written: Mapping[str, Any], record_id: str | None) -> dict[str, Json]:
        object_name = str(written["attributes"]["type"])
        fields = {name: value for name, value in written.items() if name not in {"attributes", "id"}}
        is_new, record_id = record_id is None, record_id or self._invent(object_name)
        if record_id not in self.records:
            before = None if is_new else dict(self._seen.get(record_id, {}))
            self.records[record_id] = Record(object_name, record_id, before)
        self.records[record_id].after.update(fields)
        self._index(self.records[record_id], fields)
        return {"id": record_id, "success": True, "errors": []}

    def _delete(self, record_id: str) -> dict[str, Json]:
        if record_id not in self.records:
            self.records[record_id] = Record(self.delivering, record_id, dict(self._seen.get(record_id, {})))
        self.records[record_id].is_deleted = True
        return {"id": record_id, "success": True, "errors": []}

    def _invent(self, object_name: str) -> str:
        """Return an Id that no record has, in the form of one: it may have to stand in a query."""
        self._invented += 1
        prefix = self._describes.get(object_name).key_prefix or _NO_PREFIX
        short = f"{prefix}zzzz{self._invented:08d}"
        return long_id(short) or short


@dataclass(slots=True)
class DryInbox:
    """Inboxes of one object that nobody else can see. What a delivery settles is noted."""

    object: str
    settlements: list[Settlement] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def renew(self, _token: str, _keys: Iterable[str]) -> set[str]:
        """Lose nothing: there are no others."""
        return set()

    def commit(self, _token: str, settlements: Iterable[Settlement]) -> set[str]:
        """Note how the claims ended."""
        self.settlements += settlements
        return set()

    def release(self, _token: str, _keys: Iterable[str], *, delay_s: float) -> set[str]:  # noqa: ARG002  (Claims')
        """Note nothing: what was released was not delivered."""
        return set()

    def count_left_out(self, left_out: Mapping[str, int]) -> None:
        """Count here what would be counted in Redis."""
        for told, times in left_out.items():
            self.left_out[told] = self.left_out.get(told, 0) + times

    def keep_results(self, results: Mapping[str, ReadResult]) -> None:
        """Keep nothing: nobody has asked."""

    def chunk(self, most: int) -> int:
        """Write as many at once as an org takes that has not refused any."""
        return most

    def shrink_chunk(self, too_many: int) -> None:
        """Learn nothing: no org was written."""

    def grow_chunk(self, most: int) -> None:
        """Learn nothing: no org was written."""


class Rehearsal(Deliverer):
    """A deliverer that looks up, beside what it needs, the fields it would write, for the price of the same call.

    Without an org to look in it takes what is updated, deleted or read to be there, and what is upserted to be new.
    """

    def __init__(self, inbox: DryInbox, org: DryOrg, describes: Describes, *, is_looking: bool, **more: Any) -> None:
        super().__init__(inbox, org, describes, may_spend=lambda: True, **more)
        self._dry_org = org
        self._is_looking = is_looking

    def _shaped(
        self, work: Work, positions: Iterable[int], describe: ObjectDescribe, contact_id: str | None = None
    ) -> list[Part]:
        parts = super()._shaped(work, positions, describe, contact_id)
        return [part if part.verb == "read" else replace(part, reads=(*part.fields, *part.lookups)) for part in parts]

    def _take_rows(self, works: Sequence[Work], rows: Sequence[Any]) -> None:
        if not self._is_looking:
            given = give_rows(works, rows)
            rows = [
                *rows,
                *(
                    self._dry_org.suppose(work.describe.name, work.changes[0].match)
                    for work in works
                    if work.changes[0].verb != "upsert" and not given[work.claim.key]
                ),
            ]
        super()._take_rows(works, rows)


def _soql_of(path: str) -> str:
    return parse_qs(path.partition("?")[2])["q"][0]


def _no_rows() -> Subresponse:
    return Subresponse(_OK, {"records": [], "done": True})
