"""`pipeline up`: the whole system on this machine, kept running and shown in one terminal until it is told to stop."""

import json
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli import Failure
from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from pipeline.cli.log_screen import LogScreen
    from pipeline.local import LocalStack, Page
    from pipeline.settings import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OURS = ("PIPELINE_", "SALESFORCE_", "FLOWER_")
_LOOK_EVERY_S = 0.1
_EMULATED = "the emulated org"
# Where each listens if nobody says otherwise; Redis is where a producer looks that was told nothing else.
_PORTS = {"redis": 6379, "emulator": 8080, "flower": 5555, "console": 8081}

_EVENT = (
    '{"type": "identify", "userId": "u1", "traits": {"email": "ada@example.com", "lastName": "Lovelace"},'
    ' "integrations": {"Salesforce": true}}'
)


def _port(name: str, what: str) -> "Callable[[_Command], _Command]":
    default = f"[default: {_PORTS[name]}, or a free one if that is taken]"
    return click.option(f"--{name}-port", type=click.IntRange(0, 65535), help=f"Port of {what}; 0: any.  {default}")


@click.command(
    epilog="\b\nExamples:\n  pipeline up\n  pipeline up --data /var/lib/pipeline --concurrency 4\n"
    "  SALESFORCE_DOMAIN=acme.my SALESFORCE_CONSUMER_KEY=... SALESFORCE_CONSUMER_SECRET=... pipeline up --data acme"
)
@click.option(
    "--data",
    "folder",
    default=".pipeline",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for what Redis, the emulated org and Flower keep, and for the logs.",
)
@click.option("--concurrency", default=2, show_default=True, type=click.IntRange(min=1), help="Processes of a worker.")
@_port("redis", "Redis")
@_port("emulator", "the emulated org")
@_port("flower", "Flower")
@_port("console", "the console")
@click.option("--json", "is_json", is_flag=True, help="Print the addresses as one JSON object; the rest on stderr.")
def up(*, folder: Path, concurrency: int, is_json: bool, **ports: int | None) -> None:
    """Run the whole system on this machine until Ctrl-C or SIGTERM.

    Starts a Redis server that keeps its data, an emulated org, a worker that takes events in, one that delivers them,
    beat, Flower and the console; shows their logs; starts again what ends by itself. Where PIPELINE_REDIS_URL is set
    that Redis is used, and where SALESFORCE_ variables are set that org. Told to stop, it lets the workers finish what
    they hold; told again, it stops at once, and what they held goes on with the next start. Exit code 0 if everything
    ended by itself when told to; 1 if something could not be started or had to be killed.
    """
    from rich.console import Console

    from pipeline.cli.log_screen import LogScreen
    from pipeline.local import LocalStack
    from pipeline.salesforce.login import check_credentials
    from pipeline.settings import load_settings

    settings = load_settings(os.environ)
    screen = LogScreen(Console(stderr=is_json, highlight=False))
    has_redis, has_emulator = not os.environ.get("PIPELINE_REDIS_URL"), not _names_an_org(os.environ)
    if has_redis:
        _keep_to_one_org(folder, _EMULATED if has_emulator else _org_of(settings))
    else:
        _check_redis(settings, screen)
    if not has_emulator and settings.endpoint_url is None:
        check_credentials(settings.credentials)  # complete, that is; whether they are right the first delivery shows
    stack = LocalStack(
        folder=folder,
        workers={name: ("--queues", name, "--concurrency", str(concurrency)) for name in ("ingest", "delivery")},
        destination=None,
        environ={name: value for name, value in os.environ.items() if name.startswith(_OURS)},
        has_redis=has_redis,
        has_emulator=has_emulator,
        redis_port=_free_port(ports["redis_port"], "redis") if has_redis else 0,
        emulator_arguments=_emulator_arguments(folder, ports["emulator_port"]) if has_emulator else (),
        pages=_pages(folder, ports),
        is_append_only=True,
        broker_url=os.environ.get("PIPELINE_BROKER_URL"),
        on_ready=lambda name: screen.say(name, f"ready  {stack.addresses.get(name, '')}".rstrip(), "bold green"),
    )
    if not has_redis:
        screen.say("redis", "yours  the one that PIPELINE_REDIS_URL names", "bold green")
    if not has_emulator:
        screen.say("org", f"yours  {_org_of(settings)}", "bold green")
    _run(stack, screen, folder, is_json=is_json)


def _pages(folder: Path, ports: "Mapping[str, int | None]") -> "list[Page]":
    """Return what is served beside the workers; another command that takes --address and --port is one more Page."""
    from pipeline.cli.console import missing
    from pipeline.local import console, flower

    pages = [flower("--state", str(folder.absolute() / "flower"), port=_free_port(ports["flower_port"], "flower"))]
    if not missing():  # whoever has a Redis and an org may have installed neither of the extras
        pages.append(console(port=_free_port(ports["console_port"], "console")))
    return pages


