"""Trace: where the event of a messageId is, or what became of it, as `pipeline trace` says it.

A messageId is the producer's, and may be anything: it is sent in a form and stands sealed in the address. The page
tells record keys as digests, and a reason without the values that Salesforce quotes in it.
"""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.cli.trace import find, message_in_words, operation_in_words, why_unknown
from pipeline.console.answers import Answer, Page
from pipeline.console.html import Html, empty, join, tag
from pipeline.console.layout import address, code_in, field, form, letter_path, page
from pipeline.console.visits import Visit
from pipeline.console.words import in_utc, without_values
from pipeline.events.ids import message_id

_LONGEST: Final = 1_000
_STEPS: Final = ("accepted", "waiting", "in flight", "done")
# State → how many steps are behind it, and the word at the last of them.
_REACHED: Final = {
    "unknown": (1, "accepted"),
    "waiting": (2, "waiting"),
    "in_flight": (3, "in flight"),
    "applied": (4, "in Salesforce"),
    "buried": (4, "dead letter"),
}


def look(visit: Visit) -> Answer:
    """Show the form, and what is known of the message that it named."""
    sought = visit.seeks()
    asked = form(
        visit,
        "/trace",
        field("messageId", "message_id", sought, type="search", required=True, maxlength=_LONGEST, spellcheck="false"),
        tag("button", "Trace"),
        class_="line",
    )
    hint = (
        None
        if sought
        else empty("Which event?", "Its messageId stands in the event; it is also what send_event.delay returned.")
    )
    found = _found(visit, sought) if sought else hint
    return Answer(page(visit, "Trace", tag("h1", "Trace an event"), tag("section", asked), found, here="Trace"))


def search(visit: Visit) -> Answer:
    """Turn the messageId of the form into an address that tells it to nobody."""
    return Answer(to=address("/trace", q=visit.sought(visit.form.get("message_id", "").strip()[:_LONGEST])))


GETS: Final[Mapping[str, Page]] = {"/trace": look}
POSTS: Final[Mapping[str, Page]] = {"/trace": search}


def _found(visit: Visit, sought: str) -> Html:
    known_as = message_id({"messageId": sought})
    told = find(visit.runtime, known_as)
    if told is None:
        why = why_unknown(visit.runtime, known_as)
        return tag("section", tag("h2", "Nothing is known of it"), tag("p", code_in(_sentence(why))))
    head = tag("section", tag("h2", "The event"), tag("p", code_in(_sentence(message_in_words(told)))))
    return join(head, [_operation(one) for one in told["operations"]])


def _operation(one: dict[str, Any]) -> Html:
    reason = one["reason"]
    # What is quoted of the event stands on the dead letter's own page.
    told = one if reason is None else {**one, "reason": without_values(reason)}
    letter = one["dead_letter"] if one["state"] == "buried" and reason is not None else None
    return tag(
        "section",
        tag("h2", one["object"], tag("small", one["rule"])),
        _steps(one["state"]),
        tag("p", _sentence(operation_in_words(told))),
        tag("p", tag("b", "Held back: "), code_in(one["held_back"])) if one["held_back"] else None,
        tag("p", tag("a", "Open the dead letter", href=letter_path(letter))) if letter else None,
    )


def _steps(state: str) -> Html:
    reached, last = _REACHED[state]
    steps = []
    for number, name in enumerate(_STEPS, 1):
        is_last = number == reached
        kind = "open" if number > reached else "bad" if is_last and state == "buried" else "ok"
        steps.append(tag("li", last if is_last else name, data_state=kind, aria_current="step" if is_last else None))
    return tag("ol", steps, class_="steps")


def _sentence(said: str) -> str:
    return in_utc(f"{said[0].upper()}{said[1:]}".rstrip(".") + ".")
