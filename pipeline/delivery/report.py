"""Report: the figures of what one or more deliveries did."""

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.delivery.reasons import label_of
from pipeline.delivery.work import Work
from pipeline.inbox.bulk_jobs import Row
from pipeline.inbox.claims import Settlement


@dataclass(slots=True)
class Report:
    """What one or more deliveries did; keys and records are counts, `ms` is wall time.

    `why_retried` and `why_dead` count operations by the label of their reason, see `delivery.reasons`.
    """

    object: str
    claimed: int = 0  # operations
    created: int = 0  # records
    updated: int = 0
    deleted: int = 0
    retried: int = 0  # operations that stay
    dead: int = 0  # operations buried
    calls: int = 0
    ms: int = 0
    why: str = ""  # what it is waiting for, if it stopped early
    why_retried: Counter[str] = field(default_factory=Counter)
    why_dead: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as the result of a task."""
        return asdict(self)

    def count(self, work: Work, settlement: Settlement, *, is_lost: bool) -> None:
        """Count what became of a key: records as written, operations unless somebody else has them now."""
        self.created += work.created
        self.updated += work.updated
        self.deleted += work.deleted
        if is_lost:
            return
        self.retried += len(settlement.keep)
        self.dead += len(settlement.bury)
        if settlement.keep:
            self.why_retried[settlement.why_kept] += len(settlement.keep)
        self.why_dead.update(label_of(reason) for reason in settlement.bury.values())

    def count_rows(self, written: Collection[Row], *, put_off: Collection[Row], why: str) -> None:
        """Count the rows of a bulk job that were written, and those that were put off for a reason."""
        kinds = Counter(row.kind for row in written)
        self.created += kinds["insert"]
        self.updated += kinds["update"]
        waiting = sum(row.taken for row in put_off)
        self.claimed += waiting + sum(row.taken for row in written)
        self.retried += waiting
        if waiting:
            self.why_retried[label_of(why)] += waiting

    def add(self, other: "Report") -> None:
        """Count what another delivery did; what this one waits for is then what that one waits for."""
        for name in ("claimed", "created", "updated", "deleted", "retried", "dead", "calls", "ms"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.why_retried.update(other.why_retried)
        self.why_dead.update(other.why_dead)
        self.why = other.why
