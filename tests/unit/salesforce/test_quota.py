"""Never more than the share: over any sequence of takers, whoever else is using the org."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import fakeredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from pipeline.salesforce.errors import ErrorDetail, Refused
from pipeline.salesforce.quota import LEAST_BURST, Granted, QuotaGate, Wait

BUCKET, USAGE, IN_FLIGHT, TURNS = (f"pipeline:{{quota}}:{name}" for name in ("bucket", "usage", "in_flight", "turns"))
DAY_S = 86_400


@pytest.fixture
def client() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


@pytest.fixture
def gate(client: fakeredis.FakeRedis) -> QuotaGate:
    return QuotaGate(client, share=0.8, reserve=1000)


def let_time_pass(client: Redis, seconds: float) -> None:
    """Move everything the scripts remember into the past."""
    if client.hexists(BUCKET, "at_ms"):
        client.hincrby(BUCKET, "at_ms", -round(seconds * 1000))
    slots, turns = (cast("dict[bytes, bytes]", client.hgetall(key)) for key in (IN_FLIGHT, TURNS))
    for holder, slot in slots.items():
        until_ms, rest = slot.decode().split(":", 1)
        client.hset(IN_FLIGHT, holder, f"{int(until_ms) - round(seconds * 1000)}:{rest}")
    for name, turn in turns.items():
        if name:
            had, weight, until_ms, *waits = turn.decode().split()
            until_ms = str(max(0, int(until_ms) - round(seconds * 1000)))
            client.hset(TURNS, name, " ".join((had, weight, until_ms, *waits)))


def drain(gate: QuotaGate, calls: int = 1, most: int = 10_000) -> int:
    """Take until the gate closes; returns the calls granted."""
    granted = 0
    while granted < most and isinstance(gate.take(calls, "drain"), Granted):
        granted += calls
        gate.leave("drain")
    return granted


def test_before_the_org_has_told_its_quota_a_few_calls_may_be_made(gate: QuotaGate) -> None:
    assert drain(gate) == LEAST_BURST
    waiting = gate.take(1, "a")
    assert isinstance(waiting, Wait)
    assert waiting.seconds <= 60
    assert "not told" in waiting.reason


def test_what_was_granted_before_the_quota_is_known_counts(gate: QuotaGate) -> None:
    before = drain(gate)
    gate.observe(10, 100_000)
    burst = int((0.8 * 100_000 - 1000) / 145)
    seconds_of_refill = 10  # far more than the test takes
    assert burst - before <= drain(gate) <= burst - before + seconds_of_refill


def test_a_day_s_grants_stay_within_the_budget(client: fakeredis.FakeRedis, gate: QuotaGate) -> None:
    gate.observe(0, 5_000)
    granted = drain(gate, calls=5)
    for _ in range(24 * 12):
        let_time_pass(client, 300)
        granted += drain(gate, calls=5)
    budget = 0.8 * 5_000 - 1000
    assert budget * 0.99 <= granted <= budget


@given(
    st.integers(1_000, 200_000),
    st.floats(0.1, 1.0),
    st.integers(0, 900),
    st.lists(st.tuples(st.integers(0, 4_000), st.integers(1, 10), st.booleans()), max_size=40),
)
@settings(deadline=None, max_examples=60)
def test_over_any_sequence_the_grants_are_at_most_burst_and_refill(
    limit: int, share: float, reserve: int, steps: list[tuple[int, int, bool]]
) -> None:
    client = fakeredis.FakeRedis()
    gate = QuotaGate(client, share=share, reserve=reserve)
    gate.observe(0, limit)
    budget = share * limit - reserve
    burst = min(max(budget / 145, LEAST_BURST), budget)
    granted, passed_s = 0, 0.0
    for seconds, calls, comes_up_empty in steps:
        let_time_pass(client, seconds)
        passed_s += seconds
        answer = gate.take(calls, "a")
        if isinstance(answer, Wait):
            assert answer.seconds > 0
            continue
        if comes_up_empty:
            gate.give_back(calls, "a")
        else:
            granted += calls
            gate.leave("a")
        slack_s = 5  # of real time, while the test runs
        assert granted <= max(0.0, burst + (budget - burst) / DAY_S * (passed_s + slack_s)) + 1e-3


def test_nothing_is_granted_once_the_org_has_used_the_share_whoever_did(gate: QuotaGate) -> None:
    gate.observe(79_999, 100_000)
    assert isinstance(gate.take(1, "a"), Granted)
    gate.leave("a")
    gate.observe(80_000, 100_000)
    waiting = gate.take(1, "a")
    assert isinstance(waiting, Wait)
    assert "80000 of the org's 100000 calls" in waiting.reason
    gate.observe(79_000, 100_000)
    assert isinstance(gate.take(1, "a"), Granted)


def test_calls_under_way_and_not_yet_seen_count_towards_the_share(gate: QuotaGate) -> None:
    gate.observe(79_996, 100_000)
    assert isinstance(gate.take(2, "a"), Granted)
    assert isinstance(gate.take(2, "b"), Granted)
    assert isinstance(gate.take(1, "c"), Wait)
    assert not gate.spend_one()
    gate.leave("a")
    assert isinstance(gate.take(1, "c"), Granted)


def test_only_so_many_are_in_flight_at_once(client: fakeredis.FakeRedis, gate: QuotaGate) -> None:
    gate.observe(0, 100_000)
    for holder in "abcde":
        assert isinstance(gate.take(2, holder), Granted)
    waiting = gate.take(2, "f")
    assert isinstance(waiting, Wait)
    assert waiting.reason == "enough requests are in flight"
    assert waiting.seconds < 1
    assert isinstance(gate.take(2, "a"), Granted), "whoever is in flight already may go on"
    assert gate.spend_one()
    gate.leave("b")
    assert isinstance(gate.take(2, "f"), Granted)
    assert gate.status().in_flight == 5


def test_the_slot_of_a_killed_worker_is_forgotten(client: fakeredis.FakeRedis) -> None:
    gate = QuotaGate(client, share=0.8, reserve=1000, most_in_flight=1, slot_s=180)
    gate.observe(0, 100_000)
    gate.take(2, "killed")
    assert isinstance(gate.take(2, "a"), Wait)
    let_time_pass(client, 181)
    assert isinstance(gate.take(2, "a"), Granted)
    assert gate.status().in_flight == 1


def test_what_is_given_back_can_be_taken_again_but_only_once(gate: QuotaGate) -> None:
    gate.observe(0, 5_000)  # refills one call in half a minute
    free = gate.status().free_now
    gate.take(2, "a")
    assert gate.status().free_now == free - 2
    gate.give_back(2, "a")
    gate.give_back(2, "a")
    gate.give_back(2, "never took any")
    assert gate.status().free_now == free
    assert gate.status().in_flight == 0
    gate.take(1, "a")
    gate.give_back(9, "a")
    assert gate.status().free_now == free


def test_a_quota_without_a_budget_is_loud(client: fakeredis.FakeRedis, caplog: pytest.LogCaptureFixture) -> None:
    gate = QuotaGate(client, share=0.5, reserve=1000)
    gate.observe(0, 2000)
    waiting = gate.take(1, "a")
    assert isinstance(waiting, Wait)
    assert "quota.share" in waiting.reason
    assert "quota.share" in caplog.text
    assert "quota.share" in gate.status().closed
    assert not gate.spend_one()


def test_waiting_tells_when_the_calls_are_there(client: fakeredis.FakeRedis, gate: QuotaGate) -> None:
    gate.observe(0, 15_000)
    drain(gate)
    waiting = gate.take(2, "a")
    assert isinstance(waiting, Wait)
    assert waiting.reason == "the bucket of API calls refills"
    let_time_pass(client, waiting.seconds)
    assert isinstance(gate.take(2, "a"), Granted)


def test_status_changes_nothing_and_tells_what_is_left(gate: QuotaGate) -> None:
    unknown = gate.status()
    assert (unknown.limit, unknown.used, unknown.budget_left, unknown.free_now) == (None, None, None, LEAST_BURST)
    gate.observe(1234, 100_000)
    known = gate.status()
    assert (known.limit, known.used, known.budget_left, known.closed) == (100_000, 1234, 78_766, "")
    assert gate.status() == known
    gate.observe(100_000, 100_000)
    assert gate.status().budget_left == 0


@pytest.mark.parametrize("calls", [0, -1, LEAST_BURST + 1])
def test_more_than_the_smallest_burst_cannot_be_taken_at_once(gate: QuotaGate, calls: int) -> None:
    with pytest.raises(ValueError, match="1 to 10"):
        gate.take(calls, "a")


def test_a_usage_that_cannot_be_noted_does_not_cost_the_answer_it_came_with(
    client: fakeredis.FakeRedis, gate: QuotaGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RedisConnectionError

    monkeypatch.setattr(client, "hset", broken)
    gate.observe(1, 15_000)


@dataclass
class Org:
    """Tells its limits, and counts how often."""

    answer: Callable[[], tuple[int, int]]
    asked: int = 0

    def limits(self) -> tuple[int, int]:
        self.asked += 1
        return self.answer()


def test_a_gate_closed_by_usage_asks_the_org_now_and_then(client: fakeredis.FakeRedis, gate: QuotaGate) -> None:
    org = Org(lambda: (70_000, 100_000))
    gate.sync(org)
    gate.observe(10, 100_000)
    gate.sync(org)
    assert org.asked == 0, "an open gate learns from every answer"
    gate.observe(80_000, 100_000)
    gate.sync(org)
    assert org.asked == 1
    assert isinstance(gate.take(1, "a"), Granted)
    gate.observe(80_000, 100_000)
    gate.sync(org)
    assert org.asked == 1, "not again within minutes"
    assert client.pttl("pipeline:{quota}:asked") > 100_000


def test_asking_for_the_usage_is_paid_from_the_bucket(gate: QuotaGate) -> None:
    gate.observe(4_000, 5_000)
    free = gate.status().free_now
    gate.sync(Org(lambda: (4_000, 5_000)))
    assert gate.status().free_now == free - 1


def test_a_quota_that_is_used_up_altogether_is_no_news(gate: QuotaGate) -> None:
    def refuse(code: str) -> Callable[[], tuple[int, int]]:
        def answer() -> tuple[int, int]:
            raise Refused(403, (ErrorDetail(code),))

        return answer

    gate.observe(100_000, 100_000)
    gate.sync(Org(refuse("REQUEST_LIMIT_EXCEEDED")))
    assert gate.status().budget_left == 0


def test_another_refusal_of_the_limits_is_told(gate: QuotaGate) -> None:
    def answer() -> tuple[int, int]:
        raise Refused(403, (ErrorDetail("INSUFFICIENT_ACCESS"),))

    gate.observe(100_000, 100_000)
    with pytest.raises(Refused, match="INSUFFICIENT_ACCESS"):
        gate.sync(Org(answer))


@pytest.fixture
def scarce(client: fakeredis.FakeRedis) -> QuotaGate:
    """A gate that has given all it had, and refills a call in two seconds."""
    gate = QuotaGate(client, share=0.8, reserve=0, day_s=2_000, weights={"Lead": 3})
    gate.observe(0, 1_250)
    drain(gate)
    return gate


def rounds(client: fakeredis.FakeRedis, gate: QuotaGate, wishes: Sequence[str], *, urgent: str = "") -> Counter[str]:
    """Let objects ask for a batch each every other second, for five minutes; returns the batches of each."""
    served: Counter[str] = Counter()
    for _ in range(150):
        let_time_pass(client, 2)
        for name in wishes:
            if isinstance(gate.take(2, name, name, is_urgent=name == urgent), Granted):
                gate.leave(name)
                served[name] += 1
    return served


def test_objects_that_wait_share_the_calls_by_their_weights(client: fakeredis.FakeRedis, scarce: QuotaGate) -> None:
    served = rounds(client, scarce, ["Account", "Case", "Lead"])
    assert served.total() == pytest.approx(300 / 2 / 2, abs=3)
    assert served["Lead"] == pytest.approx(0.6 * served.total(), abs=2)
    assert served["Account"] == pytest.approx(served["Case"], abs=1)


def test_an_object_with_urgent_records_comes_first(client: fakeredis.FakeRedis, scarce: QuotaGate) -> None:
    rounds(client, scarce, ["Account", "Case", "Lead"])
    served = rounds(client, scarce, ["Account", "Lead", "Case"], urgent="Case")
    assert served["Account"] + served["Lead"] <= 1  # what was on its way
    after = rounds(client, scarce, ["Account", "Case", "Lead"])
    assert after["Case"] >= 0.1 * after.total(), "nor is it paid back for long what others had meanwhile"


def test_an_object_that_asked_for_little_does_not_starve_the_others_later(
    client: fakeredis.FakeRedis, scarce: QuotaGate
) -> None:
    rounds(client, scarce, ["Account"])
    served = rounds(client, scarce, ["Account", "Case"])
    assert served["Account"] >= 0.4 * served.total()


def test_what_has_calls_enough_for_all_is_granted_at_once(gate: QuotaGate) -> None:
    gate.observe(0, 100_000)
    for holder in "abcde":
        gate.take(2, holder, "Lead")
    assert isinstance(gate.take(2, "f", "Account"), Wait)  # for a slot
    gate.leave("a")
    gate.leave("b")
    assert isinstance(gate.take(2, "g", "Lead"), Granted)


def test_a_slot_goes_to_the_object_that_waited_for_it(gate: QuotaGate) -> None:
    gate.observe(0, 100_000)
    for holder in "abcde":
        gate.take(2, holder, "Lead")
    assert isinstance(gate.take(2, "f", "Account"), Wait)
    gate.leave("a")
    assert isinstance(gate.take(2, "g", "Lead"), Wait)
    assert isinstance(gate.take(2, "f", "Account"), Granted)


def test_an_object_that_does_not_ask_again_is_not_waited_for(client: fakeredis.FakeRedis, scarce: QuotaGate) -> None:
    scarce.take(2, "a", "Account", is_urgent=True)
    let_time_pass(client, 5)
    waiting = scarce.take(2, "c", "Case")
    assert isinstance(waiting, Wait)
    assert "another object's turn" in waiting.reason
    let_time_pass(client, 6)
    assert isinstance(scarce.take(2, "c", "Case"), Granted)
    scarce.leave("c")
    drain(scarce)
    scarce.take(2, "a", "Account", is_urgent=True)
    let_time_pass(client, 6)
    scarce.take(4, "a", "Account", is_urgent=True)
    let_time_pass(client, 6)
    assert isinstance(scarce.take(4, "c", "Case"), Wait)


def test_calls_that_a_batch_needs_beside_are_charged_and_those_it_gives_back_are_not(
    client: fakeredis.FakeRedis, scarce: QuotaGate
) -> None:
    def had(name: str) -> float:
        return float((client.hget(TURNS, name) or b"0").split()[0])

    scarce.take(2, "a", "Account")
    let_time_pass(client, 100)
    before = had("Account")
    assert isinstance(scarce.take(2, "a", "Account"), Granted)
    assert scarce.spend_one("Account")
    assert had("Account") == before + 3
    scarce.give_back(1, "a")
    assert had("Account") == before + 2
