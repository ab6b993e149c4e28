"""What commands connect to or listen on: the Redis that holds the pipeline's state, and ports."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from redis import Redis


@contextmanager
def connected() -> Iterator["Redis"]:
    """Open the state store that PIPELINE_REDIS_URL names, for as long as the context lasts."""
    from pipeline.state_store import connect_from

    with connect_from(os.environ) as client:
        yield client


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
