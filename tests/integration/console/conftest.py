"""A console in a process of its own, on the server and the org that all tests share."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.local import LocalRedis, Service, clean_environment, pipeline_command
from tests.integration.environment import Environment

PASSWORD = "a-long-password"
_ADDRESS = re.compile(r"console on (http://\S+)")


@pytest.fixture(scope="module")
def _start(tmp_path_factory: pytest.TempPathFactory, _running_redis: LocalRedis) -> Iterator[Callable[..., str]]:
    folder = tmp_path_factory.mktemp("console")
    started: dict[str, Service] = {}
    with contextlib.ExitStack() as cleanup:

        def start(password: str = PASSWORD, *arguments: str) -> str:
            """Return the address of a console with this password, started once for all tests of a file."""
            name = f"console-{password}{arguments}"
            if name not in started:
                environ = {"PIPELINE_CONSOLE_PASSWORD": password, "PIPELINE_REDIS_URL": _running_redis.url}
                service = Service(
                    "console",
                    pipeline_command("console", "--port", "0", *arguments),
                    env=clean_environment() | environ,
                    log=folder / f"{len(started)}.log",
                    cwd=folder,
                    is_ready=lambda it: _ADDRESS.search(it.output()),
                )
                cleanup.callback(service.stop)
                started[name] = service.start().wait_until_ready()
            found = _ADDRESS.search(started[name].output())
            assert found is not None
            return found[1]

        start.logs = folder  # type: ignore[attr-defined]
        yield start


@pytest.fixture
def start_console(_start: Callable[..., str], environment: Environment) -> Callable[..., str]:
    """Start a console; it delivers to nobody, so `environment` does."""
    return _start


@pytest.fixture
def console_logs(_start: Callable[..., str]) -> Path:
    """The folder with the logs of this file's consoles."""
    folder: Path = _start.logs  # type: ignore[attr-defined]
    return folder
