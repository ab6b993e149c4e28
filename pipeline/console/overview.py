"""Overview: how the system does now, as the words, states and lengths that the page shows and keeps up to date."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log1p
from typing import Final, Literal, TypeAlias

from pipeline.console.words import NOT_KNOWN, count, plural, rate, span
from pipeline.inbox.dead_letters import EVENTS
from pipeline.metrics.alive import HEARD_WITHIN_S, Heard, skew_in_words
from pipeline.metrics.history import Row
from pipeline.metrics.snapshot import Snapshot
from pipeline.salesforce.pause import PauseState
from pipeline.salesforce.quota import QuotaStatus

State: TypeAlias = Literal["ok", "idle", "warn", "bad"]

RATE_OVER_S: Final = 300.0
BAR: Final = 100  # length of a full bar
MOST_ROWS: Final = 8  # objects that are shown by name
_OLD_S: Final = 300.0  # an operation that waits longer than this is worth a look
_QUOTA_NEARLY: Final = 0.9
_BEAT_SILENT_S: Final = 120.0  # as the alert: it tells every 30 s at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What was read at one moment. `recent` is the last hour; what the broker did not tell is None."""

    snapshot: Snapshot
    quota: QuotaStatus
    share: float
    paused: PauseState | None
    held: Mapping[str, PauseState]
    queued: int | None
    unreadable: int | None
    recent: Sequence[Row]
    heard: Sequence[Heard]
    skews: Mapping[str, float] = field(default_factory=dict)  # node → seconds by which its clock is ahead
    evicting: Sequence[str] = ()  # of each server that deletes events when it is full, what to do


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person has to look at: what it is, what to do, and the page for it."""

    state: State
    what: str
    advice: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """Texts, states of parts (their colour) and lengths of bars, each under the name that its place in the page has."""

    text: dict[str, str] = field(default_factory=dict)
    state: dict[str, State] = field(default_factory=dict)
    width: dict[str, float] = field(default_factory=dict)


def rows_of(observed: Observed) -> list[str]:
    """Name the objects that have a row of their own: where most waits, and in the order of the alphabet."""
    objects = observed.snapshot.objects
    busiest = sorted(objects, key=lambda name: (-objects[name].backlog, -sum(objects[name].counts.values()), name))
    return sorted(busiest[:MOST_ROWS])


def show(observed: Observed) -> Shown:
    """Say what stands where."""
    shown = Shown()
    _arriving(observed, shown)
    _waiting(observed, shown)
    _delivering(observed, shown)
    _org(observed, shown)
    _dead(observed, shown)
    return shown


def per_minute(rows: Sequence[Row], *names: str, over_s: float = RATE_OVER_S) -> float | None:
    """Return how often something happened lately; None where nothing is known of the time."""
    taken, seconds = 0, 0.0
    for row in reversed(rows):
        if seconds >= over_s:
            break
        taken += sum(getattr(row, name) for name in names)
        seconds += row.seconds
    return taken / seconds * 60 if seconds else None


def calls_per_thousand(rows: Sequence[Row]) -> float | None:
    """Return the API calls for a thousand events; None where there were none."""
    events = sum(row.accepted for row in rows)
    return 1000 * sum(row.calls for row in rows) / events if events else None


def alerts(observed: Observed) -> list[Alert]:
    """Say what needs a person now, the worst first."""
    found = [*_evictions(observed), *_pauses(observed), *_silent(observed), *_scarce(observed), *_left_behind(observed)]
    return sorted(found, key=lambda one: one.state != "bad")


def _arriving(observed: Observed, shown: Shown) -> None:
    shown.text["events-rate"] = rate(per_minute(observed.recent, "accepted", "skipped", "rejected"))
    shown.text["accepted-rate"] = rate(per_minute(observed.recent, "accepted"))
    shown.text["queued"] = count(observed.queued)
    shown.text["ingest-workers"] = plural(observed.snapshot.workers["ingest"], "ingest worker")
    has_worker = observed.snapshot.workers["ingest"] > 0
    shown.state["queue"] = "bad" if not has_worker else "warn" if observed.unreadable else "ok"


def _waiting(observed: Observed, shown: Shown) -> None:
    objects, named = observed.snapshot.objects, rows_of(observed)
    longest = max((one.backlog for one in objects.values()), default=0)
    for name in named:
        one = objects[name]
        shown.text[f"backlog:{name}"] = count(one.backlog)
        shown.text[f"oldest:{name}"] = span(one.oldest_s) if one.backlog else ""
        # By the logarithm: a hundred and a hundred thousand are both to be seen.
        shown.width[f"bar:{name}"] = round(BAR * log1p(one.backlog) / log1p(max(longest, 1000)), 1)
        is_held = observed.paused is not None or name in observed.held
        is_old = one.backlog > 0 and one.oldest_s > _OLD_S
        shown.state[f"row:{name}"] = "warn" if is_held or is_old else "ok" if one.backlog else "idle"
    others = [one.backlog for name, one in objects.items() if name not in named]
    shown.text["others"] = f"and {plural(len(others), 'other object')}: {count(sum(others))}" if others else ""
    shown.text["backlog"] = count(sum(one.backlog for one in objects.values()))
    is_late = any(one.backlog and one.oldest_s > _OLD_S for one in objects.values())
    shown.state["inboxes"] = "warn" if is_late else "ok"


def _delivering(observed: Observed, shown: Shown) -> None:
    in_flight = sum(one.in_flight for one in observed.snapshot.objects.values())
    workers = observed.snapshot.workers["delivery"]
    state: State
    if observed.paused is not None:
        is_by_hand = observed.paused.next_probe_ms is None
        state, said = "bad", "paused by hand" if is_by_hand else "org refuses"
    elif not workers:
        state, said = "bad", "no worker"
    elif observed.held:
        state, said = "warn", f"{len(observed.held)} of {len(observed.snapshot.objects)} paused"
    elif observed.quota.closed and observed.quota.limit is not None:
        state, said = "warn", "waits for quota"
    elif in_flight:
        state, said = "ok", "delivering"
    else:
        state, said = "ok", "ready"
    shown.text.update(
        {
            "delivery": said,
            "in-flight": f"{count(in_flight)} keys in flight",
            "delivery-workers": plural(workers, "delivery worker"),
            "records-rate": rate(per_minute(observed.recent, "created", "updated", "deleted")),
        }
    )
    shown.state["delivery"] = state


def _org(observed: Observed, shown: Shown) -> None:
    quota = observed.quota
    calls = calls_per_thousand(observed.recent)
    shown.text["calls-rate"] = rate(per_minute(observed.recent, "calls"))
    shown.text["calls-per-event"] = NOT_KNOWN if calls is None else f"{calls:,.1f}"
    if quota.limit is None or quota.used is None or quota.budget_left is None:
        shown.text.update({"quota": "quota not known yet", "quota-left": NOT_KNOWN})
        shown.width["quota"], shown.state["org"] = 0.0, "idle"
        return
    ceiling = max(1, int(observed.share * quota.limit))
    used = min(1.0, quota.used / ceiling)
    shown.text["quota"] = f"{quota.used / ceiling:.0%} of {count(ceiling)} calls"
    shown.text["quota-left"] = count(quota.budget_left)
    shown.width["quota"] = round(BAR * used, 1)
    shown.state["org"] = "bad" if quota.budget_left == 0 else "warn" if used >= _QUOTA_NEARLY else "ok"


def _dead(observed: Observed, shown: Shown) -> None:
    refused = sum(one.dead_letters for one in observed.snapshot.objects.values())
    shown.text.update(
        {
            "dead": count(refused + observed.snapshot.rejected),
            "dead-rejected": f"{count(observed.snapshot.rejected)} rejected",
            "dead-refused": f"{count(refused)} refused",
        }
    )
    shown.state["dead"] = "warn" if refused + observed.snapshot.rejected else "ok"


def _evictions(observed: Observed) -> list[Alert]:
    return [Alert("bad", "Events can be lost.", advice) for advice in observed.evicting]


def _pauses(observed: Observed) -> list[Alert]:
    found = [observed.paused] if observed.paused is not None else []
    whole = [Alert("bad", f"Nothing is delivered: {one.reason}", one.advice, "/pause") for one in found]
    return whole + [Alert("warn", state.reason, state.advice, "/pause") for state in observed.held.values()]


def _silent(observed: Observed) -> list[Alert]:
    found = [
        Alert(
            "bad", f"No {role} worker was heard of for {HEARD_WITHIN_S} s.", f"Start one: `pipeline worker --{role}`."
        )
        for role, number in observed.snapshot.workers.items()
        if not number
    ]
    beat_s = observed.snapshot.beat_s
    if beat_s is None or observed.snapshot.at_s - beat_s > _BEAT_SILENT_S:
        since = "yet" if beat_s is None else f"for {span(observed.snapshot.at_s - beat_s)}"
        found.append(Alert("warn", f"Beat was not heard of {since}.", "Delivery goes on; start one: `pipeline beat`."))
    for node, skew_s in observed.skews.items():
        what, _, advice = skew_in_words(f"The clock of {node}", skew_s).partition(": ")
        found.append(Alert("warn", f"{what}.", f"{advice[0].upper()}{advice[1:]}."))
    if observed.queued is None:
        found.append(Alert("bad", "The broker does not answer.", "Events cannot be sent or taken in; see to it."))
    return found


def _scarce(observed: Observed) -> list[Alert]:
    quota = observed.quota
    if quota.limit is None or quota.used is None or quota.budget_left is None:
        return []
    if quota.budget_left == 0:
        advice = "Events wait and none is lost. Raise quota.share, or wait until usage falls."
        return [Alert("bad", "No API call is left to the pipeline.", advice)]
    if quota.used >= _QUOTA_NEARLY * observed.share * quota.limit:
        left = plural(quota.budget_left, "API call")
        return [Alert("warn", f"{left} left before the pipeline's share is used.", "Pause what can wait.", "/pause")]
    return []


def _left_behind(observed: Observed) -> list[Alert]:
    found = []
    for name, one in sorted(observed.snapshot.objects.items()):
        if one.backlog and one.oldest_s > _OLD_S and observed.paused is None and name not in observed.held:
            told = f"An operation on {name} has waited for {span(one.oldest_s)}."
            found.append(Alert("warn", told, "The logs of the delivery workers say what holds it back."))
    letters = {EVENTS: observed.snapshot.rejected} | {n: o.dead_letters for n, o in observed.snapshot.objects.items()}
    waiting = {name: number for name, number in letters.items() if number}
    if waiting:
        of_what = ", ".join(f"{number:,} of {name}" for name, number in sorted(waiting.items()))
        total = plural(sum(waiting.values()), "dead letter")
        found.append(Alert("warn", f"{total}: {of_what}.", "Mend what refused them, then retry.", "/dead-letters"))
    if observed.unreadable:
        told = f"{plural(observed.unreadable, 'entry', 'entries')} of the queue were no messages."
        found.append(Alert("warn", told, "They are in the list ingest.unreadable; find out who writes there."))
    return found
