"""What runs on this machine for the demo, the tests and the benchmarks: a Redis server, an emulated org, workers.

Everything here listens on loopback, on ports that were free, and is gone when its context ends: after success, an
exception, Ctrl-C or SIGTERM. Several stacks can run at once. The server and the emulator come with the `local` extra.
"""

from pipeline.local.redis_server import LocalRedis, free_port
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
    "LocalRedis",
    "LocalStack",
    "Service",
    "ServiceFailed",
    "clean_environment",
    "connect_producer",
    "emulator_service",
    "ending_on_sigterm",
    "free_port",
    "pipeline_command",
    "wait_until",
]
