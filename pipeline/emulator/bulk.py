"""Bulk API 2.0 jobs: what they hold and how they run (Bulk API 2.0 guide; message texts from replies of real orgs).

An ingest job is worked off in chunks of 200 records, each a transaction of its own, and lets other requests in between.
A query job keeps the Ids it found and reads the records when a page of results is asked for. Jobs live in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.emulator import ids
from pipeline.emulator.bulk_cells import cells, header
from pipeline.emulator.drafts import Draft, DraftReader, UnknownColumn, read_row
from pipeline.emulator.errors import Json, RecordError
from pipeline.emulator.schema import Field, SObject
from pipeline.emulator.soql.plan import Plan
from pipeline.emulator.soql.run import Queries
from pipeline.emulator.store import Store
from pipeline.emulator.values import datetime_text
from pipeline.emulator.writes import Options, Outcome, Writer

CHUNK = 200
# Records that the server makes a batch of, and batches of both bulk APIs in 24 hours (Limits cheat sheet).
BATCH = 10_000
MOST_BATCHES = 15_000
# Jobs that are kept; the oldest finished ones go first.
_MOST_JOBS = 200
DELIMITERS = {"COMMA": ",", "TAB": "\t", "SEMICOLON": ";", "PIPE": "|", "CARET": "^", "BACKQUOTE": "`"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
INGEST_OPERATIONS = frozenset({"insert", "update", "upsert", "delete", "hardDelete"})
QUERY_OPERATIONS = frozenset({"query", "queryAll"})
FINISHED = frozenset({"JobComplete", "Failed", "Aborted"})
# A field longer than this is refused (Bulk API 2.0 limits); Python's own bound is about the same.
MOST_CHARACTERS = 131_072


class JobFailedError(Exception):
    """The job as a whole cannot be worked off; the message is the job's errorMessage."""


@dataclass(slots=True)
class Results:
    """One result file in the making: its rows as they will be sent."""

    rows: list[list[str]] = field(default_factory=list)


@dataclass(slots=True)
class Job:
    """One job, ingest or query."""

    record_id: str
    kind: str
    operation: str
    object: str
    user_id: str
    version: str
    created: str
    line_ending: str = "LF"
    delimiter: str = "COMMA"
    external_id_field: str | None = None
    assignment_rule: str | None = None
    state: str = "Open"
    modified: str = ""
    content: str | None = None
    header: list[str] = field(default_factory=list)
    succeeded: Results = field(default_factory=Results)
    failed: Results = field(default_factory=Results)
    unprocessed: Results = field(default_factory=Results)
    processed: int = 0
    error: str | None = None
    took_ms: int = 0
    # Query jobs only.
    query: str = ""
    plan: Plan | None = None
    found: list[str] = field(default_factory=list)

    def info(self, *, root: str = "", counters: bool = False) -> Json:
        """Return the job as replies show it; the counters come with a look at one job."""
        shown: Json = {"id": self.record_id, "operation": self.operation, "object": self.object}
        shown |= {"createdById": self.user_id, "createdDate": self.created, "systemModstamp": self.modified}
        shown |= {"state": self.state, "concurrencyMode": "Parallel", "contentType": "CSV"}
        shown |= {"apiVersion": float(self.version), "lineEnding": self.line_ending, "columnDelimiter": self.delimiter}
        if self.kind == "query":
            if counters:
                shown |= {"jobType": "V2Query", "numberRecordsProcessed": self.processed, "retries": 0}
                shown["totalProcessingTime"] = self.took_ms
            return shown
        if self.external_id_field:
            shown["externalIdFieldName"] = self.external_id_field
        if self.assignment_rule:
            shown["assignmentRuleId"] = self.assignment_rule
        if self.state == "Open" and root:
            shown["contentUrl"] = f"{root.lstrip('/')}/jobs/ingest/{self.record_id}/batches"
        if counters:
            shown |= {"jobType": "V2Ingest", "numberRecordsProcessed": self.processed}
            shown |= {"numberRecordsFailed": len(self.failed.rows), "retries": 0, "totalProcessingTime": self.took_ms}
            shown |= {"apiActiveProcessingTime": self.took_ms, "apexProcessingTime": 0}
            if self.error:
                shown["errorMessage"] = self.error
        return shown


