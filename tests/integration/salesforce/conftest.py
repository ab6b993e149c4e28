"""A scripted org and the client side built for it."""

from collections.abc import Iterator

import pytest
import redis

from pipeline.salesforce.client import Org
from pipeline.salesforce.credentials import Credentials
from pipeline.salesforce.session import SessionStore
from pipeline.salesforce.transport import Transport
from tests.integration.salesforce.scripted_org import ScriptedOrg


@pytest.fixture
def scripted_org() -> Iterator[ScriptedOrg]:
    org = ScriptedOrg()
    try:
        yield org
    finally:
        org.close()


@pytest.fixture
def credentials() -> Credentials:
    return Credentials(consumer_key="key", consumer_secret="secret", domain="acme.my")


@pytest.fixture
def store(redis_client: redis.Redis, scripted_org: ScriptedOrg, credentials: Credentials) -> SessionStore:
    return SessionStore(redis_client, credentials, endpoint_url=scripted_org.url)


@pytest.fixture
def usages() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def org(store: SessionStore, scripted_org: ScriptedOrg, usages: list[tuple[int, int]]) -> Org:
    transport = Transport(endpoint_url=scripted_org.url, connect_timeout_s=1, read_timeout_s=0.4)
    return Org(
        store, api_version="66.0", transport=transport, on_usage=lambda used, limit: usages.append((used, limit))
    )
