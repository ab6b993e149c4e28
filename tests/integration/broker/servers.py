"""A Redis of a test's own that listens on a socket and on IPv6 as well, and knows two users."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from pipeline.local import LOOPBACK, Service, clean_environment
from pipeline.local.redis_server import _valkey_binary, free_port

USERS = (("ops", ">p@ss/w+rd"), ("bob", "nopass"))


@contextmanager
def listening_everywhere(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run a server, and return its port and the path of its socket."""
    port, socket = free_port(), folder / "redis.sock"
    options = {"port": str(port), "bind": f"{LOOPBACK} -::1", "unixsocket": str(socket), "save": "", "dir": str(folder)}
    configuration = folder / "redis.conf"
    lines = [f"{name} {value or chr(34) * 2}" for name, value in options.items()]
    lines += [f"user {name} on {secret} ~* &* +@all" for name, secret in USERS]
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def answers(service: Service) -> bool:
        try:
            with redis.Redis(port=port) as client:
                return int(client.info("server")["process_id"]) == service.pid
        except redis.RedisError:
            return False

    command = [_valkey_binary(), str(configuration)]
    server = Service("redis", command, env=clean_environment(), log=folder / "redis.log", is_ready=answers)
    try:
        server.start().wait_until_ready()
        yield port, socket
    finally:
        server.stop()
