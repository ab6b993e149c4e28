"""A deliverer of one object, the org it delivers to, and operations for it."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import requests
from redis import Redis

from pipeline.delivery.deliverer import Deliverer
from pipeline.delivery.outcome import Paused
from pipeline.delivery.report import Report
from pipeline.inbox.claims import Batch
from pipeline.inbox.dead_letters import dead_letters
from pipeline.inbox.inbox import Bounds, Inbox
from pipeline.operation import Operation
from pipeline.salesforce.client import Org, create
from pipeline.salesforce.credentials import Credentials
from pipeline.salesforce.describe import DescribeCache
from pipeline.salesforce.session import SessionStore
from pipeline.salesforce.transport import Transport


class Delivery:
    """One deliverer of one object, and the org it delivers to."""

    def __init__(self, redis: Redis, url: str, object_name: str = "Lead") -> None:
        self.redis, self.url = redis, url
        store = SessionStore(redis, Credentials(consumer_key="key", consumer_secret="secret"), endpoint_url=url)
        self.org = Org(store, api_version="66.0", transport=Transport(endpoint_url=url))
        self.describes = DescribeCache(redis, self.org)
        self.inbox = Inbox(redis, object_name, Bounds(linger_s=0))
        self.may_spend: Callable[[], bool] = lambda: True

    def deliver(self) -> Report:
        """Deliver one batch; what has to be retried is due at once."""
        report = Report(self.inbox.object)
        batch = self.inbox.claim("deliverer")
        assert isinstance(batch, Batch)
        self.paused = self.deliver_batch(batch, report)
        ready = f"pipeline:{{{self.inbox.object}}}:ready"
        due_ms: Any = self.redis.zrange(ready, -1, -1, withscores=True)
        self.due_in_s = due_ms[0][1] / 1000 - time.time() if due_ms else 0.0
        self.due_now()
        return report

    def due_now(self) -> None:
        """Make what waits due at once."""
        ready = f"pipeline:{{{self.inbox.object}}}:ready"
        for key in self.redis.zrange(ready, 0, -1):
            assert isinstance(key, bytes)
            self.redis.zadd(ready, {key: 0})

    def deliver_batch(self, batch: Batch, report: Report) -> Paused | None:
        deliverer = Deliverer(
            self.inbox,
            self.org,
            self.describes,
            may_spend=self.may_spend,
            is_waiting=lambda name, key: Inbox(self.redis, name).holds(key),
        )
        return deliverer.deliver(batch, report)

    def records(self, object_name: str = "Lead") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{self.url}/_emulator/records/{object_name}", timeout=10).json()
        return found

    def fault(self, **rule: Any) -> None:
        requests.post(f"{self.url}/_emulator/faults", json=rule, timeout=10).raise_for_status()

    def reset(self) -> None:
        """Empty the org, for tests that share one."""
        requests.post(f"{self.url}/_emulator/reset", json={}, timeout=10).raise_for_status()

    def create(self, object_name: str, **fields: Any) -> str:
        return self.create_all(object_name, [fields])[0]

    def create_all(self, object_name: str, records: Sequence[dict[str, Any]]) -> list[str]:
        results = self.org.send([create(object_name, records)])[0].results()
        assert all(result.success for result in results), results
        return [str(result.id) for result in results]

    def dead(self) -> list[str]:
        return [letter.reason for letter in dead_letters(self.redis, self.inbox.object)]


_numbers = iter(range(1, 1_000_000))


def lead(email: str, *, verb: Any = "upsert", time_ms: int | None = None, **fields: Any) -> Operation:
    number = next(_numbers)
    return Operation(
        id=f"m{number}#identify",
        object="Lead",
        verb=verb,
        match={"Email": email},
        fields={"Email": email, **fields},
        on_create={"LastName": "n/a", "Company": "n/a"},
        event_time_ms=number if time_ms is None else time_ms,
    )
