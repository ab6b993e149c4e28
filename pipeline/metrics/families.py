"""Families: a snapshot as metric families of Prometheus. Labels hold names of objects and words of ours, never data."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from pipeline.metrics.snapshot import Snapshot
from pipeline.metrics.tally import BATCH_KEYS, INFINITE, REQUEST_S
from pipeline.salesforce.quota import QuotaStatus
from pipeline.version import installed_version

_Labels = TypeVar("_Labels", bound=tuple[str, ...])

ALL_OBJECTS = "all"  # the label of a pause that holds for every object


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that one scrape shows. `paused` are (object or "all", "hand" or "salesforce").

    `queued` is queue → messages, without the queues of a broker that does not answer. `policies` is server → its
    maxmemory-policy, without servers that do not tell.
    """

    snapshot: Snapshot
    quota: QuotaStatus
    paused: frozenset[tuple[str, str]] = frozenset()
    queued: Mapping[str, int] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)


def about(*, is_redis_there: bool) -> Iterator[Metric]:
    """Yield what can be said without Redis."""
    version = {"version": installed_version() or "source", "python": platform.python_version()}
    yield InfoMetricFamily("pipeline_build", "The version of the pipeline that serves these figures.", value=version)
    yield _gauge("state_store_up", "Whether the Redis that holds the state answers: 1 or 0.", float(is_redis_there))


def families(figures: Figures) -> Iterator[Metric]:
    """Yield every family of a scrape."""
    yield from _events(figures)
    yield from _objects(figures.snapshot)
    yield from _totals(figures.snapshot.totals)
    yield from _org(figures)
    yield from _life(figures.snapshot)


def _events(figures: Figures) -> Iterator[Metric]:
    events = {(outcome,): count for outcome, count in figures.snapshot.events.items()}
    yield _counter("events", "Events taken in, by what became of them.", ["outcome"], events)
    skipped = {(reason,): count for reason, count in figures.snapshot.skipped.items()}
    yield _counter("skipped_events", "Events that were skipped, by why.", ["reason"], skipped)
    queued = {(queue,): count for queue, count in figures.queued.items()}
    yield _gauges(
        "redis_evicts",
        "Whether a Redis deletes events when it is full: 1, or 0 with maxmemory-policy noeviction.",
        ["server", "policy"],
        {(server, policy): float(policy != "noeviction") for server, policy in figures.policies.items()},
    )
    yield _gauges("queue_messages", "Celery messages that no worker has taken from a queue yet.", ["queue"], queued)


def _objects(snapshot: Snapshot) -> Iterator[Metric]:
    objects, label = snapshot.objects, ["object"]
    counts = {
        (name, outcome): one.counts.get(outcome, 0)
        for name, one in objects.items()
        # Buried ones are counted apart, by reason: that number falls when a dead letter is retried.
        for outcome in ("appended", "repeated", "applied", "retried")
    }
    yield _counter("operations", "Operations on an object, by what became of them.", ["object", "outcome"], counts)
    yield _gauges(
        "backlog_operations", "Operations that wait.", label, {(n,): one.backlog for n, one in objects.items()}
    )
    yield _gauges(
        "backlog_oldest_age_seconds",
        "Since when the oldest operation waits; 0 where none does.",
        label,
        {(n,): one.oldest_s for n, one in objects.items()},
    )
    yield _gauges(
        "in_flight_keys",
        "Record keys that a deliverer holds now.",
        label,
        {(n,): one.in_flight for n, one in objects.items()},
    )
    letters = {("events",): snapshot.rejected, **{(n,): one.dead_letters for n, one in objects.items()}}
    yield _gauges("dead_letters", "Dead letters that wait for a person; `events`: rejected events.", label, letters)
    waits = {(n,): one.counts.get("lock_waits", 0) for n, one in objects.items()}
    yield _counter(
        "lock_waits", "Record keys passed by because another batch held one of their match values.", label, waits
    )
    left_out = {(name,): count for name, count in snapshot.left_out.items()}
    yield _counter("values_left_out", "Values that were left out, as for want of a field.", label, left_out)


