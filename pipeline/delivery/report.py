"""Report: the figures of what one or more deliveries did."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Report:
    """What one or more deliveries did; keys and records are counts, `ms` is wall time."""

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

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as the result of a task."""
        return asdict(self)
