"""What one unit does on this machine: an ingest process, a delivery process, and Redis for each event.

    python benchmarks/units.py [--events 20000] [--per-message 1] [--json]

An ingest worker with one process takes a filled queue in, and nothing is delivered; what waits then is measured. Then a
delivery worker with one process writes it to an emulated org. Redis is asked for the commands it carried out (those of
scripts are counted one by one), its processor time and its memory. The figures of docs/scaling.md are these.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # this file is run by its path

from redis import Redis  # noqa: E402  (after the path)

from benchmarks.memory import by_kind, tables_bytes  # noqa: E402
from benchmarks.report import table  # noqa: E402
from pipeline.bench.measure import Bench, machine  # noqa: E402
from pipeline.bench.workload import OBJECT  # noqa: E402
from pipeline.inbox.dead_letters import received  # noqa: E402
from pipeline.inbox.inbox import Inbox  # noqa: E402
from pipeline.local import LocalStack, Service  # noqa: E402

_POLL_S = 0.01
_WITHIN_S = 600.0
_MOST_COMMANDS = 6  # that are shown of each phase


@dataclass(frozen=True, slots=True)
class Load:
    """What Redis has done so far."""

    calls: dict[str, int]
    cpu_s: float
    memory: int


@dataclass(frozen=True, slots=True)
class Phase:
    """One worker's work: events or keys a second, and what Redis did for each event."""

    per_s: float
    commands: dict[str, float]
    cpu_us: float
    bytes: float

    @property
    def commands_in_all(self) -> float:
        """Commands for each event."""
        return sum(self.commands.values())


def measure(events: int, keys: int, per_message: int) -> tuple[Phase, Phase, dict[str, tuple[int, float]]]:
    """Return what taking in costs, what delivering costs, and the memory by kind of key in between."""
    options = ("--daily-limit", "100000000")
    with LocalStack(workers={}, has_beat=False, emulator_arguments=options) as stack:
        bench = Bench(stack, concurrency=1)
        redis = stack.redis.client()
        empty = load(redis).memory
        bench.fill(events, keys, per_message=per_message)
        queue, before = redis.llen("ingest"), load(redis)
        ingest = stack.begin_worker("ingest", "--ingest", "--concurrency", "1")
        _wait(lambda: redis.llen("ingest") < queue, ingest)
        begun = time.monotonic()
        _wait(lambda: sum(received(redis).values()) >= events, ingest)
        taken_in = _phase(before, load(redis), events, events / (time.monotonic() - begun), since=empty)
        ingest.stop()
        kinds = by_kind(redis) | {"tables of all keys": (redis.dbsize(), tables_bytes(redis))}
        inbox = Inbox(redis, OBJECT)
        before = load(redis)
        delivery = stack.begin_worker("delivery", "--delivery", "--concurrency", "1")
        _wait(lambda: inbox.waiting().in_flight > 0, delivery)
        begun = time.monotonic()
        _wait(lambda: inbox.counts().get("applied", 0) >= events, delivery)
        delivered = _phase(before, load(redis), events, keys / (time.monotonic() - begun), since=empty)
        delivery.stop()
        kinds |= {f"{kind}, afterwards": one for kind, one in by_kind(redis).items()}
        kinds["tables of all keys, afterwards"] = (redis.dbsize(), tables_bytes(redis))
        bench.close()
        redis.close()
    return taken_in, delivered, kinds


def load(redis: Redis) -> Load:
    """Ask Redis what it has done."""
    stats = cast("dict[str, dict[str, Any]]", redis.info("commandstats"))
    used, memory = cast("dict[str, float]", redis.info("cpu")), cast("dict[str, int]", redis.info("memory"))
    calls = {name.removeprefix("cmdstat_"): int(one["calls"]) for name, one in stats.items()}
    return Load(calls, used["used_cpu_user"] + used["used_cpu_sys"], memory["used_memory"])


def _phase(before: Load, after: Load, events: int, per_s: float, *, since: int) -> Phase:
    calls = {name: (count - before.calls.get(name, 0)) / events for name, count in after.calls.items()}
    cpu_us = (after.cpu_s - before.cpu_s) / events * 1e6
    most_first = dict(sorted(calls.items(), key=lambda one: -one[1]))
    return Phase(
        per_s, {name: each for name, each in most_first.items() if each > 0}, cpu_us, (after.memory - since) / events
    )


def _wait(condition: Callable[[], bool], worker: Service) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not condition():
        worker.check()
        if time.monotonic() > deadline:
            raise TimeoutError(worker.log_tail())
        time.sleep(_POLL_S)


def report(events: int, keys: int, taken_in: Phase, delivered: Phase, kinds: dict[str, tuple[int, float]]) -> str:
    """Return the figures as Markdown."""

    def row(name: str, phase: Phase, unit: str) -> list[str]:
        most = ", ".join(f"{command} {each:.2f}" for command, each in list(phase.commands.items())[:_MOST_COMMANDS])
        return [
            *(name, f"{phase.per_s:,.0f} {unit}", f"{phase.commands_in_all:.1f}", f"{phase.cpu_us:.0f} µs"),
            *(f"{1e6 / phase.cpu_us:,.0f}", most),
        ]

    head = [
        "one process",
        "a second",
        "commands an event",
        "Redis, an event",
        "events/s of one Redis core",
        "most of them",
    ]
    memory = ["kind of key", "keys", "bytes each", "bytes an event"]
    return "\n".join(
        [
            f"{events:,} identifies about {keys:,} people, on {machine()}:\n",
            *table(head, [row("ingest", taken_in, "events"), row("delivery", delivered, "keys")]),
            f"\n{taken_in.bytes:,.0f} bytes of Redis an event while it waits, {delivered.bytes:,.0f} afterwards.\n",
            *table(
                memory,
                (
                    [kind, f"{number:,}", f"{size:,.0f}", f"{number * size / events:,.0f}"]
                    for kind, (number, size) in kinds.items()
                    if number * size / events >= 1
                ),
            ),
        ]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--keys", type=int, help="people they are about (a quarter as many)")
    parser.add_argument("--per-message", type=int, default=1)
    parser.add_argument("--json", action="store_true", dest="is_json")
    given = parser.parse_args()
    keys = given.keys or max(1, given.events // 4)
    taken_in, delivered, kinds = measure(given.events, keys, given.per_message)
    if not given.is_json:
        print(report(given.events, keys, taken_in, delivered, kinds))
        return
    figures = {
        name: {
            "per_s": round(phase.per_s),
            "commands_per_event": round(phase.commands_in_all, 2),
            "redis_us_per_event": round(phase.cpu_us, 1),
            "bytes_per_event": round(phase.bytes),
        }
        for name, phase in (("ingest", taken_in), ("delivery", delivered))
    }
    print(json.dumps({**figures, "bytes_by_kind": {kind: round(size) for kind, (_, size) in kinds.items()}}))


if __name__ == "__main__":
    main()