def _run(stack: "LocalStack", screen: "LogScreen", folder: Path, *, is_json: bool) -> None:
    """Keep the stack running until told to stop. Raises Failure if it could not end as it should."""
    is_up = False
    stack.while_stopping = screen.show_new
    try:
        with stack:
            screen.follow(stack.services)
            _show_what_next(stack, screen, folder, is_json=is_json)
            is_up = True
            _keep_up_until_told(stack, screen)
            screen.console.print("\nstopping: the workers finish what they hold; Ctrl-C again stops at once")
        screen.show_new()
    except (KeyboardInterrupt, SystemExit):
        when = "at once; what the workers held goes on with the next start" if is_up else "before all was ready"
        raise Failure(f"stopped {when}") from None
    if stack.killed:
        raise Failure(
            f"{', '.join(stack.killed)} did not end in time and had to be killed; what they held goes on with the next "
            f"start. Their logs are in {folder}"
        )
    screen.console.print(f"stopped; what waits is kept in {folder}")


def _keep_up_until_told(stack: "LocalStack", screen: "LogScreen") -> None:
    from pipeline.local import Keeper

    keeper = Keeper(stack.services, screen.say, now=time.monotonic())
    try:
        while True:
            screen.show_new()
            keeper.look(time.monotonic())
            time.sleep(_LOOK_EVERY_S)
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
        return


def _show_what_next(stack: "LocalStack", screen: "LogScreen", folder: Path, *, is_json: bool) -> None:
    file = folder / "env"
    exports = [f"export {name}={shlex.quote(value)}\n" for name, value in _provided(stack).items()]
    file.write_text("".join(exports), encoding="utf-8")
    if is_json:
        click.echo(json.dumps({**stack.addresses, "env": str(file)}))
    lines = ["", "All is ready. From another terminal:"]
    if exports:
        lines.append(f"  . {shlex.quote(str(file.absolute()))}   # where things are: {' '.join(_provided(stack))}")
    lines += [f"  echo '{_EVENT}' | pipeline send -", "  pipeline status", "", "In a browser:"]
    if "emulator" in stack.addresses:
        lines.append(f"  {stack.addresses['emulator']}   the org: its records, the API calls, faults")
    lines.append(f"  {stack.addresses['flower']}   Flower: workers, queues, tasks and what they did")
    if "console" in stack.addresses:
        lines.append(f"  {stack.addresses['console']}   the console: the flow, dead letters, traces, pauses")
    lines += ["", f"Ctrl-C stops everything; what waits is kept in {folder}.", ""]
    screen.console.print("\n".join(lines), markup=False, soft_wrap=True)


def _provided(stack: "LocalStack") -> dict[str, str]:
    """Return the variables that lead a producer or a command to what the stack has started itself."""
    from pipeline.local import EMULATOR_CREDENTIALS

    variables = {"PIPELINE_REDIS_URL": stack.addresses["redis"]} if "redis" in stack.addresses else {}
    if "emulator" in stack.addresses:
        variables |= {"SALESFORCE_ENDPOINT_URL": stack.addresses["emulator"], **EMULATOR_CREDENTIALS}
    return variables


def _free_port(asked: int | None, name: str) -> int:
    """Return the port that was asked for, the usual one if it is free, or 0. Raises ConfigurationError if taken."""
    from pipeline.cli.connection import port_taken
    from pipeline.local import is_port_free

    if asked is None:
        return _PORTS[name] if is_port_free(_PORTS[name]) else 0
    if asked and not is_port_free(asked):
        raise port_taken(asked, f"--{name}-port")
    return asked


def _emulator_arguments(folder: Path, port: int | None) -> Sequence[str]:
    return "--port", str(_free_port(port, "emulator")), "--file", str(folder.absolute() / "org.sqlite")


def _names_an_org(environ: Mapping[str, str]) -> bool:
    from pipeline.settings.variables import names_an_org

    return names_an_org(environ)


def _org_of(settings: "Settings") -> str:
    return settings.endpoint_url or f"{settings.credentials.domain}.salesforce.com"


def _check_redis(settings: "Settings", screen: "LogScreen") -> None:
    """Raise Failure if the Redis of the environment does not answer: nothing is started in vain."""
    from redis.exceptions import RedisError

    from pipeline.cli.connection import connected
    from pipeline.tasks.eviction import warnings_at_start

    try:
        with connected() as redis:
            redis.ping()
    except RedisError as error:
        raise Failure(
            f"the Redis that PIPELINE_REDIS_URL names, {settings.redis.shown}, does not answer "
            f"({type(error).__name__}): start it, or unset PIPELINE_REDIS_URL to have one started here"
        ) from None
    for warning in warnings_at_start():
        screen.say("redis", warning, "bold red")


def _keep_to_one_org(folder: Path, org: str) -> None:
    """Keep what was learned of one org, such as the Ids of its records, from being taken for another's.

    Raises ConfigurationError where the folder holds another org's data.
    """
    marker = folder / "org"
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)  # events are personal data
        if not marker.exists():
            marker.write_text(org, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written to ({error.strerror}): give --data another one") from None
    known = marker.read_text(encoding="utf-8")
    if known != org:
        raise ConfigurationError(
            f"{folder} holds events and record Ids for {known}, and this would use {org}: give --data another folder, "
            "or set or unset the SALESFORCE_ variables as they were"
        )
