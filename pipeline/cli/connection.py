"""What commands connect to or listen on: the Redis that holds the pipeline's state, and ports."""

import errno
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from redis import Redis


_LOOK_AGAIN_S = 1.0


@contextmanager
def connected() -> Iterator["Redis"]:
    """Open the state store that PIPELINE_REDIS_URL names, for as long as the context lasts."""
    from pipeline.state_store import connect_from

    with connect_from(os.environ) as client:
        yield client


def end_well(*_: object) -> NoReturn:
    """End the process with 0, as a handler of SIGINT and SIGTERM: it was told to end, and did."""
    raise SystemExit(0)


def wait_for_redis(name: str) -> None:
    """Return once the state store answers, and say that it is waited for; SIGINT and SIGTERM end the process with 0.

    Raises RedisError where it answers and refuses.
    """
    import click
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import TimeoutError as RedisTimeoutError

    from pipeline.redis_faults import in_words, is_refusal
    from pipeline.settings import redis_address

    former = {number: signal.signal(number, end_well) for number in (signal.SIGTERM, signal.SIGINT)}
    has_said = False
    try:
        with connected() as redis:
            while True:
                try:
                    redis.ping()
                except (RedisConnectionError, RedisTimeoutError) as error:
                    if is_refusal(error):
                        raise
                    if not has_said:
                        click.echo(f"{name} waits: {in_words(error)} at {redis_address(os.environ).shown}", err=True)
                    has_said = True
                    time.sleep(_LOOK_AGAIN_S)
                else:
                    return
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def check_is_free(address: str, port: int) -> None:
    """Raise ConfigurationError if something listens on a port already."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.create_server((address, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise port_taken(port) from None


def port_taken(port: int, option: str = "--port") -> ConfigurationError:
    """Return the error for a port on which something listens already."""
    return ConfigurationError(f"port {port} is taken: end what listens there, or give {option} another one")
