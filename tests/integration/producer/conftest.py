"""Producers in this process, pointed at whichever broker a test is about."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline import app
from pipeline.local import LOOPBACK, LocalRedis, connect_producer
from pipeline.sending import sender

EVENT: dict[str, Any] = {"type": "identify", "userId": "u1", "messageId": "m1"}


@pytest.fixture(autouse=True)
def _points_nowhere_afterwards() -> Iterator[None]:
    yield
    if sender.cache_info().currsize:
        sender().close()
    connect_producer(app.conf.broker_url)


@pytest.fixture
def own_redis() -> Iterator[LocalRedis]:
    """A server that a test may stop, fill or make a replica."""
    with LocalRedis() as server:
        yield server


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections, and never answers."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield int(server.getsockname()[1])
