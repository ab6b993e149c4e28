"""The console as the people on call use it: in a browser, with mouse and keyboard."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from pipeline.inbox.dead_letters import Receipt, count_dead_letters, receive
from pipeline.inbox.inbox import Inbox
from pipeline.local import wait_until
from pipeline.operation import Operation
from tests import browser
from tests.browser import Browser
from tests.integration.console.conftest import PASSWORD
from tests.integration.environment import Environment

pytestmark = pytest.mark.skipif(
    browser.find() is None,
    reason="there is no Chromium here; .ci/browser, or `apt-get install chromium`, installs it",
)

HOSTILE = "</pre><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
REFUSED = "FIELD_CUSTOM_VALIDATION_EXCEPTION"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = browser.find()
    assert program is not None
    with Browser(program, tmp_path_factory.mktemp("browser") / "profile") as opened:
        opened.resize(width=1280, height=900, is_mobile=False)
        yield opened


@pytest.fixture
def door(window: Browser, start_console: Callable[..., str]) -> tuple[Browser, str]:
    """The browser of somebody who has not logged in, and the console's address."""
    window.forget()
    return window, start_console()


@pytest.fixture
def tab(door: tuple[Browser, str]) -> Browser:
    """The browser on the overview, logged in."""
    opened, url = door
    opened.open(url)
    opened.type("input[name=password]", PASSWORD)
    opened.follow("button")
    return opened


def identify(number: int, **traits: Any) -> dict[str, Any]:
    return {
        "type": "identify",
        "messageId": f"m{number}",
        "userId": f"u{number}",
        "integrations": {"Salesforce": True},
        "traits": {"email": f"{number}@example.com", **traits},
    }


def refuse(environment: Environment, *numbers: int, **traits: Any) -> None:
    """Bury the events of these numbers, once refused by the org."""
    rule = {"fault": "refuse", "object": "Lead", "code": REFUSED, "message": "not in this release"}
    requests.post(f"{environment.url}/_emulator/faults", json=rule, timeout=10).raise_for_status()
    environment.deliver_all(*(identify(number, **traits) for number in numbers))
    requests.post(f"{environment.url}/_emulator/faults", json={"clear": True}, timeout=10).raise_for_status()


def test_only_who_knows_the_password_gets_in(door: tuple[Browser, str]) -> None:
    tab, url = door
    tab.open(f"{url}/pause")
    assert tab.read("document.title") == "Log in · Pipeline console"
    assert tab.read("document.activeElement.name") == "password"

    tab.type("input[name=password]", "wrong")
    tab.follow("button")
    assert "That is not the password." in tab.text()

    tab.type("input[name=password]", PASSWORD)
    tab.follow("button")
    assert tab.read("location.pathname") == "/pause"

    tab.follow(".leave button")
    assert tab.read("document.title") == "Log in · Pipeline console"


def test_the_figures_of_the_flow_change_while_one_looks(tab: Browser, environment: Environment) -> None:
    shown = "document.querySelector('[data-live=\"backlog:Lead\"]').textContent"
    assert tab.read(shown) == "0"
    assert "No ingest worker was heard of" in tab.text()
    Inbox(environment.redis, "Lead").append(
        [
            Operation(id=f"m{n}#x", object="Lead", verb="upsert", match={"Email": f"{n}@x"}, event_time_ms=1)
            for n in range(1_234)
        ]
    )
    wait_until(lambda: tab.read(shown) == "1,234", what="the figure on the page")
    bar = "document.querySelector('[data-live-width=\"bar:Lead\"]')"
    assert tab.read(f"{bar}.getAttribute('width') === {bar}.getAttribute('data-full')")


def test_a_dead_letter_is_looked_at_and_retried(tab: Browser, environment: Environment) -> None:
    refuse(environment, 1)
    tab.follow("nav a[href='/dead-letters']")
    assert f"{REFUSED}: not in this release" in tab.text()

    tab.follow("td a")
    assert tab.read("document.querySelector('h1').textContent") == REFUSED
    assert '"email": "1@example.com"' in tab.text()

    tab.follow("form[action$='/retry'] button")
    assert "1 dead letter on the way again." in tab.text()
    assert "No dead letters." in tab.text()
    environment.deliver_all()
    assert [lead["Email"] for lead in environment.records("Lead")] == ["1@example.com"]


def test_letters_are_deleted_only_after_a_second_look(tab: Browser, environment: Environment) -> None:
    refuse(environment, 1)
    tab.follow("nav a[href='/dead-letters']")
    tab.follow("td a")
    tab.follow("form[action$='/ask-drop'] button")
    assert "There is no way back" in tab.text()
    assert count_dead_letters(environment.redis, "Lead") == 1

    tab.follow("form[action$='/drop'] button")
    assert "1 dead letter deleted." in tab.text()
    assert count_dead_letters(environment.redis, "Lead") == 0


def test_all_that_match_are_retried_after_a_confirmation_and_no_others(tab: Browser, environment: Environment) -> None:
    refuse(environment, 1, 2, 3)
    receive(environment.redis, [Receipt("bad", "rejected", "track needs event", {"type": "track"})])
    tab.follow("nav a[href='/dead-letters']")
    tab.type("input[name=text]", "not in THIS release")
    tab.follow("form[action='/dead-letters/search'] button")
    assert tab.read("document.querySelectorAll('tbody tr').length") == 3
    assert "release" not in tab.read("location.href")

    tab.follow("button[value=retry]")
    assert "Retry 3 dead letters?" in tab.text()
    assert count_dead_letters(environment.redis, "Lead") == 3

    tab.follow("form[action$='/retry-many'] button")
    assert "3 dead letters on the way again." in tab.text()
    assert count_dead_letters(environment.redis, "Lead") == 0
    assert count_dead_letters(environment.redis, "events") == 1


