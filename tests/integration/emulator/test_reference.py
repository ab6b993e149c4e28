"""What docs/emulator.md says, held to the emulator: its commands, its org file, its control API and its faults."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from pipeline.emulator import faults, org_file, org_options
from pipeline.emulator.schema import Schema, standard_objects
from pipeline.emulator.testing import Emulator, running_emulator

TEXT = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator() as running:
        yield running


def test_its_shell_commands_do_what_it_says(emulator: Emulator) -> None:
    _, session, fault = blocks("sh")
    ran = subprocess.run(
        ["bash", "-euc", (session + fault).replace(ADDRESS, emulator.url)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "no_proxy": "127.0.0.1"},
    )
    assert '"success":true' in ran.stdout
    assert '"Name":"Lovelace"' in ran.stdout
    assert '"fault":"row_lock"' in ran.stdout
    emulator.reset()


def test_its_org_file_is_one(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    path = tmp_path / "org.yaml"
    path.write_text(text, encoding="utf-8")
    with running_emulator(org=path) as emulator:
        described: Any = emulator.connect().restful("sobjects/Subscription__c/describe")
        assert {field["name"] for field in described["fields"]} >= {"Account__c", "Seats__c"}
        assert emulator.records("Account")[0]["AccountNumber"] == "g1"


def test_it_names_every_key_of_the_org_file() -> None:
    named = set(re.findall(r"`(\w+)`", _table("| key | says |\n| --- | --- |\n| `objects[]`")))
    assert {*org_file._FIELD_KEYS, *org_options._OPTIONS} <= named
    parts = set(re.findall(r"^\| `(\w+)(?:\[\])?`", _section("An org of your own"), re.MULTILINE))
    assert parts >= org_file._PARTS
    types = re.search(r"\| `type` \| ([\w, ]+) \|", TEXT)
    assert types is not None
    assert set(types[1].split(", ")) == org_file._FIELD_TYPES


def test_it_names_every_fault_and_every_key_of_a_rule() -> None:
    text = _section("Faults")
    named = set(re.findall(r"`(\w+)`", text))
    assert {*faults.REQUEST_FAULTS, *faults.RECORD_FAULTS, *faults._PARAMETERS} <= named
    assert all(distribution in text for distribution in faults.DISTRIBUTIONS)


@pytest.mark.parametrize(("method", "path"), sorted(set(re.findall(r"`(GET|POST) (/_emulator/\w+)", TEXT))))
def test_its_control_requests_exist(emulator: Emulator, method: str, path: str) -> None:
    path = path + "/Lead" if path.endswith("records") else path
    assert requests.request(method, emulator.url + path, json={}, timeout=10).status_code in {200, 400}


def test_it_names_the_standard_objects() -> None:
    (row,) = re.findall(r"^\| objects \| (.*?), and your own", TEXT, re.MULTILINE)
    named = set(row.split(", "))
    # What the others need to be there, and nobody writes.
    behind = {"AssignmentRule", "Group", "Organization", "Profile", "RecordType", "UserRole"}
    assert named | behind == set(Schema(standard_objects()).objects)


def test_its_example_of_a_test_passes(emulator: Emulator) -> None:
    _, example = blocks("python")
    defined: dict[str, Any] = {}
    exec(example, defined)
    (test,) = [one for name, one in defined.items() if name.startswith("test_")]
    test(emulator.connect())
    emulator.reset()


def _section(heading: str) -> str:
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def _table(beginning: str) -> str:
    return beginning + TEXT.partition(beginning)[2].partition("\n\n")[0]
