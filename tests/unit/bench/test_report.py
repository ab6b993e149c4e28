from benchmarks.report import document, plots, runs, targets
from benchmarks.scenarios import Latencies, Results
from pipeline.bench.figures import Run, Sample


def measured() -> Results:
    sample = Sample(at_s=1.0, received=10, settled=5, redis_mb=20.0, workers_mb=None)
    results = Results(org_ms=(4.0, 5.0), idle=Latencies(0, (10.0, 30.0)))
    results.rates = [Latencies(20, (100.0, 200.0), 0.5)]
    results.runs = {
        "burst, one event a message": Run(20_000, 5_000, 20.0, 10, (sample,)),
        "small backlog": Run(10_000, 2_500, 2.0, 6),
        "large backlog": Run(100_000, 25_000, 22.0, 50, (sample,)),
    }
    results.noops = {"burst, one event a message": 1_250.0}
    return results


def test_every_target_is_shown_with_what_was_measured_or_that_it_was_not() -> None:
    shown = {what: figure for what, _, figure in targets(measured())}
    assert shown["`send_event`: events for each task that does nothing"] == "0.80"
    assert shown["time for an event, large backlog over small"] == "1.10"
    assert shown["idle latency, p99, over the org's own (its median)"] == "26 ms"
    assert shown["API calls for each event, backfill"] == "not measured"


def test_a_run_is_a_row() -> None:
    assert runs(measured())[0] == [
        "burst, one event a message", "20,000", "5,000", "1,000", "10", "0.00050", "20 MB"
    ]  # fmt: skip


def test_the_page_shows_the_plots_for_which_there_are_figures() -> None:
    page = document(measured(), machine="2 cores", command="make bench")
    names = [name for name, _, _ in plots(measured())]
    assert names == ["calls_by_rate", "latency_percentiles", "memory"]
    assert all(f"(images/{name}.svg)" in page for name in names)
    assert plots(Results()) == []


def test_further_runs_show_how_far_the_targets_scatter() -> None:
    repeats = [measured(), measured(), measured()]
    repeats[1].noops = {"burst, one event a message": 2_500.0}
    repeats[2].noops = {"burst, one event a message": 1_000.0}
    shown = {row[0]: row[3:] for row in targets(measured(), repeats)}
    assert shown["`send_event`: events for each task that does nothing"] == ["0.40, 0.80, 1.00"]
    assert "least, median, most of 3 more" in document(measured(), repeats, machine="2 cores", command="make bench")
