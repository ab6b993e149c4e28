"""Bulk API 1.0: jobs of batches, and how a batch is worked off (Bulk API guide: Jobs, Batches, Bulk Query).

A batch is worked off in chunks of 200 records, each a transaction of its own, as jobs of Bulk API 2.0 are. Jobs live in
memory.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.emulator import ids
from pipeline.emulator.bulk import BATCH, CHUNK, Bulk, write
from pipeline.emulator.bulk1_data import InvalidData, Read, records_of
from pipeline.emulator.bulk_cells import NO_COMPOUNDS, has_compound
from pipeline.emulator.drafts import DraftReader
from pipeline.emulator.errors import ApiError, Json
from pipeline.emulator.schema import Field, SObject
from pipeline.emulator.soql.compile import Asker
from pipeline.emulator.soql.plan import Plan
from pipeline.emulator.soql.run import Queries
from pipeline.emulator.store import Store
from pipeline.emulator.values import datetime_text
from pipeline.emulator.writes import Options, Outcome, Writer

QUERIES = frozenset({"query", "queryAll"})
OPERATIONS = QUERIES | {"insert", "update", "upsert", "delete", "hardDelete"}
# Jobs that are kept; the oldest ones that no longer take batches go first.
_MOST_JOBS = 200


@dataclass(slots=True)
class Batch:
    """One batch: the request as it came, and what became of its records."""

    record_id: str
    content_type: str
    request: bytes
    created: str
    state: str = "Queued"
    message: str = ""
    modified: str = ""
    outcomes: list[Outcome] = field(default_factory=list)
    took_ms: int = 0
    # Of a query: its plan, the Ids it found and the name of its only result.
    plan: Plan | None = None
    found: list[str] = field(default_factory=list)
    result_id: str = ""

    @property
    def failed(self) -> int:
        """How many records were refused."""
        return sum(1 for outcome in self.outcomes if outcome.problems)

    def info(self, job: Job) -> Json:
        """Return the batch as batchInfo shows it."""
        return {
            "id": self.record_id,
            "jobId": job.record_id,
            "state": self.state,
            **({"stateMessage": self.message} if self.message else {}),
            "createdDate": self.created,
            "systemModstamp": self.modified or self.created,
            "numberRecordsProcessed": len(self.found) if self.plan else len(self.outcomes),
            "numberRecordsFailed": self.failed,
            "totalProcessingTime": self.took_ms,
            "apiActiveProcessingTime": self.took_ms,
            "apexProcessingTime": 0,
        }


@dataclass(slots=True)
class Job:
    """One job; ``one`` is its object and ``key`` the external Id of an upsert."""

    record_id: str
    operation: str
    one: SObject
    key: Field | None
    content_type: str
    concurrency: str
    assignment_rule: str | None
    user_id: str
    version: str
    created: str
    state: str = "Open"
    modified: str = ""
    batches: OrderedDict[str, Batch] = field(default_factory=OrderedDict)

    def info(self) -> Json:
        """Return the job as jobInfo shows it, keys that it has not left out."""
        batches = list(self.batches.values())

        def count(state: str) -> int:
            return sum(1 for batch in batches if batch.state == state)

        return {
            "id": self.record_id,
            "operation": self.operation,
            "object": self.one.name,
            "createdById": self.user_id,
            "createdDate": self.created,
            "systemModstamp": self.modified or self.created,
            "state": self.state,
            **({"externalIdFieldName": self.key.name} if self.key else {}),
            **({"assignmentRuleId": self.assignment_rule} if self.assignment_rule else {}),
            "concurrencyMode": self.concurrency,
            "contentType": self.content_type,
            "numberBatchesQueued": count("Queued"),
            "numberBatchesInProgress": count("InProgress"),
            "numberBatchesCompleted": count("Completed"),
            "numberBatchesFailed": count("Failed"),
            "numberBatchesTotal": len(batches),
            "numberRecordsProcessed": sum(int(batch.info(self)["numberRecordsProcessed"]) for batch in batches),
            "numberRetries": 0,
            "apiVersion": float(self.version),
            "numberRecordsFailed": sum(batch.failed for batch in batches),
            "totalProcessingTime": sum(batch.took_ms for batch in batches),
            "apiActiveProcessingTime": sum(batch.took_ms for batch in batches),
            "apexProcessingTime": 0,
        }


class BatchJobs:
    """All jobs of Bulk API 1.0. They wait as long as those of 2.0 do, and share their allowance of batches."""

    def __init__(  # noqa: PLR0917  (the parts of the org, in their own order)
        self,
        store: Store,
        reader: DraftReader,
        writer: Writer,
        queries: Queries,
        bulk: Bulk,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._reader = reader
        self._writer = writer
        self._queries = queries
        self._bulk = bulk
        self._clock = clock
        # Bulk API 2.0 counts its own jobs; these begin far away from them.
        self._job_ids = ids.IdSequence("750", 62**4)
        self._batch_ids, self._result_ids = ids.IdSequence("751"), ids.IdSequence("752")
        self._tasks: set[asyncio.Task[None]] = set()
        self.jobs: OrderedDict[str, Job] = OrderedDict()

    def clear(self) -> None:
        """Stop and forget all jobs."""
        for task in self._tasks:
            task.cancel()
        self.jobs.clear()

    def add(self, one: SObject, given: Json, key: Field | None, user_id: str, version: str) -> Job:
        """Create a job from its checked description."""
        job = Job(
            self._job_ids.take(),
            given["operation"],
            one,
            key,
            given.get("contentType", "XML"),
            given.get("concurrencyMode", "Parallel"),
            given.get("assignmentRuleId"),
            user_id,
            version,
            self._now(),
        )
        self.jobs[job.record_id] = job
        while len(self.jobs) > _MOST_JOBS:
            ended = next((known for known in self.jobs.values() if known.state != "Open"), None)
            if ended is None:
                break
            del self.jobs[ended.record_id]
        return job

    def set_state(self, job: Job, state: str) -> None:
        """Close or abort a job; batches that wait are not processed when it is aborted."""
        job.state, job.modified = state, self._now()
        if state == "Aborted":
            for batch in job.batches.values():
                if batch.state == "Queued":
                    batch.state = "NotProcessed"

    def add_batch(self, job: Job, content_type: str, raw: bytes, options: Options) -> Batch:
        """Take a batch and work it off in the background."""
        self._bulk.batches += 1
        batch = Batch(self._batch_ids.take(), content_type, raw, self._now())
        job.batches[batch.record_id] = batch
        task = asyncio.get_running_loop().create_task(self._run(job, batch, options))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return batch

    def _now(self) -> str:
        return datetime_text(self._clock())

    async def _run(self, job: Job, batch: Batch, options: Options) -> None:
        started = self._clock()
        await asyncio.sleep(self._bulk.delay_s)
        if batch.state != "Queued":
            return
        batch.state = "InProgress"
        try:
            if job.operation in QUERIES:
                self._query(job, batch, options)
            else:
                await self._write(job, batch, options)
        except InvalidData as problem:
            batch.state, batch.message = "Failed", f"InvalidBatch : {problem}"
        else:
            batch.state = "Completed"
        finally:
            batch.took_ms = round((self._clock() - started) * 1000)
            batch.modified = self._now()

    # Records.

    async def _write(self, job: Job, batch: Batch, options: Options) -> None:
        creating = None if job.operation == "upsert" else job.operation == "insert"
        read = Read(self._reader, job.one, creating, job.key)
        drafts = records_of(job.content_type, batch.request, read)
        if len(drafts) > BATCH:
            raise InvalidData(f"Records in batch exceed the maximum of {BATCH}: {len(drafts)}")
        for start in range(0, len(drafts), CHUNK):
            chunk = drafts[start : start + CHUNK]
            what = (job.operation, job.one, job.key)
            batch.outcomes += write(self._store, self._writer, what, chunk, options)
            # Other requests get their turn between two chunks.
            await asyncio.sleep(0)

    # Queries.

    def _query(self, job: Job, batch: Batch, options: Options) -> None:
        failed = "Failed to process query: "
        try:
            text = batch.request.decode()
            asker = Asker(options.user_id, float(job.version))
            plan = self._queries.plan(text, deleted=job.operation == "queryAll", asker=asker)
        except UnicodeDecodeError:
            raise InvalidData(f"{failed}MALFORMED_QUERY: the query is not UTF-8") from None
        except ApiError as refused:
            raise InvalidData(f"{failed}{refused.code}: {refused.body[0]['message']}") from None
        if plan.one is not job.one:
            message = f"the query is of {plan.one.name}, the job of {job.one.name}"
            raise InvalidData(f"{failed}INVALID_TYPE: {message}")
        if plan.node is None or plan.children or plan.one_page or plan.chooses:
            message = "Aggregate Relationships not supported in Bulk Query"
            raise InvalidData(f"{failed}FUNCTIONALITY_NOT_ENABLED: {message}")
        if has_compound(plan.node):
            raise InvalidData(f"{failed}FUNCTIONALITY_NOT_ENABLED: {NO_COMPOUNDS}")
        limit = -1 if plan.limit is None else plan.limit
        sql = f"{plan.sql(columns=plan.select[0])} LIMIT {limit}"
        batch.found = [row[0] for row in self._store.execute(sql, [*plan.parameters, *plan.tail_parameters])]
        batch.plan, batch.result_id = plan, self._result_ids.take()

    def rows(self, batch: Batch) -> Sequence[tuple[Any, ...]]:
        """Return the rows that a query found."""
        assert batch.plan is not None
        return self._queries.rows_by_id(batch.plan, batch.found)

    def records(self, batch: Batch, root: str) -> Iterator[Json]:
        """Return the records that a query found, as REST shows them."""
        assert batch.plan is not None
        return iter(self._queries.records_by_id(batch.plan, batch.found, root))
