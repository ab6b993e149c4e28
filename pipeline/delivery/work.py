"""Work: where one claimed record key stands while its batch is delivered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.delivery.merge import Change, Part, advance, is_stale
from pipeline.delivery.outcome import Buried, LookAgain, RetryAt
from pipeline.delivery.pack import COLLECTION, COLLECTIONS, Write
from pipeline.delivery.reasons import label_of
from pipeline.delivery.references import Reference, references_of, resolve
from pipeline.delivery.shape import Dropped, missing_required
from pipeline.delivery.upsert import upsert_key
from pipeline.inbox.claims import Claim, Settlement
from pipeline.inbox.results import ReadResult
from pipeline.operation import Json
from pipeline.salesforce.describe import ObjectDescribe

# Never found by a lookup, and known without one.
_SELECTED_BY_ID = "id"


@dataclass(slots=True)
class Work:
    """One key of a batch: what is still to be done, what was, and what is known of the record."""

    claim: Claim
    describe: ObjectDescribe
    changes: list[Change]
    clock: dict[str, int]
    record_id: str | None = None
    is_known: bool = False  # whether `record_id` (None: there is no record) can be relied on
    is_fresh: bool = False  # whether it was looked up in this batch
    is_redirected: bool = False  # whether it writes to the contact that the lead became
    is_refused_unseen: bool = False  # whether an upsert was refused before anybody looked the record up
    company: int = COLLECTION  # records it may share a collection with
    together: int = COLLECTION * COLLECTIONS  # keys it may share requests with
    verdict: RetryAt | None = None  # set once the rest has to wait
    keeps_place: bool = False  # whether the rest waits where it did
    is_lost: bool = False  # the lease has gone to somebody else
    buried: dict[int, str] = field(default_factory=dict)  # position → reason
    dropped: dict[int, Sequence[Dropped]] = field(default_factory=dict)  # position → what shaping left out
    created: int = 0
    updated: int = 0
    deleted: int = 0
    found: dict[Reference, str | None] = field(default_factory=dict)  # records that were looked for
    answers: dict[int, ReadResult] = field(default_factory=dict)  # position of a read → what it found
    sent_in: dict[int, str] = field(default_factory=dict)  # position → the call that its write went in last
    _after: dict[str, Json] = field(default_factory=dict)
    _judged: tuple[Change, str | None] | None = None  # the change that was judged last, and its `upsert_key`

    @property
    def is_open(self) -> bool:
        """Whether something is left to do in this batch."""
        return bool(self.changes) and self.verdict is None and not self.is_lost

    @property
    def needs_lookup(self) -> bool:
        """Whether the record has to be looked for before the next write."""
        if not self.is_open:
            return False
        verb = self.changes[0].verb
        return verb == "read" or (not self.is_known and verb != "create" and self.upserts_by is None)

    @property
    def upserts_by(self) -> str | None:
        """The external ID by which the next write goes without a lookup. What has failed before is looked up."""
        if not self.is_open or self.is_known or self.is_refused_unseen or self.claim.attempts:
            return None
        change = self.changes[0]
        if self._judged is None or self._judged[0] is not change:
            self._judged = (change, upsert_key(change, self.describe))
        return self._judged[1]

    @property
    def is_waiting_for_lookup(self) -> bool:
        """Whether something has to be looked for before the next write: its record, or one that it points to."""
        return self.needs_lookup or bool(self.references())

    @property
    def may_wait(self) -> bool:
        """Whether the next batch can as well write it: nothing of it was sent, it did not fail and is not urgent."""
        is_urgent = any(operation.options.get("priority") == "high" for operation in self.claim.operations)
        return not (self.sent_in or self.claim.attempts or is_urgent)

    @property
    def writes_twice(self) -> bool:
        """Whether the create that comes next has to be followed by an update, of what only an update can write."""
        return bool(self._after)

    def open_positions(self) -> list[int]:
        """Return the positions of the operations still to be done, in event-time order."""
        return [position for change in self.changes for position in change.positions]

    def references(self) -> set[Reference]:
        """Return the records that the current change points to and that were not looked for yet."""
        if not self.is_open:
            return set()
        return {reference for part in self.changes[0].parts for reference in references_of(part)}

    def point(self, found: Mapping[Reference, str | None]) -> None:
        """Put the Ids of other records in place; what has none is left out, or buried where all depends on it."""
        parts = []
        for part in self.changes[0].parts:
            resolved, missing = resolve(part, found)
            reasons = [Dropped(name, "the record it points to does not exist") for name in missing]
            self.dropped[part.position] = [*self.dropped.get(part.position, ()), *reasons]
            if resolved is None:
                self.refuse(part.position, "the record that it is matched by does not exist")
            else:
                parts.append(resolved)
        self.changes[:1] = [Change(tuple(parts))] if parts else []

    def know(self, record_id: str | None, *, fresh: bool) -> None:
        """Take note of the record's Id, None where there is no record."""
        self.record_id, self.is_known, self.is_fresh = record_id, True, fresh

    def redirect(self, describe: ObjectDescribe, changes: list[Change], record_id: str) -> None:
        """Write to another object's record instead, with the changes shaped for it."""
        self.describe, self.changes, self.is_redirected = describe, changes, True
        self.know(record_id, fresh=True)

    def skip(self) -> None:
        """Take the current change for done."""
        if self.changes[0].verb == "read":
            self.answer(None)
        else:
            self._done(self.changes[0])

    def answer(self, row: Mapping[str, Any] | None) -> None:
        """Note what the current change, a read, has found: a row of its fields, or None for no record."""
        (part,) = self.changes[0].parts
        values = {} if row is None else {name: row.get(name) for name in part.reads}
        self.answers[part.position] = ReadResult(self.describe.name, row is not None, values)
        del self.changes[0]

    def send_in(self, call: str) -> None:
        """Take note of the call that the next write goes in."""
        self.sent_in.update(dict.fromkeys(self.changes[0].positions, call))

    def next_write(self) -> Write | None:
        """Say what to write next; changes that need no write are done on the way. None when nothing is left."""
        while self.is_open and not self.is_waiting_for_lookup:
            change = self.changes[0]
            if all(is_stale(part, self.clock) for part in change.parts):
                self._done(change)
                continue
            write = self._write(change)
            if write is not None:
                return write
        return None

    def succeeded(self, write: Write, record_id: str | None, *, is_new: bool = False) -> None:
        """Salesforce has applied the write; `is_new` tells whether it has made the record."""
        change = self.changes[0]
        if write.kind == "delete":
            self.deleted += 1
            self.know(None, fresh=True)
        else:
            self.know(record_id or write.record_id, fresh=self.is_fresh or write.kind != "update")
            if is_new:
                self.created += 1
            else:
                self.updated += 1
        if write.kind == "create" and self._after:
            return  # the record exists; what only an update can write follows
        self._done(change)

    def failed(self, outcome: RetryAt | LookAgain | Buried) -> None:
        """Salesforce has refused the write of the current change."""
        if isinstance(outcome, RetryAt):
            self.verdict = outcome
        elif self.upserts_by is not None:
            self.is_refused_unseen = True
        elif isinstance(outcome, LookAgain) and self.is_known and not self.is_fresh:
            self.record_id, self.is_known = None, False
        else:
            self._refused(outcome.reason)

    def unanswered(self, delay_s: float, *, counts_attempt: bool = False) -> None:
        """Take note that the write of the current change may have been carried out, or may still be.

        After the delay it is looked up again; an upsert by an external ID is simply repeated. A create that cannot be
        looked up is repeated, or buried where its rule says so.
        """
        if self.is_open and self.changes[0].verb == "create" and self.changes[0].options.get("on_uncertain"):
            self._refused("it was sent and no answer came: look in the org whether the record exists before a retry")
        else:
            self.verdict = RetryAt(delay_s, "no answer to a write that was sent", counts_attempt=counts_attempt)

    def give_up(self, reason: str) -> None:
        """Bury all that the current change consists of."""
        for position in self.changes[0].positions:
            self.refuse(position, reason)
        self._after = {}
        del self.changes[0]

    def refuse(self, position: int, reason: str) -> None:
        """Bury one operation that can never be written."""
        self.buried[position] = reason

    def hand_over(self) -> None:
        """Leave what is open to the next batch, where it goes before all that came later."""
        self.verdict, self.keeps_place = RetryAt(0, "the next batch has room for it", counts_attempt=False), True

    def settle(self) -> Settlement:
        """Say how the claim ends: what is neither done nor buried stays."""
        keep = tuple(sorted(self.open_positions()))
        delay_ms = round(self.verdict.delay_s * 1000) if self.verdict else 0
        return Settlement(
            claim=self.claim,
            keep=keep,
            bury={**dict.fromkeys(self.claim.unreadable, "not an operation of a known format"), **self.buried},
            clock=self.clock if self.clock != self.claim.clock else None,
            record_id=self.record_id if self.is_known and not self.is_redirected else None,
            delay_ms=delay_ms,
            keeps_place=self.keeps_place,
            counts_attempt=self.verdict is not None and self.verdict.counts_attempt,
            why_kept=label_of(self.verdict.reason) if self.verdict else "paused",
            sent_in=self.sent_in,
            written_id=self.record_id,
        )

    def left_out(self, settlement: Settlement) -> list[str]:
        """Tell what was left out of the operations that are settled for good, a sentence for each value."""
        return [
            one.told for position, dropped in self.dropped.items() if position not in settlement.keep for one in dropped
        ]

    def results(self, settlement: Settlement) -> dict[str, ReadResult]:
        """Return operation id → what a read found, or why it could not be done, of the reads that are settled."""
        by_position = dict(zip(self.claim.positions, self.claim.operations, strict=True))
        refused = {
            position: ReadResult(operation.object, error=settlement.bury[position])
            for position, operation in by_position.items()
            if operation.verb == "read" and position in settlement.bury
        }
        return {by_position[position].id: result for position, result in {**self.answers, **refused}.items()}

    def _write(self, change: Change) -> Write | None:
        if change.verb == "delete":
            return self._delete(change)
        if self.record_id is not None:
            return self._update(change)
        if (key := self.upserts_by) is not None:
            fields = {**change.match, **change.to_update(self.describe)}
            return Write(self.claim.key, "upsert", self.describe.name, fields, self.company, by=key)
        if change.verb == "update":
            self._refused("no record matches, and an update creates none")
            return None
        return self._create(change)

    def _delete(self, change: Change) -> Write | None:
        if self.record_id is None:
            self._done(change)
            return None
        return Write(self.claim.key, "delete", self.describe.name, {"id": self.record_id}, self.company)

    def _update(self, change: Change) -> Write | None:
        fields = self._after or change.to_update(self.describe)
        if not fields:
            self._done(change)
            return None
        return Write(self.claim.key, "update", self.describe.name, {"id": self.record_id, **fields}, self.company)

    def _create(self, change: Change) -> Write | None:
        fields, self._after = change.to_create(self.describe)
        first, *others = change.parts
        missing = missing_required({**first.on_create, **first.fields}, self.describe)
        if missing:
            # Applied one by one, the first operation would be refused and the next would create the record.
            self.refuse(first.position, f"a new {self.describe.name} needs {', '.join(missing)}, which the event lacks")
            self.changes[:1] = [Change(tuple(others))] if others else []
            return None
        return Write(self.claim.key, "create", self.describe.name, fields, self.company)

    def _refused(self, reason: str) -> None:
        change = self.changes[0]
        self._after = {}
        if len(change.parts) > 1:
            self.changes[:1] = change.halves()
        else:
            self.refuse(change.parts[0].position, reason)
            del self.changes[0]

    def _done(self, change: Change) -> None:
        self.clock = advance(self.clock, change)
        self._after = {}
        del self.changes[0]


def known_at_start(claim: Claim, changes: Sequence[Change]) -> str | None:
    """Return the record Id that needs no lookup: the one that an operation names, else the cached one."""
    match = changes[0].match if changes else {}
    by_name: Mapping[str, Json] = {name.lower(): value for name, value in match.items()}
    named = by_name.get(_SELECTED_BY_ID)
    return named if isinstance(named, str) else claim.record_id


def unshaped(claim: Claim) -> list[Change]:
    """Return the operations of a claim as they wait, so that none is taken for done before it was shaped."""
    return [
        Change((Part(position=position, time_ms=operation.event_time_ms, verb=operation.verb),))
        for position, operation in zip(claim.positions, claim.operations, strict=True)
    ]


def in_groups(works: Iterable[Work]) -> list[list[Work]]:
    """Return the keys in the groups that share requests: what has spoilt others travels in ever smaller ones."""
    alike: dict[int, list[Work]] = {}
    for work in works:
        alike.setdefault(work.together, []).append(work)
    return [members[start : start + most] for most, members in alike.items() for start in range(0, len(members), most)]
