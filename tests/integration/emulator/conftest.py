"""An emulated org with custom fields and users, in a thread of this process; each test finds it as it started."""

from collections.abc import Iterator

import pytest
import requests

from pipeline.emulator.server import Running, build
from tests.integration.emulator.org_client import CUSTOM_ORG, OrgClient


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, requests.Session]]:
    org_path = tmp_path_factory.mktemp("org") / "org.yaml"
    org_path.write_text(CUSTOM_ORG, encoding="utf-8")
    with Running(build(org_path=str(org_path))) as running, requests.Session() as http:
        http.trust_env = False
        yield running, http


@pytest.fixture
def org(_running: tuple[Running, requests.Session]) -> OrgClient:
    """A session with an org without records, faults or spent calls."""
    running, http = _running
    http.cookies.clear()
    http.post(f"{running.url}/_emulator/reset", json={}, timeout=10).raise_for_status()
    return OrgClient(running.url, http)
