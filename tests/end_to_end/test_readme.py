"""README.md is executed: what it shows is what happens."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from pipeline.cli.flow import observe
from pipeline.inbox.dead_letters import received
from pipeline.local import LocalStack, pipeline_command, wait_until

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    found = [text for language, text in BLOCK.findall(README.read_text(encoding="utf-8")) if language == kind]
    assert found, f"README.md has no block of kind {kind}"
    return found


def test_readme_s_examples_do_what_it_says(
    start_stack: Callable[..., LocalStack], tmp_path: Path, repository: Path
) -> None:
    stack = start_stack(has_beat=False)
    environment = {**stack.env, "PATH": f"{commands_on_path(tmp_path)}{os.pathsep}{os.environ['PATH']}"}
    shutil.copy(repository / "pipeline" / "data" / "sdk_events.jsonl", tmp_path / "events.jsonl")

    (example,) = blocks("python")
    run([sys.executable, "-c", example], environment, tmp_path)
    settle(stack, 1)
    (ada,) = records(stack, "Lead")
    assert (ada["Email"], ada["FirstName"], ada["LastName"]) == ("ada@example.com", "Ada", "Lovelace")
    again = {"type": "identify", "userId": "u1", "traits": {"email": "ADA@example.com", "phone": "555-0100"}}
    nobody = {"type": "identify", "traits": {"email": "nobody@example.com"}}
    both = [{**event, "integrations": {"Salesforce": True}} for event in (again, nobody)]
    run([sys.executable, "-c", f"from pipeline import send_events; send_events.delay({both})"], environment, tmp_path)
    settle(stack, 3)
    assert [(lead["Id"], lead["Phone"]) for lead in records(stack, "Lead")] == [(ada["Id"], "555-0100")]
    with stack.redis.client() as redis:
        assert received(redis) == {"accepted": 2, "rejected": 1}

    shown = {}
    for command in [line.removeprefix("$ ") for text in blocks("console") for line in text.splitlines()]:
        shown[command] = run(["bash", "-ec", command], environment, tmp_path)
        settle(stack, 2003 if "pipeline send events.jsonl" in shown else 3)
    assert "2,000 events: 1,563 accepted, 437 skipped, 0 rejected" in shown["pipeline preview events.jsonl"]
    assert "2,000 events sent" in shown["pipeline send events.jsonl"]
    assert "Lead" in shown["pipeline status"]
    assert "identify needs userId or anonymousId" in shown["pipeline dead-letters list"]


def test_the_destination_that_it_shows_is_accepted(tmp_path: Path) -> None:
    from pipeline.settings import load_destination

    for number, text in enumerate(blocks("yaml")):
        file = tmp_path / f"destination-{number}.yaml"
        file.write_text(text, encoding="utf-8")
        assert "Case" in load_destination({"PIPELINE_DESTINATION": str(file)}).objects


def commands_on_path(folder: Path) -> Path:
    """Put a `pipeline` on the path, which an installation would."""
    script = folder / "bin" / "pipeline"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {shlex.join(pipeline_command())} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return script.parent


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def records(stack: LocalStack, name: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{stack.emulator_url}/_emulator/records/{name}", timeout=10)
    answer.raise_for_status()
    rows: list[dict[str, Any]] = answer.json()
    return rows


def settle(stack: LocalStack, events: int) -> None:
    """Wait until so many events were received since the start, and everything they asked for was delivered."""
    with stack.redis.client() as redis:

        def is_settled() -> bool:
            flow = observe(redis)
            return flow.received >= events and flow.is_idle

        wait_until(is_settled, what="the delivery of what was sent")
