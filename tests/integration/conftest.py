"""An operator's environment against the emulated org that all tests share, or one of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from pipeline.local import LocalRedis, connect_producer
from tests.integration.environment import Environment


@pytest.fixture
def environment_of(
    redis_server: LocalRedis, redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Environment]:
    """Make the environment of the org at an address."""

    def make(url: str) -> Environment:
        made = Environment(url, redis_server, redis_client, tmp_path)
        for name, value in made.environ.items():
            monkeypatch.setenv(name, value)
        for name in ("PIPELINE_BROKER_URL", "PIPELINE_SECRET_KEY"):
            monkeypatch.delenv(name, raising=False)
        connect_producer(redis_server.url)
        return made

    return make


@pytest.fixture
def environment(environment_of: Callable[[str], Environment], emulator_url: str) -> Environment:
    return environment_of(emulator_url)