class Bulk:
    """All jobs of the org. ``delay_s`` is how long a job waits before it is worked off."""

    def __init__(
        self, store: Store, reader: DraftReader, writer: Writer, queries: Queries, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._reader = reader
        self._writer = writer
        self._queries = queries
        self._clock = clock
        self._sequence = ids.IdSequence("750")
        self._tasks: set[asyncio.Task[None]] = set()
        self.jobs: OrderedDict[str, Job] = OrderedDict()
        self.delay_s = 0.0
        # Batches of the day, of both bulk APIs.
        self.batches = 0

    def clear(self) -> None:
        """Stop and forget all jobs."""
        for task in self._tasks:
            task.cancel()
        self.jobs.clear()
        self.delay_s, self.batches = 0.0, 0

    def add(self, kind: str, given: Json, user_id: str, version: str) -> Job:
        """Create a job from its checked description."""
        now = datetime_text(self._clock())
        job = Job(self._sequence.take(), kind, given["operation"], given["object"], user_id, version, now, modified=now)
        job.line_ending = given.get("lineEnding", "LF")
        job.delimiter = given.get("columnDelimiter", "COMMA")
        job.external_id_field = given.get("externalIdFieldName")
        job.assignment_rule = given.get("assignmentRuleId")
        self.jobs[job.record_id] = job
        while len(self.jobs) > _MOST_JOBS:
            finished = next((one for one in self.jobs.values() if one.state in FINISHED), None)
            if finished is None:
                break
            del self.jobs[finished.record_id]
        return job

    def start(self, job: Job, options: Options) -> None:
        """Work a job off in the background."""
        job.state = "UploadComplete"
        self._touch(job)
        task = asyncio.get_running_loop().create_task(self._run(job, options))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def abort(self, job: Job) -> None:
        """End a job before its time; what was not worked off yet is unprocessed."""
        if job.state != "InProgress" and job.content is not None:
            with contextlib.suppress(JobFailedError):
                job.header, *job.unprocessed.rows = _rows(job)
        job.state, job.content = "Aborted", None
        self._touch(job)

    def _touch(self, job: Job) -> None:
        job.modified = datetime_text(self._clock())

    async def _run(self, job: Job, options: Options) -> None:
        started = self._clock()
        await asyncio.sleep(self.delay_s)
        if job.state != "UploadComplete":
            return
        job.state = "InProgress"
        try:
            if job.kind == "query":
                self._collect(job)
            else:
                await self._ingest(job, options)
        except JobFailedError as problem:
            job.state, job.error = "Failed", str(problem)
        else:
            if job.state == "InProgress":
                job.state = "JobComplete"
        finally:
            job.content = None
            job.took_ms = round((self._clock() - started) * 1000)
            self._touch(job)

    # Ingest.

    async def _ingest(self, job: Job, options: Options) -> None:
        one = self._store.schema.objects[job.object]
        rows = list(_rows(job))
        self.batches += max(1, -(-len(rows) // BATCH))
        if not rows or rows[0] == [""]:
            raise JobFailedError("InvalidBatch : The CSV has no header")
        job.header = rows[0]
        creating = None if job.operation == "upsert" else job.operation == "insert"
        known = one.field(job.external_id_field) if job.external_id_field else None
        try:
            cells = self._reader.columns(one, job.header, creating=creating, key=known)
        except UnknownColumn as unknown:
            job.unprocessed.rows += rows[1:]
            raise JobFailedError(f"InvalidBatch : Field name not found : {unknown}") from None
        for start in range(1, len(rows), CHUNK):
            if job.state != "InProgress":
                job.unprocessed.rows += rows[start:]
                return
            chunk = rows[start : start + CHUNK]
            if any(len(row) != len(job.header) for row in chunk):
                job.unprocessed.rows += rows[start:]
                raise JobFailedError("InvalidBatch : A row has more or fewer cells than the header")
            drafts = [read_row(cells, row) for row in chunk]
            outcomes = write(self._store, self._writer, (job.operation, one, known), drafts, options)
            for row, outcome in zip(chunk, outcomes, strict=True):
                _file(job, row, outcome)
            job.processed += len(chunk)
            # Other requests get their turn between two chunks.
            await asyncio.sleep(0)

    # Queries.

    def _collect(self, job: Job) -> None:
        assert job.plan is not None
        plan = job.plan
        limit = -1 if plan.limit is None else plan.limit
        sql = f"{plan.sql(columns=plan.select[0])} LIMIT {limit}"
        job.found = [row[0] for row in self._store.execute(sql, [*plan.parameters, *plan.tail_parameters])]
        job.processed = len(job.found)

    def page(self, job: Job, start: int, count: int) -> tuple[str, int]:
        """Return the CSV of some of a query job's records, and how many they are."""
        assert job.plan is not None
        assert job.plan.node is not None
        rows = self._queries.rows_by_id(job.plan, job.found[start : start + count])
        node = job.plan.node
        return write_csv(job, [header(node), *(cells(node, row) for row in rows)]), len(rows)


def write(
    store: Store,
    writer: Writer,
    what: tuple[str, SObject, Field | None],
    drafts: Sequence[Draft],
    options: Options,
) -> list[Outcome]:
    """Write a chunk of a bulk job in one transaction; ``what`` is operation, object and the field of an upsert."""
    operation, one, known = what
    with store.transaction():
        if operation == "insert":
            return writer.create(one, drafts, options)
        if operation == "update":
            return writer.update(one, drafts, options)
        if operation == "upsert":
            assert known is not None
            return writer.upsert(one, known, drafts, options)
        return [_delete(writer, one, draft, options, for_good=operation == "hardDelete") for draft in drafts]


def _delete(writer: Writer, one: SObject, draft: Draft, options: Options, *, for_good: bool) -> Outcome:
    try:
        record_id = ids.canonical(draft.record_id or "")
    except ids.NotAnId:
        return Outcome(draft.record_id, [RecordError("MALFORMED_ID", f"malformed id {draft.record_id or ''}", ())])
    (outcome,) = writer.delete(one, [record_id], options, for_good=for_good)
    return outcome


def _rows(job: Job) -> Iterator[list[str]]:
    """Read a job's CSV; raise JobFailedError where its form is not what the job said."""
    text = job.content or ""
    ending = LINE_ENDINGS[job.line_ending]
    wrong_ending = "\r" in text if ending == "\n" else "\n" in text.replace("\r\n", "")
    if wrong_ending:
        raise JobFailedError(
            f"ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {job.line_ending}"
        )
    csv.field_size_limit(MOST_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[job.delimiter], strict=True)
    try:
        for row in reader:
            if row:
                yield row
    except csv.Error as problem:
        raise JobFailedError(f"InvalidBatch : Failed to parse CSV: {problem}") from None


def _file(job: Job, row: list[str], outcome: Outcome) -> None:
    """Put a row into the result file it belongs to."""
    if outcome.success:
        job.succeeded.rows.append([outcome.record_id or "", "true" if outcome.created else "false", *row])
    else:
        job.failed.rows.append([outcome.record_id or "", _error_text(outcome.problems), *row])


def _error_text(problems: Sequence[RecordError]) -> str:
    return ";".join(
        f"{problem.code}:{problem.message}:{', '.join(problem.fields)}{' ' if problem.fields else ''}--"
        for problem in problems
    )


def result_file(job: Job, which: str) -> str:
    """Return a result file of an ingest job; an empty one still has its header."""
    if which == "unprocessedrecords":
        return write_csv(job, [job.header, *job.unprocessed.rows], quoted_from=1)
    found, second = (job.succeeded, "sf__Created") if which == "successfulResults" else (job.failed, "sf__Error")
    delimiter, ending = DELIMITERS[job.delimiter], LINE_ENDINGS[job.line_ending]
    # The two columns of Salesforce's own are quoted, the uploaded header is sent back as it came.
    header = delimiter.join([f'"sf__Id"{delimiter}"{second}"', *map(_quote_if_needed, job.header)])
    return header + ending + write_csv(job, found.rows)


def _quote_if_needed(name: str) -> str:
    return f'"{name}"' if any(letter in name for letter in '",\n') else name


def write_csv(job: Job, rows: Sequence[Sequence[str]], *, quoted_from: int = 0) -> str:
    """Return rows as CSV in the job's own form, every cell in quotes from the given row on."""
    out = io.StringIO()
    form: dict[str, Any] = {"delimiter": DELIMITERS[job.delimiter], "lineterminator": LINE_ENDINGS[job.line_ending]}
    csv.writer(out, quoting=csv.QUOTE_MINIMAL, **form).writerows(rows[:quoted_from])
    csv.writer(out, quoting=csv.QUOTE_ALL, **form).writerows(rows[quoted_from:])
    return out.getvalue()