def _totals(totals: Mapping[str, int]) -> Iterator[Metric]:
    yield _counter("records", "Records changed.", ["object", "change"], _labelled(totals, "records", 2))
    yield _counter(
        "retried_operations",
        "Operations that were put off, by reason: a code of Salesforce's, or a word of ours in lower case.",
        ["object", "reason"],
        _labelled(totals, "retried", 2),
    )
    yield _counter(
        "buried_operations",
        "Operations that became dead letters, by reason: as for those that were put off.",
        ["object", "reason"],
        _labelled(totals, "buried", 2),
    )
    yield _counter(
        "api_calls",
        "API calls by kind; `login` is none that the org counts.",
        ["kind"],
        {**dict.fromkeys([("lookup",), ("write",)], 0), **_labelled(totals, "calls", 1)},
    )
    requests, batches = _by_bound(totals, "request"), _by_bound(totals, "batch")
    yield _histogram("api_request_duration_seconds", "How long Salesforce took to answer.", "kind", requests, REQUEST_S)
    yield _histogram("batch_keys", "Record keys in a batch.", "object", batches, BATCH_KEYS)


def _org(figures: Figures) -> Iterator[Metric]:
    quota = figures.quota
    if quota.limit is not None and quota.used is not None and quota.budget_left is not None:
        yield _gauge("quota_limit_calls", "API calls that the org may use in 24 hours.", quota.limit)
        yield _gauge("quota_used_calls", "API calls of the last 24 hours, whoever made them.", quota.used)
        yield _gauge("quota_left_calls", "API calls left to this pipeline before its share is used.", quota.budget_left)
    yield _gauge("quota_free_calls", "API calls that may be made at once.", quota.free_now)
    yield _gauge("requests_in_flight", "Batches that hold a place among those at the org.", quota.in_flight)
    issued_s = figures.snapshot.session_issued_s
    if issued_s is not None:
        age_s = max(0.0, figures.snapshot.at_s - issued_s)
        yield _gauge("session_age_seconds", "Since when the shared session is in use.", age_s)
    known = {(ALL_OBJECTS, "hand"), (ALL_OBJECTS, "salesforce"), *((name, "hand") for name in figures.snapshot.objects)}
    yield _gauges(
        "paused",
        "Whether delivery is paused: by hand, or because Salesforce refuses.",
        ["object", "cause"],
        {labels: float(labels in figures.paused) for labels in sorted(known | figures.paused)},
    )


def _life(snapshot: Snapshot) -> Iterator[Metric]:
    workers = {(role,): number for role, number in snapshot.workers.items()}
    yield _gauges("workers", "Workers heard of in the last half minute, by what they do.", ["role"], workers)
    if snapshot.beat_s is not None:
        yield _gauge("beat_last_seen_timestamp_seconds", "When beat was last heard of, Unix time.", snapshot.beat_s)


def _labelled(totals: Mapping[str, int], figure: str, labels: int) -> dict[tuple[str, ...], int]:
    split = ((tuple(name.split("|")), number) for name, number in totals.items())
    return {parts[1:]: number for parts, number in split if parts[0] == figure and len(parts) == labels + 1}


def _by_bound(totals: Mapping[str, int], figure: str) -> dict[str, dict[str, int]]:
    """Return label → bound (or "sum") → number."""
    found: dict[str, dict[str, int]] = {}
    for (label, bound), number in _labelled(totals, figure, 2).items():
        found.setdefault(label, {})[bound] = number
    return found


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(f"pipeline_{name}", told, value=value)


def _gauges(name: str, told: str, labels: Sequence[str], values: Mapping[_Labels, float]) -> Metric:
    family = GaugeMetricFamily(f"pipeline_{name}", told, labels=labels)
    for labelled, value in sorted(values.items()):
        family.add_metric(labelled, value)
    return family


def _counter(name: str, told: str, labels: Sequence[str], values: Mapping[_Labels, float]) -> Metric:
    family = CounterMetricFamily(f"pipeline_{name}", told, labels=labels)
    for labelled, value in sorted(values.items()):
        family.add_metric(labelled, value)
    return family


def _histogram(
    name: str, told: str, label: str, counted: Mapping[str, Mapping[str, int]], bounds: Sequence[float]
) -> Metric:
    family = HistogramMetricFamily(f"pipeline_{name}", told, labels=[label])
    for value, by_bound in sorted(counted.items()):
        buckets, so_far = [], 0
        for bound in (*(f"{bound:g}" for bound in bounds), INFINITE):
            so_far += by_bound.get(bound, 0)
            buckets.append((bound, float(so_far)))
        family.add_metric([value], buckets, by_bound.get("sum", 0) / 1000)
    return family
