"""What holds for the code as a whole: the direction of imports, and what a producer pays for."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "pipeline"

# What each room may import of the others. Rooms stand in the order in which an event passes them.
ALLOWED = {
    "events": set(),
    "mapping": set(),
    "inbox": set(),
    "salesforce": set(),
    "delivery": {"inbox", "salesforce"},
    "review": {"events", "mapping", "inbox", "delivery", "salesforce"},
    "metrics": {"inbox", "delivery", "salesforce", "version"},
    "tasks": {"events", "mapping", "inbox", "delivery", "salesforce", "metrics"},
    "console": {"events", "inbox", "delivery", "salesforce", "metrics", "tasks", "cli", "redis_faults", "settings"},
    "emulator": set(),
    "local": set(),
}
# Plain values and errors that every room may know; the emulator knows none of them, so that a bug of the client
# does not agree with itself.
SHARED = {"operation", "errors", "options", "record_id", "destination"}


def imported(file: Path) -> set[str]:
    """Return the modules of the pipeline that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {
                node.module,
                *(f"{node.module}.{alias.name}" for alias in node.names if node.module == "pipeline"),
            }
    return {name.split(".")[1] for name in names if name.startswith("pipeline.")}


@pytest.mark.parametrize("room", [name for name in ALLOWED if name not in {"tasks", "local"}])
def test_no_import_runs_back_up(room: str) -> None:
    shared = set() if room == "emulator" else SHARED
    for file in (PACKAGE / room).rglob("*.py"):
        assert imported(file) <= {room} | shared | ALLOWED[room], file


def test_importing_the_pipeline_opens_no_socket_and_reads_no_file_of_ours() -> None:
    watched = """
import json, sys
seen = []
def watch(event, args):
    if event.startswith("socket.") and event != "socket.__new__":
        seen.append(event)
    if event == "open" and isinstance(args[0], str) and not args[0].endswith((".py", ".pyc", ".so")):
        seen.append(args[0])
sys.addaudithook(watch)
import pipeline
print(json.dumps([name for name in seen if "site-packages" not in name and "/lib/python" not in name]))
heavy = {"simple_salesforce", "marshmallow", "rich", "pipeline.delivery.deliverer"}
print(json.dumps(sorted(heavy & set(sys.modules))))
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", watched],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=PACKAGE.parent,
        env={},
    )
    opened, heavy = (json.loads(line) for line in done.stdout.splitlines())
    assert opened == []
    assert heavy == []
