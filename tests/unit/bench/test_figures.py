import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.bench.figures import Run, contract, percentile


def test_a_percentile_is_one_of_the_values_by_nearest_rank() -> None:
    values = [float(number) for number in range(1, 101)]
    assert percentile(values, 0.50) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 1.0) == 100
    assert percentile([7.0], 0.5) == 7


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_at_least_the_share_lies_at_or_below_a_percentile(values: list[float], share: float) -> None:
    bound = percentile(values, share)
    assert sum(value <= bound for value in values) >= share * len(values) - 1e-6
    assert bound in values


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile([], 0.5)


def test_the_contract_has_its_six_figures() -> None:
    run = Run(events=20_000, keys=5_000, seconds=10.0, api_calls=10)
    assert contract(run, [10.0, 20.0, 30.0], 1_000.0) == {
        "events_per_s": 2_000.0,
        "api_calls_per_event": 0.0005,
        "p50_ms": 20.0,
        "p99_ms": 30.0,
        "noop_events_per_s": 1_000.0,
        "ratio_to_noop": 2.0,
    }
    assert run.calls_per_key == 0.002
