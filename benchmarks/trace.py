"""What traces cost: processor time and Redis's memory for each event, with and without them.

Run: python benchmarks/trace.py. Time is that of the processor, in this process and in Redis, so that whatever else runs
on the machine does not count.
"""

import statistics
import time
from typing import cast

from redis import Redis

from pipeline.inbox.claims import Batch, Settlement
from pipeline.inbox.dead_letters import Receipt, receive
from pipeline.inbox.inbox import Bounds, Inbox
from pipeline.inbox.trace import planned_as
from pipeline.local import LocalRedis
from pipeline.operation import Operation

EVENTS, IN_GROUP, ROUNDS = 20_000, 100, 7


def operation(number: int) -> Operation:
    """Return the operation of one identify event."""
    email = f"somebody.{number}@example.com"
    event = {"type": "identify", "userId": f"u{number}", "traits": {"email": email, "title": "Countess"}}
    return Operation(
        id=f"3f2b8c1e-0000-4000-8000-{number:012d}#identify",
        object="Lead",
        verb="upsert",
        match={"Email": email},
        traits={"title": "Countess"},
        event_time_ms=number,
        event=event,  # type: ignore[arg-type]  # JSON values
    )


def run(redis: Redis, *, is_traced: bool) -> tuple[float, float, int, int]:
    """Return ns for taking an event in and for settling it, and the bytes of one that waits and of one that is done."""
    redis.flushall()
    inbox = Inbox(redis, "Lead", Bounds(linger_s=0, is_traced=is_traced))
    operations = [operation(number) for number in range(EVENTS)]
    empty = used(redis)
    begun = spent(redis)
    for start in range(0, EVENTS, IN_GROUP):
        group = operations[start : start + IN_GROUP]
        inbox.append(group)
        receipts = [
            Receipt(one.id.partition("#")[0], "accepted", planned=planned_as([(one.object, one.id)])) for one in group
        ]
        receive(redis, receipts, is_traced=is_traced)
    taken_in = spent(redis) - begun
    waiting = used(redis)
    settling = 0.0
    while isinstance(batch := inbox.claim("d"), Batch):
        ids = [f"00Q{number:012d}AAA" for number in range(len(batch.claims))]
        settlements = [
            Settlement(claim, record_id=one, written_id=one, sent_in={0: "5d2e81f0"})
            for one, claim in zip(ids, batch.claims, strict=True)
        ]
        begun = spent(redis)
        inbox.commit(batch.token, settlements)
        settling += spent(redis) - begun
    done = used(redis)
    return taken_in / EVENTS * 1e9, settling / EVENTS * 1e9, (waiting - empty) // EVENTS, (done - empty) // EVENTS


def spent(redis: Redis) -> float:
    """Return the seconds of processor time so far, here and in Redis."""
    cpu = cast("dict[str, float]", redis.info("cpu"))
    return time.process_time() + cpu["used_cpu_user"] + cpu["used_cpu_sys"]


def used(redis: Redis) -> int:
    """Return the bytes that Redis holds."""
    return int(cast("dict[str, int]", redis.info("memory"))["used_memory"])


def main() -> None:
    """Print the rows of the table in docs/operations.md."""
    with LocalRedis() as server, server.client() as redis:
        found = {is_traced: [] for is_traced in (True, False)}
        for _ in range(ROUNDS):  # in turn, so that a busy machine is busy for both
            for is_traced, runs in found.items():
                runs.append(run(redis, is_traced=is_traced))
    rows = ("taking it in, ns", "settling it, ns", "in Redis while it waits, bytes", "in Redis for a day, bytes")
    for position, told in enumerate(rows):
        traced, untraced = (statistics.median(one[position] for one in found[each]) for each in (True, False))
        print(f"| {told} | {traced:,.0f} | {untraced:,.0f} |")


if __name__ == "__main__":
    main()
