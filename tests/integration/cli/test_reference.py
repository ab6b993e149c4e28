"""What docs/mapping.md says of commands and of read results, run against an emulated org."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from tests.integration.environment import Environment

TEXT = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text(encoding="utf-8")
EVENT = {
    "type": "identify",
    "userId": "u1",
    "messageId": "m1",
    "integrations": {"Salesforce": True},
    "traits": {"email": "ada@example.com", "plan": "pro"},
}


def section(heading: str) -> str:
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def keys_after(words: str) -> set[str]:
    """Return the keys that the reference lists in backticks after some words."""
    found = re.search(re.escape(words) + r"[^`]*`([a-z_,\s]+)`", TEXT)
    assert found is not None, words
    return set(re.findall(r"\w+", found[1]))


def last_line(*arguments: str) -> dict[str, Any]:
    ran = CliRunner().invoke(main, list(arguments), input=json.dumps(EVENT))
    shown: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return shown


def test_the_keys_that_it_names_are_those_that_are_printed(environment: Environment) -> None:
    checked = last_line("check", "--json")
    assert set(checked) == keys_after("one object on the last line:")
    assert set(checked["findings"][0]) == keys_after("findings` (each with")
    previewed = last_line("preview", "--json", "--diff", "-")
    (named,) = re.findall(r"`(accepted, skipped[^`]*)`", TEXT)
    assert set(previewed) == {*re.findall(r"\w+", named), "diff"}
    assert set(last_line("preview", "--json", "-")) == set(previewed) - {"diff"}


@pytest.mark.parametrize("line", re.findall(r"^\$ (?:head .* \| )?(pipeline \S.*)$", TEXT, re.MULTILINE))
def test_the_commands_that_it_shows_can_be_run(environment: Environment, tmp_path: Path, line: str) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps(EVENT) + "\n", encoding="utf-8")
    words = [str(file) if word == "events.jsonl" else word for word in shlex.split(line)[1:]]

    ran = CliRunner().invoke(main, words, input=json.dumps(EVENT))

    assert ran.exit_code == 0, ran.output


def test_the_line_of_the_status_that_it_shows_is_what_a_missing_field_gives(environment: Environment) -> None:
    environment.deliver_all(EVENT)
    (shown,) = re.findall(r"^left out: .*$", TEXT, re.MULTILINE)

    assert shown.replace("1,189", "1") in CliRunner().invoke(main, ["status"]).output.splitlines()


def test_a_read_result_is_had_as_it_says(environment: Environment) -> None:
    text = section("Reading records")
    (destination,) = re.findall(r'^```yaml title="destination"\n(.*?)^```', text, re.MULTILINE | re.DOTALL)
    (event,) = re.findall(r'^```json title="event"\n(.*?)^```', text, re.MULTILINE | re.DOTALL)
    (example,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    environment.destination("always_enabled: true\n" + destination)
    environment.create("Contact", LastName="Lovelace", Email="ada@example.com", Title="Countess")

    before: dict[str, Any] = {}
    exec(example, before)
    assert before["results"] is None
    environment.deliver_all(json.loads(event))
    after: dict[str, Any] = {}
    exec(example, after)
    assert after["title"] == "Countess"
