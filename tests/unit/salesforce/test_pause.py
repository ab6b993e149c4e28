"""The circuit: everybody waits, one tries, ever more rarely."""

from dataclasses import dataclass

import fakeredis
import pytest

from pipeline.salesforce.pause import FOR_OPERATOR_S, PASSING_S, PROBE_S, Pause

CIRCUIT = "pipeline:{pause}:circuit"


@dataclass(frozen=True)
class Cause:
    reason: str = "HTTP 503"
    advice: str = ""
    needs_operator: bool = False


REFUSED = Cause("INVALID_LOGIN", "check SALESFORCE_PASSWORD", needs_operator=True)


@pytest.fixture
def client() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


@pytest.fixture
def pause(client: fakeredis.FakeRedis) -> Pause:
    return Pause(client)


def let_time_pass(client: fakeredis.FakeRedis, seconds: float) -> None:
    for name in ("since_ms", "next_ms", "probing_until_ms"):
        value = int(client.hget(CIRCUIT, name) or 0)
        client.hset(CIRCUIT, name, max(0, value - round(seconds * 1000)))


def interval_s(client: fakeredis.FakeRedis) -> float:
    return int(client.hget(CIRCUIT, "interval_ms") or 0) / 1000


def test_nothing_waits_while_all_is_well(pause: Pause) -> None:
    assert pause.why() is None
    assert pause.why("Lead") is None
    assert not pause.probe()


def test_a_closed_circuit_says_why_since_when_and_until_when(pause: Pause) -> None:
    pause.close(REFUSED)
    state = pause.why("Lead")
    assert state is not None
    assert (state.reason, state.advice) == ("INVALID_LOGIN", "check SALESFORCE_PASSWORD")
    assert state.next_probe_ms == state.since_ms + FOR_OPERATOR_S[0] * 1000


def test_nobody_tries_before_it_is_time_and_then_one_does(client: fakeredis.FakeRedis, pause: Pause) -> None:
    pause.close(REFUSED)
    assert not pause.probe()
    let_time_pass(client, FOR_OPERATOR_S[0])
    assert [pause.probe() for _ in range(5)] == [True, False, False, False, False]


def test_a_failed_probe_doubles_the_wait_once_however_many_fail(client: fakeredis.FakeRedis, pause: Pause) -> None:
    pause.close(REFUSED)
    waits = []
    for _ in range(9):
        for _ in range(4):
            pause.close(REFUSED)
        waits.append(interval_s(client))
        let_time_pass(client, interval_s(client))
        assert pause.probe()
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_what_passes_by_itself_is_tried_soon_and_at_least_every_few_minutes(
    client: fakeredis.FakeRedis, pause: Pause
) -> None:
    pause.close(Cause())
    waits = []
    for _ in range(11):
        waits.append(interval_s(client))
        let_time_pass(client, interval_s(client))
        assert pause.probe()
        pause.close(Cause())
    assert waits[0] == PASSING_S[0]
    assert waits[-1] == PASSING_S[1]


def test_a_graver_cause_makes_the_wait_longer_and_a_lighter_one_never_shorter(
    client: fakeredis.FakeRedis, pause: Pause
) -> None:
    pause.close(Cause())
    pause.close(REFUSED)
    assert interval_s(client) == FOR_OPERATOR_S[0]
    for _ in range(5):
        let_time_pass(client, interval_s(client))
        assert pause.probe()
        pause.close(REFUSED)
    long = interval_s(client)
    let_time_pass(client, long)
    assert pause.probe()
    pause.close(Cause())
    assert interval_s(client) >= long


def test_a_probe_that_says_nothing_lets_another_through(client: fakeredis.FakeRedis, pause: Pause) -> None:
    pause.close(REFUSED)
    let_time_pass(client, FOR_OPERATOR_S[0])
    assert pause.probe()
    assert not pause.probe()
    let_time_pass(client, PROBE_S)
    assert pause.probe()


def test_success_lets_everybody_go_on_and_the_next_fault_starts_anew(client: fakeredis.FakeRedis, pause: Pause) -> None:
    pause.close(REFUSED)
    let_time_pass(client, 60)
    assert pause.probe()
    pause.close(REFUSED)
    pause.clear()
    assert pause.why() is None
    pause.close(REFUSED)
    assert interval_s(client) == FOR_OPERATOR_S[0]


def test_an_object_paused_by_hand_waits_alone(client: fakeredis.FakeRedis, pause: Pause) -> None:
    pause.hold("Lead")
    held = pause.why("Lead")
    assert held is not None
    assert "by hand" in held.reason
    assert held.next_probe_ms is None
    assert pause.why("Account") is None
    assert pause.why() is None
    pause.close(Cause())
    let_time_pass(client, PASSING_S[0])
    assert not pause.probe("Lead")
    assert pause.probe("Account")
    pause.clear()
    assert pause.why("Lead") is not None, "success elsewhere does not end a pause by hand"
    pause.resume("Lead")
    assert pause.why("Lead") is None


def test_everything_paused_by_hand_is_not_probed(client: fakeredis.FakeRedis, pause: Pause) -> None:
    pause.hold()
    pause.hold("Lead")
    pause.close(Cause())
    let_time_pass(client, PASSING_S[0])
    assert pause.why("Account") is not None
    assert not pause.probe("Account")
    pause.resume()
    assert pause.why("Account") is None
    assert pause.why("Lead") is None


def test_pausing_twice_by_hand_keeps_the_first_time(client: fakeredis.FakeRedis, pause: Pause) -> None:
    pause.hold("Lead")
    first = pause.why("Lead")
    client.hset("pipeline:{pause}:held", "Lead", '{"since_ms": 1, "reason": ""}')
    pause.hold("Lead")
    second = pause.why("Lead")
    assert first is not None
    assert second is not None
    assert second.since_ms == 1
