"""`pipeline worker`, `beat` and `flower`: Celery's own commands with the right queues and options.

They become Celery in this very process, so signals, exit codes and supervisors see what they expect.
"""

import ipaddress
import logging
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import NoReturn

import click

from pipeline.errors import ConfigurationError
from pipeline.extras import advice, missing_for_workers
from pipeline.settings.secrets import given

_STATE_SAVED_EVERY_MS = 60_000  # what a killed Flower forgets at most


@click.command(
    epilog="\b\nExample, two kinds that scale apart:\n"
    "  pipeline worker --queues ingest --concurrency 4\n"
    "  pipeline worker --queues delivery --concurrency 4 --name delivery"
)
@click.option("--queues", type=click.Choice(["ingest", "delivery", "all"]), help="What to do.  [default: all]")
@click.option("--ingest", "is_ingest", is_flag=True, help="Take in events only: --queues ingest.")
@click.option("--delivery", "is_delivery", is_flag=True, help="Deliver and do the upkeep only: --queues delivery.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Tasks at once.  [default: one per core]")
@click.option("--name", default="worker", show_default=True, help="Node name; unique among the workers of a host.")
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
def worker(
    *, queues: str | None, is_ingest: bool, is_delivery: bool, concurrency: int | None, name: str, log_level: str
) -> None:
    """Run a worker that takes events in, delivers them, or both.

    It listens to `ingest`; or to `salesforce.<Object>` for each object of destination.yaml, and to `upkeep`. Any
    number of workers may run, on any number of machines: no record is ever written by two at once. SIGTERM lets it
    finish what it holds; SIGKILL loses nothing either.
    """
    asked = {queues, "ingest" if is_ingest else None, "delivery" if is_delivery else None} - {None}
    both = not asked or "all" in asked
    delivery_queues = _delivery_queues()  # read by an ingest worker as well: what is wrong is said before it starts
    listened = [
        *(["ingest"] if both or "ingest" in asked else []),
        *(delivery_queues if both or "delivery" in asked else []),
    ]
    # Nothing here is asked of other workers (all that is shared is in Redis), so no second is spent on greeting them.
    alone = ["--without-mingle", "--without-gossip"]
    arguments = ["worker", "--hostname", f"{name}@%h", "--loglevel", log_level, "--queues", ",".join(listened), *alone]
    if concurrency is not None:
        arguments += ["--concurrency", str(concurrency)]
    _be_a_worker(arguments)


@click.command(epilog="\b\nExample:\n  pipeline beat")
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
def beat(*, log_level: str) -> None:
    """Run the clock that renews the session and the describe cache, and reads the quota while it is used up.

    Its schedule and its lock are in Redis: of several, one works and the others stand by.
    """
    from pipeline.cli.connection import wait_for_redis

    _check_parts()
    wait_for_redis("beat")
    # A pid file left by a killed container would keep its successor from starting; the lock in Redis is what counts.
    _become_celery(["beat", "--loglevel", log_level, "--pidfile", ""])


@click.command(epilog="\b\nExample:\n  FLOWER_BASIC_AUTH=ops:a-long-password pipeline flower --address 0.0.0.0")
@click.option("--address", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=5555, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--state", default="flower", show_default=True, type=click.Path(), help="File that keeps its history.")
def flower(*, address: str, port: int, state: str) -> None:
    """Run Flower. Events' contents never appear on it: tasks carry a description that names nobody.

    FLOWER_BASIC_AUTH (user:password, several separated by commas) is required unless it listens on loopback only.
    """
    from pipeline.cli.connection import check_is_free

    if find_spec("flower") is None:
        raise ConfigurationError(advice("flower"))
    check_flower_access(address, os.environ)
    check_is_free(address, port)
    # Flower reads the variable itself, no file, and takes an empty one for a password that nobody knows.
    credentials = given(os.environ, "FLOWER_BASIC_AUTH")
    os.environ.pop("FLOWER_BASIC_AUTH", None)
    if credentials:
        os.environ["FLOWER_BASIC_AUTH"] = credentials
    _show_every_queue()
    _become_celery(
        [
            "flower",
            f"--address={address}",
            f"--port={port}",
            f"--conf={os.devnull}",  # it would run a flowerconfig.py of the working folder
            "--persistent=True",
            f"--db={state}",
            f"--state-save-interval={_STATE_SAVED_EVERY_MS}",
            "--tasks-columns=name,uuid,state,result,received,runtime,worker",
        ]
    )


def check_flower_access(address: str, environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError if Flower would be open to others without a password."""
    credentials = given(environ, "FLOWER_BASIC_AUTH")
    if not credentials:
        if not _is_loopback(address):
            raise ConfigurationError(
                f"Flower on {address} can be reached from other machines and needs a password: "
                "set FLOWER_BASIC_AUTH=user:password, or listen on --address 127.0.0.1"
            )
        return
    for credential in credentials.split(","):
        user, colon, password = credential.partition(":")
        if not (user and colon and password):
            raise ConfigurationError("FLOWER_BASIC_AUTH is user:password, several separated by commas")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _delivery_queues() -> Sequence[str]:
    from pipeline.settings import load_settings

    settings = load_settings(os.environ)
    return [*(f"salesforce.{name}" for name in settings.destination.objects), "upkeep"]


def _show_every_queue() -> None:
    """Let Flower show what waits for delivery also before it has heard from a worker."""
    from kombu import Queue

    from pipeline.app import app

    known = {queue.name for queue in app.conf.task_queues}
    app.conf.task_queues = [*app.conf.task_queues, *(Queue(name) for name in _delivery_queues() if name not in known)]


def _be_a_worker(arguments: Sequence[str]) -> NoReturn:
    from celery.signals import worker_ready, worker_shutting_down

    told_to_end: list[str] = []

    def note_the_end(how: str, **_: object) -> None:
        told_to_end.append(how)

    worker_shutting_down.connect(note_the_end, weak=False)
    worker_ready.connect(_say_what_is_evicted, weak=False)
    try:
        _become_celery(arguments)
    except SystemExit as ended:
        # Celery says 1 after SIGINT, and 0 after SIGTERM, which ends it in the same way.
        if told_to_end and set(told_to_end) == {"Warm"} and ended.code == 1:
            raise SystemExit(0) from None
        raise


def _say_what_is_evicted(**_: object) -> None:
    from pipeline.tasks.eviction import warnings_at_start

    for warning in warnings_at_start():
        logging.getLogger("pipeline.worker").error("%s", warning)


def _check_parts() -> None:
    if missing := missing_for_workers():
        raise ConfigurationError(missing)


def _become_celery(arguments: Sequence[str]) -> NoReturn:
    from pipeline.app import app
    from pipeline.logs import log_format

    _check_parts()
    log_format(os.environ)  # a wrong one is said now, where it would only be a line in the log later

    raise SystemExit(app.start(list(arguments)))
