"""What became of one record, as the answer to a collection tells it."""

from dataclasses import dataclass
from typing import Any

from pipeline.salesforce.errors import ErrorDetail, NoAnswer, error_details


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of one record of a collection. `created` is None where Salesforce does not say (all but upsert)."""

    success: bool
    id: str | None = None
    created: bool | None = None
    errors: tuple[ErrorDetail, ...] = ()

    @classmethod
    def read(cls, entry: Any) -> "RecordResult":
        """Read one entry of a collection's answer. Raises NoAnswer(sent=True) for anything else."""
        if not isinstance(entry, dict) or not isinstance(entry.get("success"), bool):
            raise NoAnswer(sent=True, why="an entry of a collection's answer is no result")
        return cls(entry["success"], entry.get("id"), entry.get("created"), error_details(entry.get("errors")))
