"""A real browser: Chromium without a window, driven over the pipe of its DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/ says what the commands mean. The pipe needs no port: messages are
JSON, each ended by a zero byte, to the browser on file descriptor 3 and from it on 4.
"""

import base64
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self

from pipeline.local.service import wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome")
_ANSWER_WITHIN_S = 60.0  # a first start on a busy machine takes seconds
_END_WITHIN_S = 10.0
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # which root, as in CI, has to do without
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # containers have little of it
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


def find() -> str | None:
    """Return the path of a Chromium on this machine, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page in a browser of its own. Use it as a context manager; `folder` keeps the profile."""

    def __init__(self, program: str, folder: Path) -> None:
        # The shell moves its standard input and output to where the browser expects the pipe.
        script = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'
        command = ["/bin/sh", "-c", script, "sh", program, *_OPTIONS, f"--user-data-dir={folder}"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that all of the browser's processes end with it
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=_read, args=(self._replies, self._messages), daemon=True)
        self._reader.start()
        self._number = 0
        self._loads = 0
        self._session = ""

    def __enter__(self) -> Self:
        """Attach to the one page."""
        try:
            target = self._send("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self._send("Page.enable")
            # The empty page that it begins with counts as none.
            wait_until(lambda: self.read("document.readyState") == "complete", what="the browser is ready")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the browser, whatever state it is in."""
        self.close()

    def close(self) -> None:
        """End all of the browser's processes: it ends by itself when nobody talks to it, or else is killed."""
        with contextlib.suppress(OSError):
            self._requests.close()
        try:
            self._process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(_END_WITHIN_S)
        self._replies.close()

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._requests.write(json.dumps(message).encode() + b"\0")
        self._requests.flush()
        while (answer := self._receive()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        """Return the browser's next message; of those that answer no command only the loading of a page counts."""
        message = self._messages.get(timeout=_ANSWER_WITHIN_S)
        self._loads += message.get("method") == "Page.loadEventFired"
        return message

    def read(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self._send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, url: str) -> None:
        """Go to an address and wait until its page is there."""
        self._leave(lambda: self._send("Page.navigate", url=url))

    def text(self) -> str:
        """Return what a reader sees."""
        shown: str = self.read("document.body.innerText")
        return shown

    def click(self, selector: str) -> None:
        """Press the left mouse button in the middle of an element."""
        box = self.read(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)});"
            " one.scrollIntoView({block: 'center'}); const box = one.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def follow(self, selector: str) -> None:
        """Click on what leads to another page, and wait until that one is there."""
        self._leave(lambda: self.click(selector))

    def type(self, selector: str, text: str) -> None:
        """Replace what a field holds by typing."""
        self.click(selector)
        self.read(f"document.querySelector({json.dumps(selector)}).select()")
        self._send("Input.insertText", text=text)

    def press(self, key: str, code: int) -> None:
        """Press and release a key, by its name and its Windows key code, as ("Tab", 9)."""
        for kind in ("keyDown", "keyUp"):
            self._send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def forget(self) -> None:
        """Forget all cookies."""
        self._send("Network.clearBrowserCookies")

    def run_scripts(self, *, is_on: bool) -> None:
        """Say whether pages may run scripts from now on."""
        self._send("Emulation.setScriptExecutionDisabled", value=not is_on)

    def prefer_dark(self, *, is_dark: bool = True) -> None:
        """Say that the system is set to dark colours, or to light ones."""
        value = "dark" if is_dark else "light"
        self._send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def resize(self, *, width: int, height: int, is_mobile: bool = True) -> None:
        """Give the window a size in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_mobile}
        self._send("Emulation.setDeviceMetricsOverride", **size)

    def picture(self, *, most_height: float = float("inf")) -> bytes:
        """Return the page from its top, as long as it is or at most so high, as a PNG."""
        size = self._send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], most_height), "scale": 1}
        taken = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(taken["data"])

    def _leave(self, act: Callable[[], object]) -> None:
        loads = self._loads
        act()
        while self._loads == loads:
            self._receive()


def _read(pipe: IO[bytes], messages: "queue.Queue[dict[str, Any]]") -> None:
    """Cut what the browser writes into messages until it ends."""
    rest = b""
    while part := os.read(pipe.fileno(), 1 << 16):
        *parts, rest = (rest + part).split(b"\0")
        for message in parts:
            messages.put(json.loads(message))
