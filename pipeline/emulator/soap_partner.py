"""The partner API over SOAP: records written, read and described (SOAP API guide: Core Calls, Describe Calls).

Whatever else the API has is refused with a fault that says so, and so is a SOAP header that nobody would read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from pipeline.emulator import errors, ids
from pipeline.emulator.describe import brief, describe
from pipeline.emulator.drafts import CSV_NULL, Draft, UnknownColumn, read_row
from pipeline.emulator.errors import ApiError, Json
from pipeline.emulator.http import Call
from pipeline.emulator.merges import merge
from pipeline.emulator.org import Org
from pipeline.emulator.rest_collections import MOST_CHUNKS, MOST_RECORDS, MOST_RETRIEVED, saved_together
from pipeline.emulator.rest_rows import Rows
from pipeline.emulator.schema import SObject
from pipeline.emulator.soap_records import described, described_global, error_elements, query_result, record
from pipeline.emulator.soql.compile import Asker
from pipeline.emulator.soql.run import PAGE, SMALLEST_PAGE
from pipeline.emulator.values import datetime_text
from pipeline.emulator.writes import Options, Outcome
from pipeline.emulator.xml_form import Raw, children, element, elements, find, is_nil, local, text_of

# A page of a query unless QueryOptions says otherwise (SOAP API guide: QueryOptions).
_PAGE = 500
_MOST_DESCRIBED = 100
_HEADERS = {
    "SessionHeader": {"sessionId"},
    "CallOptions": {"client"},
    "QueryOptions": {"batchSize"},
    "AllOrNoneHeader": {"allOrNone"},
    "AssignmentRuleHeader": {"assignmentRuleId", "useDefaultRule"},
    "DuplicateRuleHeader": {"allowSave"},
}


class Partner:
    """Answers for the partner API; ``calls`` has the names of what is covered."""

    def __init__(self, org: Org, rows: Rows) -> None:
        self.org = org
        self.rows = rows
        self.calls: dict[str, Callable[[Call, ET.Element, ET.Element], Raw]] = {
            "create": self._create,
            "update": self._update,
            "upsert": self._upsert,
            "delete": self._delete,
            "retrieve": self._retrieve,
            "merge": self._merge,
            "query": self._query,
            "queryAll": self._query_all,
            "queryMore": self._query_more,
            "describeSObject": self._describe_one,
            "describeSObjects": self._describe_several,
            "describeGlobal": self._describe_global,
            "getServerTimestamp": self._timestamp,
        }

    def answer(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        """Return what stands inside the response of a call; ``asked`` is the call's element. Raises ApiError."""
        for header in find(root, "Header") or ():
            allowed = _HEADERS.get(local(header))
            unknown = [local(part) for part in header if local(part) not in (allowed or ())]
            if allowed is None or unknown:
                what = ".".join((local(header), *unknown[:1]))
                raise errors.not_covered(f"the SOAP header {what}")
        answer = self.calls.get(local(asked))
        if answer is None:
            raise errors.not_covered(f"the SOAP call {local(asked)}")
        return answer(call, root, asked)

    # Writing.

    def _options(self, call: Call, root: ET.Element) -> Options:
        """Return how a call wants its writes done, which SOAP headers say."""
        rule = text_of(find(root, "assignmentRuleId"))
        default = text_of(find(root, "useDefaultRule")) == "true"
        path = f"/services/Soap/u/{call.version}"
        options = self.rows.options(call, path, assignment=rule or ("TRUE" if default else "FALSE"))
        options.allow_duplicates = text_of(find(root, "allowSave")) == "true"
        return options

    def _create(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        options = self._options(call, root)
        outcomes = self._write(root, asked, lambda one, drafts: self.org.writer.create(one, drafts, options), True)
        return _saved(outcomes)

    def _update(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        options = self._options(call, root)
        outcomes = self._write(root, asked, lambda one, drafts: self.org.writer.update(one, drafts, options), False)
        return _saved(outcomes)

    def _upsert(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        options = self._options(call, root)
        name = text_of(find(asked, "externalIDFieldName"))

        def write(one: SObject, drafts: Sequence[Draft]) -> list[Outcome]:
            known = one.field(name)
            if known is None or not known.is_key:
                message = f"Field name provided, {name} is not an External ID or indexed field for {one.name}"
                raise errors.refuse(400, "INVALID_FIELD", message)
            return self.org.writer.upsert(one, known, drafts, options)

        outcomes = self._write(root, asked, write, None, name)
        return Raw("".join(_result(outcome, created=True) for outcome in outcomes))

    def _write(
        self,
        root: ET.Element,
        asked: ET.Element,
        write: Callable[[SObject, Sequence[Draft]], list[Outcome]],
        creating: bool | None,
        key: str = "",
    ) -> list[Outcome]:
        """Read all records, then write them in chunks of one type each."""
        given = list(children(asked, "sObjects"))
        _at_most(len(given), MOST_RECORDS)
        drafts = [self._draft(one, creating, key) for one in given]
        chunks = [(one, [draft for _, draft in group]) for one, group in groupby(drafts, lambda pair: pair[0])]
        if len(chunks) > MOST_CHUNKS:
            message = f"The request has more than {MOST_CHUNKS} chunks of records of one type; sort them by type"
            raise errors.refuse(400, "LIMIT_EXCEEDED", message)
        return self._all_or_none(root, lambda: [out for one, chunk in chunks for out in write(one, chunk)])

    def _all_or_none(self, root: ET.Element, write: Callable[[], list[Outcome]]) -> list[Outcome]:
        wanted = text_of(find(root, "allOrNone")) == "true"
        return saved_together(self.org.store, write, wanted)

    def _draft(self, given: ET.Element, creating: bool | None, key: str) -> tuple[SObject, Draft]:
        one = self._object(text_of(next(children(given, "type"), None)))
        pairs = list(_values(given))
        try:
            cells = self.org.reader.columns(
                one, [name for name, _ in pairs], creating=creating, key=one.field(key) if key else None
            )
        except UnknownColumn as unknown:
            raise errors.no_such_column(str(unknown), one.name) from None
        return one, read_row(cells, [value for _, value in pairs])

    def _object(self, name: str) -> SObject:
        one = self.org.schema.get(name)
        if one is None:
            raise errors.type_not_supported(name)
        return one

    def _delete(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        options = self._options(call, root)
        given = [text_of(one) for one in children(asked, "ids")]
        _at_most(len(given), MOST_RECORDS)
        return _saved(self._all_or_none(root, lambda: [self.org.writer.delete_one(text, options) for text in given]))

    def _merge(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        options = self._options(call, root)
        results = []
        for request in children(asked, "request"):
            given = next(children(request, "masterRecord"), None)
            if given is None:
                raise errors.refuse(400, "MISSING_ARGUMENT", "merge needs a masterRecord")
            one, draft = self._draft(given, creating=False, key="")
            losers = [text_of(loser) for loser in children(request, "recordToMergeIds")]
            (outcome,) = self.org.writer.update(one, [draft], options)
            if not outcome.problems:
                outcome.problems += merge(
                    self.org.store, one, str(outcome.record_id), list(map(_id, losers)), self.org.clock()
                )
            merged = losers if not outcome.problems else []
            shown = {"errors": error_elements(outcome.problems), "id": outcome.record_id, "mergedRecordIds": merged}
            results.append(element("result", {**shown, "success": outcome.success}))
        return Raw("".join(results))

    # Reading.

    def _retrieve(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        del root
        one = self._object(text_of(find(asked, "sObjectType")))
        fields = [name.strip() for name in text_of(find(asked, "fieldList")).split(",") if name.strip()]
        wanted = [_id(text_of(given)) for given in children(asked, "ids")]
        _at_most(len(wanted), MOST_RETRIEVED)
        plan = self.org.queries.plan(f"SELECT {', '.join(dict.fromkeys(('Id', *fields)))} FROM {one.name}")  # noqa: S608  (SOQL)
        root_path = f"/services/data/v{call.version}"
        found = {told["Id"]: told for told in self.org.queries.records_by_id(plan, wanted, root_path)}
        results = [found.get(record_id) for record_id in wanted]
        return Raw("".join(record("result", told) if told else element("result", None) for told in results))

    def _query(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        return self._queried(call, root, asked, deleted=False)

    def _query_all(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        return self._queried(call, root, asked, deleted=True)

    def _queried(self, call: Call, root: ET.Element, asked: ET.Element, *, deleted: bool) -> Raw:
        wanted = text_of(find(root, "batchSize"))
        page = min(max(int(wanted), SMALLEST_PAGE), PAGE) if wanted.isdigit() else _PAGE
        text = text_of(find(asked, "queryString"))
        asker = Asker(call.user_id, call.number)
        path = f"/services/data/v{call.version}"
        found = self.org.queries.query(text, path, deleted=deleted, page=page, asker=asker)
        return query_result("result", found)

    def _query_more(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        del call, root
        return query_result("result", self.org.queries.more(text_of(find(asked, "queryLocator"))))

    def _describe_one(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        del root
        return self._described(call, [text_of(find(asked, "sObjectType"))])

    def _describe_several(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        del root
        return self._described(call, [text_of(one) for one in children(asked, "sObjectType")])

    def _described(self, call: Call, names: Sequence[str]) -> Raw:
        _at_most(len(names), _MOST_DESCRIBED)
        objects = [self._object(name) for name in names]
        path = f"/services/data/v{call.version}"
        return Raw("".join(described(describe(self.org.schema, one, path, call.base_url)) for one in objects))

    def _describe_global(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        del root, asked
        objects = sorted(self.org.schema.objects.values(), key=lambda one: one.name)
        return described_global([brief(one, f"/services/data/v{call.version}") for one in objects])

    def _timestamp(self, call: Call, root: ET.Element, asked: ET.Element) -> Raw:
        del call, root, asked
        return elements({"result": {"timestamp": f"{datetime_text(self.org.clock())[:-5]}Z"}})


def _values(given: ET.Element) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of a record; an empty element changes nothing, ``fieldsToNull`` and ``nil`` empty."""
    for field in given:
        name = local(field)
        if name == "fieldsToNull":
            yield text_of(field), CSV_NULL
        elif name == "type":
            continue
        elif len(field):
            kind = text_of(next(children(field, "type"), None))
            for key in field:
                if local(key) not in {"type", "Id"} or (local(key) == "Id" and text_of(key)):
                    path = f"{name}.{local(key)}"
                    yield f"{kind}:{path}" if kind else path, key.text or ""
        else:
            yield name, CSV_NULL if is_nil(field) and name != "Id" else (field.text or "")


def _id(text: str) -> str:
    try:
        return ids.canonical(text)
    except ids.NotAnId:
        raise errors.refuse(400, "INVALID_ID_FIELD", f"Invalid id {text}") from None


def _at_most(count: int, most: int) -> None:
    if count > most:
        message = f"record limit reached. cannot submit more than {most} records into this call"
        raise errors.refuse(400, "EXCEEDED_ID_LIMIT", message)


def _saved(outcomes: Sequence[Outcome]) -> Raw:
    return Raw("".join(_result(outcome) for outcome in outcomes))


def _result(outcome: Outcome, *, created: bool = False) -> str:
    """Return a SaveResult, UpsertResult or DeleteResult, in the order of the WSDL."""
    told: Json = {"created": outcome.created and outcome.success} if created else {}
    told |= {"errors": error_elements(outcome.problems), "id": outcome.record_id if outcome.success else None}
    return element("result", {**told, "success": outcome.success})


def fault_kind(refused: ApiError) -> str:
    """Return the type of a refusal's fault (SOAP API guide: Fault Elements)."""
    kinds = {"MALFORMED_QUERY": "MalformedQueryFault", "INVALID_FIELD": "InvalidFieldFault"}
    kinds |= {"INVALID_TYPE": "InvalidSObjectFault", "INVALID_ID_FIELD": "InvalidIdFault"}
    kinds |= {"INVALID_QUERY_LOCATOR": "InvalidQueryLocatorFault"}
    return kinds.get(refused.code, "UnexpectedErrorFault")