def test_many_letters_are_turned_over_page_by_page(tab: Browser, environment: Environment) -> None:
    receipts = [Receipt(f"m{n}", "rejected", f"reason number {n}", {}) for n in range(60)]
    receive(environment.redis, receipts)
    tab.follow("nav a[href='/dead-letters']")
    assert tab.read("document.querySelectorAll('tbody tr').length") == 50
    tab.follow("a[rel=next]")
    assert tab.read("document.querySelectorAll('tbody tr').length") == 10
    assert "reason number 59" in tab.text()
    assert tab.read("document.querySelector('a[rel=next]')") is None


def test_an_object_and_everything_are_paused_and_resumed(tab: Browser, environment: Environment) -> None:
    pause = environment.runtime.pause
    tab.follow("nav a[href='/pause']")
    assert "Nothing is paused." in tab.text()
    tab.read("document.querySelector('select').value = 'Lead'")
    tab.type("input[name=reason]", "its <b>triggers</b>")
    tab.follow("button.danger")
    assert "Lead is paused by hand: its <b>triggers</b>" in tab.text()
    assert set(pause.held_objects()) == {"Lead"}

    tab.follow("button.danger")
    assert pause.why() is not None
    tab.follow("nav a[href='/']")
    assert tab.read("document.querySelector('[data-live=delivery]').textContent") == "paused by hand"

    tab.follow("nav a[href='/pause']")
    tab.follow("tbody tr button")
    assert "Delivery goes on." in tab.text()
    assert (pause.why(), pause.held_objects()) == (None, {})


def test_an_event_is_traced_by_its_message_id(tab: Browser, environment: Environment) -> None:
    environment.deliver_all(identify(1))
    refuse(environment, 2)
    tab.follow("nav a[href='/trace']")
    tab.type("input[name=message_id]", "m1")
    tab.follow("form[action='/trace'] button")
    (lead,) = environment.records("Lead")
    assert lead["Id"] in tab.text()
    assert tab.read("document.querySelector('.steps [aria-current]').textContent") == "in Salesforce"

    tab.type("input[name=message_id]", "m2")
    tab.follow("form[action='/trace'] button")
    assert "not in this release" in tab.text()
    tab.follow("a[href^='/dead-letters/Lead/']")
    assert '"email": "2@example.com"' in tab.text()

    tab.follow("form[action='/trace'] button")
    assert tab.read("document.querySelector('.steps [aria-current]').textContent") == "dead letter"
    tab.type("input[name=message_id]", "never sent")
    tab.follow("form[action='/trace'] button")
    assert "Nothing is known of it" in tab.text()


def test_scripts_in_events_and_reasons_are_text(tab: Browser, environment: Environment) -> None:
    event = {"messageId": HOSTILE, HOSTILE: HOSTILE, "traits": {"name": HOSTILE}}
    receive(environment.redis, [Receipt(HOSTILE, "rejected", f"it failed: {HOSTILE}", event)])
    environment.redis.sadd("pipeline:objects", HOSTILE)
    environment.runtime.pause.hold(reason=HOSTILE)
    tab.follow("nav a[href='/']")
    tab.follow("nav a[href='/pause']")
    assert HOSTILE in tab.text()
    tab.follow("nav a[href='/dead-letters']")
    assert f"it failed: {HOSTILE}"[:100] in tab.text()
    tab.follow("td a")
    assert tab.text().count(HOSTILE) >= 4
    tab.follow("form[action='/trace'] button")
    assert tab.read("window.hacked") is None
    assert tab.read("document.querySelectorAll('img').length") == 0


def test_it_works_without_scripts_and_from_the_keyboard(door: tuple[Browser, str], environment: Environment) -> None:
    tab, url = door
    tab.run_scripts(is_on=False)
    try:
        tab.open(url)
        tab.type("input[name=password]", PASSWORD)
        tab.follow("button")
        assert "as it was when the page was loaded" in tab.text()
        assert tab.read("document.querySelector('noscript meta').content") == "30"
        tab.press("Tab", 9)
        assert tab.read("document.activeElement.textContent") == "Skip to content"
        tab.follow("nav a[href='/pause']")
        tab.follow("button.danger")
        assert "Delivery is paused." in tab.text()
    finally:
        tab.run_scripts(is_on=True)


def test_a_narrow_window_shows_every_page_without_scrolling_sideways(tab: Browser, environment: Environment) -> None:
    refuse(environment, 1, company="x" * 300)
    tab.resize(width=390, height=800)
    try:
        for link in ("nav a[href='/']", "nav a[href='/trace']", "nav a[href='/pause']", "nav a[href='/dead-letters']"):
            tab.follow(link)
            assert tab.read("document.documentElement.scrollWidth") <= 390, link
        tab.follow("td a")
        assert tab.read("document.documentElement.scrollWidth") <= 390
    finally:
        tab.resize(width=1280, height=900, is_mobile=False)
