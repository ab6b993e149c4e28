"""What the console shows when something it needs does not answer."""

import asyncio
import signal
import subprocess
from typing import Any

import pytest

from pipeline.console.access import Access
from pipeline.console.app import Console
from pipeline.local import LocalRedis, clean_environment, connect_producer, free_port, pipeline_command
from pipeline.settings import load_settings
from pipeline.tasks.runtime import Runtime

OPEN = Access(password=None, address="127.0.0.1")


def ask(environ: dict[str, str], path: str) -> tuple[int, str]:
    """Ask a console in this process; returns the status and the page."""
    application = Console(Runtime(load_settings(environ)), OPEN).application()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(application(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()


def test_a_redis_that_does_not_answer_is_told_and_its_password_is_not(caplog: pytest.LogCaptureFixture) -> None:
    url = f"redis://:hunter2@127.0.0.1:{free_port()}/0"
    status, page = ask({"PIPELINE_REDIS_URL": url}, "/")
    assert status == 503
    assert "Redis does not answer (ConnectionError)" in page
    assert "hunter2" not in page + caplog.text


def test_a_fault_of_our_own_quotes_no_event(
    redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("ada@example.com")

    monkeypatch.setattr("pipeline.console.letters.count_dead_letters", broken)
    status, page = ask({"PIPELINE_REDIS_URL": redis_server.url}, "/dead-letters")
    assert status == 500
    assert "KeyError" in page
    assert "ada" not in page + caplog.text


def test_a_broker_that_does_not_answer_hides_nothing_else(redis_server: LocalRedis) -> None:
    connect_producer(f"redis://127.0.0.1:{free_port()}/0")
    try:
        status, page = ask({"PIPELINE_REDIS_URL": redis_server.url}, "/")
    finally:
        connect_producer(redis_server.url)
    assert status == 200
    assert "The broker does not answer." in page


def test_told_to_end_it_ends_well(redis_server: LocalRedis) -> None:
    environ = clean_environment() | {"PIPELINE_REDIS_URL": redis_server.url}
    command = pipeline_command("console", "--port", "0")
    told = (signal.SIGTERM, signal.SIGINT)
    running = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) for _ in told]
    try:
        for process, number in zip(running, told, strict=True):
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"console on http://127.0.0.1:")
            process.send_signal(number)
            assert process.wait(20) == 0
    finally:
        for process in running:
            process.kill()
            process.communicate()
