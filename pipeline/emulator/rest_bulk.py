"""Bulk API 2.0 over HTTP: /jobs/ingest and /jobs/query (Bulk API 2.0 guide)."""

from __future__ import annotations

import base64
import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from pipeline.emulator import errors, ids
from pipeline.emulator.bulk import (
    DELIMITERS,
    FINISHED,
    INGEST_OPERATIONS,
    LINE_ENDINGS,
    QUERY_OPERATIONS,
    Job,
    result_file,
)
from pipeline.emulator.bulk_cells import NO_COMPOUNDS, has_compound
from pipeline.emulator.errors import Json
from pipeline.emulator.http import Call, Reply
from pipeline.emulator.org import Org
from pipeline.emulator.rest_rows import Rows
from pipeline.emulator.router import Router
from pipeline.emulator.soql.compile import Asker
from pipeline.emulator.writes import Options

_CSV = "text/csv"
# What a job may say (Bulk API 2.0 guide: Create a Job, Create a Query Job).
_TERMS = {"operation", "contentType", "lineEnding", "columnDelimiter"}
_INGEST_TERMS = _TERMS | {"object", "externalIdFieldName", "assignmentRuleId"}
_QUERY_TERMS = _TERMS | {"query"}
# The guide spells the last one without a capital, some clients with one; the server takes either.
_RESULTS = {name.lower(): name for name in ("successfulResults", "failedResults", "unprocessedrecords")}
# A page of query results when the request names no other size.
_PAGE = 50_000
# A request that brings job and data together may hold this many characters (Bulk API 2.0 guide, multipart).
_MOST_MULTIPART = 100_000
_MOST_LISTED = 1_000


