"""Promises 1 and 6 under ten times the load that the quota carries: the share holds, nothing is lost, turns are fair.

The gate and the inboxes are the real ones. Time is not: what the gate remembers is moved into the past, and a day has
two minutes.

What breaks it: a gate that grants whatever is asked, turns that go to whoever asks first, inboxes that forget urgency.
"""

from collections import Counter, deque

import pytest
from redis import Redis

from pipeline.inbox.claims import Batch, Settlement
from pipeline.inbox.inbox import Bounds, Inbox
from pipeline.operation import Operation
from pipeline.salesforce.quota import Granted, QuotaGate
from tests.unit.salesforce.test_quota import let_time_pass

DAY_S, STEP_S = 120, 2  # a refused deliverer is woken again within two seconds, by the sweep
LIMIT, SHARE, RESERVE = 250, 0.8, 20
WEIGHTS = {"Account": 1, "Case": 1, "Lead": 3}
KEYS = 5  # of a batch
CARRIED = 90 * KEYS  # a day: two calls a batch, of 180
URGENT = 20


class System:
    """An org that counts its last day, and one deliverer for each object."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.gate = QuotaGate(redis, share=SHARE, reserve=RESERVE, day_s=DAY_S, weights={"Lead": WEIGHTS["Lead"]})
        self.gate.observe(0, LIMIT)
        self.inboxes = {name: Inbox(redis, name, Bounds(linger_s=0, gather_s=0, batch=KEYS)) for name in WEIGHTS}
        self.now_s, self.most_used, self.sent = 0.0, 0, 0
        self.delivered: list[tuple[str, list[str]]] = []
        self._calls: deque[float] = deque()

    def send(self, name: str, records: int, *, is_urgent: bool = False) -> None:
        options = {"priority": "high"} if is_urgent else {}
        operations = [
            Operation(
                id=f"{'urgent' if is_urgent else 'm'}{number}",
                object=name,
                verb="upsert",
                match={"Key__c": str(number)},
                options=dict(options),
                event_time_ms=number,
            )
            for number in range(self.sent, self.sent + records)
        ]
        self.sent += records
        self.inboxes[name].append(operations)

    def step(self) -> None:
        """Let two seconds pass, and every deliverer ask for as long as it is granted anything."""
        self.now_s += STEP_S
        let_time_pass(self.redis, STEP_S)
        for name in WEIGHTS:
            while self._deliver(name):
                pass

    def _deliver(self, name: str) -> bool:
        inbox = self.inboxes[name]
        if not isinstance(self.gate.take(2, name, name, is_urgent=inbox.is_urgent()), Granted):
            return False
        batch = inbox.claim(name)
        if not isinstance(batch, Batch):
            self.gate.give_back(2, name)
            return False
        self._call(2)
        if len(self.delivered) % 7 == 0 and self.gate.spend_one(name):  # a batch that needs a call more
            self._call(1)
        self.gate.give_back(0, name)
        inbox.commit(batch.token, [Settlement(claim) for claim in batch.claims])
        self.delivered.append((name, [operation.id for claim in batch.claims for operation in claim.operations]))
        return True

    def _call(self, calls: int) -> None:
        self._calls.extend([self.now_s] * calls)
        while self._calls[0] <= self.now_s - DAY_S:
            self._calls.popleft()
        self.most_used = max(self.most_used, len(self._calls))
        self.gate.observe(len(self._calls), LIMIT)

    def backlog(self) -> int:
        return sum(inbox.waiting().backlog for inbox in self.inboxes.values())


def test_ten_times_too_much_keeps_the_share_loses_nothing_is_shared_fairly_and_drains(redis_client: Redis) -> None:
    system = System(redis_client)
    steps = DAY_S // STEP_S
    for step in range(steps):
        for name in WEIGHTS:
            system.send(name, 10 * CARRIED // steps // len(WEIGHTS))
        if step == steps // 6:
            plenty = len(system.delivered)
        if step == 5 * steps // 6:
            scarce = len(system.delivered)
            system.send("Case", URGENT, is_urgent=True)
        system.step()

    assert system.most_used <= SHARE * LIMIT
    shared = Counter(name for name, _ in system.delivered[plenty:scarce])
    for name, weight in WEIGHTS.items():
        assert shared[name] == pytest.approx(shared.total() * weight / sum(WEIGHTS.values()), abs=3)
    first = next(place for place, (_, ids) in enumerate(system.delivered) if ids[0].startswith("urgent"))
    assert first <= scarce + 1, "the next batch, or the one after that which was under way"
    urgent = system.delivered[first : first + URGENT // KEYS]
    assert all(name == "Case" and all(one.startswith("urgent") for one in ids) for name, ids in urgent)

    while system.backlog():
        system.step()
        assert system.now_s < 12 * DAY_S
    assert 0.9 * (SHARE * LIMIT - RESERVE) < system.most_used <= SHARE * LIMIT
    delivered = [one for _, ids in system.delivered for one in ids]
    assert len(delivered) == len(set(delivered)) == system.sent
