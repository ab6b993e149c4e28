"""What is measured, one function a scenario; each starts a stack of its own and returns plain figures."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from pipeline.bench.figures import Run, percentile
from pipeline.bench.measure import Bench
from pipeline.local import LocalStack

CONCURRENCY = 2  # worker processes, of the pipeline and of what it is compared with
_NO_LIMIT = 100_000_000  # API calls a day, where the quota is not what is measured
_IDLE_S = 0.6  # a little more than the linger
_BUSY_S = 0.2
_BATCH = 100  # events in one message of send_events
_SLOW_MS = 100
_TWO_CALLS = ("benchmarks.two_calls", "two_calls")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is sent; the quick form is for trying things out."""

    probes: int
    seconds_a_rate: int
    burst: int
    backfill: int
    small: int
    large: int
    no_bulk: int
    noops: int
    two_calls: int
    latencies_ms: tuple[int, ...] = (0, 20, _SLOW_MS, 300)


QUICK = Size(probes=20, seconds_a_rate=8, burst=20_000, backfill=200_000, small=10_000, large=100_000, no_bulk=100_000,
             noops=4_000, two_calls=100)  # fmt: skip
FULL = replace(QUICK, probes=100, seconds_a_rate=20, large=1_000_000, noops=10_000, two_calls=200)
# What the targets are about, to be measured several times.
REPEATED = replace(QUICK, probes=100, seconds_a_rate=0, backfill=100_000, noops=6_000, latencies_ms=(_SLOW_MS,))


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds from sending an event to its committed record, at a rate of other events beside it."""

    rate: float
    values: tuple[float, ...]
    calls_per_event: float = 0.0

    def at(self, share: float) -> float:
        """Return a percentile."""
        return percentile(self.values, share)


@dataclass(slots=True)
class Results:
    """Everything that was measured."""

    org_ms: tuple[float, ...] = ()  # what two requests to the org take, without the pipeline
    idle: Latencies | None = None
    rates: list[Latencies] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    noops: dict[str, float] = field(default_factory=dict)  # Celery tasks a second, measured beside the run of that name
    two_calls_per_s: dict[float, float] = field(default_factory=dict)  # by the org's latency, ms
    by_latency: dict[float, float] = field(default_factory=dict)  # events a second, the same


Say = Callable[[str], object]


@contextmanager
def bench(
    *, latency_ms: float = 0, daily_limit: int = _NO_LIMIT, destination: str = "identify: {default: true}\n"
) -> Iterator[Bench]:
    """Return a stack without workers, ready to be measured."""
    options = ("--latency-ms", str(latency_ms), "--daily-limit", str(daily_limit))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "destination.yaml"
        file.write_text(destination, encoding="utf-8")
        environ = {"PIPELINE_DESTINATION": str(file)}
        with LocalStack(workers={}, has_beat=False, emulator_arguments=options, environ=environ) as stack:
            yield from _measured(stack)


def _measured(stack: LocalStack) -> Iterator[Bench]:
    measured = Bench(stack, concurrency=CONCURRENCY)
    yield measured
    measured.close()


def idle_latency(size: Size, results: Results) -> None:
    """Time single events in an idle pipeline, and what the org's own part of it is."""
    with bench() as measured:
        results.org_ms = _org_alone_ms(measured, size.probes + 1)[1:]  # the first one opens the connection
        measured.start_worker().wait_until_ready()
        measured.latencies_ms(1, pause_s=_IDLE_S)  # the first one opens connections
        results.idle = Latencies(0, tuple(measured.latencies_ms(size.probes, pause_s=_IDLE_S)))


def steady_rates(size: Size, results: Results) -> None:
    """Time single events beside a steady stream, and count what the stream costs."""
    for rate in (5, 20, 100, 400):
        events = rate * size.seconds_a_rate
        with bench() as measured:
            measured.start_worker().wait_until_ready()
            calls = measured.api_calls()
            producer = measured.produce(events=events, keys=events, rate=rate)
            values: list[float] = []
            while producer.is_running:
                values += measured.latencies_ms(1, pause_s=_BUSY_S)
            measured.settle(events + len(values))
            spent = measured.api_calls() - calls
        results.rates.append(Latencies(rate, tuple(values), spent / (events + len(values))))


