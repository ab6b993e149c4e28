"""Bulk API 1.0 over HTTP: /services/async/XX.X/job and what lies below (Bulk API guide).

A session is named by the header ``X-SFDC-Session``. Jobs are answered in JSON where the request's content type is JSON,
batches where the job's is, and in XML otherwise: what tap-salesforce, simple-salesforce, salesforce-bulk and jsforce
read.
Errors are 400 with exceptionCode and exceptionMessage, whatever they are about.
"""

from __future__ import annotations

import json
from typing import Any

from pipeline.emulator import ids, xml_form
from pipeline.emulator.bulk import MOST_BATCHES
from pipeline.emulator.bulk1 import OPERATIONS, QUERIES, Batch, Job
from pipeline.emulator.bulk1_data import NAMESPACE, NOTHING_FOUND, TYPES, info, quoted, results, xml_records
from pipeline.emulator.bulk_cells import cells, header
from pipeline.emulator.errors import ApiError, Json
from pipeline.emulator.http import Call, Reply
from pipeline.emulator.org import Org
from pipeline.emulator.rest_rows import Rows
from pipeline.emulator.schema import Field, SObject

# A batch may be at most this large (Bulk API guide: limits).
_MOST_BYTES = 10_000_000
_TERMS = frozenset(
    {"operation", "object", "contentType", "concurrencyMode", "externalIdFieldName", "assignmentRuleId", "state"}
)
# In JSON the mode may be its number as well: simple-salesforce sends 0 and 1, and works with real orgs.
_MODES: dict[object, str] = {"Parallel": "Parallel", "Serial": "Serial", 0: "Parallel", 1: "Serial"}
_ENDED = frozenset({"Completed", "Failed", "NotProcessed"})
_HEADERS = frozenset({"sforce-call-options", "sforce-disable-batch-retry"})
# Codes of the REST API and what Bulk API 1.0 calls them.
_CODES = {"INVALID_SESSION_ID": "InvalidSessionId", "REQUEST_LIMIT_EXCEEDED": "ExceededQuota", "GONE": "InvalidVersion"}
_CODES |= {"NOT_FOUND": "InvalidUrl", "NOT_COVERED": "FeatureNotEnabled"}


