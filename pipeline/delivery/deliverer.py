"""Deliver a claimed batch: look its records up, write them, and settle every operation."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pipeline.delivery.answers import blame, failed, halve, put_off, split, split_writes, take_results, write_failed
from pipeline.delivery.calls import Calls, NoCall
from pipeline.delivery.converted import for_contact
from pipeline.delivery.lookup import Question, answered, choose, find_references, give_rows, questions
from pipeline.delivery.merge import Part, merge
from pipeline.delivery.org import Claims, Describes, Org
from pipeline.delivery.outcome import Paused, RetryAt, of_failure, was_too_much
from pipeline.delivery.pack import ALWAYS_WRITTEN, COLLECTION, COLLECTIONS, Collection, pack_fewer
from pipeline.delivery.parents import point_or_wait
from pipeline.delivery.report import Report
from pipeline.delivery.shape import cast_lookups, shape
from pipeline.delivery.work import Work, in_groups, known_at_start, unshaped
from pipeline.errors import PipelineError
from pipeline.inbox.claims import Batch, Claim
from pipeline.operation import in_order
from pipeline.salesforce.client import Subresponse
from pipeline.salesforce.describe import ObjectDescribe
from pipeline.salesforce.errors import SalesforceError, UnknownObject
from pipeline.salesforce.transport import READ_TIMEOUT_S

# A batch that is still at work after so many calls is handed back; its keys go on in the next one.
_MOST_ROUNDS = 30
# Of one query, up to 2,000 rows each: what matches more than that tells nobody apart, and all of it is held in memory.
_MOST_PAGES = 5
_UNKNOWN_OBJECT_DELAY_S = 300.0
_TRIES_IN_COMPANY = 2
# A whole collection is refused for one field that the org does not know, or no longer.
_FIELD_CODES = frozenset({"INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE"})


class Deliverer:
    """Delivers batches of one object.

    `may_spend` is asked before each call; False hands the rest of a batch back, and so does True of `is_ending`, at
    once. `is_waiting` tells whether operations on a record (object, record key) wait in its inbox: what points to it
    then waits for it to be created. A write that was not answered is looked up again after `uncertain_delay_s`.
    `now_ms` tells the Unix time by the clock that operations arrived by.
    Exceptions of the types `interruptions` come from outside and end a batch; any other that is not expected is counted
    as an attempt of the keys that were delivered together.
    """

    def __init__(
        self,
        inbox: Claims,
        org: Org,
        describes: Describes,
        *,
        may_spend: Callable[[], bool],
        is_waiting: Callable[[str, str], bool] = lambda _object, _key: False,
        is_ending: Callable[[], bool] = lambda: False,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        uncertain_delay_s: float = READ_TIMEOUT_S,
        interruptions: tuple[type[Exception], ...] = (),
    ) -> None:
        self._inbox = inbox
        self._org = org
        self._describes = describes
        self._calls = Calls(inbox, describes, may_spend=may_spend, is_ending=is_ending)
        self._is_waiting = is_waiting
        self._is_ending = is_ending
        self._now_ms = now_ms
        self._uncertain_delay_s = uncertain_delay_s
        self._token, self._report = "", Report(inbox.object)
        self._chunk = COLLECTION  # records that the org is asked to write at once
        self._has_learned = False
        self._can_wait: frozenset[str] = frozenset()  # keys
        self._being_written: Sequence[Work] = ()
        self._interruptions = interruptions
        self._fault: Exception | None = None

    def deliver(self, batch: Batch, report: Report) -> Paused | None:
        """Bring a batch to the org and settle every claim; returns why delivery has to pause, if it has to."""
        self._token, self._report = batch.token, report
        self._calls.start(batch.token, report)
        report.claimed += sum(claim.taken for claim in batch.claims)
        keys = [claim.key for claim in batch.claims]
        # Where nothing else is due, what is left would be a batch of its own, which costs more than a request.
        self._can_wait = frozenset(keys[ALWAYS_WRITTEN:] if batch.due_behind else ())
        self._chunk, self._has_learned = self._inbox.chunk(COLLECTION), False
        try:
            describe = self._calls.described(self._inbox.object)
            works = [self._begin(claim, describe) for claim in batch.claims]
        except NoCall as no_call:
            self._inbox.release(batch.token, keys, delay_s=0)
            report.why = str(no_call)
            return None
        except UnknownObject as error:
            self._inbox.release(batch.token, keys, delay_s=_UNKNOWN_OBJECT_DELAY_S)
            report.why = str(error)
            return None
        except SalesforceError as error:
            self._inbox.release(batch.token, keys, delay_s=0)
            decision = of_failure(error)
            return decision if isinstance(decision, Paused) else Paused(str(error), "", needs_operator=False)
        except Exception:
            self._inbox.release(batch.token, keys, delay_s=self._hand_back_delay_s())
            raise
        try:
            paused = self._rounds(works)
        except Exception:
            self._hand_back(works)
            self._settle(works)
            raise
        self._settle(works)
        if self._fault is not None and paused is None:
            raise self._fault
        return paused

    def _hand_back(self, works: Iterable[Work]) -> None:
        """Cut short, let nobody wait for a lease to end but those whose write may still be carried out."""
        for work in self._being_written:
            work.unanswered(self._uncertain_delay_s)
        for work in works:
            if work.is_open:
                work.verdict = RetryAt(self._hand_back_delay_s(), "the delivery was cut short", counts_attempt=False)

    def _blame(self, works: Iterable[Work], error: Exception) -> None:
        """Count a mistake of ours against those that were delivered together, until the one it is about is alone.

        The error is raised once the batch is settled, so that it is told of.
        """
        self._fault = error
        blame(works, error, sent=self._being_written, uncertain_delay_s=self._uncertain_delay_s)
        self._being_written = ()

    def _hand_back_delay_s(self) -> float:
        # A mistake of ours is not made again at once.
        return 0.0 if self._is_ending() else self._uncertain_delay_s

    def _begin(self, claim: Claim, describe: ObjectDescribe) -> Work:
        # What has failed again and again travels in ever smaller company, so that it spoils nobody else's request.
        company = COLLECTION if claim.attempts <= _TRIES_IN_COMPANY else max(1, COLLECTION >> claim.attempts)
        work = Work(claim, describe, unshaped(claim), dict(claim.clock), company=min(company, self._chunk))
        if claim.attempts > _TRIES_IN_COMPANY:
            work.together = max(1, COLLECTION * COLLECTIONS >> claim.attempts)
        try:
            positions = [claim.positions[index] for index in in_order(claim.operations)]
            work.changes = merge(self._shaped(work, positions, describe), claim.clock)
            known = known_at_start(claim, work.changes)
        except PipelineError:
            raise
        except self._interruptions:
            raise
        except Exception as error:  # noqa: BLE001  (raised again once the batch is settled)
            self._blame([work], error)
            return work
        if known:
            work.know(known, fresh=False)
        return work

    def _shaped(
        self, work: Work, positions: Iterable[int], describe: ObjectDescribe, contact_id: str | None = None
    ) -> list[Part]:
        """Shape operations of a claim; what can never be written is buried, what had to be left out is noted."""
        parts = []
        for position in positions:
            operation = work.claim.operations[work.claim.positions.index(position)]
            if contact_id is not None:
                operation = for_contact(operation, contact_id)
            shaped = cast_lookups(shape(operation, describe), operation, self._calls.described)
            work.dropped[position] = shaped.dropped
            if shaped.refusal is not None:
                work.refuse(position, shaped.refusal)
                continue
            parts.append(
                Part(
                    position=position,
                    time_ms=operation.event_time_ms,
                    verb=operation.verb,
                    match=shaped.match,
                    fields=shaped.fields,
                    on_create=shaped.on_create,
                    lookups=shaped.lookups,
                    reads=shaped.reads,
                    options=operation.options,
                )
            )
        return parts

    def _rounds(self, works: Sequence[Work]) -> Paused | None:
        is_refreshed = False
        for _ in range(_MOST_ROUNDS):
            is_field_refused = False
            for group in in_groups(work for work in works if work.is_open):
                answer = self._try(self._round, group)
                if isinstance(answer, Paused):
                    return answer
                is_field_refused = is_field_refused or answer
            if not any(work.is_open for work in works):
                return None
            if is_field_refused and not is_refreshed:
                # The org's fields may have changed since they were described: what follows goes by the new ones.
                is_refreshed = True
                answer = self._try(self._reshape, [work for work in works if work.is_open])
                if isinstance(answer, Paused):
                    return answer
        for work in works:
            if work.is_open:
                put_off(work)
        return None

    def _try(self, step: Callable[[Sequence[Work]], Paused | bool], works: Sequence[Work]) -> Paused | bool:
        """Take a step of several keys, which nothing may keep from the steps of others."""
        try:
            return step(works)
        except self._interruptions:
            raise
        except NoCall as no_call:
            self._calls.close(works, no_call)
        except SalesforceError as error:  # of a describe; what is asked and written has its own
            return failed(works, error) or False
        except Exception as error:  # noqa: BLE001  (raised again once the batch is settled)
            self._blame(works, error)
        return False

    def _round(self, works: Sequence[Work]) -> Paused | bool:
        """Look up and write what comes next of each key; returns a pause, or whether a field was refused."""
        pointing = [work for work in works if work.references()]
        paused = self._look_up(works)
        if not paused and pointing:  # the Ids are there, by which their own records may be matched
            paused = self._look_up([work for work in pointing if not work.references()])
        return paused or self._write([work for work in works if work.is_open and not work.is_waiting_for_lookup])

    def _reshape(self, works: Sequence[Work]) -> bool:
        self._calls.spend()
        self._describes.refresh([self._inbox.object])
        describe = self._describes.get(self._inbox.object)
        for work in works:
            if not work.is_redirected:
                work.describe = describe
                work.changes = merge(self._shaped(work, work.open_positions(), describe), work.clock)
        return False

    def _write(self, works: Sequence[Work]) -> Paused | bool:
        """Write what comes next of each key; returns a pause, or whether a collection was refused for a field."""
        by_key = {work.claim.key: work for work in works}
        writes = [write for work in works if (write := work.next_write()) is not None]
        can_wait = {key for key in self._can_wait & by_key.keys() if by_key[key].may_wait}
        requests, left = pack_fewer(writes, can_wait)
        for key in left:
            by_key[key].hand_over()
        is_field_refused = False
        for request in requests:
            answer = self._send_writes(request, by_key)
            if isinstance(answer, Paused):
                return answer
            is_field_refused = is_field_refused or answer
        return is_field_refused

    def _look_up(self, works: Sequence[Work]) -> Paused | None:
        """Look for what is to be known next."""
        asked = questions(work for work in works if work.is_waiting_for_lookup)
        for start in range(0, len(asked), COLLECTIONS):
            part = asked[start : start + COLLECTIONS]
            paused = self._ask(part)
            if paused:
                return paused
        return None

    def _ask(self, asked: Sequence[Question]) -> Paused | None:
        works = list({work.claim.key: work for question in asked for work in question.works}.values())
        if not self._calls.may_call(works):
            return None
        try:
            answers = self._calls.send(self._org, [question.subrequest for question in asked])
            for question, answer in zip(asked, answers, strict=True):
                paused = self._read(question, answer)
                if paused:
                    return paused
        except SalesforceError as error:
            return failed(works, error)
        return None

    def _read(self, question: Question, page: Subresponse) -> Paused | None:
        """Take the rows of an answer, page after page for as long as one of them may still matter."""
        rows: list[Any] = []
        for pages in range(1, _MOST_PAGES + 1):
            if not page.ok:
                return split(question.works, page.errors, size=question.size)
            rows += page.body["records"]
            part = answered(question, rows)
            if page.body["done"] or (part is not None and part.size == question.size):
                self._take_answer(question, rows)
                return None
            if pages == _MOST_PAGES or not self._calls.may_call(question.works):
                break
            page = self._org.query_rest(page.body["nextRecordsUrl"])
        if part is not None:
            self._take_answer(part, rows)  # the others are asked for again, without these
        elif pages == _MOST_PAGES:
            halve(question.works, f"{len(rows)} records and more match what it is looked up by", size=question.size)
        return None

    def _take_answer(self, question: Question, rows: Sequence[Any]) -> None:
        if question.references:
            found = find_references(question.references, rows)
            own = self._inbox.object
            point_or_wait(question.works, found, own_object=own, is_waiting=self._is_waiting, now_ms=self._now_ms())
        else:
            self._take_rows(question.works, rows)

    def _take_rows(self, works: Sequence[Work], rows: Sequence[Any]) -> None:
        for work, found in zip(works, give_rows(works, rows).values(), strict=True):
            try:
                chosen = choose(found, work.changes[0].options)
                contact = None if chosen.contact_id is None else self._calls.described("Contact")
            except ValueError as ambiguous:
                work.give_up(str(ambiguous))
                continue
            except UnknownObject as unknown:
                work.give_up(f"the lead was converted, and what is meant for it goes to its contact, but {unknown}")
                continue
            if chosen.is_skipped:
                work.skip()
            elif contact is not None and chosen.contact_id is not None:
                parts = self._shaped(work, work.open_positions(), contact, chosen.contact_id)
                work.redirect(contact, merge(parts, work.clock), chosen.contact_id)
            elif work.changes[0].verb == "read":
                work.answer(next((row for row in found if row["Id"] == chosen.record_id), None))
            else:
                work.know(chosen.record_id, fresh=True)

    def _send_writes(self, request: Sequence[Collection], works: dict[str, Work]) -> Paused | bool:
        """Send one request; returns a pause, or whether a collection was refused for a field."""
        covered = [works[write.key] for collection in request for write in collection.writes]
        if not self._calls.may_call(covered):
            return False
        sent = [collection for collection in map(partial(_still_open, works), request) if collection.writes]
        refused_field, paused = False, None
        self._being_written = [works[write.key] for collection in sent for write in collection.writes]
        for work in self._being_written:
            work.send_in(self._calls.id)
        try:
            answers = self._calls.send(self._org, [one.subrequest() for one in sent])
            self._being_written = ()
            for collection, answer in zip(sent, answers, strict=True):
                members = [works[write.key] for write in collection.writes]
                self._learn(len(members), answer)
                # What was written is noted to the end: whoever pauses at the first refusal writes the rest again.
                if answer.ok:
                    paused = take_results(collection, members, answer.results()) or paused
                else:
                    refused_field = refused_field or any(error.code in _FIELD_CODES for error in answer.errors)
                    paused = split_writes(collection, members, answer.errors) or paused
        except SalesforceError as error:
            self._being_written = ()
            return write_failed(covered, error, uncertain_delay_s=self._uncertain_delay_s) or paused or False
        return paused or refused_field

    def _learn(self, records: int, answer: Subresponse) -> None:
        """Take note whether so many records at once were too many, for the batches to come.

        One lesson a batch: what is halved further in it may be one record that is too much by itself.
        """
        if self._has_learned:
            return
        errors = [error for one in answer.results() for error in one.errors] if answer.ok else answer.errors
        if records > 1 and was_too_much(errors):
            self._inbox.shrink_chunk(records)
            self._has_learned = True
        elif records >= self._chunk:
            self._inbox.grow_chunk(COLLECTION)
            self._has_learned = True

    def _settle(self, works: Iterable[Work]) -> None:
        held = [work for work in works if not work.is_lost]
        settlements = [work.settle() for work in held]
        # Before the operations leave their inboxes: a crash in between repeats a read, and loses no answer.
        self._inbox.keep_results(
            {
                operation_id: result
                for work, settlement in zip(held, settlements, strict=True)
                for operation_id, result in work.results(settlement).items()
            }
        )
        lost = self._inbox.commit(self._token, settlements)
        left_out: Counter[str] = Counter()
        for work, settlement in zip(held, settlements, strict=True):
            is_lost = work.claim.key in lost
            self._report.count(work, settlement, is_lost=is_lost)
            if not is_lost:
                left_out.update(work.left_out(settlement))
        if left_out:
            self._inbox.count_left_out(left_out)


def _still_open(works: Mapping[str, Work], collection: Collection) -> Collection:
    return replace(collection, writes=tuple(write for write in collection.writes if works[write.key].is_open))
