"""The model of a day against a quota: it loses nothing, spends no more than it may, and docs/scaling.md shows it."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cohorts import HOURS, Curve
from benchmarks.day import hourly, parsed
from benchmarks.day_model import CURVE, FIRST_HOUR, Day, Result, requests_for, simulate
from benchmarks.memory import Bytes
from pipeline.delivery.pack import ALWAYS_WRITTEN, Write, pack_fewer
from pipeline.salesforce.quota import DAY_S

DOC = Path(__file__).parents[3] / "docs" / "scaling.md"
SMALL = {"people": 100_000, "identifies": 500_000, "quota": 2_500, "reserve": 100}


@pytest.fixture(scope="module")
def small() -> Result:
    return simulate(Day(**SMALL, days=2))  # type: ignore[arg-type]  # whole numbers all


def test_every_event_is_written_or_waits(small: Result) -> None:
    assert small.arrived == pytest.approx(2 * SMALL["identifies"])
    assert small.written + small.left == pytest.approx(small.arrived, rel=1e-9)
    assert all(hour.written_events >= hour.keys * 0.999 for hour in small.hours)


def test_no_24_hours_see_more_calls_than_the_share_less_the_reserve(small: Result) -> None:
    describes = 48
    assert small.most_used <= 0.8 * SMALL["quota"] - SMALL["reserve"] + describes
    assert sum(hour.calls for hour in small.hours) <= 0.8 * SMALL["quota"] - SMALL["reserve"]


def test_what_others_spend_is_left_to_them() -> None:
    crowded = simulate(Day(**SMALL, others=1_000, days=2))  # type: ignore[arg-type]
    assert crowded.most_used <= 0.8 * SMALL["quota"]
    assert sum(hour.calls for hour in crowded.hours) <= 0.8 * SMALL["quota"] - 1_000


def test_bulk_jobs_keep_the_backlog_and_the_calls_down(small: Result) -> None:
    bulk = simulate(Day(**SMALL, bulk_from=1_500, days=2))  # type: ignore[arg-type]
    assert bulk.written + bulk.left == pytest.approx(bulk.arrived, rel=1e-9)
    assert max(hour.waiting_keys for hour in bulk.hours) < max(hour.waiting_keys for hour in small.hours)
    assert bulk.most_used <= 0.8 * SMALL["quota"] - SMALL["reserve"] + 48


def test_merging_is_what_following_each_event_finds() -> None:
    # One deliverer takes ten keys off a first-in-first-out queue every second, from 2,000 people in two groups.
    draw = random.Random(5)
    waiting: dict[int, None] = {}
    written, seconds, rate = 0, 3_000, 30
    for _ in range(seconds):
        for _ in range(rate):
            waiting.setdefault(draw.randrange(200) if draw.random() < 0.5 else draw.randrange(200, 2_000))
        for person in list(waiting)[:10]:
            del waiting[person]
            written += 1
    assert written == 10 * seconds
    # By the model's arithmetic the queue settles where as many new keys come as leave: the same expectation by class.
    expected = _settled_queue(leaving=10, rate=rate, classes=((200, 0.5), (1_800, 0.5)))
    assert len(waiting) == pytest.approx(expected, rel=0.1)


def _settled_queue(*, leaving: float, rate: float, classes: tuple[tuple[int, float], ...]) -> float:
    low, high = 0.0, 1e6
    for _ in range(80):  # seconds that a key waits, by halving
        wait = (low + high) / 2
        keys = [rate * share / people for people, share in classes]
        coming = sum(people * each / (1 + each * wait) for (people, _), each in zip(classes, keys, strict=True))
        low, high = (wait, high) if coming > leaving else (low, wait)
    return leaving * low


@given(
    creates=st.integers(0, 1_000), keys=st.integers(0, 1_000) | st.just(1_000), early=st.integers(), more=st.booleans()
)
def test_a_batch_takes_the_requests_that_packing_makes(creates: int, keys: int, early: int, *, more: bool) -> None:
    creates = min(creates, keys)
    first = min(keys, ALWAYS_WRITTEN)
    early = max(first - (keys - creates), min(creates, first, early), 0)
    are_new = [True] * early + [False] * (first - early)
    are_new += [True] * (creates - early) + [False] * (keys - first - creates + early)
    writes = [
        Write(str(number), "create", "Lead", {})
        if is_new
        else Write(str(number), "update", "Lead", {"id": str(number)})
        for number, is_new in enumerate(are_new)
    ]
    packed, left = pack_fewer(writes, {write.key for write in writes[ALWAYS_WRITTEN:]} if more else set())
    requests, left_out = requests_for(creates, keys - creates, early, more_due=more)
    assert requests == [sum(len(one.writes) for one in request) for request in packed]
    new = sum(are_new[int(key)] for key in left)
    assert left_out == (new, len(left) - new)


@given(st.floats(0, 3 * DAY_S))
def test_a_curve_runs_back_and_forth(moment_s: float) -> None:
    curve = Curve(CURVE, 1_000_000)
    assert curve.when(curve.at(moment_s)) == pytest.approx(moment_s, abs=1e-3)


def test_the_page_shows_what_the_script_prints() -> None:
    day, _ = parsed([])
    for line in hourly(day, simulate(day), Bytes()):
        assert line in DOC.read_text("utf-8")


def test_the_options_are_those_of_a_day() -> None:
    day, plot = parsed(["--people", "5", "--no-lookups", "--curve", ",".join(["1"] * HOURS), "--plot", "a.svg"])
    assert (day.people, day.has_lookups, day.curve) == (5, False, (1.0,) * HOURS)
    assert plot == Path("a.svg")
    assert FIRST_HOUR < HOURS
