"""What the console's pages show, from plain values."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from pipeline.console.flow_picture import picture
from pipeline.console.html import Html, tag
from pipeline.console.overview import MOST_ROWS, Observed, alerts, calls_per_thousand, per_minute, rows_of, show
from pipeline.console.overview_page import _skipped
from pipeline.console.plots import FIGURES, plots, steps
from pipeline.console.trace import _REACHED
from pipeline.console.words import count, plural, rate, span, without_values
from pipeline.inbox.trace import State
from pipeline.inbox.waiting import Waiting
from pipeline.metrics.history import Row
from pipeline.metrics.snapshot import Snapshot
from pipeline.salesforce.pause import PauseState
from pipeline.salesforce.quota import QuotaStatus

NOW_S = 1_800_000_000.0
HELD = PauseState("paused by hand: a <release>", "`pipeline resume` ends it", 0, None)


def waiting(backlog: int = 0, *, oldest_s: float = 0.0, dead: int = 0, in_flight: int = 0) -> Waiting:
    counts = {"appended": backlog}
    return Waiting(backlog=backlog, in_flight=in_flight, oldest_s=oldest_s, dead_letters=dead, counts=counts)


def row(**values: Any) -> Row:
    zero = dict.fromkeys(("accepted", "skipped", "rejected", "created", "updated", "deleted", "calls", "buried"), 0)
    levels = {"backlog": 0, "oldest_s": 0.0, "dead_letters": 0, "quota_used": None, "quota_limit": None}
    return Row(**{"start_s": NOW_S - 60, "seconds": 60.0, **zero, **levels, **values})


def observed(objects: dict[str, Waiting] | None = None, **values: Any) -> Observed:
    snapshot = Snapshot(
        at_s=NOW_S,
        events={},
        objects={"Lead": waiting()} if objects is None else objects,
        left_out={},
        rejected=values.pop("rejected", 0),
        totals={},
        session_issued_s=None,
        beat_s=values.pop("beat_s", NOW_S - 5),
        workers=values.pop("workers", {"ingest": 1, "delivery": 2}),
    )
    given: dict[str, Any] = {
        "quota": QuotaStatus(100_000, 10_000, 40_000, 10, 0, ""),
        "share": 0.5,
        "paused": None,
        "held": {},
        "queued": 0,
        "unreadable": 0,
        "recent": [row()],
        "heard": [],
    }
    return Observed(snapshot=snapshot, **given | values)


def test_whatever_is_not_html_is_escaped() -> None:
    shown = tag("p", "<script>", ["&", Html("<b>")], title='"x"', hidden=None, open=True)
    assert shown == '<p title="&quot;x&quot;" open>&lt;script&gt;&amp;<b></p>'


def test_skipped_events_are_shown_with_why_and_no_spelling_is_markup() -> None:
    seen = observed()
    near = 'near miss: "Salesforce (Actions)": true'
    shown = _skipped(replace(seen, snapshot=replace(seen.snapshot, skipped={near: 1_200, "no_rule": 3})))
    assert "<code>&quot;Salesforce (Actions)&quot;: true</code>" in shown
    assert "1,200" in shown
    assert "no rule of destination.yaml is for it" in shown
    assert "No event was skipped." in _skipped(seen)


def test_a_system_that_is_well_has_no_alert() -> None:
    assert alerts(observed()) == []


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"paused": HELD}, "Nothing is delivered: paused by hand"),
        ({"held": {"Lead": replace(HELD, reason="Lead is paused")}}, "Lead is paused"),
        ({"workers": {"ingest": 0, "delivery": 1}}, "No ingest worker"),
        ({"beat_s": None}, "Beat was not heard of yet"),
        ({"beat_s": NOW_S - 3_600}, "Beat was not heard of for 1 h"),
        ({"queued": None}, "The broker does not answer"),
        ({"unreadable": 2}, "2 entries of the queue"),
        ({"quota": QuotaStatus(100_000, 50_000, 0, 0, 0, "at its share")}, "No API call is left"),
        ({"quota": QuotaStatus(100_000, 49_000, 1_000, 10, 0, "")}, "1,000 API calls left"),
        ({"rejected": 1}, "1 dead letter: 1 of events."),
        ({"objects": {"Lead": waiting(dead=2)}}, "2 dead letters: 2 of Lead."),
        ({"objects": {"Lead": waiting(5, oldest_s=900.0)}}, "has waited for 15 min"),
    ],
)
def test_what_needs_a_person_is_told_with_what_to_do(values: dict[str, Any], told: str) -> None:
    (alert,) = alerts(observed(**values))
    assert told in alert.what
    assert alert.advice


def test_what_is_worst_stands_first() -> None:
    states = [one.state for one in alerts(observed(rejected=1, workers={"ingest": 0, "delivery": 0}, paused=HELD))]
    assert states == ["bad", "bad", "bad", "warn"]


def test_rates_are_of_the_last_five_minutes_and_calls_of_the_last_hour() -> None:
    rows = [row(accepted=10_000, calls=10), *(row(accepted=60, skipped=60, calls=1) for _ in range(5))]
    assert per_minute(rows, "accepted", "skipped") == 120
    assert per_minute([], "accepted") is None
    assert calls_per_thousand(rows) == pytest.approx(15 / 10.3)
    assert calls_per_thousand([row(calls=2)]) is None


def test_every_live_figure_of_the_picture_is_one_that_is_told() -> None:
    seen = observed({"Lead": waiting(12, oldest_s=3.0, in_flight=2), "Account": waiting()})
    shown = show(seen)
    drawn = picture(shown, rows_of(seen))
    assert 'data-live="backlog:Lead">12</text>' in drawn
    assert 'data-live="in-flight">2 keys in flight</text>' in drawn
    assert 'data-live="quota">20% of 50,000 calls</text>' in drawn
    assert shown.width["quota"] == 20
    assert shown.state["delivery"] == "ok"


@pytest.mark.parametrize(
    ("values", "word", "state"),
    [
        ({"paused": HELD}, "paused by hand", "bad"),
        ({"paused": replace(HELD, next_probe_ms=1)}, "org refuses", "bad"),
        ({"workers": {"ingest": 1, "delivery": 0}}, "no worker", "bad"),
        ({"held": {"Lead": HELD}}, "1 of 1 paused", "warn"),
        ({"quota": QuotaStatus(100, 50, 0, 0, 0, "at its share")}, "waits for quota", "warn"),
        ({"quota": QuotaStatus(None, None, None, 0, 0, "not told yet")}, "ready", "ok"),
    ],
)
def test_delivery_says_in_a_word_how_it_does(values: dict[str, Any], word: str, state: str) -> None:
    shown = show(observed(**values))
    assert (shown.text["delivery"], shown.state["delivery"]) == (word, state)


def test_of_many_objects_those_with_most_waiting_have_rows() -> None:
    seen = observed({f"Thing{number:02}__c": waiting(number) for number in range(30)})
    rows = rows_of(seen)
    assert rows == [f"Thing{number}__c" for number in range(30 - MOST_ROWS, 30)]
    assert show(seen).text["others"] == "and 22 other objects: 231"
    assert "22 other objects" in picture(show(seen), rows)


def test_a_hostile_name_of_an_object_is_text_in_the_picture() -> None:
    seen = observed({"<script>": waiting(1)})
    assert "<script>" not in picture(show(seen), rows_of(seen))


def test_counts_are_added_up_in_steps_and_of_levels_the_highest_is_kept() -> None:
    events, backlog = FIGURES[0], FIGURES[3]
    rows = [row(start_s=NOW_S - 60 * n, accepted=1, backlog=n) for n in range(20, 0, -1)]
    added, highest = steps(rows, events), steps(rows, backlog)
    assert len(added.values) == 96
    assert sum(value for value in added.values if value is not None) == 20
    assert highest.highest == 20
    assert added.values[0] is None


def test_the_day_is_drawn_with_its_figures_in_words() -> None:
    rows = [row(start_s=NOW_S - 60 * n, accepted=3, quota_used=900, quota_limit=1_000) for n in range(1_440, 0, -1)]
    drawn = plots(rows)
    assert drawn.count("<figure>") == len(FIGURES)
    assert 'aria-label="Events in: 4,320 events in 24 hours, at most 45 in a quarter of an hour"' in drawn
    assert 'class="limit"' in drawn


def test_without_history_the_plots_say_what_makes_one() -> None:
    assert "pipeline worker" in plots([])


def test_numbers_and_spans_are_short() -> None:
    assert [count(one) for one in (None, 0, 1_234, 123_456, 12_345_678)] == ["—", "0", "1,234", "123k", "12.3M"]
    assert [span(one) for one in (0.2, 59, 90, 7_200, 200_000)] == ["0 s", "59 s", "2 min", "2 h", "2 d"]
    assert [rate(one) for one in (None, 0, 1.25, 1_234)] == ["— / min", "0 / min", "1.2 / min", "1,234 / min"]
    assert [plural(1, "entry", "entries"), plural(2, "entry", "entries")] == ["1 entry", "2 entries"]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("INVALID_EMAIL_ADDRESS: Email: invalid email address: a@b", "INVALID_EMAIL_ADDRESS"),
        ("STRING_TOO_LONG: Last Name: data value too large: Lovelace (max length=80)", "STRING_TOO_LONG"),
        ("SOMETHING_NEW: about Ada", "SOMETHING_NEW"),
        ("ADA: about Ada", "OTHER"),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION: Phone is needed", "FIELD_CUSTOM_VALIDATION_EXCEPTION: Phone is needed"),
        (
            "FIELD_CUSTOM_VALIDATION_EXCEPTION: ada@example.com has +44 20 7946 0958",
            "FIELD_CUSTOM_VALIDATION_EXCEPTION: … has …",
        ),
        (
            "gave up after 5 attempts; the last: STRING_TOO_LONG: Name: data value too large: Ada",
            "STRING_TOO_LONG",
        ),
        ("track needs event, the name of what happened", "track needs event, the name of what happened"),
    ],
)
def test_a_reason_in_a_list_tells_nobody_s_data(reason: str, shown: str) -> None:
    assert without_values(reason) == shown


def test_a_trace_has_a_step_for_every_state_of_an_operation() -> None:
    assert set(_REACHED) == set(get_args(State))
