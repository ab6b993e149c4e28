import subprocess
import sys
from typing import Any

import click
import pytest
from click.testing import CliRunner

import pipeline.cli
from pipeline.cli import main
from pipeline.errors import ConfigurationError, PipelineError
from pipeline.local import clean_environment

COMMANDS = sorted(main.list_commands(click.Context(main)))


def test_help_lists_every_command_without_importing_one() -> None:
    script = (
        "import sys\nfrom pipeline.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('pipeline.cli.')))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert all(f"  {name} " in shown.stdout for name in COMMANDS)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_is_a_usage_error() -> None:
    asked = CliRunner().invoke(main, ["upp"])
    assert asked.exit_code == 2
    assert "No such command 'upp'. Did you mean 'up'?" in asked.output


def test_the_version_is_printed() -> None:
    assert CliRunner().invoke(main, ["--version"]).output.startswith("pipeline ")


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(ConfigurationError("destination.yaml line 3: no such thing"), 2), (PipelineError("the org is closed"), 1)],
)
def test_a_pipeline_error_is_one_message_and_an_exit_code(
    error: PipelineError, exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = run_failing(error, monkeypatch)
    assert (asked.exit_code, asked.output) == (exit_code, f"Error: {error}\n")


def test_an_unreachable_redis_says_what_to_set_and_not_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    from redis.exceptions import ConnectionError as RedisConnectionError

    asked = run_failing(RedisConnectionError("redis://:hunter2@broker refused"), monkeypatch)
    assert asked.exit_code == 1
    assert "PIPELINE_REDIS_URL" in asked.output
    assert "hunter2" not in asked.output


def test_a_bug_is_not_disguised_as_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(run_failing(KeyError("bug"), monkeypatch).exception, KeyError)


def run_failing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> Any:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(pipeline.cli._LazyGroup, "get_command", lambda *_: failing)
    return CliRunner().invoke(main, ["failing"])
