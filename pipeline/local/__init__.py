"""What runs on this machine: a Redis server, an emulated org, workers; for `up`, the demo, tests and benchmarks.

Everything here listens on loopback, by default on ports that were free, and is gone when its context ends: after
success, an exception, Ctrl-C or SIGTERM. Several stacks can run at once. One that is given a folder keeps its data
there. The server and the emulator come with the `local` extra.
"""

from pipeline.local.keeper import Keeper
from pipeline.local.log_reader import LogReader
from pipeline.local.pages import Page, console, flower
from pipeline.local.redis_server import LocalRedis, free_port, is_port_free
from pipeline.local.service import (
    LOOPBACK,
    Service,
    ServiceFailed,
    clean_environment,
    ending_on_sigterm,
    pipeline_command,
    wait_until,
)
from pipeline.local.stack import EMULATOR_CREDENTIALS, LocalStack, connect_producer, emulator_service

__all__ = [
    "EMULATOR_CREDENTIALS",
    "LOOPBACK",
    "Keeper",
    "LocalRedis",
    "LocalStack",
    "LogReader",
    "Page",
    "Service",
    "ServiceFailed",
    "clean_environment",
    "connect_producer",
    "console",
    "emulator_service",
    "ending_on_sigterm",
    "flower",
    "free_port",
    "is_port_free",
    "pipeline_command",
    "wait_until",
]
