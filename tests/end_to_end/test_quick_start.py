"""docs/quick-start.md is executed, block by block: each command is real, and what it shows is what comes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.local import clean_environment, wait_until

QUICK_START = Path(__file__).resolve().parents[2] / "docs" / "quick-start.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY_PORTS = " --redis-port 0 --emulator-port 0 --flower-port 0 --console-port 0"
STAYS = re.compile(r"^pipeline (up|worker .*)$", re.MULTILINE)
# What only looks may be asked until it shows what the page says: delivery takes its moment.
LOOKS = re.compile(r'^(pipeline (status|trace .*|dead-letters list)|curl -s "[^"]+/records/\w+"|celery .*)$')
# Not the reader's machine: there is no .venv here, and `make demo` has a test of its own.
NOT_RUN = re.compile(r"^(make demo|\. \.venv/bin/activate.*)$", re.MULTILINE)
VARIES = re.compile(r"\b00Q\w{15}\b|\b[\da-f]{8}\b|\d[\d,.]*|@\S+")


@dataclass
class Reader:
    """Somebody who copies the page's blocks into a terminal."""

    folder: Path
    cleanup: ExitStack

    @property
    def environment(self) -> dict[str, str]:
        commands = Path(sys.executable).parent
        return {**clean_environment(), "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}

    def types(self, script: str, expected: str) -> None:
        if STAYS.search(script):
            self.starts(script, expected)
        elif LOOKS.match(script.strip()):
            wait_until(lambda: missing(self.runs(script), expected) == [], what=f"{script}{expected}", within_s=60)
        else:
            assert missing(shown := self.runs(script), expected) == [], shown

    def runs(self, script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"[ ! -e .pipeline/env ] || . .pipeline/env\n{script}"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def runs_python(self, program: str) -> str:
        return self.runs(f"python - <<'EOF'\n{program}EOF\n")

    def starts(self, script: str, expected: str) -> None:
        """Start what runs until it is stopped, and wait for what it shows."""
        log = self.folder / "terminal.log"
        script = re.sub(r"^pipeline up$", f"exec pipeline up{ANY_PORTS}", script, flags=re.MULTILINE)
        script = re.sub(r"^pipeline worker", "exec pipeline worker", script, flags=re.MULTILINE)
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-euc", f"[ ! -e .pipeline/env ] || . .pipeline/env\n{script}"],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.cleanup.callback(process.wait, 60)
        self.cleanup.callback(process.send_signal, signal.SIGTERM)
        wait_until(lambda: missing(log.read_text(), expected) == [], what=f"{script}{expected}", within_s=60)


def missing(shown: str, expected: str) -> list[str]:
    """Return the lines of the page that are not among those that came; numbers, Ids and host names vary."""
    came = [alike(line) for line in shown.splitlines()]
    return [line for line in expected.splitlines() if line.strip() and not any(alike(line) in one for one in came)]


def alike(line: str) -> str:
    return " ".join(VARIES.sub("#", line).split())


def steps() -> list[tuple[str, str, str]]:
    """Return (kind, text, the output that the page shows after it, or "")."""
    found = BLOCK.findall(QUICK_START.read_text(encoding="utf-8"))
    outputs = [text if kind == "text" else "" for kind, text in [*found[1:], ("", "")]]
    return [(kind, text, output) for (kind, text), output in zip(found, outputs, strict=True) if kind != "text"]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with ExitStack() as cleanup:
        yield Reader(tmp_path, cleanup)


def test_a_newcomer_gets_through_the_quick_start(reader: Reader) -> None:
    for kind, text, output in steps():
        assert kind in {"sh", "python"}
        if kind == "python":
            reader.runs_python(text)
        elif script := NOT_RUN.sub("", text).strip():
            reader.types(f"{script}\n", output)
