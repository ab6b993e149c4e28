"""Single records: /sobjects/{object}/... (REST API guide: sObject Basic Information, Rows, Rows by External ID)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from pipeline.emulator import errors, ids
from pipeline.emulator.describe import brief, describe
from pipeline.emulator.drafts import Draft
from pipeline.emulator.errors import Json, RecordError
from pipeline.emulator.http import Call, Reply, read_options
from pipeline.emulator.org import Org
from pipeline.emulator.router import Router
from pipeline.emulator.schema import Field, SObject
from pipeline.emulator.values import DATETIME_FORMAT, Stored, read_datetime, wrong_type_id
from pipeline.emulator.writes import Options, Outcome

# Every user sees every record here, so that duplicates are those of the current user as well.
_DUPLICATE_OPTIONS = frozenset({"allowsave", "includerecorddetails", "runascurrentuser"})
# From this version on an upsert that updates answers 200 with a body (REST API guide: upsert).
_BODY_ON_UPDATE = 46.0
# A last path segment with such an ending is taken for a file, as the REST API guide warns about e-mail addresses.
_FILE_ENDINGS = (".inc",)
# The span that changes can be asked for: it ends a minute after its start, which lies at most 30 days back.
_SHORTEST_SPAN = timedelta(minutes=1)
_OLDEST_START = timedelta(days=30)


class Rows:
    """Answers for single records."""

    def __init__(self, org: Org, router: Router) -> None:
        self.org = org
        router.add("GET", "sobjects", "describe", self.all_objects)
        router.add("GET", "sobjects/{object}", "sobject", self.basic)
        router.add("POST", "sobjects/{object}", "sobject", self.create)
        router.add("GET", "sobjects/{object}/describe", "describe", self.describe)
        router.add("GET", "sobjects/{object}/deleted", "sobject", self.deleted, "start end")
        router.add("GET", "sobjects/{object}/updated", "sobject", self.updated, "start end")
        # An upsert by Id without an Id is a create (REST API guide, v37.0 and later).
        router.add("POST", "sobjects/{object}/Id", "sobject", self.create)
        router.add("GET", "sobjects/{object}/{id}", "sobject", self.read, "fields")
        router.add("PATCH", "sobjects/{object}/{id}", "sobject", self.update)
        router.add("DELETE", "sobjects/{object}/{id}", "sobject", self.delete)
        router.add("GET", "sobjects/{object}/{field}/{value}", "sobject", self.read_by_key, "fields")
        router.add("PATCH", "sobjects/{object}/{field}/{value}", "sobject", self.upsert, "updateOnly")
        router.add("DELETE", "sobjects/{object}/{field}/{value}", "sobject", self.delete_by_key)

    def object(self, name: str) -> SObject:
        """Return an object named in a path; raise 404."""
        one = self.org.schema.get(name)
        if one is None:
            raise errors.not_found()
        return one

    def options(self, call: Call, path: str | None = None, *, assignment: str | None = None) -> Options:
        """Return how a call wants its writes done, from its headers and the faults in force.

        ``assignment`` stands in for Sforce-Auto-Assign where an API has no such header: TRUE, FALSE or a rule's Id.
        """
        rule = read_options(call, "sforce-duplicate-rule-header", _DUPLICATE_OPTIONS)
        assigned = assignment or call.headers.get("sforce-auto-assign", "TRUE").strip()
        if assigned.upper() not in {"TRUE", "FALSE"}:
            known = {one.record_id[:15] for one in self.org.schema.options.assignment_rules}
            if assigned[:15] not in known:
                raise errors.refuse(400, "INVALID_CROSS_REFERENCE_KEY", f"invalid assignment rule: {assigned}")
        shown = path or "/".join(("/services/data", f"v{call.version}", *call.path))
        faults = self.org.faults

        def of_records(one: SObject, records: Sequence[dict[str, Stored]]) -> Sequence[RecordError | None]:
            return faults.of_records(call.method, shown, one, records)

        return Options(
            call.user_id,
            allow_duplicates=rule.get("allowsave", "").lower() == "true",
            shows_duplicates=rule.get("includerecorddetails", "").lower() == "true",
            assignment=assigned,
            faults=of_records if faults.rules else None,
        )

    # Describes.

    def all_objects(self, call: Call) -> Reply:
        """List the objects."""
        if self._unchanged(call):
            return Reply(304)
        entries = [brief(one, call.root) for one in sorted(self.org.schema.objects.values(), key=lambda one: one.name)]
        body = {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": entries}
        return Reply(200, body, {"Last-Modified": self._modified()})

    def basic(self, call: Call, name: str) -> Reply:
        """Describe an object briefly and list recent records."""
        one = self.object(name)
        shown = one.name_field.name if one.name_field else "Id"
        where = " WHERE IsDeleted = 0" if one.has_deleted else ""
        sql = f'SELECT Id, "{shown}" FROM "{one.name}"{where} ORDER BY rowid DESC LIMIT 5'  # noqa: S608 - names of the describe
        recent = [
            {
                "attributes": {"type": one.name, "url": f"{call.root}/sobjects/{one.name}/{record_id}"},
                "Id": record_id,
                shown: value,
            }
            for record_id, value in self.org.store.execute(sql)
        ]
        return Reply(200, {"objectDescribe": brief(one, call.root), "recentItems": recent})

    def describe(self, call: Call, name: str) -> Reply:
        """Describe an object."""
        one = self.object(name)
        if self._unchanged(call):
            return Reply(304)
        body = describe(self.org.schema, one, call.root, call.base_url)
        return Reply(200, body, {"Last-Modified": self._modified()})

    def _modified(self) -> str:
        return format_datetime(datetime.fromtimestamp(int(self.org.started_at), UTC), usegmt=True)

    def _unchanged(self, call: Call, modified: float | None = None) -> bool:
        """Whether nothing changed since If-Modified-Since: the org's objects, or a record changed at ``modified``."""
        since = call.headers.get("if-modified-since")
        if not since:
            return False
        try:
            return parsedate_to_datetime(since).timestamp() >= int(modified or self.org.started_at)
        except ValueError:
            return False

    # Rows.

    def create(self, call: Call, name: str) -> Reply:
        """Insert a record."""
        one = self.object(name)
        body = _as_object(call.json())
        if any(key.lower() == "id" for key in body):
            raise errors.refuse(400, "INVALID_FIELD", "The Id field should not be specified in the sobject data.")
        draft = self.org.reader.read(one, body, creating=True)
        (outcome,) = self.org.writer.create(one, [draft], self.options(call))
        return self._created(call, one, outcome)

    @staticmethod
    def _created(call: Call, one: SObject, outcome: Outcome, **more: Any) -> Reply:
        if outcome.problems:
            raise errors.refuse_record(outcome.problems)
        location = f"{call.root}/sobjects/{one.name}/{outcome.record_id}"
        return Reply(201, {"id": outcome.record_id, "success": True, "errors": [], **more}, {"Location": location})

    def _id(self, one: SObject, text: str) -> str:
        """Return the Id that a path names; raise 404, or 400 for another object's Id."""
        try:
            record_id = ids.canonical(text)
        except ids.NotAnId:
            raise errors.no_such_row(text) from None
        if not record_id.startswith(one.key_prefix):
            raise errors.refuse_record([wrong_type_id(one.fields["Id"], text)])
        return record_id

    def _alive(self, one: SObject, text: str) -> str:
        """Return the Id of a record that exists; raise 404."""
        record_id = self._id(one, text)
        needs = ("IsDeleted",) if one.has_deleted else ()
        row = self.org.store.rows(one, needs, [record_id]).get(record_id)
        if row is None:
            raise errors.no_such_row(text)
        if row and row[0]:
            raise errors.refuse_record([errors.deleted()])
        return record_id

    def read(self, call: Call, name: str, text: str) -> Reply:
        """Read a record."""
        one = self.object(name)
        return self._show(call, one, self._alive(one, text))

    def _show(self, call: Call, one: SObject, record_id: str) -> Reply:
        if "if-modified-since" in call.headers and "SystemModstamp" in one.fields:
            (stamp,) = self.org.store.rows(one, ("SystemModstamp",), [record_id])[record_id]
            if self._unchanged(call, read_datetime(stamp).timestamp()):
                return Reply(304)
        fields = (
            [part.strip() for part in call.query["fields"].split(",") if part.strip()]
            if "fields" in call.query
            else None
        )
        for field in fields or []:
            if one.field(field) is None:
                message = errors.NOT_ON_ENTITY.format(field=field, entity=one.name)
                raise errors.refuse(400, "INVALID_FIELD", message)
        if fields is not None and "id" not in {field.lower() for field in fields}:
            fields.append("Id")
        return Reply(200, self.org.read(one, record_id, call.root, fields))

    def update(self, call: Call, name: str, text: str) -> Reply:
        """Update a record."""
        one = self.object(name)
        body = _as_object(call.json())
        if any(key.lower() == "id" for key in body):
            raise errors.refuse(400, "INVALID_FIELD", "The Id field should not be specified in the sobject data.")
        record_id = self._alive(one, text)
        draft = self.org.reader.read(one, body, creating=False)
        draft.record_id = record_id
        (outcome,) = self.org.writer.update(one, [draft], self.options(call))
        if outcome.problems:
            raise errors.refuse_record(outcome.problems)
        return Reply(204)

    def delete(self, call: Call, name: str, text: str) -> Reply:
        """Delete a record."""
        one = self.object(name)
        (outcome,) = self.org.writer.delete(one, [self._alive(one, text)], self.options(call))
        if outcome.problems:
            raise errors.refuse_record(outcome.problems)
        return Reply(204)

    # Rows by external Id.

    def key(self, one: SObject, name: str) -> Field:
        """Return the field that a path or an upsert matches on; raise 404 unless it is an external Id or idLookup."""
        known = one.field(name)
        if known is None or not known.is_key:
            raise errors.no_such_row(name)
        return known

    def _matches(self, call: Call, one: SObject, known: Field, value: str) -> list[str]:
        """Return the Ids of the records with a key value; raise 404 for a value that looks like a file's name."""
        if value.lower().endswith(_FILE_ENDINGS):
            raise errors.not_found()
        given: Stored = value
        if known.type in {"int", "double"}:
            try:
                given = float(value)
            except ValueError:
                raise errors.no_such_row(value) from None
        found = [record_id for _, record_id in self.org.store.matching(one, known, [given])]
        if len(found) > 1:
            raise _Several([f"{call.root}/sobjects/{one.name}/{record_id}" for record_id in found])
        return found

    def read_by_key(self, call: Call, name: str, field: str, value: str) -> Reply:
        """Read a record by an external Id, or follow a relationship of one."""
        one = self.object(name)
        relationship = one.relationship(field) or one.relationship(value)
        if relationship is not None and one.field(field) is None:
            return self._follow(call, one, field, value)
        known = self.key(one, field)
        if known.name == "Id":
            return self.read(call, name, value)
        try:
            found = self._matches(call, one, known, value)
        except _Several as several:
            return Reply(300, several.urls)
        if not found:
            raise errors.no_such_row(value)
        return self._show(call, one, found[0])

    def _follow(self, call: Call, one: SObject, text: str, relationship: str) -> Reply:
        """Read the record that a record's relationship leads to (REST API guide: sObject Relationships)."""
        record_id = self._alive(one, text)
        reference = one.relationship(relationship)
        if reference is None:
            raise errors.not_found()
        target_id = self.org.store.rows(one, (reference.name,), [record_id])[record_id][0]
        target = self.org.schema.by_id(target_id) if target_id else None
        if target is None:
            raise errors.not_found()
        return self._show(call, target, target_id)

    def upsert(self, call: Call, name: str, field: str, value: str) -> Reply:
        """Update the record with an external Id, or create it."""
        one = self.object(name)
        known = self.key(one, field)
        if known.name == "Id":
            return self.update(call, name, value)
        body = _as_object(call.json())
        if any(one.field(key) is known for key in body):
            message = f"The {known.name} field should not be specified in the sobject data."
            raise errors.refuse(400, "INVALID_FIELD", message)
        try:
            found = self._matches(call, one, known, value)
        except _Several as several:
            return Reply(300, several.urls)
        if not found and call.query.get("updateOnly", "").lower() == "true":
            raise errors.no_such_row(value)
        draft = self._keyed(one, known, body, value, creating=not found)
        options = self.options(call)
        if not found:
            (outcome,) = self.org.writer.create(one, [draft], options)
            return self._created(call, one, outcome, created=True)
        draft.record_id = found[0]
        (outcome,) = self.org.writer.update(one, [draft], options)
        if outcome.problems:
            raise errors.refuse_record(outcome.problems)
        if call.number < _BODY_ON_UPDATE:
            return Reply(204)
        return Reply(200, {"id": outcome.record_id, "success": True, "errors": [], "created": False})

    def _keyed(self, one: SObject, known: Field, body: Json, value: str, *, creating: bool) -> Draft:
        given = {**body, known.name: value} if creating else body
        return self.org.reader.read(one, given, creating=creating, key=known)

    def delete_by_key(self, call: Call, name: str, field: str, value: str) -> Reply:
        """Delete a record by an external Id."""
        one = self.object(name)
        known = self.key(one, field)
        if known.name == "Id":
            return self.delete(call, name, value)
        try:
            found = self._matches(call, one, known, value)
        except _Several as several:
            return Reply(300, several.urls)
        if not found:
            raise errors.no_such_row(value)
        return self.delete(call, name, found[0])

    # What changed.

    def updated(self, call: Call, name: str) -> Reply:
        """List the Ids changed in a span of time."""
        one, start, end = self.object(name), *_span(call, self.org.clock())
        found = [record_id for record_id, _ in self._changed(one, start, end, deleted=False)]
        return Reply(200, {"ids": found, "latestDateCovered": end})

    def _changed(self, one: SObject, start: str, end: str, *, deleted: bool) -> list[tuple[str, str]]:
        """Return the Ids of records changed in a span, and when; objects without a recycle bin have none deleted."""
        if deleted and not one.has_deleted:
            return []
        where = f" AND IsDeleted = {int(deleted)}" if one.has_deleted else ""
        sql = f'SELECT Id, SystemModstamp FROM "{one.name}" WHERE SystemModstamp BETWEEN ? AND ?{where} ORDER BY rowid'  # noqa: S608 - names of the describe
        return list(self.org.store.execute(sql, (start, end)))

    def deleted(self, call: Call, name: str) -> Reply:
        """List the Ids deleted in a span of time."""
        one, start, end = self.object(name), *_span(call, self.org.clock())
        changed = self._changed(one, start, end, deleted=True)
        found = [{"id": record_id, "deletedDate": when} for record_id, when in changed]
        earliest = found[0]["deletedDate"] if found else start
        return Reply(200, {"deletedRecords": found, "earliestDateAvailable": earliest, "latestDateCovered": end})


