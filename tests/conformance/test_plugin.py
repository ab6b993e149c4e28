"""The emulator as another project's tests use it: in a pytest process of its own, and without pytest."""

import importlib.metadata
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import requests

from pipeline.emulator.testing import Emulator, running_emulator

ORG = Path(__file__).parent / "org.yaml"
WITH_FIXTURES = """
def test_first(salesforce, salesforce_emulator):
    salesforce.Lead.create({"LastName": "Byron", "Company": "Engines", "Segment_User_Id__c": "u-1"})
    assert salesforce_emulator.stats()["records"]["Lead"] == 1
    salesforce_emulator.faults({"fault": "unavailable"})


def test_second_finds_the_org_empty_and_whole(salesforce, salesforce_emulator):
    assert salesforce.query("SELECT Id FROM Lead")["totalSize"] == 0
    assert salesforce_emulator.stats()["api_calls"]["total"] == 1
"""
CONFTEST = """
import pytest

{load}


@pytest.fixture(scope="session")
def salesforce_emulator_options():
    return {{"org": {org!r}, "daily_limit": 500}}
"""
WITHOUT_PYTEST = """
import sys
sys.modules["pytest"] = None
from pipeline.emulator.testing import Emulator, running_emulator

with running_emulator(daily_limit=50) as emulator:
    client = emulator.connect(version="62.0")
    made = client.Lead.create({"LastName": "Byron", "Company": "Engines"})
    emulator.faults({"fault": "quota", "next": 1})
    try:
        client.limits()
    except Exception as refused:
        print(type(refused).__name__)
    emulator.faults()
    print(client.limits()["DailyApiRequests"]["Max"], emulator.records("Lead")[0]["Id"] == made["id"])
    emulator.reset()
    print(emulator.records("Lead"))
"""


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("load", ["", 'pytest_plugins = ["pipeline.emulator.testing"]'])
def test_another_project_asks_for_the_fixtures(tmp_path: Path, load: str) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.format(org=str(ORG), load=load))
    (tmp_path / "test_theirs.py").write_text(textwrap.dedent(WITH_FIXTURES))
    assert "2 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)


def test_another_project_without_pytest(tmp_path: Path) -> None:
    assert run("-c", WITHOUT_PYTEST, folder=tmp_path).splitlines() == ["SalesforceRefusedRequest", "50 True", "[]"]


def test_a_project_that_asks_for_nothing_pays_for_nothing(tmp_path: Path) -> None:
    plugins = importlib.metadata.entry_points(group="pytest11")
    assert "pipeline.emulator.fixtures" in [plugin.value for plugin in plugins]
    (tmp_path / "test_theirs.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    assert 'pipeline.emulator.fixtures' in sys.modules\n"
        "    assert not {'uvicorn', 'starlette', 'simple_salesforce', 'requests', 'sqlite3'} & set(sys.modules)\n"
    )
    assert "1 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)


def test_each_test_gets_its_org_in_under_20_ms(salesforce_emulator: Emulator) -> None:
    """Of five the quickest: a crowded machine may hold up any one."""
    seconds = []
    for _ in range(5):
        client = salesforce_emulator.connect()
        client.restful("sobjects/Lead", method="POST", json={"LastName": "Byron", "Company": "Engines"})
        client.session.close()
        started = time.perf_counter()
        salesforce_emulator.reset()
        seconds.append(time.perf_counter() - started)
    assert salesforce_emulator.records("Lead") == []
    assert min(seconds) < 0.02


def test_two_emulators_at_once_know_nothing_of_each_other() -> None:
    with running_emulator() as first, running_emulator(org=ORG) as second:
        first.connect().restful("sobjects/Lead", method="POST", json={"LastName": "Byron", "Company": "Engines"})
        assert (len(first.records("Lead")), len(second.records("Lead"))) == (1, 0)


def test_the_port_is_free_again_after_the_block_and_after_an_error() -> None:
    with pytest.raises(requests.HTTPError), running_emulator() as emulator:
        emulator.records("Nothing__c")
    port = int(emulator.url.rpartition(":")[2])
    with running_emulator(port=port) as again:
        assert again.stats()["api_calls"]["total"] == 0
        with pytest.raises(OSError, match="in use"), running_emulator(port=port):
            pass
    with pytest.raises(requests.ConnectionError):
        again.stats()
