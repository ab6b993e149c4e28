"""preview: what events would write, without writing it.

Events are planned, shaped and delivered by the code that does so in earnest; only what it holds in its hands for an org
and for inboxes is another (see `rehearsal`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from pipeline.delivery.org import Org
from pipeline.delivery.report import Report
from pipeline.delivery.shape import Shaped, shape
from pipeline.errors import InvalidEvent
from pipeline.events.opt_in import in_words, why_not
from pipeline.events.schemas import opted_in, validate
from pipeline.events.stamp import stamp
from pipeline.inbox.claims import Batch, Claim
from pipeline.inbox.inbox import Bounds
from pipeline.mapping.plan import Planner
from pipeline.operation import Json, Operation
from pipeline.review.rehearsal import DryInbox, DryOrg, Record, Rehearsal
from pipeline.salesforce.client import query
from pipeline.salesforce.describe import ObjectDescribe
from pipeline.salesforce.errors import UnknownObject
from pipeline.salesforce.soql import lookup_queries

Outcome: TypeAlias = Literal["accepted", "skipped", "rejected"]

_BOUNDS: Final = Bounds()
_QUERIES: Final = 5  # of one call (REST API guide, "Composite")
_IDS_A_QUERY: Final = 200
_DELIVERED_LATER: Final = "would wait for a record that it points to"


@dataclass(frozen=True, slots=True)
class Planned:
    """One operation as its rule plans it, and its values as the org takes them. A refusal makes it a dead letter."""

    operation: Operation
    shaped: Shaped

    def shown(self) -> dict[str, Any]:
        """Return what would be asked of the org, as JSON; parts that are empty are left out."""
        shown: dict[str, Any] = {
            "operation": self.operation.verb,
            "object": self.operation.object,
            "match": self.shaped.match,
            "fields": self.shaped.fields,
            "on_create": self.shaped.on_create,
            "lookups": self.shaped.lookups,
            "read": list(self.shaped.reads),
            "left_out": {dropped.name: dropped.reason for dropped in self.shaped.dropped},
            "options": {
                name: value
                for name, value in self.operation.options.items()
                if name not in {"lookups", "clear_nulls", "read", "refusal"}
            },
            "refusal": self.shaped.refusal,
        }
        return {name: value for name, value in shown.items() if value}


@dataclass(frozen=True, slots=True)
class Seen:
    """One event, what would become of it, and the operations that it means."""

    type: str
    message_id: str
    outcome: Outcome
    reason: str = ""  # of a skipped or rejected one
    operations: tuple[Planned, ...] = ()


@dataclass(slots=True)
class Forecast:
    """What all events together would do. `calls` are those of delivery, by object, if all came at once."""

    records: list[Record] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    dead: list[tuple[str, str]] = field(default_factory=list)  # operation id, reason
    left_out: Counter[str] = field(default_factory=Counter)

    def counts(self) -> dict[str, Counter[str]]:
        """Count the records by object and what would happen to them: created, updated, unchanged, deleted."""
        counted: dict[str, Counter[str]] = {}
        for record in self.records:
            counted.setdefault(record.object, Counter())[fate_of(record)] += 1
        return counted


def fate_of(record: Record) -> str:
    """Say what would become of a record. One that is named by an Id that the org does not know is "not there"."""
    if record.is_absent:
        return "not there"
    if record.is_deleted:
        return "deleted" if record.before is not None else "made and deleted again"
    if record.before is None:
        return "created"
    return "updated" if record.is_supposed or any(True for _ in differences(record)) else "unchanged"


def differences(record: Record) -> Iterator[tuple[str, Json, Json]]:
    """Return field, value as it is and value as it would be, where the two differ."""
    before = record.before or {}
    for name, value in record.after.items():
        if before.get(name) != value:
            yield name, before.get(name), value


class Preview:
    """Plans events one by one, and forecasts what their delivery would do.

    `org`: where records are looked up; None: nowhere, and what is upserted counts as new, what is updated or deleted as
    there. `describes` holds every object of the destination, None for one that the org does not have.
    """

    def __init__(
        self,
        planner: Planner,
        describes: Mapping[str, ObjectDescribe | None],
        org: Org | None,
        *,
        always_enabled: bool,
        received: datetime | None = None,
    ) -> None:
        self._planner = planner
        self._describes = _Described(describes)
        self._org = org
        self._dry_org = DryOrg(org, self._describes)
        self._always_enabled = always_enabled
        self._received = received or datetime.now(UTC)
        self._message_ids: set[str] = set()
        self._waiting: dict[str, dict[str, list[Operation]]] = {}  # object → record key → operations
        self._forecast = Forecast()

    def look_at(self, event: Any) -> Seen:
        """Plan one event, as a worker would that takes it in. Its operations wait to be delivered by `forecast`."""
        stamped = stamp(event, now=self._received)
        said = stamped if isinstance(stamped, dict) else {}
        kind, message_id = str(said.get("type", "")), str(said.get("messageId", ""))
        try:
            valid = validate(stamped, received_ms=round(self._received.timestamp() * 1000))
            if not opted_in(valid, always=self._always_enabled):
                return Seen(valid.type, valid.message_id, "skipped", _not_asked(valid.body))
            if valid.message_id in self._message_ids:
                return Seen(valid.type, valid.message_id, "skipped", "a message of this id came before")
            operations = self._planner.plan(valid)
        except InvalidEvent as invalid:
            return Seen(kind, message_id, "rejected", str(invalid))
        if not operations:
            return Seen(valid.type, valid.message_id, "skipped", "no rule is for it")
        self._message_ids.add(valid.message_id)
        planned = tuple(self._shape(operation) for operation in operations)
        if any(len(keys) >= _BOUNDS.batch for keys in self._waiting.values()):
            self._deliver()
        return Seen(valid.type, valid.message_id, "accepted", operations=planned)

    def forecast(self) -> Forecast:
        """Rehearse the delivery of all that was looked at, and return what it all comes to."""
        self._deliver()
        for object_name, keys in self._waiting.items():
            waiting = [(one.id, f"{object_name}: {_DELIVERED_LATER}") for parts in keys.values() for one in parts]
            self._forecast.dead += waiting
        self._waiting.clear()
        self._forecast.records = list(self._dry_org.records.values())
        self._look_back()
        return self._forecast

    def _shape(self, operation: Operation) -> Planned:
        try:
            describe = self._describes.get(operation.object)
        except UnknownObject as unknown:
            self._forecast.dead.append((operation.id, str(unknown)))
            return Planned(operation, Shaped(refusal=str(unknown)))
        self._waiting.setdefault(operation.object, {}).setdefault(operation.key, []).append(operation)
        return Planned(operation, shape(operation, describe))

    def _deliver(self) -> None:
        """Rehearse batch after batch until nothing waits, or what waits would go on waiting."""
        while any(self._waiting.values()):
            before = sum(len(parts) for keys in self._waiting.values() for parts in keys.values())
            for object_name in list(self._waiting):
                self._deliver_batch(object_name)
            if sum(len(parts) for keys in self._waiting.values() for parts in keys.values()) == before:
                return

    def _deliver_batch(self, object_name: str) -> None:
        keys = self._waiting[object_name]
        claims = [
            Claim(
                key,
                tuple(parts[: _BOUNDS.operations_of_key]),
                positions=tuple(range(len(parts)))[: _BOUNDS.operations_of_key],
            )
            for key, parts in list(keys.items())[: _BOUNDS.batch]
        ]
        if not claims:
            return
        inbox, report = DryInbox(object_name), Report(object_name)
        self._dry_org.delivering = object_name
        rehearsal = Rehearsal(
            inbox,
            self._dry_org,
            self._describes,
            is_looking=self._org is not None,
            is_waiting=lambda other, key: key in self._waiting.get(other, {}),
        )
        rehearsal.deliver(Batch("", tuple(claims)), report)
        self._forecast.calls[object_name] += report.calls
        self._forecast.left_out.update(inbox.left_out)
        for settlement in inbox.settlements:
            claim, parts = settlement.claim, keys.pop(settlement.claim.key)
            self._forecast.dead += [(claim.operations[position].id, why) for position, why in settlement.bury.items()]
            left = [parts[position] for position in settlement.keep] + parts[claim.taken :]
            if left:
                keys[claim.key] = left

    def _look_back(self) -> None:
        """Look up, of records that were known by their Ids alone, what would be overwritten."""
        if self._org is None:
            return
        unseen: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for record in self._forecast.records:
            if record.before is not None and not record.after.keys() <= record.before.keys():
                unseen.setdefault((record.object, tuple(sorted(record.after))), []).append(record.id)
        asked = [
            statement
            for (object_name, names), ids in unseen.items()
            for statement, _ in lookup_queries(object_name, names, [{"Id": one} for one in ids], per_query=_IDS_A_QUERY)
        ]
        found: set[str] = set()
        for start in range(0, len(asked), _QUERIES):
            for answer in self._org.send([query(statement) for statement in asked[start : start + _QUERIES]]):
                for row in answer.body["records"] if answer.ok else ():
                    self._dry_org.know(row["Id"], row)
                    found.add(row["Id"])
        for record_id in (one for ids in unseen.values() for one in ids if one not in found):
            self._dry_org.records[record_id].is_absent = True


def _not_asked(body: Mapping[str, Json]) -> str:
    why = why_not(body)
    return "it does not ask to go to Salesforce" + ("" if why == "not_opted_in" else f": {in_words(why)}")


class _Described:
    """The describes that were asked for before; a rehearsal asks for no others."""

    def __init__(self, describes: Mapping[str, ObjectDescribe | None]) -> None:
        self._describes = describes

    def get(self, object_name: str) -> ObjectDescribe:
        found = self._describes.get(object_name)
        if found is None:
            raise UnknownObject(object_name)
        return found

    def missing(self, _object_names: Sequence[str]) -> list[str]:
        """Miss none: what is not there is not in the org."""
        return []

    def refresh(self, object_names: Sequence[str]) -> None:
        """Ask for nothing: they are as fresh as they were."""
