"""What one default identify event costs on its way from the queue to a write, in microseconds of one core.

    python benchmarks/mapping.py

`map` is what stands under a budget: 150 microseconds an event. The events are those of the sample, captured from a
real SDK; each figure is the median of several passes over all of them. The last line is one JSON object.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

from pipeline.delivery.shape import shape
from pipeline.destination import Destination
from pipeline.emulator.describe import describe_field
from pipeline.emulator.schema import standard_objects
from pipeline.events.schemas import validate
from pipeline.mapping.plan import compile_plan
from pipeline.operation import decode, encode, in_words
from pipeline.salesforce.describe import ObjectDescribe

BUDGET_US = 150.0
PASSES = 15


def main() -> None:
    """Measure each step and print the figures."""
    lines = (resources.files("pipeline.data") / "sdk_events.jsonl").read_text(encoding="utf-8").splitlines()
    raw = [event for event in map(json.loads, lines) if event["type"] == "identify"]
    received_ms = time.time_ns() // 1_000_000
    planner = compile_plan(Destination())
    lead = _lead()
    events = [validate(event, received_ms=received_ms) for event in raw]
    operations = [operation for event in events for operation in planner.plan(event)]
    stored = [encode(operation) for operation in operations]
    figures = {
        "validate": _per_event_us(lambda event: validate(event, received_ms=received_ms), raw),
        "map": _per_event_us(planner.plan, events),
        "encode": _per_event_us(encode, operations),
        "decode": _per_event_us(decode, stored),
        "shape": _per_event_us(lambda operation: shape(operation, lead), operations),
    }
    for step, cost_us in figures.items():
        print(f"{step:>9} {cost_us:7.1f} µs")
    print(f"{'budget':>9} {BUDGET_US:7.1f} µs for map")
    sizes = {
        "json_bytes": round(statistics.mean(len(in_words(one)) for one in stored)),
        "stored_bytes": round(statistics.mean(map(len, stored))),
    }
    print(f"{sizes['stored_bytes']:>9} bytes stored, {sizes['json_bytes']:,} as JSON")
    costs = {f"{step}_us": round(cost_us, 1) for step, cost_us in figures.items()}
    print(json.dumps({"events": len(raw), **costs, **sizes}))


def _per_event_us(step: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """Return the median cost of a step, in microseconds an input."""
    passes = []
    for _ in range(PASSES):
        start = time.perf_counter()
        for one in inputs:
            step(one)
        passes.append((time.perf_counter() - start) / len(inputs) * 1e6)
    return statistics.median(passes)


def _lead() -> ObjectDescribe:
    one = next(known for known in standard_objects() if known.name == "Lead")
    fields = [describe_field(field) for field in one.fields.values()]
    return ObjectDescribe.read({"name": one.name, "keyPrefix": one.key_prefix, "fields": fields})


if __name__ == "__main__":
    main()
