"""The transport that events are sent over: as pipeline/broker.py, with connections that connect once.

redis-py connects anew by itself where a connection has died, in the thread that wants to send, and nothing bounds how
long a name is looked up there. Here that is an error, after which pipeline/sending.py makes a new connection, in time.
"""

from typing import Any

from pipeline import broker


class _Once:
    _has_connected = False

    def _connect(self) -> Any:
        if self._has_connected:
            raise ConnectionResetError("it has died")
        self._has_connected = True
        return super()._connect()  # type: ignore[misc]  # redis-py's, beside which this class stands


def _once(connection_class: Any) -> Any:
    return type(connection_class.__name__, (_Once, connection_class), {})


class Channel(broker.Channel):
    """As a worker's, to one server."""

    connection_class = _once(broker.Channel.connection_class)
    connection_class_ssl = _once(broker.Channel.connection_class_ssl)


class Transport(broker.Transport):
    """Of redis:// and rediss:// addresses."""

    Channel = Channel


class SentinelChannel(broker.SentinelChannel):
    """As a worker's, to the master that Sentinels name."""

    connection_class = _once(broker.SentinelChannel.connection_class)
    connection_class_ssl = _once(broker.SentinelChannel.connection_class_ssl)


class SentinelTransport(broker.SentinelTransport):
    """Of sentinel:// addresses."""

    Channel = SentinelChannel
