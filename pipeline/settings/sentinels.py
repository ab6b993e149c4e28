"""Sentinels: the servers that know which of several Redis servers is the master at the moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from pipeline.errors import ConfigurationError
from pipeline.settings.address import one_database, one_password, read_options, split, user_part
from pipeline.settings.secrets import given, given_exactly

DEFAULT_MASTER: Final = "mymaster"  # as in the configuration that Redis ships for Sentinel
_TLS: Final = "rediss+sentinel"
_SCHEMES: Final = ("sentinel", "redis+sentinel", _TLS)
_DEFAULT_PORT: Final = 26379
_EXAMPLE: Final = "sentinel://host:26379;sentinel://host2:26379/0"
# A Sentinel answers at once or is down, and then the next is asked.
_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinels:
    """Where they listen, the name they know the master by, and who we are to it and to them. None: no password.

    `tls` and `options` are keyword arguments of redis-py's client; `tls` is None where nothing is encrypted, and holds
    for the Sentinels and for the master.
    """

    nodes: tuple[tuple[str, int], ...]  # host and port
    master: str = DEFAULT_MASTER
    database: int = 0
    username: str | None = None  # for the master
    password: str | None = field(default=None, repr=False)
    own_username: str | None = None  # for the Sentinels themselves
    own_password: str | None = field(default=None, repr=False)
    tls: Mapping[str, Any] | None = field(default=None, hash=False)
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def broker_url(self) -> str:
        """The addresses as kombu wants them: each one says everything, as kombu goes by the one that it is at."""
        return self._urls("sentinel", self.password)

    @property
    def shown(self) -> str:
        """The addresses as people may see them: without the password."""
        return self._urls("sentinel" if self.tls is None else _TLS, None)

    def _urls(self, scheme: str, password: str | None) -> str:
        # Without a password the user's name alone is of no use to the master.
        user = user_part(self.username, password) if self.password else ""
        hosts = [(f"[{host}]" if ":" in host else host, port) for host, port in self.nodes]
        return ";".join(f"{scheme}://{user}{host}:{port}/{self.database}" for host, port in hosts)

    @property
    def encrypted(self) -> dict[str, Any]:
        """How to encrypt: keyword arguments of redis-py's client."""
        return {} if self.tls is None else {"ssl": True, **self.tls}

    @property
    def master_options(self) -> dict[str, Any]:
        """How to connect to the master: keyword arguments of redis-py's client, without its address."""
        return {
            "db": self.database,
            "username": self.username,
            "password": self.password,
            **self.encrypted,
            **self.options,
        }

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
            **self.encrypted,
        }

    @property
    def broker_options(self) -> dict[str, Any]:
        """What kombu wants beside `broker_url`, as transport options."""
        return {"master_name": self.master, "sentinel_kwargs": self.client_options, **self.options}


def names_sentinels(url: str) -> bool:
    """Tell whether an address is one of Sentinels."""
    return url.strip().partition("://")[0].lower() in _SCHEMES


def read_sentinels(url: str, environ: Mapping[str, str], variable: str, password: str | None = None) -> Sentinels:
    """Read `sentinel://host:26379;sentinel://host2:26379/0`; `rediss+sentinel://` speaks TLS to them and to the master.

    Credentials for the master, the database and options may stand in any of the addresses; `password` is used where
    none has one. The master's name is PIPELINE_REDIS_MASTER; Sentinels with a password of their own get
    PIPELINE_SENTINEL_PASSWORD, and PIPELINE_SENTINEL_USERNAME. Raises ConfigurationError naming `variable`, and not
    quoting what it holds.
    """
    wrong = f"{variable} is no list of Sentinels; write it as {_EXAMPLE}"
    read = [split(address, wrong) for address in url.split(";") if address.strip()]
    parts = [part for _, part in read]
    if any(scheme not in _SCHEMES for scheme, _ in read):
        raise ConfigurationError(f"{variable} names something beside Sentinels; write it as {_EXAMPLE}")
    if len({scheme == _TLS for scheme, _ in read}) > 1:
        raise ConfigurationError(f"{variable} names Sentinels with and without TLS; write it as {_EXAMPLE}")
    try:
        nodes = tuple((part.hostname or "", part.port or _DEFAULT_PORT) for part in parts)
    except ValueError:
        nodes = ()
    queries = {part.query for part in parts if part.query}
    if not nodes or not all(host for host, _ in nodes) or len(queries) > 1:
        raise ConfigurationError(wrong)
    options = read_options(next(iter(queries), ""), variable, is_encrypted=read[0][0] == _TLS)
    tls, named = options.pop("tls"), options.pop("db", None)
    databases = {one_database(unquote(part.path), named, wrong) for part in parts} - {None}
    if len(databases) > 1:
        raise ConfigurationError(wrong)
    username, inside = next(((part.username, part.password) for part in parts if part.password), (None, None))
    username = username or next((part.username for part in parts if part.username), None)
    return Sentinels(
        nodes=nodes,
        master=given(environ, "PIPELINE_REDIS_MASTER") or DEFAULT_MASTER,
        database=next(iter(databases), None) or 0,
        username=unquote(username) if username else None,
        password=one_password(unquote(inside or ""), password, variable),
        own_username=given(environ, "PIPELINE_SENTINEL_USERNAME"),
        own_password=given_exactly(environ, "PIPELINE_SENTINEL_PASSWORD"),
        tls=tls,
        options=options,
    )
