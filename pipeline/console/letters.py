"""Dead letters: what could not be delivered and why, one with all there is of it, and what to do with it.

The lists show nobody's data: a reason there is without the values that Salesforce quotes. What somebody looks for is
sent in a form and stands sealed in the address. A letter's own page shows the whole event.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from pipeline.console.answers import Answer, Page
from pipeline.console.html import Html, empty, join, section, table, tag
from pipeline.console.layout import address, choice, field, form, letter_path, page
from pipeline.console.visits import Visit
from pipeline.console.words import moment, plural, without_values
from pipeline.delivery.reasons import OTHER_CODE, OURS, label_of
from pipeline.events.ids import is_id
from pipeline.inbox.chosen_letters import Choice, drop_all, find_by_name, name_of
from pipeline.inbox.dead_letters import EVENTS, DeadLetter, count_dead_letters
from pipeline.inbox.inbox import objects
from pipeline.tasks.retry import Retried, retry_all

log = logging.getLogger(__name__)

PER_PAGE: Final = 50
_SINCE: Final = {"": "any time", "15": "the last 15 minutes", "60": "the last hour", "1440": "the last day"}
_DO: Final = {"retry": "Retry", "drop": "Delete"}


def browse(visit: Visit) -> Answer:
    """List the letters that fit, oldest first."""
    chosen, text = _chosen(visit, visit.query, visit.seeks())
    found = list(islice(chosen.letters(visit.runtime.redis, after=visit.query.get("after", "")), PER_PAGE + 1))
    counts = _counts(visit)
    shown = found[:PER_PAGE]
    listed = _listed(shown) if shown else _nothing(chosen, sum(counts.values()))
    rest = None
    if len(found) > PER_PAGE:
        there = _list_address(visit, chosen, text, after=name_of(shown[-1]))
        rest = tag("p", tag("a", "Next page", href=there, rel="next", class_="button"), class_="turn")
    inside = (
        tag("h1", "Dead letters"),
        tag("section", _tabs(counts, chosen), _search(visit, chosen, text), class_="filters"),
        tag("section", _in_bulk(visit, chosen, text) if shown else None, listed, rest),
    )
    return Answer(page(visit, "Dead letters", *inside, here="Dead letters"))


def search(visit: Visit) -> Answer:
    """Turn what the form looks for into an address that tells it to nobody."""
    chosen, text = _chosen(visit, visit.form, visit.form.get("text", "").strip())
    return Answer(to=_list_address(visit, chosen, text))


def one(visit: Visit) -> Answer:
    """Show one letter: why, the event, the operation, and what may be done."""
    letter = _letter(visit)
    if letter is None:
        return _gone(visit)
    facts = [
        ("Object", "rejected event, of no object" if letter.object == EVENTS else letter.object),
        ("Buried", moment(letter.time_ms / 1000)),
        ("Attempts", letter.attempts),
        ("Id", tag("code", name_of(letter))),
    ]
    inside = (
        tag("p", tag("a", "Dead letters", href="/dead-letters"), " / ", letter.object, class_="trail"),
        tag("h1", _title(letter)),
        section(
            "Salesforce's answer" if _is_salesforce_s(letter) else "Why",
            tag("pre", letter.reason, class_="answer"),
            tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts], class_="facts"),
            _actions(visit, letter),
        ),
        section("Event", tag("pre", _written(letter.event)), class_="personal"),
        _operation(letter),
    )
    return Answer(page(visit, f"Dead letter {name_of(letter)}", *inside, here="Dead letters"))


def retry_one(visit: Visit) -> Answer:
    """Put one letter on its way again."""
    letter = _letter(visit)
    if letter is None:
        return _gone(visit)
    done = retry_all([letter], visit.runtime)
    log.info("console did=retry letter=%s", name_of(letter))
    if done.refused:
        told = "It still cannot be taken in, and stays. Mend what its reason names first."
        return Answer(to=address(letter_path(name_of(letter)), note=visit.note(told)))
    return _back(visit, _told(done))


def ask_drop_one(visit: Visit) -> Answer:
    """Ask before one letter is deleted."""
    letter = _letter(visit)
    if letter is None:
        return _gone(visit)
    name = name_of(letter)
    sure = form(visit, letter_path(name, "drop"), tag("button", "Delete it for good", class_="danger"))
    return _asked(visit, f"Delete dead letter {name}?", letter_path(name), sure)


def drop_one(visit: Visit) -> Answer:
    """Delete one letter."""
    letter = _letter(visit)
    if letter is None:
        return _gone(visit)
    dropped = drop_all(visit.runtime.redis, [letter])
    log.info("console did=delete letter=%s", name_of(letter))
    return _back(visit, f"{plural(dropped, 'dead letter')} deleted.")


def ask_many(visit: Visit) -> Answer:
    """Ask before something is done with all that fit; those buried from now on are not meant."""
    chosen, text = _chosen(visit, visit.form, visit.form.get("text", ""))
    until_ms, what = visit.runtime.clock.asked_ms(), visit.form.get("do", "")
    number = sum(1 for _ in _up_to(chosen, until_ms).letters(visit.runtime.redis))
    if what not in _DO or not number:
        return Answer(to=_list_address(visit, chosen, text))
    kind = "danger" if what == "drop" else None
    sure = form(
        visit,
        f"/dead-letters/{what}-many",
        tag("button", f"{_DO[what]} {plural(number, 'dead letter')}", class_=kind),
        object=chosen.object_name,
        text=text,
        since=_since(visit.form),
        # Since when is counted from now, and not from the click that follows.
        since_ms=None if chosen.since is None else round(chosen.since.timestamp() * 1000),
        until_ms=until_ms,
    )
    title = f"{_DO[what]} {plural(number, 'dead letter')}?"
    return _asked(
        visit, title, _list_address(visit, chosen, text), sure, _limits(chosen, text), is_for_good=what == "drop"
    )


def retry_many(visit: Visit) -> Answer:
    """Put all that fit on their way again."""
    done = retry_all(_confirmed(visit).letters(visit.runtime.redis), visit.runtime)
    log.info("console did=retry letters=%d", done.moved)
    return _back(visit, _told(done))


def drop_many(visit: Visit) -> Answer:
    """Delete all that fit."""
    dropped = drop_all(visit.runtime.redis, _confirmed(visit).letters(visit.runtime.redis))
    log.info("console did=delete letters=%d", dropped)
    return _back(visit, f"{plural(dropped, 'dead letter')} deleted.")


GETS: Final[Mapping[str, Page]] = {"/dead-letters": browse, "/dead-letters/{object}/{place}": one}
POSTS: Final[Mapping[str, Page]] = {
    "/dead-letters/search": search,
    "/dead-letters/ask": ask_many,
    "/dead-letters/retry-many": retry_many,
    "/dead-letters/drop-many": drop_many,
    "/dead-letters/{object}/{place}/retry": retry_one,
    "/dead-letters/{object}/{place}/ask-drop": ask_drop_one,
    "/dead-letters/{object}/{place}/drop": drop_one,
}


def _chosen(visit: Visit, given: Mapping[str, str], text: str) -> tuple[Choice, str]:
    since = _since(given)
    start = visit.runtime.clock.now() - timedelta(minutes=int(since)) if since else None
    return Choice(object_name=given.get("object") or None, reason=text or None, since=start), text


def _since(given: Mapping[str, str]) -> str:
    since = given.get("since", "")
    return since if since in _SINCE else ""


def _up_to(chosen: Choice, until_ms: int) -> Choice:
    until = datetime.fromtimestamp(until_ms / 1000, UTC)
    return Choice(chosen.object_name, chosen.reason, chosen.since, until)


def _confirmed(visit: Visit) -> Choice:
    """Return what was asked about, read from the form that asked."""
    given = visit.form
    times = [
        datetime.fromtimestamp(int(given[name]) / 1000, UTC) if given.get(name, "").isdecimal() else None
        for name in ("since_ms", "until_ms")
    ]
    return Choice(given.get("object") or None, given.get("text") or None, *times)


def _list_address(visit: Visit, chosen: Choice, text: str, *, after: str = "") -> str:
    since = _since(visit.form) or _since(visit.query)
    return address("/dead-letters", object=chosen.object_name, since=since, q=visit.sought(text), after=after)


def _letter(visit: Visit) -> DeadLetter | None:
    try:
        return find_by_name(visit.runtime.redis, f"{visit.path['object']}/{visit.path['place']}")
    except ValueError:
        return None


def _counts(visit: Visit) -> dict[str, int]:
    redis = visit.runtime.redis
    counted = {name: count_dead_letters(redis, name) for name in (EVENTS, *objects(redis))}
    return {name: number for name, number in counted.items() if number}


def _tabs(counts: Mapping[str, int], chosen: Choice) -> Html:
    names: list[str | None] = [None, *counts]
    if chosen.object_name is not None and chosen.object_name not in counts:
        names.append(chosen.object_name)

    def tab(name: str | None) -> Html:
        number = sum(counts.values()) if name is None else counts.get(name, 0)
        is_here = "page" if name == chosen.object_name else None
        shown = "all" if name is None else "rejected events" if name == EVENTS else name
        return tag(
            "a", shown, " ", tag("b", f"{number:,}"), href=address("/dead-letters", object=name), aria_current=is_here
        )

    return tag("nav", [tab(name) for name in names], class_="tabs", aria_label="Objects")


def _search(visit: Visit, chosen: Choice, text: str) -> Html:
    clear = (
        tag("a", "Clear", href=address("/dead-letters", object=chosen.object_name)) if text or chosen.since else None
    )
    return form(
        visit,
        "/dead-letters/search",
        field("Reason has", "text", text, type="search", placeholder="INVALID_EMAIL_ADDRESS", maxlength=200),
        choice("Buried in", "since", _SINCE, _since(visit.query)),
        tag("button", "Search", class_="quiet"),
        clear,
        class_="line",
        object=chosen.object_name,
    )


def _in_bulk(visit: Visit, chosen: Choice, text: str) -> Html:
    which = (
        "all that match" if text or chosen.since else f"all of {chosen.object_name}" if chosen.object_name else "all"
    )
    buttons = [
        tag("button", f"{word} {which}…", name="do", value=do, class_="danger quiet" if do == "drop" else "quiet")
        for do, word in _DO.items()
    ]
    hidden = {"object": chosen.object_name, "text": text, "since": _since(visit.query)}
    return form(visit, "/dead-letters/ask", *buttons, class_="bulk", **hidden)


def _listed(letters: list[DeadLetter]) -> Html:
    rows = [
        (
            tag("a", moment(letter.time_ms / 1000), href=letter_path(name_of(letter))),
            "rejected event" if letter.object == EVENTS else letter.object,
            without_values(letter.reason),
            letter.attempts,
        )
        for letter in letters
    ]
    return table(("Buried", "Object", "Reason", "Attempts"), rows, numeric=(3,))


def _nothing(chosen: Choice, total: int) -> Html:
    if chosen.is_everything:
        return empty("No dead letters.", "Everything was delivered, is on its way, or was skipped.")
    if not total:
        return empty("No dead letters, of any object.", tag("a", "See all", href="/dead-letters"))
    return empty("None fit.", "Look for less, or ", tag("a", "see all of them", href="/dead-letters"), ".")


def _actions(visit: Visit, letter: DeadLetter) -> Html:
    path = letter_path(name_of(letter))
    message_id = letter.event.get("messageId") if isinstance(letter.event, dict) else None
    trace = form(visit, "/trace", tag("button", "Trace its event", class_="quiet"), message_id=message_id)
    return tag(
        "div",
        form(visit, f"{path}/retry", tag("button", "Retry")),
        form(visit, f"{path}/ask-drop", tag("button", "Delete…", class_="danger quiet")),
        trace if is_id(message_id) else None,
        class_="actions",
    )


def _is_salesforce_s(letter: DeadLetter) -> bool:
    return letter.object != EVENTS and label_of(letter.reason).isupper()


def _title(letter: DeadLetter) -> str:
    if letter.object == EVENTS:
        return "Rejected event"
    label = label_of(letter.reason)
    if label in {OURS, OTHER_CODE}:
        return f"{letter.object} not written"
    return label if label.isupper() else label.replace("_", " ").capitalize()


def _operation(letter: DeadLetter) -> Html | None:
    if letter.operation is None:
        return None
    shown = letter.operation
    if isinstance(shown, dict):  # the event stands above it
        shown = {name: value for name, value in shown.items() if name != "event"}
    return section("Operation", tag("pre", _written(shown)))


def _asked(visit: Visit, title: str, back: str, sure: Html, *told: object, is_for_good: bool = True) -> Answer:
    warning = "There is no way back; `pipeline dead-letters export` keeps their events."
    mild = "Do it once what refused them was mended; what is refused again is a new dead letter."
    inside = (
        tag("h1", title),
        tag(
            "section",
            *told,
            tag("p", warning if is_for_good else mild),
            tag("div", sure, tag("a", "Cancel", href=back), class_="actions"),
        ),
    )
    return Answer(page(visit, title, tag("div", *inside, class_="narrow"), here="Dead letters"))


def _limits(chosen: Choice, text: str) -> Html:
    of_what = "Rejected events" if chosen.object_name == EVENTS else f"Of {chosen.object_name or 'every object'}"
    parts: list[object] = [of_what]
    if text:
        parts += [", with ", tag("b", text), " in their reason"]
    if chosen.since is not None:
        parts.append(f", buried since {moment(chosen.since.timestamp())}")
    return tag("p", join(*parts), ".")


def _gone(visit: Visit) -> Answer:
    told = "It was retried or deleted meanwhile, or never was. ", tag("a", "See those there are", href="/dead-letters")
    inside = tag("h1", "There is no such dead letter"), tag("section", tag("p", *told, "."))
    return Answer(page(visit, "No such dead letter", *inside, here="Dead letters"), status=404)


def _told(done: Retried) -> str:
    parts = [f"{plural(done.moved, 'dead letter')} on the way again."]
    if done.refused:
        parts.append(f"{done.refused:,} still cannot be taken in, and stay.")
    if done.gone:
        parts.append(f"{done.gone:,} were retried or deleted by somebody else.")
    return " ".join(parts)


def _back(visit: Visit, told: str) -> Answer:
    return Answer(to=address("/dead-letters", note=visit.note(told)))


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
