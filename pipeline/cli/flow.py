"""Where events are right now: in the queue, in the inboxes, at the org. One look at Redis that changes nothing."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.tasks.ingest import INGEST_QUEUE

if TYPE_CHECKING:
    from redis import Redis

UNREADABLE = f"{INGEST_QUEUE}.unreadable"  # what was found in the queue and is no message; see broker.py
UNACKNOWLEDGED = "unacked"  # kombu's hash of the messages that workers hold


@dataclass(frozen=True, slots=True)
class Flow:
    """Counts of what is where. An event that passed ingest is counted in `received`, its operations in the others."""

    queued: int  # messages in the queues, and those that workers hold
    received: int  # events so far: accepted, skipped, rejected
    operations: int  # so far
    settled: int  # of them, answered by Salesforce: applied or buried
    in_flight: int  # record keys that a deliverer holds now

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is being done."""
        return not (self.queued or self.in_flight or self.operations > self.settled)


def observe(redis: "Redis") -> Flow:
    """Look once. The queue is looked at before the inboxes, so that nothing on its way between them is missed."""
    from pipeline.inbox.dead_letters import received
    from pipeline.inbox.inbox import Inbox, objects

    queued = redis.hlen(UNACKNOWLEDGED) + redis.llen(INGEST_QUEUE)
    operations = settled = in_flight = 0
    for name in objects(redis):
        queued += redis.llen(f"salesforce.{name}")
        inbox = Inbox(redis, name)
        counts = inbox.counts()
        operations += counts.get("appended", 0)
        settled += counts.get("applied", 0) + counts.get("buried", 0)
        in_flight += inbox.waiting().in_flight
    return Flow(queued, sum(received(redis).values()), operations, settled, in_flight)
