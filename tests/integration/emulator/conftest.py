"""An emulated org with custom fields and users, in a thread of this process; each test finds it as it started."""

from collections.abc import Iterator

import pytest
import requests

from pipeline.emulator.server import Running
from tests.integration.emulator.org_client import CUSTOM_ORG, OrgClient, emptied, running_org


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, requests.Session]]:
    with running_org(tmp_path_factory.mktemp("org"), CUSTOM_ORG) as running:
        yield running


@pytest.fixture
def org(_running: tuple[Running, requests.Session]) -> OrgClient:
    """A session with an org without records, faults or spent calls."""
    return emptied(*_running)