class BulkJobs:
    """Answers for bulk jobs."""

    def __init__(self, org: Org, rows: Rows, router: Router) -> None:
        self.org = org
        self.rows = rows
        for kind in ("ingest", "query"):
            router.add(
                "GET",
                f"jobs/{kind}",
                f"bulk_{kind}",
                self.list_ingest if kind == "ingest" else self.list_query,
                "jobType",
            )
            router.add("GET", f"jobs/{kind}/{{id}}", f"bulk_{kind}", self.show)
            router.add("PATCH", f"jobs/{kind}/{{id}}", f"bulk_{kind}", self.change)
            router.add("DELETE", f"jobs/{kind}/{{id}}", f"bulk_{kind}", self.delete)
        router.add("POST", "jobs/ingest", "bulk_ingest", self.create)
        router.add("PUT", "jobs/ingest/{id}/batches", "bulk_ingest", self.upload)
        router.add("GET", "jobs/query/{id}/results", "bulk_query", self.query_results, "maxRecords locator")
        router.add("GET", "jobs/ingest/{id}/{which}", "bulk_ingest", self.results)
        router.add("POST", "jobs/query", "bulk_query", self.create_query)

    def _job(self, call: Call, job_id: str) -> Job:
        try:
            job = self.org.bulk.jobs.get(ids.canonical(job_id))
        except ids.NotAnId:
            job = None
        if job is None or job.kind != call.path[1]:
            raise errors.not_found()
        return job

    def _options(self, call: Call, job: Job) -> Options:
        """Return how a job wants its writes done: an assignment rule runs only when the job names it."""
        return self.rows.options(call, assignment=job.assignment_rule or "FALSE")

    # Ingest.

    def create(self, call: Call) -> Reply:
        """Create an ingest job; a multipart request brings the data along and starts it."""
        content_type = call.headers.get("content-type", "")
        content: str | None = None
        if content_type.startswith("multipart/form-data"):
            given, content = _multipart(content_type, call.raw)
        else:
            given = call.json()
        job = self.org.bulk.add("ingest", self._ingest_terms(given), call.user_id, call.version)
        if content is not None:
            job.content = content
            self.org.bulk.start(job, self._options(call, job))
        return Reply(200, job.info(root=call.root))

    def _ingest_terms(self, given: Any) -> Json:
        """Check what a job asks for, and return it with the object's true name."""
        terms = _terms(given, INGEST_OPERATIONS)
        errors.only_keys(terms, _INGEST_TERMS)
        one = self.org.schema.get(str(terms.get("object", "")))
        if one is None:
            message = f"InvalidEntity : {terms.get('object')} is not a valid object"
            raise errors.refuse(400, "INVALIDENTITY", message)
        if terms.get("contentType", "CSV") != "CSV":
            raise errors.refuse(400, "INVALIDCONTENTTYPE", "contentType must be CSV")
        if terms["operation"] == "upsert":
            name = terms.get("externalIdFieldName")
            if not name:
                raise errors.refuse(400, "INVALIDJOB", "InvalidJob : External ID was blank for an upsert job")
            known = one.field(str(name))
            if known is None or not known.is_key:
                message = f"InvalidJob : Field name provided does not match an External ID for {one.name}: {name}"
                raise errors.refuse(400, "INVALIDJOB", message)
        return {**terms, "object": one.name}

    def upload(self, call: Call, job_id: str) -> Reply:
        """Take a job's data, once."""
        job = self._job(call, job_id)
        if job.state != "Open" or job.content is not None:
            raise _wrong_state(
                f"Found multiple contents for job: <{job.record_id}>, please 'Close' / 'Abort' / 'Delete' it"
            )
        if not call.headers.get("content-type", "").startswith(_CSV):
            raise errors.refuse(415, "UNSUPPORTED_MEDIA_TYPE", "The data of a job is text/csv")
        job.content = _utf8(call.raw)
        return Reply(201)

    def change(self, call: Call, job_id: str) -> Reply:
        """Close or abort a job."""
        job = self._job(call, job_id)
        given = call.json()
        wanted = given.get("state") if isinstance(given, dict) else None
        if wanted == "Aborted" and job.state not in FINISHED:
            self.org.bulk.abort(job)
        elif wanted == "UploadComplete" and job.kind == "ingest" and job.state == "Open":
            self.org.bulk.start(job, self._options(call, job))
        else:
            raise _wrong_state(f"Job state {job.state} does not allow a change to {wanted}")
        return Reply(200, job.info())

    def show(self, call: Call, job_id: str) -> Reply:
        """Show a job with its counters."""
        return Reply(200, self._job(call, job_id).info(root=call.root, counters=True))

    def delete(self, call: Call, job_id: str) -> Reply:
        """Forget a job that is not being worked on."""
        job = self._job(call, job_id)
        if job.state not in FINISHED and not (job.kind == "ingest" and job.state == "UploadComplete"):
            raise _wrong_state(f"A job in state {job.state} cannot be deleted")
        del self.org.bulk.jobs[job.record_id]
        return Reply(204)

    def results(self, call: Call, job_id: str, which: str) -> Reply:
        """Send a result file."""
        job = self._job(call, job_id)
        name = _RESULTS.get(which.lower())
        if name is None:
            raise errors.not_found()
        if job.state not in FINISHED:
            raise _wrong_state(f"Results are there when a job has ended; this one is {job.state}")
        return Reply(200, result_file(job, name).encode(), content_type="text/csv;charset=UTF-8")

    def list_ingest(self, call: Call) -> Reply:
        """List ingest jobs."""
        return self._list(call, "ingest")

    def list_query(self, call: Call) -> Reply:
        """List query jobs."""
        return self._list(call, "query")

    def _list(self, call: Call, kind: str) -> Reply:
        wanted = call.query.get("jobType")
        own_type = "V2Ingest" if kind == "ingest" else "V2Query"
        shown = [
            {**job.info(), "jobType": own_type}
            for job in self.org.bulk.jobs.values()
            if job.kind == kind and wanted in {None, own_type}
        ]
        return Reply(200, {"done": True, "records": shown[:_MOST_LISTED], "nextRecordsUrl": None})

    # Queries.

    def create_query(self, call: Call) -> Reply:
        """Create a query job and start it."""
        terms = _terms(call.json(), QUERY_OPERATIONS)
        errors.only_keys(terms, _QUERY_TERMS)
        if terms.get("contentType", "CSV") != "CSV":
            raise errors.refuse(400, "INVALIDCONTENTTYPE", "contentType must be CSV")
        text = str(terms.get("query") or "")
        asker = Asker(call.user_id, call.number)
        plan = self.org.queries.plan(text, deleted=terms["operation"] == "queryAll", asker=asker)
        if plan.node is None or plan.children or plan.one_page or plan.chooses:
            message = "Aggregate Relationships, OFFSET and GROUP BY are not supported in a Bulk V2 Query"
            raise errors.refuse(400, "API_ERROR", message)
        if has_compound(plan.node):
            raise errors.refuse(400, "FUNCTIONALITY_NOT_ENABLED", NO_COMPOUNDS)
        job = self.org.bulk.add("query", {**terms, "object": plan.one.name}, call.user_id, call.version)
        job.query, job.plan = text, plan
        self.org.bulk.start(job, self._options(call, job))
        return Reply(200, job.info())

    def query_results(self, call: Call, job_id: str) -> Reply:
        """Send a page of results; the locator in the headers leads to the next one."""
        job = self._job(call, job_id)
        if job.state != "JobComplete":
            raise _wrong_state(f"Results are there when a job is complete; this one is {job.state}")
        asked = call.query.get("maxRecords", "")
        count = min(int(asked), _PAGE) if asked.isdigit() and int(asked) else _PAGE
        start = _start_of(call.query.get("locator", ""), len(job.found))
        body, rows = self.org.bulk.page(job, start, count)
        end = start + count
        locator = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(job.found) else "null"
        headers = {"Sforce-Locator": locator, "Sforce-NumberOfRecords": str(rows)}
        return Reply(200, body.encode(), headers, "text/csv;charset=UTF-8")


