"""Real things for tests: a Redis server and an emulated org for the whole run, each test finding them empty."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis
import requests

from pipeline.local import LocalRedis, LocalStack, emulator_service
from pipeline.local.stack import emulator_address

# A shell has what it starts in the background ignore SIGINT, and so would every program that a test sends one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A crowded machine is no reason for a test to fail; tests of the bound itself take this away.
os.environ["PIPELINE_SEND_TIMEOUT"] = "30"

pytest_plugins = ["pipeline.emulator.testing"]

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--broker-url", help="run whole systems on this broker, amqp://..., in place of their own Redis")


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Settings that a test gives to its own process, as commands do with their options, end with the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def _running_redis() -> Iterator[LocalRedis]:
    with LocalRedis() as server:
        yield server


@pytest.fixture
def redis_server(_running_redis: LocalRedis) -> LocalRedis:
    """A real server, shared by the tests of this process and empty. Tests that stop it start one of their own."""
    with _running_redis.client() as client:
        client.flushall()
    return _running_redis


@pytest.fixture
def redis_client(redis_server: LocalRedis) -> Iterator[redis.Redis]:
    with redis_server.client() as client:
        yield client


@pytest.fixture(scope="session")
def _running_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    service = emulator_service(tmp_path_factory.mktemp("emulator") / "emulator.log")
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(service.stop)
        yield emulator_address(service.start().wait_until_ready())


@pytest.fixture
def emulator_url(_running_emulator: str) -> str:
    """An emulated org in a process of its own, without records, faults or spent calls."""
    requests.post(f"{_running_emulator}/_emulator/reset", json={}, timeout=10).raise_for_status()
    return _running_emulator


def _starting_emulators(folder: Path) -> Iterator[Callable[..., str]]:
    with contextlib.ExitStack() as cleanup:

        def start(org: str = "{}", *arguments: str) -> str:
            number = len(list(folder.glob("org-*.yaml")))
            file = folder / f"org-{number}.yaml"
            file.write_text(org, encoding="utf-8")
            service = emulator_service(folder / f"org-{number}.log", "--org", str(file), *arguments)
            cleanup.callback(service.stop)
            return emulator_address(service.start().wait_until_ready())

        yield start


@pytest.fixture
def start_emulator(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start emulated orgs of a test's own, `start_emulator("<org file>", "--latency-ms", "5")`; returns the address."""
    yield from _starting_emulators(tmp_path)


@pytest.fixture(scope="module")
def start_module_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Start emulated orgs that the tests of a file share; each test has to empty what it uses."""
    yield from _starting_emulators(tmp_path_factory.mktemp("orgs"))


@pytest.fixture
def start_stack(request: pytest.FixtureRequest) -> Iterator[Callable[..., LocalStack]]:
    """Start whole systems, `start_stack(workers={...}, destination="...")`, all stopped when the test ends."""
    broker = request.config.getoption("broker_url")
    with contextlib.ExitStack() as stacks:

        def start(**arguments: Any) -> LocalStack:
            return stacks.enter_context(LocalStack(**{"broker_url": broker, **arguments}))

        yield start


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds README.md, docker-compose.yml and the rest of the project."""
    return Path(__file__).resolve().parents[1]