class AsyncError(Exception):
    """A refused request: exceptionCode and exceptionMessage."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


def refusal(problem: AsyncError | ApiError, headers: Any) -> Reply:
    """Return the reply to a refused request, in the form of the request."""
    if isinstance(problem, ApiError):
        code, message = _CODES.get(problem.code, problem.code), str(problem.body[0]["message"])
        if code == "InvalidSessionId":
            message = "Invalid session id"
    else:
        code, message = problem.code, problem.message
    shown = {"exceptionCode": code, "exceptionMessage": message}
    if _is_json(headers):
        return Reply(400, json.dumps(shown).encode(), content_type=TYPES["JSON"])
    return Reply(400, xml_form.document("error", NAMESPACE, xml_form.elements(shown)), content_type=TYPES["XML"])


class AsyncJobs:
    """Answers for Bulk API 1.0."""

    def __init__(self, org: Org, rows: Rows) -> None:
        self.org = org
        self.rows = rows

    def answer(self, call: Call) -> Reply:
        """Answer a call; ``call.path`` begins with ``job``. Raises AsyncError and ApiError."""
        _check_headers(call)
        method, path = call.method, call.path
        if call.query:
            raise AsyncError("FeatureNotEnabled", f"not part of this emulator: the parameter {min(call.query)}")
        if path == ("job",) and method == "POST":
            return self._create(call)
        if path[:1] != ("job",) or len(path) == 1:
            raise AsyncError("InvalidUrl", f"Unknown resource: /{'/'.join(path)}")
        job = self._job(call, path[1])
        rest = path[2:]
        if rest == ():
            return self._change(call, job) if method == "POST" else self._shown(call, job)
        if rest[0] == "spec":
            raise AsyncError("FeatureNotEnabled", "not part of this emulator: a mapping of columns (spec)")
        if rest[0] != "batch":
            raise AsyncError("InvalidUrl", f"Unknown resource: /{'/'.join(path)}")
        if rest == ("batch",):
            if method == "POST":
                return self._add_batch(call, job)
            return _told("batchInfoList", [batch.info(job) for batch in job.batches.values()], job)
        return self._batch(call, job, rest)

    # Jobs.

    def _job(self, call: Call, text: str) -> Job:
        try:
            job = self.org.batch_jobs.jobs.get(ids.canonical(text))
        except ids.NotAnId:
            job = None
        if job is None:
            raise AsyncError("InvalidJob", f"Unable to find job for id: {text}")
        if job.version != call.version:
            raise AsyncError("InvalidVersion", f"Api version in the URI must be that of the job: {job.version}")
        return job

    def _create(self, call: Call) -> Reply:
        given = _terms(call)
        operation = given.get("operation")
        if operation not in OPERATIONS:
            raise AsyncError("InvalidJob", f"Invalid operation: {operation}")
        one = self.org.schema.get(str(given.get("object", "")))
        if one is None:
            raise AsyncError("InvalidJob", f"Unable to find object: {given.get('object')}")
        content_type = given.get("contentType", "XML")
        if content_type not in TYPES:
            if str(content_type).startswith("ZIP_"):
                raise AsyncError("FeatureNotEnabled", f"not part of this emulator: the content type {content_type}")
            raise AsyncError("InvalidJob", f"Invalid content type: {content_type}")
        mode = given.get("concurrencyMode", 0)
        if mode not in _MODES:
            raise AsyncError("InvalidJob", f"Invalid concurrencyMode: {mode}")
        given["concurrencyMode"] = _MODES[mode]
        key = _key(one, given)
        job = self.org.batch_jobs.add(one, given, key, call.user_id, call.version)
        self.rows.options(call, assignment=job.assignment_rule or "FALSE")
        body, kind = info("jobInfo", job.info(), as_json=_is_json(call.headers))
        return Reply(201, body, content_type=kind)

    def _change(self, call: Call, job: Job) -> Reply:
        wanted = _terms(call).get("state")
        if wanted not in {"Closed", "Aborted"}:
            raise AsyncError("InvalidJob", f"A job can be set to Closed or Aborted, not to {wanted}")
        if job.state == "Aborted" or (job.state == "Closed" and wanted == "Closed"):
            raise AsyncError("InvalidJobState", f"The job is {job.state} and cannot become {wanted}")
        self.org.batch_jobs.set_state(job, wanted)
        return self._shown(call, job)

    @staticmethod
    def _shown(call: Call, job: Job) -> Reply:
        _only("GET POST", call)
        body, kind = info("jobInfo", job.info(), as_json=_is_json(call.headers))
        return Reply(200, body, content_type=kind)

    # Batches.

    def _add_batch(self, call: Call, job: Job) -> Reply:
        if job.state != "Open":
            raise AsyncError("InvalidJobState", f"Job is not in Open state; it is {job.state}")
        if len(call.raw) > _MOST_BYTES:
            message = (
                f"Failed to read request. Exceeded max size limit of {_MOST_BYTES} with response size {len(call.raw)}"
            )
            raise AsyncError("ClientInputError", message)
        if self.org.bulk.batches >= MOST_BATCHES:
            raise AsyncError("ExceededQuota", "ApiBatchItems Limit exceeded.")
        given = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        wanted = TYPES[job.content_type]
        if given.removeprefix("text/").removeprefix("application/") != wanted.partition("/")[2]:
            raise AsyncError(
                "InvalidBatch", f"The content type of a batch of this job is {wanted}, not {given or 'none'}"
            )
        path = "/".join(("/services/async", call.version, *call.path))
        options = self.rows.options(call, path, assignment=job.assignment_rule or "FALSE")
        batch = self.org.batch_jobs.add_batch(job, wanted, call.raw, options)
        reply = _told("batchInfo", batch.info(job), job)
        reply.status = 201
        return reply

    def _batch(self, call: Call, job: Job, rest: tuple[str, ...]) -> Reply:
        _only("GET", call)
        try:
            batch = job.batches.get(ids.canonical(rest[1]))
        except ids.NotAnId:
            batch = None
        if batch is None:
            raise AsyncError("InvalidBatch", f"Unable to find batch for id: {rest[1]}")
        match rest[2:]:
            case ():
                return _told("batchInfo", batch.info(job), job)
            case ("request",):
                return Reply(200, batch.request, content_type=batch.content_type)
            case ("result",):
                return self._results(job, batch)
            case ("result", result_id) if job.operation in QUERIES:
                return self._result(call, job, batch, result_id)
        raise AsyncError("InvalidUrl", f"Unknown resource: /{'/'.join(call.path)}")

    @staticmethod
    def _results(job: Job, batch: Batch) -> Reply:
        if batch.state not in _ENDED or (batch.state != "Completed" and not batch.outcomes):
            raise AsyncError("InvalidBatch", "Batch not completed")
        if job.operation not in QUERIES:
            return Reply(200, results(job.content_type, batch.outcomes), content_type=TYPES[job.content_type])
        if job.content_type == "JSON":
            return Reply(200, json.dumps([batch.result_id]).encode(), content_type=TYPES["JSON"])
        inside = xml_form.elements({"result": batch.result_id})
        return Reply(200, xml_form.document("result-list", NAMESPACE, inside), content_type=TYPES["XML"])

    def _result(self, call: Call, job: Job, batch: Batch, result_id: str) -> Reply:
        if batch.state != "Completed" or result_id != batch.result_id or batch.plan is None:
            raise AsyncError("InvalidBatch", f"Unable to find result for id: {result_id}")
        jobs = self.org.batch_jobs
        if job.content_type == "CSV":
            node = batch.plan.node
            assert node is not None
            rows = [header(node), *(cells(node, row) for row in jobs.rows(batch))]
            body = quoted(rows) if len(rows) > 1 else NOTHING_FOUND.encode()
        else:
            records = jobs.records(batch, f"/services/data/v{call.version}")
            body = json.dumps(list(records)).encode() if job.content_type == "JSON" else xml_records(records)
        return Reply(200, body, content_type=TYPES[job.content_type])


def _told(name: str, shown: Json | list[Json], job: Job) -> Reply:
    body, kind = info(name, shown, as_json=job.content_type == "JSON")
    return Reply(200, body, content_type=kind)


def _is_json(headers: Any) -> bool:
    return "json" in str(headers.get("content-type", "")).lower()


def _only(methods: str, call: Call) -> None:
    if call.method not in methods.split():
        raise AsyncError("InvalidUrl", f"HTTP Method {call.method} not supported")


def _check_headers(call: Call) -> None:
    """Refuse headers that would change what happens, and do not here."""
    for name, value in call.headers.items():
        if name == "sforce-enable-pkchunking":
            if value.strip().lower() != "false":
                raise AsyncError("FeatureNotEnabled", "not part of this emulator: PK chunking")
        elif name.startswith("sforce-") and name not in _HEADERS:
            raise AsyncError("FeatureNotEnabled", f"not part of this emulator: the header {name}")


def _key(one: SObject, given: Json) -> Field | None:
    if given["operation"] != "upsert":
        return None
    name = given.get("externalIdFieldName")
    if not name:
        raise AsyncError("InvalidJob", "External ID was blank for an upsert job")
    known = one.field(str(name))
    if known is None or not known.is_key:
        message = f"Field name provided does not match an External ID for {one.name}: {name}"
        raise AsyncError("InvalidJob", message)
    return known


def _terms(call: Call) -> Json:
    """Return what a jobInfo in JSON or XML says."""
    if _is_json(call.headers):
        try:
            given = json.loads(call.raw)
        except (ValueError, RecursionError):
            raise AsyncError("InvalidJob", "The body is no JSON") from None
        if not isinstance(given, dict) or any(isinstance(value, dict | list) for value in given.values()):
            raise AsyncError("InvalidJob", "A job is a JSON object of texts")
    else:
        try:
            root = xml_form.parse(call.raw)
        except xml_form.InvalidXml as problem:
            raise AsyncError("InvalidJob", str(problem)) from None
        if xml_form.local(root) != "jobInfo":
            raise AsyncError("InvalidJob", "The outermost element must be jobInfo")
        given = {xml_form.local(child): xml_form.text_of(child) for child in root}
    given = {key: value for key, value in given.items() if value not in {None, ""}}
    unknown = sorted(given.keys() - _TERMS)
    if unknown:
        raise AsyncError("InvalidJob", f"not part of this emulator: {unknown[0]} of a job")
    return given