def _terms(given: Any, operations: frozenset[str]) -> Json:
    if not isinstance(given, dict):
        raise errors.json_invalid("A job is a JSON object")
    if any(isinstance(value, dict | list) for value in given.values()):
        raise errors.json_invalid("Every property of a job is a text or a number")
    if given.get("operation") not in operations:
        message = f"InvalidJob : operation must be one of {', '.join(sorted(operations))}"
        raise errors.refuse(400, "INVALIDJOB", message)
    for key, known in (("columnDelimiter", DELIMITERS), ("lineEnding", LINE_ENDINGS)):
        if given.get(key) is not None and given[key] not in known:
            raise errors.refuse(400, "INVALIDJOB", f"InvalidJob : {key} must be one of {', '.join(known)}")
    return {key: value for key, value in given.items() if value is not None}


def _wrong_state(message: str) -> errors.ApiError:
    return errors.refuse(400, "INVALIDJOBSTATE", message)


def _start_of(locator: str, total: int) -> int:
    if locator in {"", "null"}:
        return 0
    try:
        start = int(base64.urlsafe_b64decode(locator))
    except ValueError:
        start = -1
    if not 0 < start < total:
        raise errors.refuse(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return start


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise errors.refuse(400, "INVALID_INPUT", "The data of a job must be UTF-8") from None


def _multipart(content_type: str, raw: bytes) -> tuple[Any, str]:
    """Return the job and the data of a multipart request, whose parts are called ``job`` and ``content``."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + raw)
    parts: dict[str, bytes] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            parts[name] = payload
    if parts.keys() != {"job", "content"}:
        raise errors.refuse(400, "INVALID_INPUT", "A multipart request has the parts job and content")
    content = _utf8(parts["content"])
    if len(content) > _MOST_MULTIPART:
        message_text = f"The content of a multipart request has at most {_MOST_MULTIPART} characters"
        raise errors.refuse(400, "INVALID_INPUT", message_text)
    try:
        return json.loads(parts["job"]), content
    except ValueError:
        raise errors.json_invalid("The part job is no JSON") from None
