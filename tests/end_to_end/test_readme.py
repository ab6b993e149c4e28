"""README.md is executed: what it shows is what happens."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.cli.flow import observe
from pipeline.inbox.dead_letters import received
from pipeline.local import LocalStack, pipeline_command, wait_until

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Blocks of kind `sh` need what a test has not: another machine, an account, Docker, or no end. What can be checked of
# them is: the commands exist with these options, the variables are read, the make targets are there.
NOT_RUN = re.compile(r"^(make \w+|pip install \.|export \w+=.*|pipeline .*|.*docker compose up.*)$")


def blocks(kind: str) -> list[str]:
    found = [text for language, text in BLOCK.findall(README.read_text(encoding="utf-8")) if language == kind]
    assert found, f"README.md has no block of kind {kind}"
    return found


def shell_commands() -> list[str]:
    lines = [line.split("  #")[0].strip() for text in blocks("sh") for line in text.splitlines()]
    return [line for line in lines if line]


def test_readme_s_examples_do_what_it_says(
    start_stack: Callable[..., LocalStack], tmp_path: Path, repository: Path
) -> None:
    stack = start_stack(has_beat=False)
    environment = {**stack.env, "PATH": f"{commands_on_path(tmp_path)}{os.pathsep}{os.environ['PATH']}"}
    shutil.copy(repository / "pipeline" / "data" / "sdk_events.jsonl", tmp_path / "events.jsonl")

    for example, events in zip(blocks("python"), (1, 4), strict=True):
        run([sys.executable, "-c", example], environment, tmp_path)
        settle(stack, events)
    assert Counter(record["Email"].lower() for record in records(stack, "Lead")) == {"ada@example.com": 1}
    (ada,) = records(stack, "Lead")
    assert (ada["FirstName"], ada["LastName"], ada["Phone"]) == ("Ada", "Lovelace", "555-0100")
    (account,) = records(stack, "Account")
    assert (account["AccountNumber"], account["Name"], account["NumberOfEmployees"]) == ("g1", "Analytical Engines", 2)
    with stack.redis.client() as redis:
        assert received(redis) == {"accepted": 3, "rejected": 1}

    shown = {}
    for command in [line.removeprefix("$ ") for text in blocks("console") for line in text.splitlines()]:
        shown[command] = run(["bash", "-ec", command], environment, tmp_path)
        settle(stack, 2004 if "pipeline send events.jsonl" in shown else 4)
    assert "2,000 events: 1,563 accepted, 437 skipped, 0 rejected" in shown["pipeline preview events.jsonl"]
    assert "2,000 events sent" in shown["pipeline send events.jsonl"]
    assert "Lead" in shown["pipeline status"]
    assert "identify needs userId or anonymousId" in shown["pipeline dead-letters list"]


def test_every_shell_line_is_of_a_kind_that_is_checked() -> None:
    for command in shell_commands():
        assert NOT_RUN.match(command), command


@pytest.mark.parametrize("command", [line for line in shell_commands() if line.startswith("pipeline ")])
def test_commands_that_do_not_end_exist_with_their_options(command: str) -> None:
    asked = CliRunner().invoke(main, [*shlex.split(command)[1:], "--help"])
    assert asked.exit_code == 0, asked.output


def test_the_variables_that_it_names_are_read(repository: Path) -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (repository / "pipeline").rglob("*.py"))
    named = set(re.findall(r"\b(?:PIPELINE|SALESFORCE|FLOWER)_[A-Z_]+\b", README.read_text(encoding="utf-8")))
    assert named
    assert {name for name in named if name not in code} == set()


def test_the_destination_that_it_shows_is_accepted(tmp_path: Path) -> None:
    from pipeline.settings import load_destination

    for number, text in enumerate(blocks("yaml")):
        file = tmp_path / f"destination-{number}.yaml"
        file.write_text(text, encoding="utf-8")
        assert "Case" in load_destination({"PIPELINE_DESTINATION": str(file)}).objects


def test_the_files_that_it_links_exist(repository: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (repository / link).exists()] == []


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
