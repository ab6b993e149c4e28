"""What goes wrong on the command line: one message that says what to do, and the exit code of its kind."""

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.local import free_port
from tests.integration.environment import Environment

TAKEN, GONE = "{taken}", "{gone}"
NO_REDIS = {"PIPELINE_REDIS_URL": "redis://127.0.0.1:{gone}/0"}
NO_CREDENTIALS = {"SALESFORCE_CONSUMER_KEY": "", "SALESFORCE_CONSUMER_SECRET": "", "SALESFORCE_ENDPOINT_URL": ""}


@pytest.fixture
def ports() -> Iterator[dict[str, str]]:
    """A port on which somebody listens, and one on which nobody does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield {"taken": str(listener.getsockname()[1]), "gone": str(free_port())}


@pytest.mark.parametrize(
    ("arguments", "environ", "exit_code", "advice"),
    [
        # Redis
        (["status"], NO_REDIS, 1, "set PIPELINE_REDIS_URL"),
        (["status"], NO_REDIS, 1, "It was looked for at redis://127.0.0.1:"),
        (["send", "{file}"], NO_REDIS, 1, "set PIPELINE_REDIS_URL"),
        (["dead-letters", "list"], NO_REDIS, 1, "set PIPELINE_REDIS_URL"),
        (["up", "--data", "{folder}"], {"SALESFORCE_ENDPOINT_URL": "", **NO_REDIS}, 1, "unset PIPELINE_REDIS_URL"),
        (
            ["status"],
            {"PIPELINE_REDIS_URL": "redis://ops:wrong@127.0.0.1:{redis}/0"},
            1,
            "check the user and the password",
        ),
        (["status"], {"PIPELINE_REDIS_URL": "http://127.0.0.1"}, 2, "write it as redis://127.0.0.1:6379/0"),
        (["status"], {"PIPELINE_REDIS_URL": "redis://127.0.0.1:port/0"}, 2, "write it as redis://127.0.0.1:6379/0"),
        (["status"], {"PIPELINE_REDIS_URL": "redis://127.0.0.1:6379/first"}, 2, "write it as redis://127.0.0.1:6379/0"),
        (["status"], {"PIPELINE_BROKER_URL": "broker"}, 2, "write it as redis://127.0.0.1:6379/0"),
        # destination.yaml
        (["worker"], {"PIPELINE_DESTINATION": "no-such-file.yaml"}, 2, "no-such-file.yaml"),
        (["worker"], {"PIPELINE_DESTINATION": "{file}"}, 2, "events.jsonl"),
        (["check"], {"PIPELINE_DESTINATION": "{folder}"}, 2, "PIPELINE_DESTINATION"),
        # the org
        (["check"], NO_CREDENTIALS, 2, "set SALESFORCE_CONSUMER_KEY"),
        (["check"], {"SALESFORCE_CONSUMER_SECRET": "wrong"}, 1, "check SALESFORCE_CONSUMER_KEY"),
        (
            ["check"],
            {"SALESFORCE_ENDPOINT_URL": "http://127.0.0.1:{gone}"},
            1,
            "start what should be there, or unset it",
        ),
        (["check"], {"SALESFORCE_ENDPOINT_URL": "127.0.0.1"}, 2, "write it as http://127.0.0.1:8080"),
        (
            ["up", "--data", "{folder}"],
            {**NO_CREDENTIALS, "SALESFORCE_DOMAIN": "acme.my"},
            2,
            "set SALESFORCE_CONSUMER",
        ),
        # files and folders
        (["send", "no-such-file"], {}, 2, "Try 'pipeline send --help'"),
        (["send", "{folder}"], {}, 2, "Try 'pipeline send --help'"),
        (["preview", "no-such-file"], {}, 2, "Try 'pipeline preview --help'"),
        (["demo", "--events", "no-such-file"], {}, 2, "Try 'pipeline demo --help'"),
        (["up", "--data", "{file}"], {}, 2, "Try 'pipeline up --help'"),
        # names
        (["pause", "Leed"], {}, 2, "write one of"),
        (["dead-letters", "show", "Lead"], {}, 2, "an id looks like"),
        (["dead-letters", "show", "Lead/1-1"], {}, 1, "see `pipeline dead-letters list`"),
        (["dead-letters", "retry"], {}, 2, "--all stands for every one"),
        (["dead-letters", "list", "--since", "yesterday"], {}, 2, "or an age as 30m, 2h or 7d"),
        (["statsu"], {}, 2, "Did you mean 'status'?"),
        (["status", "--jsno"], {}, 2, "--json"),
        (["completion", "tcsh"], {}, 2, "'bash', 'zsh', 'fish'"),
        (["worker", "--queues", "leads"], {}, 2, "'ingest', 'delivery', 'all'"),
        # ports
        (["emulator", "--port", TAKEN], {}, 2, "give --port another"),
        (["flower", "--port", TAKEN], {}, 2, "give --port another"),
        (["flower", "--address", "0.0.0.0"], {}, 2, "set FLOWER_BASIC_AUTH=user:password"),
        (["flower"], {"FLOWER_BASIC_AUTH": "ops"}, 2, "FLOWER_BASIC_AUTH is user:password"),
        (["up", "--data", "{folder}", "--flower-port", TAKEN], {}, 2, "--flower-port another"),
    ],
)
def test_an_error_says_what_to_do_next(  # noqa: PLR0917  (pytest names them)
    environment: Environment,
    ports: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: Sequence[str],
    environ: dict[str, str],
    exit_code: int,
    advice: str,
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"type": "identify"', encoding="utf-8")
    names = {**ports, "redis": environment.redis.get_connection_kwargs()["port"], "file": file, "folder": tmp_path}
    for name, value in environ.items():
        monkeypatch.setenv(name, value.format(**names))

    ran = CliRunner().invoke(main, [word.format(**names) for word in arguments], prog_name="pipeline")

    assert isinstance(ran.exception, SystemExit), ran.exception
    assert (ran.exit_code, ran.stdout) == (exit_code, ""), ran.output
    assert advice in ran.stderr
    assert "wrong" not in ran.stderr  # the password
