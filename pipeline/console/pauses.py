"""Pause and resume: all delivery or one object, as `pipeline pause` and `pipeline resume` do."""

import logging
from collections.abc import Mapping
from typing import Final

from pipeline.console.answers import Answer, Page
from pipeline.console.html import Html, empty, section, table, tag
from pipeline.console.layout import address, choice, field, form, page
from pipeline.console.visits import Visit
from pipeline.console.words import moment
from pipeline.errors import PipelineError
from pipeline.inbox.inbox import objects
from pipeline.salesforce.pause import PauseState
from pipeline.tasks.upkeep import look_at_the_quota

log = logging.getLogger(__name__)

_EVERYTHING: Final = "everything"
_LONGEST_REASON: Final = 300


def show(visit: Visit) -> Answer:
    """Show what is paused and why, and the forms that change it."""
    pause = visit.runtime.pause
    paused, held = pause.why(), pause.held_objects()
    rows = [] if paused is None else [_row(visit, None, paused)]
    rows += [_row(visit, name, state) for name, state in held.items()]
    nothing = empty("Nothing is paused.", "Events are delivered as they come.")
    now = table(("What", "Why", "Since", ""), rows) if rows else nothing
    names = {"": _EVERYTHING, **{name: name for name in _known(visit)}}
    asked = form(
        visit,
        "/pause",
        choice("What", "object", names, ""),
        field("Why", "reason", placeholder="release of the billing package until 18:00", maxlength=_LONGEST_REASON),
        tag("button", "Pause", class_="danger"),
        class_="line",
    )
    about = tag(
        "p",
        "Events are still taken in and wait, in order; nothing is lost. A batch that is under way is finished. Why is "
        "shown to everybody here and written into the workers' logs.",
        class_="soft",
    )
    inside = (tag("h1", "Pause"), section("Paused now", now), section("Hold delivery back", asked, about))
    return Answer(page(visit, "Pause", *inside, here="Pause"))


def hold(visit: Visit) -> Answer:
    """Pause what the form names."""
    name = _object(visit)
    is_new = visit.runtime.pause.hold(name, reason=visit.form.get("reason", "").strip()[:_LONGEST_REASON])
    what = name or "Delivery"
    log.info("console did=pause object=%s", name or "all")
    return _back(visit, f"{what} is paused." if is_new else f"{what} was paused already.")


def resume(visit: Visit) -> Answer:
    """End a pause; of everything, those of single objects included."""
    name = _object(visit)
    was_paused = visit.runtime.pause.resume(name)
    look_at_the_quota(visit.runtime.redis)
    what = name or "Delivery"
    log.info("console did=resume object=%s", name or "all")
    return _back(visit, f"{what} goes on." if was_paused else f"{what} was not paused.")


GETS: Final[Mapping[str, Page]] = {"/pause": show}
POSTS: Final[Mapping[str, Page]] = {"/pause": hold, "/resume": resume}


def _row(visit: Visit, name: str | None, state: PauseState) -> tuple[object, ...]:
    word = "Try now" if state.next_probe_ms is not None else "Resume"
    what = name or _EVERYTHING
    button = tag("button", word, class_="small", aria_label=f"{word}: {what}")
    return (
        tag("b", what),
        [tag("div", state.reason), tag("div", _advice(state), class_="soft")],
        tag("time", moment(state.since_ms / 1000)),
        form(visit, "/resume", button, object=name or ""),
    )


def _advice(state: PauseState) -> Html | None:
    if state.next_probe_ms is None:
        return None  # the button beside it says it
    advice = state.advice.replace("`", "")
    return tag("span", f"{advice}. Tried next at {moment(state.next_probe_ms / 1000)}.")


def _known(visit: Visit) -> list[str]:
    return sorted({*objects(visit.runtime.redis), *visit.runtime.settings.destination.objects})


def _object(visit: Visit) -> str | None:
    name = visit.form.get("object", "")
    if name and name not in {*_known(visit), *visit.runtime.pause.held_objects()}:
        raise PipelineError(f"nothing is delivered to an object of that name; choose one of {', '.join(_known(visit))}")
    return name or None


def _back(visit: Visit, told: str) -> Answer:
    return Answer(to=address("/pause", note=visit.note(told)))
