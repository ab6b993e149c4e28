"""A model of days of identifies against a quota, in seconds of computing: what `benchmarks/day.py` reports.

People are not followed one by one. A cohort is the expected number of record keys that began to wait between two
looks at the clock, and each of its people goes on sending while the key waits, which is merged. The quota gate is the
pipeline's own (`simulated_gate.py`), and sizes and times are the pipeline's own constants.
"""

import heapq
import math
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import pairwise

from benchmarks.cohorts import HOUR_S, HOURS, Cohort, Curve, Span, together
from benchmarks.simulated_gate import Clock, simulated_gate
from pipeline.delivery.pack import ALWAYS_WRITTEN, COLLECTION, COLLECTIONS
from pipeline.destination import Destination
from pipeline.inbox.inbox import Bounds
from pipeline.salesforce.quota import DAY_S, Wait
from pipeline.tasks.spending import CALLS as CALLS_OF_BATCH

FIRST_HOUR = 5  # a simulated day begins when the night's little has been worked off
# Identifies of each hour, as shares of their sum: little at night, more through the day, most in the evening.
CURVE = (40, 28, 20, 15, 15, 20, 35, 60, 80, 95, 100, 100, 105, 100, 95, 95, 100, 110, 125, 140, 150, 135, 100, 65)
DESCRIBES_A_DAY = 48  # celeryconfig.py: beat refreshes the describe every half hour, past the gate
_FULL = Bounds().batch
_SPOTS = 6  # of a span of arrivals, at which its waiting times are looked at
_BINS_A_DECADE = 40
_SHORTEST_S = 0.01
_LOOK_AGAIN_S = 0.02
# Where many wait, keys that began to wait within so many seconds are one cohort.
_LONGEST_COHORT_S = 5.0
_MANY = 5  # batches


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What is assumed. Rates and sizes are a day's; seconds are those of one request to the org."""

    people: int = 10_000_000
    identifies: int = 50_000_000
    quota: int = 100_000
    share: float = Destination().quota.share
    reserve: int = Destination().quota.reserve
    others: int = 0  # calls a day that others make to the org
    active_people: float = 0.1  # this share of the people sends ...
    active_events: float = 0.5  # ... this share of the identifies
    new_people: float = 0.02  # share of the people that the org does not have yet when the day begins
    request_s: float = 0.3
    record_s: float = 0.004  # of a write, for each record
    linger_s: float = Bounds().linger_s
    has_lookups: bool = True  # False: as if the Id of every record were cached
    bulk_from: int = 0  # waiting keys from which on bulk jobs are made; 0: none are
    bulk_keys: int = 50_000  # of a job at most
    bulk_calls: int = 10  # of a job: made, handed over, closed, looked at, results; and its Ids looked up
    bulk_s: float = 120.0
    bulk_pause_s: float = 10.0  # between the beginnings of two jobs
    curve: tuple[float, ...] = CURVE
    days: int = 1  # to simulate; the last one is reported, when what is left of those before it waits and counts
    seed: int = 1


@dataclass(slots=True)
class Hour:
    """What happened in one hour of the last day. `waits` counts events by bin, by the hour in which they arrived."""

    identifies: float = 0.0
    calls: int = 0
    batches: int = 0
    keys: float = 0.0
    written_events: float = 0.0
    waiting_keys: float = 0.0  # at its end, as are the events
    waiting_events: float = 0.0
    waits: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Result:
    """The last day, hour by hour from FIRST_HOUR on, and what is needed to check the whole run."""

    hours: list[Hour]
    arrived: float  # events of all days
    written: float
    left: float
    most_used: float  # calls of any 24 hours, of the pipeline and of others


@dataclass(slots=True)
class _Batch:
    """A claimed batch: requests still to be written, as numbers of records, and calls made so far."""

    holder: str
    cohort: Cohort
    requests: list[int]
    calls: int
    must_look_up: bool
    early_creates: float = 0.0  # of the keys that are written with this batch in any case
    left: tuple[int, int] = (0, 0)  # creates and updates that are left to the next batch


