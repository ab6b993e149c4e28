"""Report: the figures of what one or more deliveries did."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


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

    def add(self, other: "Report") -> None:
        """Count what another delivery did; what this one waits for is then what that one waits for."""
        for name in ("claimed", "created", "updated", "deleted", "retried", "dead", "calls", "ms"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.why_retried.update(other.why_retried)
        self.why_dead.update(other.why_dead)
        self.why = other.why
