"""Sentinels: the servers that know which of several Redis servers is the master at the moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from pipeline.errors import ConfigurationError

SENTINEL_SCHEME: Final = "sentinel://"
DEFAULT_MASTER: Final = "mymaster"  # as in the configuration that Redis ships for Sentinel
_DEFAULT_PORT: Final = 26379
_EXAMPLE: Final = "sentinel://host:26379;sentinel://host2:26379/0"
# A Sentinel answers at once or is down, and then the next is asked.
_TIMEOUT_S: Final = 2.0
_REDBEAT_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinels:
    """Where they listen, the name they know the master by, and who we are to it and to them. None: no password."""

    nodes: tuple[tuple[str, int], ...]  # host and port
    master: str = DEFAULT_MASTER
    database: int = 0
    username: str | None = None  # for the master
    password: str | None = field(default=None, repr=False)
    own_username: str | None = None  # for the Sentinels themselves
    own_password: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The addresses as kombu wants them: each one says everything, as kombu goes by the one that it is at."""
        user = f"{quote(self.username or '', safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        hosts = [(f"[{host}]" if ":" in host else host, port) for host, port in self.nodes]
        return ";".join(f"{SENTINEL_SCHEME}{user}{host}:{port}/{self.database}" for host, port in hosts)

    @property
    def client_options(self) -> dict[str, Any]:
        """How to connect to the Sentinels themselves: keyword arguments of redis-py's client."""
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return {
            "socket_timeout": _TIMEOUT_S,
            "socket_connect_timeout": _TIMEOUT_S,
            "retry": Retry(NoBackoff(), 0),  # redis-py would ask one that is away for seconds before it asks the next
            "username": self.own_username,
            "password": self.own_password,
        }

    @property
    def kombu_options(self) -> dict[str, Any]:
        """What kombu wants beside `url`, as transport options."""
        return {"master_name": self.master, "sentinel_kwargs": self.client_options}

    @property
    def redbeat_options(self) -> dict[str, Any]:
        """What RedBeat wants in place of an address, as `redbeat_redis_options`."""
        return {
            "sentinels": list(self.nodes),
            "service_name": self.master,
            "db": self.database,
            "username": self.username,
            "password": self.password,
            "socket_timeout": _REDBEAT_TIMEOUT_S,
            "sentinel_kwargs": self.client_options,
        }


def read_sentinels(url: str, environ: Mapping[str, str], variable: str) -> Sentinels | None:
    """Read `sentinel://host:26379;sentinel://host2:26379/0`; None where `url` is the address of something else.

    Credentials for the master and the database may stand in any of the addresses. The master's name is
    PIPELINE_REDIS_MASTER; Sentinels with a password of their own get PIPELINE_SENTINEL_PASSWORD, and
    PIPELINE_SENTINEL_USERNAME. Raises ConfigurationError naming `variable`, and not quoting what it holds.
    """
    if not url.startswith(SENTINEL_SCHEME):
        return None
    try:
        parts = [urlsplit(address) for address in url.split(";") if address.strip()]
        nodes = tuple((part.hostname or "", part.port or _DEFAULT_PORT) for part in parts)
        databases = {int(part.path.strip("/")) for part in parts if part.path.strip("/")}
    except ValueError:
        nodes, databases = (), set()
    if not all(host for host, _ in nodes) or not nodes or len(databases) > 1:
        raise ConfigurationError(f"{variable} is no list of Sentinels; write it as {_EXAMPLE}")
    if any(f"{part.scheme}://" != SENTINEL_SCHEME or part.query for part in parts):
        raise ConfigurationError(f"{variable} names something beside Sentinels; write it as {_EXAMPLE}")
    credentials = next(((part.username, part.password) for part in parts if part.password), (None, None))
    username, password = (unquote(one) if one else None for one in credentials)
    return Sentinels(
        nodes=nodes,
        master=environ.get("PIPELINE_REDIS_MASTER", "").strip() or DEFAULT_MASTER,
        database=next(iter(databases), 0),
        username=username,
        password=password,
        own_username=environ.get("PIPELINE_SENTINEL_USERNAME") or None,
        own_password=environ.get("PIPELINE_SENTINEL_PASSWORD") or None,
    )