class Model:
    """The pipeline and its org, as far as calls and waiting times are concerned."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self._curve = Curve((*day.curve[FIRST_HOUR:], *day.curve[:FIRST_HOUR]), day.identifies)
        active = day.people * day.active_people, day.active_events
        others = day.people - active[0], 1 - day.active_events
        classes = [one for one in (active, others) if one[0] > 0]
        self._people = [people for people, _ in classes]
        self._each = [events / people for people, events in classes]  # of all events, those of one person
        # A cached Id lasts a day; who sent nothing for a day is looked up.
        self._known = [-math.expm1(-each * day.identifies) for each in self._each]
        self._new_of_event = day.new_people * day.people / day.identifies
        self._clock = Clock()
        self._gate = simulated_gate(self._clock, share=day.share, reserve=day.reserve)
        self._random = random.Random(day.seed)
        self._queue: deque[Cohort] = deque()
        self._waiting = [0.0 for _ in classes]
        self._waiting_events = 0.0
        self._in_flight: list[tuple[float, int, _Batch]] = []
        self._jobs: deque[tuple[float, _Batch]] = deque()
        self._in_flight_events = 0.0
        self._holders = 0
        self._left_s = self._job_s = -math.inf
        self._closed_until_s = 0.0
        self._is_noting = False
        self._calls: deque[tuple[float, int]] = deque()
        self._used = 0
        self._most_used = 0.0
        self._hours = [Hour() for _ in range(HOURS)]
        self._written = 0.0

    def run(self) -> Result:
        """Let the days pass."""
        end_s = self._day.days * DAY_S
        ends = [hour * HOUR_S for hour in range(1, self._day.days * HOURS + 1)]
        for start_s, stop_s in pairwise([0.0, *ends]):
            if stop_s > end_s - DAY_S + HOUR_S / 2 and start_s <= end_s - DAY_S:
                self._hours = [Hour() for _ in range(HOURS)]
                self._is_noting = True
            self._until(stop_s)
            hour = self._hours[int(start_s % DAY_S / HOUR_S)]
            hour.identifies = self._curve.at(stop_s) - self._curve.at(start_s)
            hour.waiting_keys, hour.waiting_events = sum(self._waiting), self._waiting_events
        left = self._waiting_events + self._in_flight_events
        return Result(self._hours, self._curve.at(end_s), self._written, left, self._most_used)

    def look(self, moment_s: float) -> tuple[int, float, float]:
        """Let time pass until a moment of the first day; returns calls, events written, and events that wait."""
        self._until(moment_s)
        return len(self._calls), self._written, self._waiting_events + self._in_flight_events

    def _until(self, stop_s: float) -> None:
        while self._clock.now_s < stop_s:
            again_s = self._begin_batch()
            stage_s = self._in_flight[0][0] if self._in_flight else math.inf
            next_s = min(stop_s, again_s, stage_s, self._jobs[0][0] if self._jobs else math.inf)
            self._take_in(next_s)
            while self._jobs and self._jobs[0][0] <= next_s:
                self._settle(self._jobs.popleft()[1])
            while self._in_flight and self._in_flight[0][0] <= next_s:
                self._go_on(heapq.heappop(self._in_flight)[2])

    def _take_in(self, until_s: float) -> None:
        now_s = self._clock.now_s
        events = self._curve.at(until_s) - self._curve.at(now_s)
        self._clock.now_s = until_s
        if events <= 0:
            return
        keys, first_events = [], 0.0
        for index, each in enumerate(self._each):
            silent = max(0.0, self._people[index] - self._waiting[index])
            keys.append(silent * -math.expm1(-each * events))
            first_events += silent * each * events
            self._waiting[index] += keys[index]
        creates = min(sum(keys), self._new_of_event * events)
        self._waiting_events += events
        last = self._queue[-1] if sum(self._waiting) > _MANY * _FULL else None
        if last and len(last.spans) == 1 and until_s - last.spans[0].start_s < _LONGEST_COHORT_S:
            self._queue.pop()
            more = sum(of_class * each for of_class, each in zip(last.keys, self._each, strict=True)) * events
            now_s, first_events = last.spans[0].start_s, first_events + last.spans[0].events + more
            keys, creates = [one + two for one, two in zip(last.keys, keys, strict=True)], creates + last.creates
        self._queue.append(Cohort(tuple(keys), creates, (Span(now_s, until_s, first_events),), until_s))

    def _begin_batch(self) -> float:
        """Let a deliverer claim a batch, if one may leave now; returns when to look again."""
        now_s, due, at_work = self._clock.now_s, sum(self._waiting), len(self._in_flight)
        least = max(1, _FULL * at_work) if at_work < Bounds().deliverers else math.inf
        if now_s < self._closed_until_s:
            return self._closed_until_s
        if self._day.bulk_from and due >= self._day.bulk_from and now_s >= self._job_s + self._day.bulk_pause_s:
            return self._begin_job()
        if due < least:
            return now_s + max(_LOOK_AGAIN_S, (least - due) / self._curve.rate(now_s))
        return self._ask_gate(due)

    def _ask_gate(self, due: float) -> float:
        now_s = self._clock.now_s
        holder = f"deliverer-{self._holders}"
        answer = self._gate.take(CALLS_OF_BATCH, holder)
        if isinstance(answer, Wait):
            self._closed_until_s = now_s + max(answer.seconds, 0.001)
            return self._closed_until_s
        if due < _FULL and now_s - self._left_s < self._day.linger_s:
            self._gate.give_back(CALLS_OF_BATCH, holder)
            return max(self._left_s + self._day.linger_s, now_s + 0.001)
        self._holders += 1
        self._left_s = now_s
        batch = self._claim(holder, _FULL)
        creates = min(round(batch.cohort.size), int(batch.cohort.creates + self._random.random()))
        updates = max(1, round(batch.cohort.size)) - creates
        early = min(creates, ALWAYS_WRITTEN, int(batch.early_creates + self._random.random()))
        batch.requests, batch.left = requests_for(creates, updates, early, more_due=sum(self._waiting) >= 1)
        batch.must_look_up = self._day.has_lookups and not self._is_all_known(batch.cohort)
        self._push(batch, 0.0)
        return now_s

    def _begin_job(self) -> float:
        now_s, holder = self._clock.now_s, f"deliverer-{self._holders}"
        answer = self._gate.take(self._day.bulk_calls, holder)
        if isinstance(answer, Wait):
            self._closed_until_s = now_s + max(answer.seconds, 0.001)
            return self._closed_until_s
        self._holders += 1
        self._job_s = now_s
        batch = self._claim(holder, self._day.bulk_keys)
        for _ in range(self._day.bulk_calls):
            self._call(batch)
        self._gate.leave(holder)  # who waits for a job is not in flight
        self._jobs.append((now_s + self._day.bulk_s, batch))
        return now_s

    def _claim(self, holder: str, most: int) -> _Batch:
        now_s = self._clock.now_s
        most_events = Bounds().operations * most / _FULL
        parts: list[Cohort] = []
        keys, events, early_creates = 0.0, 0.0, 0.0
        while self._queue and keys < most - 1e-6 and events < most_events:
            cohort = self._queue.popleft()
            if cohort.size > most - keys:
                share = (most - keys) / cohort.size
                self._queue.appendleft(cohort.part(1 - share))
                cohort = cohort.part(share)
            cohort = self._closed(cohort, now_s)
            parts.append(cohort)
            early_creates += cohort.creates * min(1.0, max(0.0, ALWAYS_WRITTEN - keys) / max(cohort.size, 1e-9))
            keys += cohort.size
            events += sum(span.events for span in cohort.spans)
        batch = together(parts, now_s)
        for index, number in enumerate(batch.keys):
            self._waiting[index] = max(0.0, self._waiting[index] - number)
        self._waiting_events -= events
        self._in_flight_events += events
        self._hour().batches += 1
        return _Batch(holder, batch, [], 0, must_look_up=False, early_creates=early_creates)

    def _closed(self, cohort: Cohort, now_s: float) -> Cohort:
        """Return a cohort with what its people sent since it is open."""
        more = self._curve.at(now_s) - self._curve.at(cohort.open_s)
        events = more * sum(keys * each for keys, each in zip(cohort.keys, self._each, strict=True))
        spans = (*cohort.spans, Span(cohort.open_s, now_s, events)) if events > 0 else cohort.spans
        return Cohort(cohort.keys, cohort.creates, spans, now_s)

    def _is_all_known(self, batch: Cohort) -> bool:
        chance = math.prod(known**keys for known, keys in zip(self._known, batch.keys, strict=True))
        return batch.creates < 1 and self._random.random() < chance

    def _push(self, batch: _Batch, in_s: float) -> None:
        heapq.heappush(self._in_flight, (self._clock.now_s + in_s, id(batch), batch))

    def _go_on(self, batch: _Batch) -> None:
        """Make the next call of a batch, or settle it."""
        if batch.must_look_up:
            batch.must_look_up = False
            self._call(batch)
            self._push(batch, self._day.request_s)
        elif batch.requests and (batch.calls < CALLS_OF_BATCH or self._gate.spend_one()):
            self._call(batch)
            self._push(batch, self._day.request_s + batch.requests.pop(0) * self._day.record_s)
        else:
            self._settle(batch)

    def _call(self, batch: _Batch) -> None:
        batch.calls += 1
        now_s = self._clock.now_s
        self._calls.append((now_s, 1))
        self._used += 1
        while self._calls[0][0] <= now_s - DAY_S:
            self._used -= self._calls.popleft()[1]
        used = self._used + self._day.others + DESCRIBES_A_DAY
        self._most_used = max(self._most_used, used)
        self._gate.observe(used, self._day.quota)
        self._hour().calls += 1

    def _settle(self, batch: _Batch) -> None:
        now_s = self._clock.now_s
        if batch.calls < CALLS_OF_BATCH:
            self._closed_until_s = 0.0
        self._gate.give_back(max(0, CALLS_OF_BATCH - batch.calls), batch.holder)
        # What no call was left for is handed back, and is due again after all that waits now.
        without_call = batch.cohort.part(min(1.0, sum(batch.requests) / batch.cohort.size))
        overflow = batch.cohort.part(min(1.0, sum(batch.left) / batch.cohort.size))
        done = batch.cohort.part(max(0.0, 1 - (without_call.size + overflow.size) / batch.cohort.size))
        if without_call.size > 0:
            self._queue.append(self._waits_again(without_call, 0.0))
        if overflow.size > 0:
            self._queue.appendleft(self._waits_again(overflow, batch.left[0]))
        if self._is_noting:
            for span in done.spans:
                self._note_waits(span, now_s)
        events = sum(span.events for span in done.spans)
        self._in_flight_events -= events
        self._written += events
        hour = self._hour()
        hour.keys += done.size
        hour.written_events += events

    def _waits_again(self, left: Cohort, creates: float) -> Cohort:
        for index, number in enumerate(left.keys):
            self._waiting[index] += number
        events = sum(span.events for span in left.spans)
        self._waiting_events += events
        self._in_flight_events -= events
        return Cohort(left.keys, creates, left.spans, self._clock.now_s)

    def _note_waits(self, span: Span, now_s: float) -> None:
        first, last = self._curve.at(span.start_s), self._curve.at(span.end_s)
        spots = _SPOTS if span.end_s - span.start_s > 1 else 1
        for spot in range(spots):
            came_s = self._curve.when(first + (last - first) * (spot + 0.5) / spots)
            waits = self._hours[int(came_s % DAY_S / HOUR_S)].waits
            waits[_bin(now_s - came_s)] += span.events / spots  # type: ignore[assignment]  # expected numbers
        # (a Counter counts whole numbers in its stubs only)

    def _hour(self) -> Hour:
        return self._hours[min(HOURS - 1, int(self._clock.now_s % DAY_S / HOUR_S))]


def requests_for(
    creates: int, updates: int, early_creates: int, *, more_due: bool
) -> tuple[list[int], tuple[int, int]]:
    """Return the records of each write request for a batch, and the creates and updates left to the next one.

    As `delivery/pack.py` has it: creates and updates never share a collection, so a full batch that has both takes six,
    one more than a request carries. Where more is due, the smaller collection of those that hold none of the batch's
    first keys waits; `early_creates` of those keys are creates.
    """
    sizes = [_collections(records) for records in (creates, updates)]
    early = (early_creates, min(creates + updates, ALWAYS_WRITTEN) - early_creates)
    can_wait = [
        (size, kind)
        for kind, of_kind in enumerate(sizes)
        for number, size in enumerate(of_kind)
        if number * COLLECTION >= early[kind]
    ]
    left = [0, 0]
    if more_due and len(sizes[0]) + len(sizes[1]) == COLLECTIONS + 1 and can_wait:
        size, kind = min(can_wait)
        sizes[kind].remove(size)
        left[kind] = size
    both = sizes[0] + sizes[1]
    return [sum(both[start : start + COLLECTIONS]) for start in range(0, len(both), COLLECTIONS)], (left[0], left[1])


def _collections(records: int) -> list[int]:
    return [min(COLLECTION, records - start) for start in range(0, records, COLLECTION)]


def quantile_s(waits: Counter[int], share: float) -> float:
    """Return the waiting time that `share` (0 to 1) of the events do not exceed, to about 6 %; 0 for no events."""
    wanted, so_far = share * sum(waits.values()), 0.0
    for number in sorted(waits):
        so_far += waits[number]
        if so_far >= wanted:
            return _SHORTEST_S * 10 ** ((number + 0.5) / _BINS_A_DECADE)
    return 0.0


def _bin(wait_s: float) -> int:
    return int(math.log10(max(wait_s, _SHORTEST_S) / _SHORTEST_S) * _BINS_A_DECADE)


def simulate(day: Day) -> Result:
    """Return what the last of the days looks like."""
    return Model(day).run()