class _Several(Exception):  # noqa: N818 - it is an answer, 300, not an error
    """Several records have the external Id; ``urls`` leads to each."""

    def __init__(self, urls: list[str]) -> None:
        super().__init__(len(urls))
        self.urls = [quote(url) for url in urls]


def _as_object(body: Any) -> Json:
    if not isinstance(body, dict):
        raise errors.json_invalid("The HTTP entity body is required, but this request has no entity body.")
    return body


def _span(call: Call, now: float) -> tuple[str, str]:
    """Return start and end of a span in stored form; raise 400 (SOAP API guide: getUpdated, getDeleted)."""
    moments = []
    for name in ("start", "end"):
        try:
            # A plus sign that was not encoded arrives as a blank.
            moments.append(read_datetime(call.query[name].replace(" ", "+")))
        except (KeyError, ValueError):
            message = f"{name} must be an ISO 8601 date and time"
            raise errors.refuse(400, "INVALID_REPLICATION_DATE", message) from None
    start, end = moments
    if end - start < _SHORTEST_SPAN:
        message = "endDate should be greater than startDate by at least one minute"
        raise errors.refuse(400, "INVALID_REPLICATION_DATE", message)
    if start.timestamp() < now - _OLDEST_START.total_seconds():
        raise errors.refuse(400, "INVALID_REPLICATION_DATE", "startDate cannot be more than 30 days ago")
    return start.strftime(DATETIME_FORMAT), end.strftime(DATETIME_FORMAT)
