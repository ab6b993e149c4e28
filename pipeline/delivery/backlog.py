"""Deliver a backlog by bulk jobs: one write of tens of thousands of keys, for ten to twenty calls in all.

A job goes through four stages, each a step that any worker can take and that waits for nothing:
    collecting  due keys are given to the job, which holds them until its end
    looking     their records are looked for: by a bulk query, or a thousand at a time where the org is large
    uploading   the job exists at Salesforce, and writes nothing yet: whoever finds it so after a death aborts it
    running     it is looked at until it has ended, and then every key is settled by its row's result
Before `running` nothing is written, and after a job's end nothing more is: only then are keys let go. What does not
fit a row (several writes, references to look up, deletes, reads) is delivered like any other batch.

What waits for a key is read once, when its row is made. With the row stands how the key is settled if that is written,
so a result that says so costs no second reading.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

from pipeline.delivery.bulk_lookup import (
    Found,
    Lookups,
    ask,
    commonest_fields,
    commonest_lookup,
    is_query_cheaper,
    lookup_of,
    most_rows,
    query_of,
)
from pipeline.delivery.bulk_result import NO_RESULTS, NOT_REACHED, Outcomes, Result, ask_outcomes, refused, sort
from pipeline.delivery.bulk_rows import Rows
from pipeline.delivery.calls import NoCall
from pipeline.delivery.deliverer import Deliverer
from pipeline.delivery.outcome import Paused, of_failure
from pipeline.delivery.pack import COLLECTION
from pipeline.delivery.report import Report
from pipeline.delivery.work import Work
from pipeline.inbox.bulk_jobs import CHUNK, BulkJobs, Held, JobLost, Row, Taken
from pipeline.inbox.claims import Batch, Claim
from pipeline.inbox.inbox import Inbox
from pipeline.salesforce.bulk import Bulk, Job, Kind
from pipeline.salesforce.bulk_csv import Table, errors_of
from pipeline.salesforce.errors import Refused, SalesforceError

log = logging.getLogger(__name__)

_CALLS_TO_START: Final = 3  # create, upload, close
_FIRST_LOOK_S, _LONGEST_WAIT_S = 1.0, 300.0
_ROWS_A_SECOND: Final = 25_000  # what a job may get done; only decides when the first look is worth a call
_NO_CALL_S: Final = 5.0
_REFUSED_S: Final = 60.0
_GONE: Final = 404
_NOBODY: Final = "nobody"  # is asked for records any more: what has no row by then goes the usual way
_BEFORE: Final = frozenset({"collecting", "looking"})  # stages in which Salesforce has no job that could write
# A backlog of which less than this part is fit for a job is not worth one, for this long.
_WORTH: Final = 4
_NOT_WORTH_FOR_S: Final = 60.0
_MOST_PASSED: Final = 4  # times a job's keys: so many due keys that are not for the job are looked past


class Backlog(Deliverer):
    """Takes the steps of bulk jobs of one object. Other arguments as those of `Deliverer`."""

    def __init__(self, inbox: Inbox, *given: Any, jobs: BulkJobs, bulk: Bulk, **more: Any) -> None:
        super().__init__(inbox, *given, **more)
        self._keys, self._jobs, self._bulk = inbox, jobs, bulk

    def step(self, held: Held, report: Report) -> Paused | None:
        """Do what is to be done for a job now, and leave it to whoever comes when it is due again."""
        self._begin_step(held, report)
        try:
            return self._take_step(held)
        except JobLost as lost:
            report.why = str(lost)
        except NoCall as no_call:
            report.why = str(no_call)
            self._leave(held, 0 if self._is_ending() else _NO_CALL_S)
        except SalesforceError as error:
            return self._failed(held, error)
        except self._interruptions:
            with suppress(*self._interruptions):
                self._leave(held, 0)
            raise
        except Exception:
            # A mistake of ours is not made with these keys together again: batches find the one that it is about.
            self._jobs.switch_off()
            self._give_up(held, delay_s=self._uncertain_delay_s)
            raise
        return None

    def _take_step(self, held: Held) -> Paused | None:
        match held.stage:
            case "collecting" if not held.notes:
                return self._collect(held)
            case "collecting":
                self._jobs.switch_off(for_s=_NOT_WORTH_FOR_S)
                self._abandon(held)
            case "looking" if held.is_deadly:
                self._jobs.switch_off()
                self._abandon(held)
            case "looking":
                return self._look(held)
            case "uploading":
                self._end_unstarted(held)
            case "running":
                return self._look_after(held)
        return None

    def _begin_step(self, held: Held, report: Report) -> None:
        self._token, self._report = held.token, report
        self._calls.start(held.token, report)
        self._chunk = COLLECTION

    def _leave(self, held: Held, delay_s: float) -> None:
        with suppress(JobLost):
            self._jobs.hand_over(held, delay_s=delay_s)

    def _failed(self, held: Held, error: SalesforceError) -> Paused | None:
        """Deal with a request that failed: nothing is taken for written or not before Salesforce has said so."""
        decision = of_failure(error)
        if isinstance(decision, Paused):
            self._leave(held, _NO_CALL_S)
            return decision
        self._report.why = str(error)
        if isinstance(error, Refused):
            self._jobs.switch_off()
            self._give_up(held, delay_s=_REFUSED_S)
        else:
            self._leave(held, _NO_CALL_S)
        return None

    def _give_up(self, held: Held, *, delay_s: float) -> None:
        """Let the keys of a job go that cannot be done, unless it may write: then it is looked at again."""
        with suppress(JobLost):
            held = self._jobs.again(held)  # its stage may have moved on since the step began
            if held.stage in _BEFORE:
                self._abandon(held)
            else:
                self._jobs.hand_over(held, delay_s=delay_s)

    def _call(self, held: Held, calls: int = 1) -> None:
        """Ask for calls, and whether the job is still ours."""
        self._calls.spend(calls)
        self._jobs.keep(held)

    # Collecting.

    def _collect(self, held: Held) -> Paused | None:
        describe = self._calls.described(self._inbox.object)
        if self._inbox.chunk(COLLECTION) < COLLECTION:  # triggers that fail with full collections fail in jobs, too
            self._jobs.switch_off(for_s=_NOT_WORTH_FOR_S)
            self._jobs.end(held)
            return None
        fields = commonest_fields(self._jobs.due(CHUNK), describe)
        most, taken = self._jobs.bounds.most_keys, Taken()
        lookups: Lookups | None = None
        part = 1.0  # of the first keys that are looked up so; the others are taken unread
        while fields and taken.taken < most and taken.passed < _MOST_PASSED * most and not self._is_ending():
            taken = self._jobs.take(held, fields, so_far=taken, most=most - taken.taken)
            if taken.taken and lookups is None:
                first = next(self._jobs.claims(held, self._jobs.keys(held)[:CHUNK]), [])
                lookups, part = commonest_lookup([claim for claim, _ in first], describe)
            if not taken.looked_at or part * _WORTH < 1:
                break
        if taken.passed >= self._jobs.bounds.threshold:
            # They count as a backlog and are in no job, so that batches, which would deliver them, had no turn.
            self._jobs.switch_off(for_s=_NOT_WORTH_FOR_S)
        if lookups is None or not self._is_worth(taken.taken * part):
            if not self._is_ending():
                self._jobs.switch_off(for_s=_NOT_WORTH_FOR_S)
            self._abandon(held)
            return None
        names = ",".join(lookups.names)
        self._jobs.hand_over(held, delay_s=0, stage="looking", names=names, join=lookups.join, unknown=taken.unknown)
        return None

    def _is_worth(self, keys: float) -> bool:
        return keys > 0 and keys >= self._jobs.bounds.threshold // _WORTH

    def _deliver_now(self, held: Held, token: str, claims: Sequence[Claim]) -> Paused | None:
        """Deliver keys the usual way. Theirs is a lease, and no job's."""
        paused = self.deliver(Batch(token, tuple(claims)), self._report)
        self._begin_step(held, self._report)
        return paused

    def _abandon(self, held: Held, *, delay_s: float = 0) -> None:
        """Let go of all that a job holds which writes nothing, or nothing more."""
        keys = self._jobs.keys(held)
        for start in range(0, len(keys), CHUNK):
            self._let_go(held, keys[start : start + CHUNK], delay_s=delay_s)
        self._jobs.end(held)

    def _let_go(self, held: Held, keys: Sequence[str], *, delay_s: float = 0) -> None:
        if keys:
            token, parted = self._jobs.part(held, keys)
            self._inbox.release(token, parted, delay_s=delay_s)

    # Looking.

    def _look(self, held: Held) -> Paused | None:
        describe = self._calls.described(self._inbox.object)
        lookups = Lookups(tuple(held.notes["names"].split(",")), held.notes["join"])
        unknown = int(held.notes["unknown"])
        found: Found | None = None
        asks = held.notes.get("asks", "query")
        if unknown and asks == "query":
            try:
                if not held.job:
                    self._call(held)
                    if is_query_cheaper(self._bulk.record_count(self._inbox.object), unknown):
                        self._call(held)
                        job = self._bulk.query(query_of(describe, lookups.names, lookups.join))
                        self._jobs.hand_over(held, delay_s=_FIRST_LOOK_S, job=job.id, looks=0)
                        return None
                else:
                    self._call(held)
                    job = self._bulk.look(held.job, kind="query")
                    if not job.is_ended:
                        self._wait(held)
                        return None
                    if job.state == "JobComplete" and (job.processed or 0) <= most_rows(unknown):
                        found = self._read_found(held, lookups.names)
            except Refused as refused:
                if isinstance(of_failure(refused), Paused):
                    raise
            if found is None:
                asks = "composite"
                self._jobs.keep(held, asks=asks)
        return self._write_rows(held, lookups, found, asks=asks)

    def _read_found(self, held: Held, names: Sequence[str]) -> Found:
        found = Found(names, self._jobs.keys(held))
        locator = ""
        while True:
            self._call(held)
            rows, locator = self._bulk.page(held.job, locator)
            found.add(rows)
            if not locator:
                return found

    def _write_rows(self, held: Held, lookups: Lookups, found: Found | None, *, asks: str) -> Paused | None:
        """Write down what each key's row is, then start the job of those that are created, or of those updated."""
        describe = self._calls.described(self._inbox.object)
        rows = Rows(is_traced=self._keys.bounds.is_traced)
        others: list[str] = []
        for chunk in self._jobs.claims(held, self._jobs.keys(held)):
            works: list[Work] = []
            added: dict[str, Row | None] = {}
            for claim, row in chunk:
                if lookup_of(claim, describe) != lookups:
                    added[claim.key] = None
                    continue
                work = self._begin(claim, describe)
                if row is not None:  # found by who began with this
                    work.know(row.record_id or None, fresh=False)
                works.append(work)
            unknown = [work for work in works if work.needs_lookup and not work.references()]
            if found is not None:
                found.give(unknown)
            elif asks != _NOBODY:
                ask(unknown, self._org, partial(self._call, held))
            added |= {work.claim.key: rows.add(work) for work in works}
            self._jobs.note_rows(held, added)
            others += [key for key, row in added.items() if row is None]
        # Where there are no calls left to start with, whoever comes next spends none on asking again.
        self._jobs.keep(held, asks=_NOBODY)
        kind: Kind = max(rows.keys, key=lambda one: len(rows.keys[one]))
        other: Kind = "update" if kind == "insert" else "insert"
        if not self._is_worth(len(rows.keys[kind])):
            paused = self._deliver_others(held, self._jobs.keys(held))
            self._abandon(held)
            return paused
        if self._is_worth(len(rows.keys[other])):
            self._jobs.split(held, rows.keys[other])
        else:
            others += rows.keys[other]
        self._start(held, kind, rows.tables[kind])
        return self._deliver_others(held, others, has_started=True)

    def _start(self, held: Held, kind: Kind, table: Table) -> None:
        self._call(held, _CALLS_TO_START)
        job = self._bulk.create(self._inbox.object, kind)
        # Noted before it has data: a job of which nobody knows writes nothing.
        self._jobs.keep(held, stage="uploading", job=job.id, kind=kind, rows=len(table), looks=0)
        self._bulk.upload(job.id, table.to_csv())
        self._jobs.keep(held)
        self._bulk.close(job.id)
        self._jobs.hand_over(held, delay_s=max(_FIRST_LOOK_S, len(table) / _ROWS_A_SECOND), stage="running")
        log.info("object=%s bulk_job=%s kind=%s rows=%d: started", self._inbox.object, job.id, kind, len(table))

    def _deliver_others(self, held: Held, keys: Sequence[str], *, has_started: bool = False) -> Paused | None:
        """Deliver the usual way what is no row of the job, with the Ids that were found for it."""
        for chunk in self._jobs.claims(held, keys):
            claims = [replace(claim, record_id=row.record_id or None) if row else claim for claim, row in chunk]
            paused = self._part_and_deliver(held, claims)
            if paused or self._is_ending():
                return paused
            if not has_started:
                self._jobs.keep(held)
        return None

    def _part_and_deliver(self, held: Held, claims: Sequence[Claim]) -> Paused | None:
        token, parted = self._jobs.part(held, [claim.key for claim in claims])
        left = [claim for claim in claims if claim.key in parted]
        return self._deliver_now(held, token, left) if left else None

    # Uploading and running.

    def _end_unstarted(self, held: Held) -> None:
        """End a job whose worker went before it was started, or before that was known."""
        self._call(held)
        with suppress(Refused):  # as of one that has ended, or that somebody has deleted: the next look tells
            if self._bulk.look(held.job).state == "Open":
                self._call(held)
                self._bulk.abort(held.job)
        self._jobs.hand_over(held, delay_s=0, stage="running")

    def _look_after(self, held: Held) -> Paused | None:
        self._calls.described(self._inbox.object)  # before the calls that are to be made again without it
        self._call(held)
        try:
            job = self._bulk.look(held.job)
        except Refused as refused:
            if refused.status != _GONE:
                raise
            job = Job(held.job, "Aborted")
        if job.state == "Open":
            self._end_unstarted(held)
            return None
        if not job.is_ended:
            self._wait(held)
            return None
        outcomes = NO_RESULTS
        if not held.is_deadly:
            kind, rows = held.notes["kind"], int(held.notes["rows"])
            outcomes = ask_outcomes(self._bulk, job, kind, rows, partial(self._call, held))
        return self._settle_job(held, job, outcomes)

    def _settle_job(self, held: Held, job: Job, outcomes: Outcomes) -> Paused | None:
        log.info(
            "object=%s bulk_job=%s state=%s processed=%s failed=%s: ended",
            *(self._inbox.object, job.id, job.state, job.processed, job.failed),
        )
        if job.state == "Failed":
            # A job fails as a whole for a field that the org does not know (any more): collections are told which.
            self._jobs.switch_off()
            with suppress(NoCall):  # they ask for it themselves when they are refused
                self._call(held)
                self._describes.refresh([self._inbox.object])
        # An aborted job may still be at a chunk, of which it counts no row before its end.
        delay_s = self._uncertain_delay_s if job.state == "Aborted" else 0.0
        refusals: dict[str, Result] = {}
        keys = self._jobs.keys(held)
        for start in range(0, len(keys), CHUNK):
            refusals |= self._settle_rows(held, keys[start : start + CHUNK], outcomes, delay_s=delay_s)
            self._jobs.keep(held)
        paused = self._settle_refused(held, refusals)
        self._jobs.end(held)
        if self._fault is not None:
            raise self._fault
        return paused

    def _settle_rows(self, held: Held, keys: Sequence[str], outcomes: Outcomes, *, delay_s: float) -> dict[str, Result]:
        """Settle keys whose row was written, let those go that have none or no result, and return the other results."""
        found = sort(self._jobs.rows(held, keys), outcomes, held.notes["kind"])
        self._let_go(held, [*found.strangers, *found.not_reached], delay_s=delay_s)
        settled = [row.written(key, record_id, held.job) for key, (row, record_id) in found.written.items()]
        lost = self._keys.commit(held.token, settled)
        written = [row for key, (row, _) in found.written.items() if key not in lost]
        left_out: Counter[str] = Counter()
        for row in written:
            left_out.update(row.left_out)
        if left_out:
            self._inbox.count_left_out(left_out)
        self._report.count_rows(written, put_off=found.not_reached.values(), why=NOT_REACHED)
        return found.refused

    def _settle_refused(self, held: Held, refusals: Mapping[str, Result]) -> Paused | None:
        """Settle keys whose row was refused, which takes reading what waits for them."""
        describe = self._calls.described(self._inbox.object)
        paused: Paused | None = None
        for chunk in self._jobs.claims(held, list(refusals)):
            works: list[Work] = []
            for claim, row in chunk:
                self._report.claimed += claim.taken
                work = self._begin(claim, describe)
                work.know(row.record_id or None if row else None, fresh=False)
                works.append(work)
                if work.is_open:
                    work.send_in(held.job)
                try:
                    paused = refused(work, errors_of(refusals[claim.key].error)) or paused
                except Exception as error:  # noqa: BLE001  (raised again once the job is settled)
                    self._blame([work], error)
            self._settle(works)
            self._jobs.keep(held)
        return paused

    def _wait(self, held: Held) -> None:
        """Look again, each time after about as long as it has taken so far."""
        looks = int(held.notes.get("looks", 0)) + 1
        first_s = max(_FIRST_LOOK_S, int(held.notes.get("rows", 0)) / _ROWS_A_SECOND)
        self._jobs.hand_over(held, delay_s=min(_LONGEST_WAIT_S, first_s * 2.0 ** min(looks, 20)), looks=looks)
