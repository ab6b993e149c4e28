"""`make screenshots`: the pictures of the console in docs/images, taken of a running one."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline.local import wait_until
from tests import browser
from tests.browser import Browser
from tests.screenshots.scene import PASSWORD, TRACED, playing

_FLOW_HEIGHT = 495  # of the page's head, the alerts and the flow
_FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"


def main() -> None:
    """Take every picture anew."""
    program = browser.find()
    if program is None:
        sys.exit("there is no Chromium here; .ci/browser installs it")
    with tempfile.TemporaryDirectory() as profile, playing() as stack, Browser(program, Path(profile)) as tab:
        url = stack.addresses["console"]
        tab.resize(width=1200, height=700, is_mobile=False)
        tab.open(url)
        tab.type("input[name=password]", PASSWORD)
        tab.follow("button")
        wait_until(lambda: "live," in tab.text(), what="the figures")
        _take(tab, "console")
        tab.prefer_dark()
        _take(tab, "console-dark", most_height=_FLOW_HEIGHT)
        tab.prefer_dark(is_dark=False)
        for name, go in _pages(tab, url).items():
            go()
            _take(tab, name)


def _pages(tab: Browser, url: str) -> dict[str, Callable[[], object]]:
    def letter() -> None:
        tab.open(f"{url}/dead-letters?object=Lead")
        tab.follow("td a")

    def trace() -> None:
        tab.open(f"{url}/trace")
        tab.type("input[name=message_id]", TRACED)
        tab.follow("form[action='/trace'] button")

    return {
        "console-letters": lambda: tab.open(f"{url}/dead-letters"),
        "console-letter": letter,
        "console-trace": trace,
    }


def _take(tab: Browser, name: str, *, most_height: float = float("inf")) -> None:
    file = _FOLDER / f"{name}.png"
    file.write_bytes(tab.picture(most_height=most_height))
    print(f"{file.name}: {file.stat().st_size / 1024:.0f} kB")  # noqa: T201  (a command)


if __name__ == "__main__":
    main()
