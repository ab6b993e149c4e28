"""The rolling window of API calls, by a clock that the test turns."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.emulator.limits import DAY_S, Limits

HOUR_S = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_calls_leave_the_window_when_they_are_a_day_old() -> None:
    """The documented example: 14,500 calls at 5, 499 at 23, so one is left until 5 the next day."""
    clock = Clock()
    limits = Limits(clock, daily_limit=15_000)
    limits.charge("query", 14_500)
    clock.now += 18 * HOUR_S
    limits.charge("query", 499)
    assert not limits.exhausted()
    assert limits.exhausted(2)
    clock.now += 6 * HOUR_S - 120
    assert limits.used() == 14_999
    clock.now += 121
    assert limits.used() == 499
    assert limits.total == 14_999


@given(steps=st.lists(st.tuples(st.floats(0, DAY_S / 3), st.integers(0, 50)), max_size=40))
def test_usage_is_what_was_used_within_the_window_to_a_slice(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    limits = Limits(clock)
    log: list[tuple[float, int]] = []
    for pause, calls in steps:
        clock.now += pause
        limits.use(calls)
        log.append((clock.now, calls))
        width = DAY_S / 1_440
        surely = sum(calls for at, calls in log if at > clock.now - DAY_S + width)
        at_most = sum(calls for at, calls in log if at > clock.now - DAY_S)
        assert surely <= limits.used() <= at_most


def test_only_long_requests_crowd_the_org() -> None:
    clock = Clock()
    limits = Limits(clock, concurrent_limit=2, long_request_s=20)
    first, second = limits.begin(), limits.begin()
    assert not limits.crowded()
    clock.now += 20
    assert limits.crowded()
    limits.end(first)
    assert not limits.crowded()
    limits.end(second)


def test_another_clients_calls_use_the_window_but_not_the_total() -> None:
    limits = Limits(Clock(), daily_limit=10)
    limits.use(4)
    assert (limits.total, limits.header()) == (0, "api-usage=4/10")


def test_clearing_takes_everything_back_to_the_start() -> None:
    limits = Limits(Clock(), daily_limit=10)
    limits.charge("query")
    limits.daily_limit, limits.window_s = 1, 1.0
    limits.clear()
    assert (limits.used(), limits.total, limits.daily_limit, limits.window_s) == (0, 0, 10, DAY_S)
