"""The command line as a whole: help with examples that work, exit codes as documented, one page that says the same."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from pipeline.cli import EXIT_CODES, main
from pipeline.cli.reference import HEADING, commands, markdown
from pipeline.inbox.chosen_letters import Choice
from tests.integration.environment import Environment

PAGE = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
EVENT = {"type": "identify", "userId": "u1", "messageId": "m1", "traits": {"email": "a@example.com", "lastName": "L"}}

ACTION = "actions: [{on: {type: track}, operation: create, object: %s, fields: {event: Subject}}]\n"
DESTINATION = "always_enabled: true\n" + ACTION % "Case"
NO_SUCH_OBJECT = ACTION % "Nonsense__c"
# They end by themselves, within a moment. Of the others it is checked that the options exist.
RUN = {"check", "preview", "send", "status", "dead-letters", "pause", "resume", "completion"}


def examples() -> Iterator[tuple[str, str]]:
    for context in commands():
        text = context.command.epilog or ""
        _, _, listed = text.partition("Example")
        listed = listed.partition("Exit codes")[0]
        for line in re.findall(r"^  (?:.* )?(?:\S*\()?(pipeline [^|>)#\n]+)", listed, re.MULTILINE):
            yield context.command_path, line.strip()


@pytest.mark.parametrize("context", list(commands()), ids=lambda context: context.command_path)
def test_every_command_and_group_has_help_with_an_example_of_itself(context: click.Context) -> None:
    asked = CliRunner().invoke(main, [*context.command_path.split()[1:], "--help"], prog_name="pipeline")
    assert asked.exit_code == 0
    own = [line for path, line in examples() if path == context.command_path]
    assert any(line.startswith(context.command_path) for line in own)
    assert all(line in asked.output for line in own)
    assert (context.command.help or "").strip().partition("\n")[0].endswith((".", ":", ".\b"))


@pytest.mark.parametrize(("path", "line"), list(examples()), ids=lambda text: str(text)[:60])
def test_every_example_works(path: str, line: str, environment: Environment, tmp_path: Path) -> None:
    ran = run_example(line, environment, tmp_path)
    assert ran.exit_code == 0, ran.output


def run_example(line: str, environment: Environment, folder: Path) -> Result:
    file = folder / "events.jsonl"
    file.write_text(json.dumps(EVENT) + "\n", encoding="utf-8")
    words = [str(file) if word == "events.jsonl" else word for word in shlex.split(line)[1:]]
    if words[0] not in RUN:
        return CliRunner().invoke(main, [*words, "--help"])
    invalid = {"type": "identify", "messageId": "m2", "integrations": {"Salesforce": True}}
    environment.destination(DESTINATION)
    environment.deliver_all(EVENT, invalid)
    (letter,) = Choice().letters(environment.redis)
    named = [re.sub(r"^\w+/[0-9-]+$", f"{letter.object}/{letter.id}", word) for word in words]
    return CliRunner().invoke(main, named, input=json.dumps(EVENT) if "-" in words else "y\n")


def test_the_page_shows_every_command_s_help() -> None:
    assert HEADING + PAGE.partition(HEADING)[2] == markdown(), "run `make reference`"


def test_the_exit_codes_are_documented_and_shown_by_help() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES
    shown = CliRunner().invoke(main, ["--help"]).output
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"^ +{code} +{re.escape(meaning)}$", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "destination", "exit_code"),
    [
        (["status"], "{}", 0),
        (["check"], "{}", 0),
        (["check"], NO_SUCH_OBJECT, 1),
        (["dead-letters", "show", "Lead/1-1"], "{}", 1),
        (["dead-letters", "drop", "--all"], "{}", 1),  # asked, and not answered: ended before it was done
        (["status"], "actions: nonsense", 2),
        (["nonsense"], "{}", 2),
        # 143 is what tests/end_to_end/test_demo.py ends with, and `up` with 0 and 1 in test_up.py.
    ],
)
def test_each_documented_exit_code_is_what_comes(
    arguments: list[str], destination: str, exit_code: int, environment: Environment
) -> None:
    environment.deliver_all({"type": "identify", "messageId": "m2", "integrations": {"Salesforce": True}})
    environment.destination(destination)
    assert CliRunner().invoke(main, arguments).exit_code == exit_code
    assert exit_code in EXIT_CODES


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["pause", "Lead"], {"object": "Lead", "paused": True, "was_paused": False}),
        (["resume"], {"object": None, "paused": False, "was_paused": False}),
        (["dead-letters", "drop", "--all", "--yes"], {"deleted": 1}),
        (["dead-letters", "retry", "--all"], {"retried": 0, "still_refused": 1, "gone": 0}),
    ],
)
def test_what_a_command_did_can_be_had_as_json(
    arguments: list[str], printed: dict[str, object], environment: Environment
) -> None:
    environment.deliver_all({"type": "identify", "messageId": "m2", "integrations": {"Salesforce": True}})
    ran = CliRunner().invoke(main, [*arguments, "--json"])
    assert json.loads(ran.stdout.splitlines()[-1]) == printed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_this_program(shell: str) -> None:
    script = CliRunner().invoke(main, ["completion", shell]).output
    assert f"_PIPELINE_COMPLETE={shell}_complete" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    from pipeline.local import clean_environment, pipeline_command

    program = tmp_path / "pipeline"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(pipeline_command())} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = (
        'eval "$(pipeline completion bash)"\n'
        "for words in 'dead-letters re' 'send --ag'; do\n"
        "  COMP_WORDS=(pipeline $words); COMP_CWORD=2; COMPREPLY=()\n"
        "  _pipeline_completion pipeline\n"
        '  echo "${COMPREPLY[@]}"\n'
        "done\n"
    )
    environment = {**clean_environment(), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["retry", "--again"], done.stderr
