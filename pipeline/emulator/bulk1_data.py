"""The data of Bulk API 1.0, in and out: CSV, JSON and XML (Bulk API guide: Prepare Data Files, Batch Results)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from pipeline.emulator import xml_form
from pipeline.emulator.bulk import MOST_CHARACTERS
from pipeline.emulator.drafts import CSV_NULL, Draft, DraftReader, UnknownColumn, UnparsableError, read_row
from pipeline.emulator.errors import ApiError, Json, RecordError
from pipeline.emulator.schema import Field, SObject
from pipeline.emulator.writes import Outcome
from pipeline.emulator.xml_form import Raw

NAMESPACE = "http://www.force.com/2009/06/asyncapi/dataload"
TYPES = {"CSV": "text/csv", "JSON": "application/json", "XML": "application/xml"}
# What a query that found nothing has in its place of a CSV (Bulk API guide: Bulk Query).
NOTHING_FOUND = "Records not found for this query"
_TYPE_WORDS = ("attributes", "type")


class InvalidData(ValueError):  # noqa: N818 - it says what the data is
    """A batch that cannot be worked off as a whole; the message follows ``InvalidBatch : ``."""


@dataclass(frozen=True, slots=True)
class Read:
    """How records are read: into an object, for a create, an update or, with None, an upsert by ``key``."""

    reader: DraftReader
    one: SObject
    creating: bool | None
    key: Field | None

    def row(self, names: Sequence[str], values: Sequence[str]) -> Draft:
        """Return a record of texts; raise InvalidData for a name that means nothing."""
        return self.rows(names, [values])[0]

    def rows(self, names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Draft]:
        """Return records of texts under one header; raise InvalidData."""
        try:
            cells = self.reader.columns(self.one, names, creating=self.creating, key=self.key)
        except UnknownColumn as unknown:
            raise InvalidData(f"Field name not found : {unknown}") from None
        return [read_row(cells, row) for row in rows]


def records_of(content_type: str, raw: bytes, read: Read) -> list[Draft]:
    """Return the records of a batch; raise InvalidData."""
    try:
        text = raw.decode("utf-8-sig" if content_type == "XML" else "utf-8")
    except UnicodeDecodeError:
        raise InvalidData("The data is not UTF-8") from None
    if content_type == "CSV":
        return _csv_records(text, read)
    if content_type == "JSON":
        return _json_records(text, read)
    return _xml_records(raw, read)


def _csv_records(text: str, read: Read) -> list[Draft]:
    csv.field_size_limit(MOST_CHARACTERS)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as problem:
        raise InvalidData(f"Failed to parse CSV: {problem}") from None
    if not rows:
        raise InvalidData("Failed to parse CSV: there is no header")
    if any(len(row) != len(rows[0]) for row in rows):
        raise InvalidData("Failed to parse CSV: a row has more or fewer cells than the header")
    return read.rows(rows[0], rows[1:])


def _json_records(text: str, read: Read) -> list[Draft]:
    try:
        records = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidData("Failed to parse JSON") from None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise InvalidData("Failed to parse JSON: a list of objects is needed")
    return [_json_record(record, read) for record in records]


def _json_record(record: Json, read: Read) -> Draft:
    try:
        return read.reader.read(read.one, record, creating=read.creating, key=read.key)
    except UnparsableError as problem:
        name = str(problem.path[-1])
        return Draft(problems=[RecordError("INVALID_TYPE_ON_FIELD_IN_RECORD", problem.problem.message, (name,))])
    except ApiError as refused:
        if refused.code == "INVALID_FIELD" and refused.body[0]["message"].startswith("No such column '"):
            raise InvalidData(f"Field name not found : {refused.body[0]['message'].split(chr(39))[1]}") from None
        raise InvalidData(refused.body[0]["message"]) from None


def _xml_records(raw: bytes, read: Read) -> list[Draft]:
    try:
        root = xml_form.parse(raw)
    except xml_form.InvalidXml as problem:
        raise InvalidData(f"Failed to parse XML: {problem}") from None
    if xml_form.local(root) != "sObjects":
        raise InvalidData("Failed to parse XML: the outermost element must be sObjects")
    drafts = []
    for record in xml_form.children(root, "sObject"):
        pairs = list(_xml_values(record))
        drafts.append(read.row([name for name, _ in pairs], [value for _, value in pairs]))
    return drafts


def _xml_values(record: ET.Element) -> Iterator[tuple[str, str]]:
    """Yield names and texts of a record; a parent named by its external Id is an sObject inside the relationship."""
    for field in record:
        name = xml_form.local(field)
        inner = next(xml_form.children(field, "sObject"), None)
        if name in _TYPE_WORDS and inner is None:
            continue
        if inner is None:
            yield name, CSV_NULL if xml_form.is_nil(field) else (field.text or "")
            continue
        kind = xml_form.text_of(next(xml_form.children(inner, "type"), None))
        for key in inner:
            if xml_form.local(key) != "type":
                path = f"{name}.{xml_form.local(key)}"
                yield f"{kind}:{path}" if kind else path, key.text or ""


# Results.


def results(content_type: str, outcomes: Sequence[Outcome]) -> bytes:
    """Return what became of a batch's records, in their order."""
    if content_type == "CSV":
        rows = [["Id", "Success", "Created", "Error"]]
        rows += [
            [one.record_id or "", xml_form.scalar(one.success), xml_form.scalar(one.created), _error_text(one.problems)]
            for one in outcomes
        ]
        return quoted(rows)
    if content_type == "JSON":
        return json.dumps([_json_result(one) for one in outcomes], ensure_ascii=False).encode()
    return xml_form.document("results", NAMESPACE, Raw("".join(map(_xml_result, outcomes))))


