"""The emulator's page as a person uses it: in a browser, with mouse and keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import browser
from tests.browser import Browser
from tests.integration.emulator.test_page import HOSTILE, Org

pytestmark = pytest.mark.skipif(
    browser.find() is None,
    reason="there is no Chromium here; .ci/browser, or `apt-get install chromium`, installs it",
)


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Browser]:
    program = browser.find()
    assert program is not None
    with Browser(program, tmp_path / "profile") as opened:
        yield opened


def test_a_person_looks_around_and_asks_a_query(emulator_url: str, tab: Browser) -> None:
    org = Org(emulator_url)
    org.create("Lead", LastName="Lovelace", Company=HOSTILE)
    lead = org.create("Lead", LastName="Hopper", Company="Navy")

    tab.open(f"{emulator_url}/")
    assert tab.read("document.title") == "Overview · Salesforce emulator"
    assert "POST\t/services/data/v66.0/sobjects/Lead\t201\t1\t" in tab.text()

    tab.follow("a[href='/objects/Lead']")
    assert "2 records" in tab.text()
    assert HOSTILE in tab.text()
    assert tab.read("document.title") == "Lead · Salesforce emulator"  # and not what the script in the record says

    tab.follow(f"a[href='/{lead}']")
    assert "Company\tstring\tNavy" in tab.text()

    tab.follow("a.home")
    tab.type("textarea", "SELECT LastName, Company FROM Lead WHERE Company = 'Navy'")
    tab.follow("button")
    assert "1 row\n\nLastName\tCompany\nHopper\tNavy" in tab.text()

    tab.type("textarea", "SELECT Rank FROM Lead")
    tab.follow("button")
    assert "No such column 'Rank' on entity 'Lead'" in tab.text()
    assert tab.read("document.querySelector('textarea').value") == "SELECT Rank FROM Lead"


def test_the_style_applies_and_follows_the_system_s_dark_mode(emulator_url: str, tab: Browser) -> None:
    tab.open(f"{emulator_url}/")
    background = "getComputedStyle(document.body).backgroundColor"
    light = tab.read(background)

    tab.prefer_dark()

    assert light == "rgb(244, 246, 249)"
    assert tab.read(background) == "rgb(18, 22, 28)"


def test_a_narrow_window_shows_the_page_without_scrolling_sideways(emulator_url: str, tab: Browser) -> None:
    Org(emulator_url).create_leads(2)
    tab.resize(width=390, height=800)

    for path in ("/", "/objects/Lead", "/objects/Lead/fields"):
        tab.open(f"{emulator_url}{path}")
        assert tab.read("document.documentElement.scrollWidth") <= 390, path
