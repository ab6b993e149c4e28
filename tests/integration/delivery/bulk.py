"""Bulk jobs of leads in the hands of a test, against the emulated org."""

import time
from collections.abc import Callable
from typing import Any

import requests
from redis import Redis

from pipeline.delivery.backlog import Backlog
from pipeline.delivery.deliverer import Deliverer
from pipeline.delivery.org import Describes
from pipeline.delivery.outcome import Paused
from pipeline.delivery.report import Report
from pipeline.inbox.bulk_jobs import BulkBounds, BulkJobs, Held
from pipeline.inbox.claims import Batch
from pipeline.inbox.inbox import Bounds, Inbox
from pipeline.operation import Operation
from pipeline.salesforce.bulk import Bulk
from pipeline.salesforce.client import Org, create
from pipeline.salesforce.credentials import Credentials
from pipeline.salesforce.describe import DescribeCache
from pipeline.salesforce.session import SessionStore
from pipeline.salesforce.transport import Transport
from tests.integration.delivery.delivery import lead

MOST_STEPS = 200


class Delivery:
    """The bulk jobs of leads, and the org they write to; jobs are due as soon as they wait."""

    def __init__(self, redis: Redis, url: str) -> None:
        self.redis, self.url = redis, url
        store = SessionStore(redis, Credentials(consumer_key="key", consumer_secret="secret"), endpoint_url=url)
        self.org = Org(store, api_version="66.0", transport=Transport(endpoint_url=url))
        self.describes: Describes = DescribeCache(redis, self.org)
        self.inbox = Inbox(redis, "Lead", Bounds(linger_s=0))
        self.jobs = BulkJobs(redis, self.inbox, BulkBounds(threshold=8, linger_s=0.001))
        self.may_spend: Callable[[], bool] = lambda: True
        self.is_ending: Callable[[], bool] = lambda: False
        self.uncertain_delay_s = 0.0
        self.report = Report("Lead")
        self.paused: Paused | None = None

    def backlog(self) -> Backlog:
        return Backlog(
            self.inbox,
            self.org,
            self.describes,
            jobs=self.jobs,
            bulk=Bulk(self.org),
            may_spend=self.may_spend,
            is_ending=self.is_ending,
            uncertain_delay_s=self.uncertain_delay_s,
        )

    def next(self) -> Held:
        """Take the job that is due, whenever it would be."""
        for token in self.tokens():
            self.redis.zadd("pipeline:{Lead}:bulk", {token: 0})
        held = self.jobs.next("deliverer")
        assert isinstance(held, Held)
        return held

    def step(self) -> None:
        self.paused = self.backlog().step(self.next(), self.report) or self.paused

    def tokens(self) -> list[str]:
        found: Any = self.redis.zrange("pipeline:{Lead}:bulk", 0, -1)
        return [token.decode() for token in found]

    def finish(self) -> None:
        """Take steps until no job is left."""
        self.step()
        for _ in range(MOST_STEPS):
            if not self.tokens():
                return
            self.step()
            time.sleep(0.01)
        raise AssertionError("the bulk jobs do not end")

    def note(self, name: str) -> str:
        (token,) = self.tokens()
        return str(self.redis.hget(f"pipeline:{{Lead}}:bulk:{token}", name).decode())  # type: ignore[union-attr]

    def stage(self) -> str:
        return self.note("stage")

    def reach(self, stage: str) -> None:
        """Take steps until the one job is in a stage."""
        self.step()
        for _ in range(MOST_STEPS):
            if self.stage() == stage:
                return
            self.step()
        raise AssertionError(f"the bulk job is not {stage}")

    def deliver_batch(self) -> Report:
        """Deliver what is due the usual way, up to a batch."""
        report = Report("Lead")
        batch = self.inbox.claim("deliverer")
        assert isinstance(batch, Batch)
        Deliverer(self.inbox, self.org, self.describes, may_spend=lambda: True).deliver(batch, report)
        return report

    def records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{self.url}/_emulator/records/Lead", timeout=10).json()
        return found

    def calls(self) -> dict[str, int]:
        return dict(self.org.calls)

    def fault(self, **rule: Any) -> None:
        requests.post(f"{self.url}/_emulator/faults", json=rule, timeout=10).raise_for_status()

    def limits(self, **limits: Any) -> None:
        requests.post(f"{self.url}/_emulator/limits", json=limits, timeout=10).raise_for_status()

    def create(self, **fields: Any) -> str:
        (result,) = self.org.send([create("Lead", [{"LastName": "x", "Company": "y", **fields}])])[0].results()
        assert result.success, result
        return str(result.id)


def people(count: int, **fields: Any) -> list[Operation]:
    return [lead(f"p{number}@example.com", **fields) for number in range(count)]