def quoted(rows: Sequence[Sequence[str]]) -> bytes:
    """Return rows as CSV with every cell in quotes."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _error_text(problems: Sequence[RecordError]) -> str:
    return ";".join(f"{one.code}:{one.message}:{' '.join(one.fields)}{' ' * bool(one.fields)}--" for one in problems)


def _json_result(one: Outcome) -> Json:
    errors = [{**problem.as_status(), "extendedErrorDetails": None} for problem in one.problems]
    return {"success": one.success, "created": one.created, "id": one.record_id, "errors": errors}


def _xml_result(one: Outcome) -> str:
    errors = [
        {"fields": list(problem.fields), "message": problem.message, "statusCode": problem.code}
        for problem in one.problems
    ]
    shown: Json = {"errors": errors} | ({"id": one.record_id} if one.record_id else {})
    return xml_form.element("result", {**shown, "success": one.success, "created": one.created})


def xml_records(records: Iterator[Json]) -> bytes:
    """Return a query's records as XML."""
    return xml_form.document("queryResult", NAMESPACE, Raw("".join(map(_xml_record, records))))


def _xml_record(record: Json) -> str:
    return xml_form.element("records", _xml_fields(record), xsi__type="sObject")


def _xml_fields(record: Json) -> Raw:
    fields = [xml_form.element("type", record["attributes"]["type"])]
    for name, value in record.items():
        if isinstance(value, dict) and name != "attributes":
            fields.append(xml_form.element(name, _xml_fields(value), xsi__type="sObject"))
        elif name != "attributes":
            fields.append(xml_form.element(name, value))
    return Raw("".join(fields))


def info(name: str, shown: Json | list[Json], *, as_json: bool) -> tuple[bytes, str]:
    """Return jobInfo, batchInfo or batchInfoList and their content type; XML writes dates with a Z."""
    if as_json:
        body: Any = {"batchInfo": shown} if isinstance(shown, list) else shown
        return json.dumps(body).encode(), TYPES["JSON"]
    if isinstance(shown, list):
        inside = Raw("".join(xml_form.element("batchInfo", _with_z(one)) for one in shown))
    else:
        inside = xml_form.elements(_with_z(shown))
    return xml_form.document(name, NAMESPACE, inside), TYPES["XML"]


def _with_z(shown: Json) -> Json:
    return {
        key: f"{value[:-5]}Z" if key in {"createdDate", "systemModstamp"} else value for key, value in shown.items()
    }
