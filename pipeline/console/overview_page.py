"""The overview: alerts, the flow, the figures of the last day, and who is there."""

import json
from collections.abc import Mapping
from typing import Final

from pipeline.cli.flow import UNREADABLE
from pipeline.console.answers import Answer, Page
from pipeline.console.flow_picture import picture
from pipeline.console.html import Html, join, section, table, tag
from pipeline.console.layout import code_in, page
from pipeline.console.overview import Alert, Observed, alerts, rows_of, show
from pipeline.console.plots import plots
from pipeline.console.visits import Visit
from pipeline.console.words import count, span
from pipeline.events.opt_in import in_words
from pipeline.metrics.alive import heard, skews
from pipeline.metrics.history import history
from pipeline.metrics.snapshot import look
from pipeline.tasks.eviction import warnings
from pipeline.tasks.runtime import Runtime

_HOUR_S: Final = 3600.0
_REFRESH_S: Final = 30  # without scripts; with them, every two seconds


def observe(runtime: Runtime) -> Observed:
    """Look at everything once: some twenty round trips, whatever the number of events."""
    destination = runtime.settings.destination
    queued, unreadable = _queued()
    return Observed(
        snapshot=look(runtime.redis, destination.objects),
        quota=runtime.gate.status(),
        share=destination.quota.share,
        paused=runtime.pause.why(),
        held=runtime.pause.held_objects(),
        queued=queued,
        unreadable=unreadable,
        recent=history(runtime.redis, _HOUR_S),
        heard=heard(runtime.redis),
        skews=skews(runtime.redis),
        evicting=warnings(runtime.settings, runtime.redis),
    )


def overview(visit: Visit) -> Answer:
    """Show how everything does."""
    observed = observe(visit.runtime)
    shown = show(observed)
    inside = (
        tag("h1", "Overview", class_="unseen"),
        tag("div", _alerts(alerts(observed)), data_live_html="alerts", aria_live="polite"),
        section(join("Flow ", _pulse()), picture(shown, rows_of(observed)), class_="wide"),
        section("Last 24 hours", tag("div", plots(history(visit.runtime.redis)), data_live_html="plots")),
        section("Skipped events", tag("div", _skipped(observed), data_live_html="skipped")),
        section("Who is there", tag("div", _signs_of_life(observed), data_live_html="signs")),
    )
    return Answer(page(visit, "Overview", *inside, here="Overview", refresh_s=_REFRESH_S))


def figures(visit: Visit) -> Answer:
    """Return what the overview's script puts in place: texts, states, lengths, and parts of the page."""
    observed = observe(visit.runtime)
    shown = show(observed)
    parts = {"alerts": _alerts(alerts(observed)), "signs": _signs_of_life(observed), "skipped": _skipped(observed)}
    told = {"text": shown.text, "state": shown.state, "width": shown.width, "html": parts}
    return Answer(json.dumps(told).encode(), media_type="application/json")


def day(visit: Visit) -> Answer:
    """Return the plots alone."""
    told = {"html": {"plots": plots(history(visit.runtime.redis))}}
    return Answer(json.dumps(told).encode(), media_type="application/json")


GETS: Final[Mapping[str, Page]] = {"/": overview, "/figures": figures, "/day": day}


def _pulse() -> Html:
    return tag("small", "as it was when the page was loaded", class_="pulse", data_pulse=True)


def _alerts(found: list[Alert]) -> Html:
    if not found:
        return tag("p", "All is well: nothing needs you.", class_="well")
    return tag("ul", [tag("li", _alert(one), data_state=one.state) for one in found], class_="alerts")


def _alert(one: Alert) -> Html:
    there = tag("a", "Open", href=one.path, aria_label=f"Open: {one.what}") if one.path else None
    return join(tag("p", tag("b", one.what), " ", code_in(one.advice)), there)


def _skipped(observed: Observed) -> Html:
    skipped = observed.snapshot.skipped
    if not skipped:
        return tag("p", "No event was skipped.", class_="empty")
    rows = [(code_in(in_words(reason)), count(times)) for reason, times in skipped.items()]
    return table(("Why", "Events so far"), rows, numeric=(1,))


def _signs_of_life(observed: Observed) -> Html:
    now_s = observed.snapshot.at_s
    rows = [(one.node, f"{one.role} worker", f"{span(now_s - one.at_s)} ago") for one in observed.heard]
    if observed.snapshot.beat_s is not None:
        rows.append(("beat", "beat", f"{span(now_s - observed.snapshot.beat_s)} ago"))
    session_s = observed.snapshot.session_issued_s
    if session_s is not None:
        rows.append(("session", "of the org, shared by all workers", f"{span(now_s - session_s)} old"))
    if not rows:
        how = tag("code", "pipeline worker"), " and ", tag("code", "pipeline beat"), "."
        return tag("p", tag("b", "Nobody was heard of yet."), " Start ", *how, class_="empty")
    return table(("Who", "What", "Last sign of life"), rows, numeric=(2,))


def _queued() -> tuple[int | None, int | None]:
    """Count the messages that wait and what is no message; None, after one try, where the broker does not answer."""
    from kombu.exceptions import OperationalError
    from redis.exceptions import RedisError

    from pipeline.tasks.ingest import queued

    try:
        return queued(), queued(UNREADABLE)
    except (OperationalError, RedisError, OSError):  # it may be another server than the state's
        return None, None
