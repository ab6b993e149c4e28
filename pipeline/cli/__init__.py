"""The command line. Each command is a module of its own, imported only when it is called."""

import difflib
import importlib
import io
import os
import sys
import warnings
from typing import Any

import click

from pipeline.errors import ConfigurationError, PipelineError
from pipeline.extras import advice, name_is_taken

# name → (module, one line of help). `pipeline --help` prints the line without importing the module.
_COMMANDS = {
    "up": ("up", "Run the whole system on this machine until Ctrl-C, with its logs."),
    "demo": ("demo", "Run the whole system here and show what lands in an emulated org."),
    "check": ("check", "Hold destination.yaml against the org: objects, fields, types, permissions."),
    "preview": ("preview", "Show what events would write, without writing it."),
    "send": ("send", "Send events from a JSON Lines file."),
    "status": ("status", "Show what waits, what is in flight, and what the quota allows."),
    "trace": ("trace", "Show where one event is, or what became of it."),
    "metrics": ("metrics", "Serve figures of all of it to Prometheus."),
    "console": ("console", "Serve a page for the people on call: the flow, dead letters, pauses."),
    "dead-letters": ("dead_letters", "Show what could not be delivered and why; retry, export or drop it."),
    "pause": ("pause", "Hold delivery back, of everything or of one object; events are still taken in."),
    "resume": ("pause", "End a pause, and try the org at once."),
    "worker": ("run", "Run a worker that takes in events, delivers them, or both."),
    "beat": ("run", "Run the clock for upkeep; several at once are safe."),
    "flower": ("run", "Run Flower, the page that shows queues, workers and tasks."),
    "bench": ("bench", "Measure how fast, frugal and prompt the pipeline is on this machine."),
    "emulator": ("emulator", "Run an emulated Salesforce org over HTTP."),
    "completion": ("completion", "Print what makes a shell complete commands and options."),
}


# What a command ends with; docs/commands.md says the same.
EXIT_CODES = {
    0: "done; for what runs until it is stopped: ended as it was told to",
    1: "something failed or was found wrong, or Ctrl-C ended it before it was done",
    2: "wrong usage or configuration: nothing was done, and the message says what to change",
    143: "SIGTERM ended it before it was done (demo, bench)",
}


class Failure(click.ClickException):
    """One clear message on standard error, and exit code 1."""


class Misconfigured(Failure):
    """As `Failure`, with exit code 2: the operator has to change something first."""

    exit_code = 2


class _LazyGroup(click.Group):
    """Finds a command by its name and imports it then, so that help and short commands start at once."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        _be_ourselves()
        return super().main(*arguments, **options)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  (as above)
        if cmd_name not in _COMMANDS:
            return None
        try:
            module = importlib.import_module(f"pipeline.cli.{_COMMANDS[cmd_name][0]}")
        except ModuleNotFoundError as missing:
            raise _not_installed(missing) from None
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            for close in difflib.get_close_matches(args[0], _COMMANDS, n=1):
                raise click.UsageError(f"{error.message} Did you mean {close!r}?", ctx) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (as above)
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        if taken := name_is_taken():
            raise Misconfigured(taken)
        for notice in _notices():
            click.echo(f"warning: {notice}", err=True)
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as missing:
            raise _not_installed(missing) from None
        except ConfigurationError as error:
            raise Misconfigured(str(error)) from None
        except PipelineError as error:
            raise Failure(str(error)) from None
        except _faults_of_a_server() as error:
            raise Failure(_advice(error)) from None


def _be_ourselves() -> None:
    """Leave out of this process what its environment says to other programs, before a library of ours goes by it."""
    from pipeline.settings.variables import is_foreign

    for name, value in tuple(os.environ.items()):
        if is_foreign(name, value):
            del os.environ[name]
    if os.environ.get("PYTHONWARNINGS"):  # with `error` a library's advice to its developers would end a worker
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that a terminal cannot show is no reason to end
            stream.reconfigure(errors="backslashreplace")


def _notices() -> list[str]:
    """Say what is set that nobody may have meant."""
    from pipeline.settings import broker, redis_address, unchecked
    from pipeline.settings.variables import unknown

    said = unknown(os.environ)
    try:
        return said + unchecked(redis_address(os.environ), broker(os.environ))
    except ConfigurationError:  # the command says it, if it needs an address
        return said


def _not_installed(missing: ModuleNotFoundError) -> Exception:
    """Return what to tell of a module that is missing; one of the pipeline's own is a fault of the code."""
    name = missing.name or ""
    return missing if not name or name.partition(".")[0] == "pipeline" else Misconfigured(advice(name))


def _faults_of_a_server() -> tuple[type[Exception], ...]:
    """Name the errors that say something about a server, not about us; evaluated only once an error is there."""
    from kombu.exceptions import OperationalError
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError
    from redis.exceptions import TimeoutError as RedisTimeoutError

    return OperationalError, RedisConnectionError, RedisTimeoutError, NoPermissionError, OutOfMemoryError, ReadOnlyError


def _advice(error: Exception) -> str:
    from pipeline.redis_faults import in_words, is_refusal

    where = _where_redis_is()
    if is_refusal(error):
        return f"{in_words(error)}. It is {where}."
    return (
        f"{in_words(error)}. It was looked for at {where}. Start it, or set PIPELINE_REDIS_URL (and "
        "PIPELINE_BROKER_URL, if the queue is elsewhere) to where it is; `pipeline up` starts one here."
    )


def _where_redis_is() -> str:
    from pipeline.settings import broker, redis_address

    state, queue = redis_address(os.environ).shown, broker(os.environ).shown
    return state if queue == state else f"{state}, and the broker at {queue}"


def _print_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if not is_asked or ctx.resilient_parsing:
        return
    from pipeline.version import installed_version

    click.echo(f"pipeline {installed_version() or '(run from a source tree that is not installed)'}")
    ctx.exit()


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExamples:\n  pipeline up\n  pipeline send events.jsonl\n  pipeline status --json\n\n\b\nExit codes:\n"
    + "\n".join(f"  {code:<3}  {meaning}" for code, meaning in EXIT_CODES.items()),
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def main() -> None:
    """Bring customer events into Salesforce: a Lead per email, an Account per groupId, a few calls per thousand events.

    Start with `pipeline demo` or `pipeline up`. Everything is configured by environment variables (PIPELINE_REDIS_URL,
    SALESFORCE_...) and a destination.yaml named by PIPELINE_DESTINATION.
    """
