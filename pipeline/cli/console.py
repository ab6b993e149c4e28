"""`pipeline console`: the page for the people on call."""

import importlib.util
import logging
import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.tasks.runtime import Runtime

_NEEDED = ("starlette", "uvicorn")


@click.command(
    epilog="\b\nExamples:\n  pipeline console\n"
    "  PIPELINE_CONSOLE_PASSWORD=a-long-one pipeline console --bind 0.0.0.0\n"
    "  PIPELINE_CONSOLE_PASSWORD_FILE=/run/secrets/console pipeline console --url https://console.example.com"
)
@click.option("--bind", "--address", "address", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: a free one.")
@click.option("--url", help="Address by which browsers reach it, where a proxy with TLS stands before it.")
def console(*, address: str, port: int, url: str | None) -> None:
    """Serve a page with the flow, the last day, dead letters, traces and pauses until it is ended.

    Whoever is let in can read dead letters, which are personal data, retry and delete them, and pause delivery. So
    PIPELINE_CONSOLE_PASSWORD (or PIPELINE_CONSOLE_PASSWORD_FILE) is required unless it listens on loopback only. It
    needs destination.yaml and no credentials of the org.
    """
    from pipeline import logs
    from pipeline.cli.connection import check_is_free
    from pipeline.errors import ConfigurationError

    if missing():
        raise ConfigurationError(
            f"the console needs {' and '.join(missing())}: pip install 'event-pipeline-salesforce[console]'"
        )
    from pipeline.console.access import read_access
    from pipeline.console.server import serve
    from pipeline.settings import load_settings
    from pipeline.tasks.runtime import Runtime

    logging.basicConfig(level=logging.INFO)
    logs.set_up(logging.getLogger(), logs.log_format(os.environ))
    access = read_access(os.environ, address=address, url=url)
    runtime = Runtime(load_settings(os.environ))
    _say_whether_redis_answers(runtime)  # before anybody looks
    if port:
        check_is_free(address, port)
    try:
        serve(runtime, access, port=port, ready=lambda there: click.echo(f"console on {there}"))
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {address}:{port}: {error.strerror or error}") from None


def _say_whether_redis_answers(runtime: "Runtime") -> None:
    """Raise RedisError where Redis refuses; where it is away, the pages say so until it is back."""
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import TimeoutError as RedisTimeoutError

    from pipeline.redis_faults import in_words, is_refusal

    try:
        runtime.redis.ping()
    except (RedisConnectionError, RedisTimeoutError) as error:
        if is_refusal(error):
            raise
        click.echo(f"console waits: {in_words(error)} at {runtime.settings.redis.shown}", err=True)


def missing() -> list[str]:
    """Name the packages that the console needs and that are not installed."""
    return [name for name in _NEEDED if importlib.util.find_spec(name) is None]