def burst(size: Size, results: Results) -> None:
    """Work off four events about each of many new people, sent one a message and many a message."""
    for name, per_message in (("burst, one event a message", 1), ("burst, 100 events a message", _BATCH)):
        with bench() as measured:
            results.noops[name] = measured.noop_per_s(size.noops)
            measured.fill(size.burst, size.burst // 4, per_message=per_message)
            results.runs[name] = measured.work_off(size.burst, size.burst // 4)


def hot_key(size: Size, results: Results) -> None:
    """Work off events that are all about one person."""
    with bench() as measured:
        measured.fill(size.burst, 1, per_message=_BATCH)
        results.runs["hot key"] = measured.work_off(size.burst, 1)


def backfill(size: Size, results: Results) -> None:
    """Work off one event about each of many new people."""
    with bench() as measured:
        measured.fill(size.backfill, size.backfill, per_message=_BATCH)
        results.runs["backfill"] = measured.work_off(size.backfill, size.backfill)


def slow_org(size: Size, results: Results) -> None:
    """Work the burst off against orgs of several latencies, and time the two-call deliverer on as many processes."""
    for latency_ms in size.latencies_ms:
        with bench(latency_ms=latency_ms) as measured:
            results.two_calls_per_s[latency_ms] = measured.plain_per_s(*_TWO_CALLS, size.two_calls)
            measured.fill(size.burst, size.burst // 4, per_message=_BATCH)
            run = measured.work_off(size.burst, size.burst // 4)
        results.by_latency[latency_ms] = run.events_per_s
        if latency_ms == _SLOW_MS:
            results.runs["slow org (100 ms)"] = run


def tight_quota(size: Size, results: Results) -> None:
    """Work the burst off where the quota leaves a thousand calls a day, of which ten may be made at once."""
    with bench(daily_limit=2_500) as measured:
        measured.fill(size.burst, size.burst // 4, per_message=_BATCH)
        results.runs["tight quota"] = measured.work_off(size.burst, size.burst // 4)


def backlogs(size: Size, results: Results) -> None:
    """Work off a short queue and a long one; nobody comes twice, so that merging does not hide what length costs."""
    for name, events, rules in (
        ("small backlog", size.small, "bulk: {threshold: 20000}\n"),
        ("large backlog", size.large, "bulk: {threshold: 20000}\n"),
        ("large backlog, no bulk jobs", size.no_bulk, "bulk: {threshold: 0}\n"),
    ):
        with bench(destination=rules) as measured:
            measured.fill(events, events, per_message=_BATCH)
            results.runs[name] = measured.work_off(events, events)


SCENARIOS: tuple[Callable[[Size, Results], None], ...] = (
    idle_latency,
    steady_rates,
    burst,
    hot_key,
    backfill,
    slow_org,
    tight_quota,
    backlogs,
)


# Those that measure a target.
TARGETED: tuple[Callable[[Size, Results], None], ...] = (idle_latency, burst, backfill, slow_org, backlogs)


def run_all(
    size: Size, say: Say, only: str = "", scenarios: Sequence[Callable[[Size, Results], None]] = SCENARIOS
) -> Results:
    """Run the scenarios whose name contains `only`, one after the other."""
    results = Results()
    for scenario in scenarios:
        if only in scenario.__name__:
            say(scenario.__name__.replace("_", " "))
            scenario(size, results)
    return results


def _org_alone_ms(measured: Bench, times: int) -> tuple[float, ...]:
    """Return what a lookup and a create take by themselves, one after the other on an open connection."""
    url = measured.stack.emulator_url
    form = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "secret"}
    with requests.Session() as session:
        session.trust_env = False
        token = session.post(f"{url}/services/oauth2/token", data=form, timeout=30).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        values = []
        for number in range(times):
            email = f"alone{number}@engines.example.com"
            begun = time.monotonic()
            query: dict[str, Any] = {"q": f"SELECT Id FROM Lead WHERE Email = '{email}'"}
            session.get(f"{url}/services/data/v66.0/query", params=query, timeout=30).raise_for_status()
            record = {"LastName": "Byron", "Company": "Engines", "Email": email}
            session.post(f"{url}/services/data/v66.0/sobjects/Lead", json=record, timeout=30).raise_for_status()
            values.append((time.monotonic() - begun) * 1000)
    return tuple(values)
