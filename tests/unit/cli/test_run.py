from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline import app
from pipeline.cli import main
from pipeline.cli.run import check_flower_access
from pipeline.errors import ConfigurationError
from pipeline.local import free_port

DELIVERY = "salesforce.Account,salesforce.Contact,salesforce.Lead,upkeep"


@pytest.fixture
def celery(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Sequence[str]]]:
    """What Celery would have been started with."""
    started: list[Sequence[str]] = []
    monkeypatch.setattr(app, "start", started.append)
    monkeypatch.setattr("pipeline.cli.connection.wait_for_redis", lambda _: None)
    for name in ("PIPELINE_REDIS_URL", "FLOWER_BASIC_AUTH"):
        monkeypatch.delenv(name, raising=False)
    destination = tmp_path / "destination.yaml"
    destination.write_text("{}", encoding="utf-8")
    monkeypatch.setenv("PIPELINE_DESTINATION", str(destination))
    queues = app.conf.task_queues
    yield started
    app.conf.task_queues = queues


def option(arguments: Sequence[str], name: str) -> str:
    return arguments[list(arguments).index(name) + 1]


@pytest.mark.parametrize(
    ("flags", "queues"),
    [
        ([], f"ingest,{DELIVERY}"),
        (["--ingest", "--delivery"], f"ingest,{DELIVERY}"),
        (["--ingest"], "ingest"),
        (["--delivery"], DELIVERY),
        (["--queues", "all"], f"ingest,{DELIVERY}"),
        (["--queues", "ingest"], "ingest"),
        (["--queues", "delivery"], DELIVERY),
        (["--queues", "delivery", "--ingest"], f"ingest,{DELIVERY}"),
    ],
)
def test_a_worker_listens_to_the_queues_of_its_kind(flags: list[str], queues: str, celery: list[Sequence[str]]) -> None:
    run = CliRunner().invoke(main, ["worker", *flags, "--name", "w7", "--concurrency", "3"])
    assert run.exit_code == 0, run.output
    (arguments,) = celery
    assert arguments[0] == "worker"
    assert option(arguments, "--queues") == queues
    assert option(arguments, "--hostname") == "w7@%h"
    assert option(arguments, "--concurrency") == "3"


def test_a_missing_destination_stops_a_worker_before_it_starts(
    celery: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_DESTINATION", "no-such-file.yaml")
    assert CliRunner().invoke(main, ["worker", "--delivery"]).exit_code == 2
    assert not celery


def test_a_killed_beat_leaves_no_pid_file_that_keeps_the_next_one_out(celery: list[Sequence[str]]) -> None:
    assert CliRunner().invoke(main, ["beat"]).exit_code == 0
    assert option(celery[0], "--pidfile") == ""


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.1.2.3", "flower.internal", ""])
def test_flower_reachable_by_others_needs_a_password(address: str, celery: list[Sequence[str]]) -> None:
    run = CliRunner().invoke(main, ["flower", "--address", address])
    assert run.exit_code == 2
    assert "FLOWER_BASIC_AUTH" in run.output
    assert not celery


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.0.0.9"])
def test_flower_on_loopback_needs_none(address: str, celery: list[Sequence[str]]) -> None:
    run = CliRunner().invoke(main, ["flower", "--address", address, "--port", str(free_port())])
    assert run.exit_code == 0, run.output
    assert f"--address={address}" in celery[0]


def test_flower_keeps_its_history_and_shows_no_arguments(celery: list[Sequence[str]]) -> None:
    CliRunner().invoke(main, ["flower", "--port", str(free_port())])
    shown: Any = celery[0]
    assert "--persistent=True" in shown
    (columns,) = [argument for argument in shown if argument.startswith("--tasks-columns=")]
    assert "args" not in columns
    assert {queue.name for queue in app.conf.task_queues} == {"ingest", *DELIVERY.split(",")}


@pytest.mark.parametrize("credentials", ["ops", "ops:", ":secret", "ops:secret,", "ops:secret,other"])
def test_credentials_that_are_no_user_and_password_are_refused_without_showing_them(credentials: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_flower_access("0.0.0.0", {"FLOWER_BASIC_AUTH": credentials})
    assert "secret" not in str(refused.value)


def test_credentials_of_several_people_are_accepted() -> None:
    check_flower_access("0.0.0.0", {"FLOWER_BASIC_AUTH": "ops:secret,other:secret"})
