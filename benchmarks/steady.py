"""Whether anything grows that should not: a steady stream for some minutes, with the memory of worker and Redis.

    python benchmarks/steady.py [--minutes 5] [--rate 100] [--people 2000] [--plot docs/images/steady.svg]

Redis remembers every message for a day, by design, so what it holds besides that is shown. The first minute fills
caches; after it the two lines have to be flat. Prints one JSON object: the growth of both over the rest, in MB.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this file is run by its path

from redis import Redis  # noqa: E402  (after the path)

from benchmarks.memory import by_kind, tables_bytes  # noqa: E402
from benchmarks.svg import Axis, Line, chart  # noqa: E402
from pipeline.bench.figures import Sample  # noqa: E402
from pipeline.bench.measure import Bench, group_mb  # noqa: E402
from pipeline.bench.workload import OBJECT  # noqa: E402
from pipeline.inbox.dead_letters import received  # noqa: E402
from pipeline.inbox.inbox import Inbox  # noqa: E402
from pipeline.local import LocalStack  # noqa: E402

_EVERY_S = 2.0
_WARM_S = 60.0


def watch(*, minutes: float, rate: float, people: int) -> tuple[list[Sample], float]:
    """Return looks at a stack under a steady stream, and the bytes that Redis remembers of each message."""
    samples: list[Sample] = []
    with LocalStack(workers={}, emulator_arguments=("--daily-limit", "100000000")) as stack:
        bench = Bench(stack, concurrency=2)
        redis = stack.redis.client()
        worker = bench.start_worker().wait_until_ready()
        events = round(minutes * 60 * rate)
        producer = bench.produce(events=events, keys=people, rate=rate)
        begun, next_s = time.monotonic(), 0.0
        while producer.is_running:
            worker.check()
            time.sleep(0.1)
            now_s = time.monotonic() - begun
            if now_s >= next_s:
                next_s += _EVERY_S
                used = cast("dict[str, int]", redis.info("memory"))["used_memory"]
                settled = Inbox(redis, OBJECT).counts().get("applied", 0)
                taken_in = sum(received(redis).values())
                samples.append(Sample(now_s, taken_in, settled, used / 1e6, group_mb(worker.pid)))
        bench.settle(events)
        bytes_a_message = _remembered(redis, events)
        worker.stop()
        bench.close()
        redis.close()
    return samples, bytes_a_message


def _remembered(redis: Redis, events: int) -> float:
    """Return what is kept for a day of each message, with its part of the tables in which keys stand."""
    kinds, tables = by_kind(redis), tables_bytes(redis)
    seen = (one for kind, one in kinds.items() if kind.endswith("seen"))
    return sum(number * (size + tables) for number, size in seen) / events


def growth_mb(points: list[tuple[float, float]]) -> float:
    """Return how far a straight line through the points rises from the first to the last (least squares)."""
    middle_x, middle_y = (sum(part) / len(points) for part in zip(*points, strict=True))
    above = sum((x - middle_x) * (y - middle_y) for x, y in points)
    below = sum((x - middle_x) ** 2 for x, _ in points)
    return above / below * (points[-1][0] - points[0][0]) if below else 0.0


def main() -> None:
    """Watch, print, and draw where --plot says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=100.0, help="events a second (%(default)s)")
    parser.add_argument("--people", type=int, default=2_000, help="people they are about in turn (%(default)s)")
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    samples, bytes_a_message = watch(minutes=given.minutes, rate=given.rate, people=given.people)
    workers = [(one.at_s, one.workers_mb) for one in samples if one.workers_mb]
    redis = [(one.at_s, one.redis_mb - one.received * bytes_a_message / 1e6) for one in samples]
    warm = [[point for point in points if point[0] >= _WARM_S] or points for points in (workers, redis)]
    print(
        json.dumps(
            {
                "events": samples[-1].received,
                "bytes_remembered_of_a_message": round(bytes_a_message),
                "worker_growth_mb": round(growth_mb(warm[0]), 2),
                "redis_growth_mb": round(growth_mb(warm[1]), 2),
                "worker_mb": round(warm[0][-1][1], 1),
                "redis_mb": round(samples[-1].redis_mb, 1),
            }
        )
    )
    if given.plot:
        title = f"Memory under {given.rate:g} events a second"
        lines = [
            Line("worker, 2 processes", workers),
            Line("Redis, in all", [(one.at_s, one.redis_mb) for one in samples]),
            Line("without remembered messages", redis),
        ]
        given.plot.write_text(chart(title, Axis("seconds"), Axis("MB"), lines), encoding="utf-8")


if __name__ == "__main__":
    main()
