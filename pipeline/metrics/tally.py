"""Tally: what a worker counts while it works, written to Redis once for each batch."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

from celery.utils.log import get_task_logger
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis import Redis

    from pipeline.delivery.report import Report

log = get_task_logger(__name__)

TOTALS: Final = "pipeline:{metrics}:totals"

# Upper bounds; what is above the last is counted under INFINITE.
REQUEST_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
BATCH_KEYS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
INFINITE: Final = "+Inf"


class Tally:
    """Counts in memory until `write`. One for each process: nothing here is safe between threads."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()

    def count_call(self, kind: str, seconds: float) -> None:
        """Count an API call or a login, and how long it took."""
        self._counted[f"calls|{kind}"] += 1
        self._observe("request", kind, seconds, REQUEST_S)

    def count_batch(self, keys: int, report: "Report") -> None:
        """Count what became of a batch of so many record keys."""
        name = report.object
        self._observe("batch", name, keys, BATCH_KEYS)
        for change, records in (
            ("created", report.created),
            ("updated", report.updated),
            ("deleted", report.deleted),
        ):
            self._counted[f"records|{name}|{change}"] += records
        for label, operations in report.why_retried.items():
            self._counted[f"retried|{name}|{label}"] += operations
        for label, operations in report.why_dead.items():
            self._counted[f"buried|{name}|{label}"] += operations

    def write(self, redis: "Redis") -> None:
        """Add what was counted to the totals in one round trip. Never raises: what Redis did not take waits here."""
        counted, self._counted = self._counted, Counter()
        pipe = redis.pipeline(transaction=False)
        for name, times in counted.items():
            if times:
                pipe.hincrby(TOTALS, name, times)
        try:
            pipe.execute()
        except RedisError as error:
            self._counted.update(counted)
            log.warning("figures wait for the next batch: %s", type(error).__name__)

    def _observe(self, histogram: str, label: str, value: float, bounds: tuple[float, ...]) -> None:
        position = bisect_left(bounds, value)
        bound = INFINITE if position == len(bounds) else f"{bounds[position]:g}"
        self._counted[f"{histogram}|{label}|{bound}"] += 1
        self._counted[f"{histogram}|{label}|sum"] += round(value * 1000)  # thousandths: whole numbers add up exactly


def totals(redis: "Redis") -> dict[str, int]:
    """Read the totals of all workers: figure|label|label → number so far; sums of histograms in thousandths."""
    return as_totals(cast("dict[bytes, bytes]", redis.hgetall(TOTALS)))


def as_totals(read: Mapping[bytes, bytes]) -> dict[str, int]:
    """Read the hash of the totals."""
    return {name.decode(): int(number) for name, number in read.items()}
