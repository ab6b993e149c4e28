"""sObject Collections: up to 200 records in one call (REST API guide: sObject Collections)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pipeline.emulator import errors, ids
from pipeline.emulator.drafts import Draft, attributes_type
from pipeline.emulator.errors import Json, RecordError
from pipeline.emulator.http import Call, Reply
from pipeline.emulator.org import Org
from pipeline.emulator.rest_rows import Rows
from pipeline.emulator.router import Router
from pipeline.emulator.schema import Field, SObject
from pipeline.emulator.store import Store
from pipeline.emulator.writes import Options, Outcome

MOST_RECORDS = 200
MOST_RETRIEVED = 2_000
# Consecutive records of one type are one chunk, and a request may have this many (REST API guide).
MOST_CHUNKS = 10


class RolledBack(Exception):  # noqa: N818 - it undoes a transaction and is caught right outside it
    """An all-or-none request had a record that failed."""


def saved_together(store: Store, write: Callable[[], list[Outcome]], all_or_none: bool) -> list[Outcome]:
    """Write records, and undo everything when one record of an all-or-none request fails."""
    outcomes: list[Outcome] = []
    try:
        with store.transaction():
            outcomes += write()
            if all_or_none and any(outcome.problems for outcome in outcomes):
                raise RolledBack  # noqa: TRY301  (leaves the transaction)
    except RolledBack:
        for outcome in outcomes:
            if not outcome.problems:
                outcome.problems.append(errors.rolled_back())
                outcome.record_id = None if outcome.created else outcome.record_id
                outcome.created = False
    return outcomes


class Collections:
    """Answers for collections."""

    def __init__(self, org: Org, rows: Rows, router: Router) -> None:
        self.org = org
        self.rows = rows
        router.add("POST", "composite/sobjects", "collections", self.create)
        router.add("PATCH", "composite/sobjects", "collections", self.update)
        router.add("DELETE", "composite/sobjects", "collections", self.delete, "ids allOrNone")
        router.add("GET POST", "composite/sobjects/{object}", "collections", self.retrieve, "ids fields")
        router.add("PATCH", "composite/sobjects/{object}/{field}", "collections", self.upsert)

    # Reading the request.

    def _records(self, call: Call) -> tuple[list[Json], bool]:
        body = call.json()
        records = body.get("records") if isinstance(body, dict) else None
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise errors.json_invalid("The request needs a list of records")
        errors.only_keys(body, {"allOrNone", "records"})
        _at_most_200(len(records))
        return records, body.get("allOrNone") is True

    def _type(self, record: Json) -> SObject:
        name = attributes_type(record)
        if name is None:
            message = "Object type is required: every record needs attributes with a type"
            raise errors.refuse(400, "INVALID_INPUT", message)
        one = self.org.schema.get(name)
        if one is None:
            raise errors.type_not_supported(name)
        return one

    def _chunks(self, records: Sequence[Json], *, creating: bool) -> list[tuple[SObject, list[Draft]]]:
        """Read every record before any is written; one that cannot be read refuses the whole request."""
        chunks: list[tuple[SObject, list[Draft]]] = []
        types: dict[str, SObject] = {}
        for position, record in enumerate(records):
            attributes = record.get("attributes")
            name = attributes.get("type") if isinstance(attributes, dict) else None
            one = types.get(name) if isinstance(name, str) else None
            if one is None:
                one = self._type(record)
                types[str(name)] = one
            if not chunks or chunks[-1][0] is not one:
                chunks.append((one, []))
                if len(chunks) > MOST_CHUNKS:
                    message = (
                        f"The request has more than {MOST_CHUNKS} chunks of records of one type; sort them by type"
                    )
                    raise errors.refuse(400, "LIMIT_EXCEEDED", message)
            draft = self.org.reader.read(one, record, creating=creating, path=("records", position))
            chunks[-1][1].append(draft)
        return chunks

    # Writing.

    def create(self, call: Call) -> Reply:
        """Insert records."""
        records, all_or_none = self._records(call)
        chunks = self._chunks(records, creating=True)
        options = self.rows.options(call)
        outcomes = self._write(lambda one, drafts: self.org.writer.create(one, drafts, options), chunks, all_or_none)
        return Reply(200, [outcome.as_result() for outcome in outcomes])

    def update(self, call: Call) -> Reply:
        """Update records by Id."""
        records, all_or_none = self._records(call)
        chunks = self._chunks(records, creating=False)
        options = self.rows.options(call)
        outcomes = self._write(lambda one, drafts: self.org.writer.update(one, drafts, options), chunks, all_or_none)
        return Reply(200, [outcome.as_result() for outcome in outcomes])

    def upsert(self, call: Call, name: str, field: str) -> Reply:
        """Upsert records of one object by one external Id."""
        one = self.org.schema.get(name)
        if one is None:
            raise errors.not_found()
        known = self.rows.key(one, field)
        records, all_or_none = self._records(call)
        drafts: list[Draft] = []
        for position, record in enumerate(records):
            if attributes_type(record) is not None and self._type(record) is not one:
                message = f"All records must be of type {one.name}"
                raise errors.refuse(400, "INVALID_INPUT", message)
            drafts.append(self._keyed_draft(one, known, record, position))
        options = self.rows.options(call)
        outcomes = self._write(
            lambda one, drafts: self.org.writer.upsert(one, known, drafts, options), [(one, drafts)], all_or_none
        )
        return Reply(200, [outcome.as_result(tells_created=True) for outcome in outcomes])

    def _keyed_draft(self, one: SObject, known: Field, record: Json, position: int) -> Draft:
        draft = self.org.reader.read(one, record, creating=None, path=("records", position), key=known)
        if known.name != "Id" and draft.record_id is not None:
            message = "The Id field should not be specified in the sobject data."
            draft.problems.append(RecordError("INVALID_FIELD", message, ("Id",)))
            draft.record_id = None
        return draft

    def _write(self, write: Any, chunks: list[tuple[SObject, list[Draft]]], all_or_none: bool) -> list[Outcome]:
        return saved_together(
            self.org.store, lambda: [out for one, drafts in chunks for out in write(one, drafts)], all_or_none
        )

    def delete(self, call: Call) -> Reply:
        """Delete records by the Ids in the query."""
        given = [part.strip() for part in call.query.get("ids", "").split(",") if part.strip()]
        if not given:
            raise errors.refuse(400, "MISSING_ARGUMENT", "The ids parameter is required")
        _at_most_200(len(given))
        options: Options = self.rows.options(call)
        all_or_none = call.query.get("allOrNone", "").lower() == "true"
        writer = self.org.writer
        outcomes = saved_together(
            self.org.store, lambda: [writer.delete_one(text, options) for text in given], all_or_none
        )
        return Reply(200, [outcome.as_result() for outcome in outcomes])

    # Reading.

    def retrieve(self, call: Call, name: str) -> Reply:
        """Read fields of up to 2,000 records; null stands for one that is not there."""
        one = self.org.schema.get(name)
        if one is None:
            raise errors.not_found()
        if call.method == "POST":
            body = call.json()
            given, fields = (body.get("ids"), body.get("fields")) if isinstance(body, dict) else (None, None)
            errors.only_keys(body if isinstance(body, dict) else {}, {"ids", "fields"})
        else:
            given = [part for part in call.query.get("ids", "").split(",") if part]
            fields = [part.strip() for part in call.query.get("fields", "").split(",") if part.strip()]
        if not isinstance(given, list) or not isinstance(fields, list) or not given or not fields:
            raise errors.refuse(400, "MISSING_ARGUMENT", "ids and fields are required")
        if len(given) > MOST_RETRIEVED:
            message = f"record limit reached. cannot submit more than {MOST_RETRIEVED} records into this call"
            raise errors.refuse(400, "EXCEEDED_ID_LIMIT", message)
        names = [str(field) for field in fields]
        if "id" not in {field.lower() for field in names}:
            names.append("Id")
        plan = self.org.queries.plan(f"SELECT {', '.join(names)} FROM {one.name}")  # noqa: S608  (SOQL over names of the schema)
        wanted: list[str | None] = []
        for text in given:
            try:
                wanted.append(ids.canonical(text))
            except ids.NotAnId:
                wanted.append(None)
        found = {
            record["Id"]: record
            for record in self.org.queries.records_by_id(plan, [one_id for one_id in wanted if one_id], call.root)
        }
        return Reply(200, [found.get(str(record_id)) for record_id in wanted])


def _at_most_200(count: int) -> None:
    if count > MOST_RECORDS:
        message = f"record limit reached. cannot submit more than {MOST_RECORDS} records into this call"
        raise errors.refuse(400, "EXCEEDED_ID_LIMIT", message)
