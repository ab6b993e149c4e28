"""The model of `benchmarks/day.py` held against a real run: a steady stream under a quota that is soon spent.

    python benchmarks/day_check.py [--seconds 100] [--rate 200] [--quota 5000]

Workers, Redis and an emulated org with that quota run on this machine; the model gets the same rate, quota and nothing
else. Everybody is new and comes once. Prints both, every ten seconds, as a Markdown table.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this file is run by its path

from benchmarks.cohorts import HOURS  # noqa: E402  (after the path)
from benchmarks.day_model import Day, Model  # noqa: E402
from benchmarks.report import table  # noqa: E402
from pipeline.bench.measure import Bench  # noqa: E402
from pipeline.bench.workload import OBJECT  # noqa: E402
from pipeline.inbox.inbox import Inbox  # noqa: E402
from pipeline.local import LocalStack  # noqa: E402
from pipeline.salesforce.quota import DAY_S  # noqa: E402

_EVERY_S = 10.0
Look = tuple[int, float, float]  # calls, events written, events waiting


def real(*, seconds: float, rate: float, quota: int) -> list[Look]:
    """Return looks at a run on this machine."""
    looks: list[Look] = []
    with LocalStack(workers={}, has_beat=False, emulator_arguments=("--daily-limit", str(quota))) as stack:
        bench = Bench(stack, concurrency=2)
        redis = stack.redis.client()
        bench.start_worker().wait_until_ready()
        calls = bench.api_calls()
        events = round((seconds + _EVERY_S) * rate)
        bench.produce(events=events, keys=events, rate=rate)
        inbox = Inbox(redis, OBJECT)
        while not inbox.counts():
            time.sleep(0.01)
        begun = time.monotonic()
        while len(looks) * _EVERY_S < seconds:
            time.sleep(max(0.0, begun + (len(looks) + 1) * _EVERY_S - time.monotonic()))
            looks.append((bench.api_calls() - calls, inbox.counts().get("applied", 0), inbox.waiting().backlog))
        bench.close()
        redis.close()
    return looks


def modelled(*, seconds: float, rate: float, quota: int) -> list[Look]:
    """Return what the model says of the same."""
    events = round(rate * DAY_S)
    day = Day(
        people=1000 * events,
        identifies=events,
        quota=quota,
        new_people=1 / 1000,
        active_people=0,
        active_events=0,
        curve=(1.0,) * HOURS,
        request_s=0.02,
        record_s=0.0003,
    )
    model = Model(day)
    return [model.look(moment * _EVERY_S) for moment in range(1, round(seconds / _EVERY_S) + 1)]


def main() -> None:
    """Run both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--quota", type=int, default=5_000)
    given = vars(parser.parse_args())
    rows = [
        [f"{number * _EVERY_S:.0f}", *(f"{value:,.0f}" for pair in zip(*looks, strict=True) for value in pair)]
        for number, looks in enumerate(zip(modelled(**given), real(**given), strict=True), start=1)
    ]
    head = ["seconds", "calls, model", "run", "events written, model", "run", "events waiting, model", "run"]
    print("\n".join(table(head, rows)))


if __name__ == "__main__":
    main()
