"""The address of a Redis server, read once: every client gets from here what it needs, in its own words.

What one client would take and another would not is refused, with a sentence that names the variable and quotes nothing.
`docs/deployment.md` has a table of every form.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pipeline.errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"
DEFAULT_REDIS_URL: Final = f"redis://{LOOPBACK}:6379/0"

_REDIS_PORT: Final = 6379
_TCP, _TLS, _SOCKETS = "redis", "rediss", ("unix", "redis+socket")
_SCHEMES: Final = (_TCP, _TLS, *_SOCKETS)

# The broker's client waits a second for messages, so what gives up sooner would never see an empty queue.
_LEAST_TIMEOUT_S: Final = 2.0
# The broker's channels and the console's threads share a pool; with fewer they would be refused.
_LEAST_CONNECTIONS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server: where it listens, who we are to it, and how to connect. A repr shows no password.

    `tls` and `options` are keyword arguments of redis-py's client; `tls` is None where nothing is encrypted.
    """

    host: str = LOOPBACK
    port: int = _REDIS_PORT
    socket: str | None = None  # the path of a unix socket; `host` and `port` mean nothing then
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Mapping[str, Any] | None = field(default=None, hash=False)
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of redis-py's client."""
        where = {"unix_socket_path": self.socket} if self.socket else {"host": self.host, "port": self.port}
        encrypted = {} if self.tls is None else {"ssl": True, **self.tls}
        return {
            **where,
            "db": self.database,
            "username": self.username,
            "password": self.password,
            **encrypted,
            **self.options,
        }

    @property
    def broker_url(self) -> str:
        """The address as kombu and Flower want it; `tls` and `options` go beside it."""
        if self.socket:
            return f"redis+socket://{self._user(self.password)}{quote(self.socket)}?virtual_host={self.database}"
        return self._url(self.password)

    @property
    def shown(self) -> str:
        """The address as people may see it: without the password."""
        if self.socket:
            return f"unix://{self._user(None)}{self.socket}?db={self.database}"
        return self._url(None)

    def _url(self, password: str | None) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = _TCP if self.tls is None else _TLS
        return f"{scheme}://{self._user(password)}{host}:{self.port}/{self.database}"

    def _user(self, password: str | None) -> str:
        return user_part(self.username, password)


def user_part(username: str | None, password: str | None) -> str:
    """Return what stands before the host in an address: `user:password@`, `:password@`, `user@`, or nothing."""
    if not username and not password:
        return ""
    secret = f":{quote(password, safe='')}" if password else ""
    return f"{quote(username or '', safe='')}{secret}@"


def read_server(url: str, variable: str, password: str | None = None) -> Server:
    """Read the address of a server; `password` is used where the address has none.

    Raises ConfigurationError naming `variable` and saying what to write instead, and not quoting what it holds.
    """
    wrong = f"{variable} is no Redis address; write it as {DEFAULT_REDIS_URL}"
    scheme, parts = split(url, wrong)
    if scheme not in _SCHEMES:
        raise ConfigurationError(f"{wrong}, or with {', '.join(f'{one}://' for one in _SCHEMES[1:])}")
    try:
        host, port = unquote(parts.hostname or ""), parts.port
    except ValueError:
        raise ConfigurationError(wrong) from None
    if port == 0:
        raise ConfigurationError(wrong)
    options = read_options(parts.query, variable, is_encrypted=scheme == _TLS)
    tls, database = options.pop("tls"), options.pop("db", None)
    path = unquote(parts.path)
    if scheme in _SOCKETS:
        if host or not path.strip("/"):
            raise ConfigurationError(f"{variable} names no socket; write it as unix:///run/redis.sock?db=0")
        where: dict[str, Any] = {"socket": path}
    else:
        where = {"host": host or LOOPBACK, "port": port or _REDIS_PORT}
        database = one_database(path, database, wrong)
    return Server(
        **where,
        database=database or 0,
        username=unquote(parts.username or "") or None,
        password=one_password(unquote(parts.password or ""), password, variable),
        tls=tls,
        options=options,
    )


def split(url: str, wrong: str) -> tuple[str, Any]:
    """Return an address's scheme in lower case, and its parts. Raises ConfigurationError with the sentence `wrong`."""
    text = url.strip()
    scheme, mark, rest = text.partition("://")
    # What is not printable would be dropped in silence by one library and sent by another.
    if not mark or not text.isprintable() or " " in text:
        raise ConfigurationError(wrong)
    try:
        parts = urlsplit(f"{scheme.lower()}://{rest}")
    except ValueError:
        raise ConfigurationError(f"{wrong}; an IPv6 address stands in [ ]") from None
    if parts.fragment or "@" in (parts.path + parts.query):
        raise ConfigurationError(f"{wrong}; in a password / is written %2F, # %23, ? %3F, @ %40")
    return scheme.lower(), parts


def one_database(path: str, named: int | None, wrong: str) -> int | None:
    """Return the number of the database, which stands in the path or in the option. Raises ConfigurationError."""
    text = path.strip("/")
    if not text:
        return named
    if not (text.isascii() and text.isdecimal()) or named not in {None, int(text)}:
        raise ConfigurationError(f"{wrong}; the database is one number, at the end or as ?db=")
    return int(text)


def one_password(inside: str, beside: str | None, variable: str) -> str | None:
    """Return the password of an address, or the one beside it. Raises ConfigurationError where there are two."""
    if inside and beside is not None:
        raise ConfigurationError(f"{variable} has a password, and PIPELINE_REDIS_PASSWORD is set; keep one")
    return inside or beside


def read_options(query: str, variable: str, *, is_encrypted: bool) -> dict[str, Any]:
    """Read what stands after the `?`: keyword arguments of redis-py's client, those of TLS apart under `tls`.

    Raises ConfigurationError for an option that not every client has, or a value that cannot be.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    # Kombu's name for the database.
    said = [("db" if name == "virtual_host" else name, value) for name, value in pairs]
    if len(said) != len(dict(said)):
        raise ConfigurationError(f"{variable} has an option twice; keep one")
    read: dict[str, Any] = {}
    for name, value in said:
        if name not in _OPTIONS:
            raise ConfigurationError(
                f"{variable} has an option after the ? that is not known; these are: {', '.join(_OPTIONS)}"
            )
        reader, wanted = _OPTIONS[name]
        try:
            read[name] = reader(value)
        except (ValueError, OSError):
            raise ConfigurationError(f"{variable}: ?{name}= wants {wanted}") from None
    tls = {name: read.pop(name) for name in tuple(read) if name.startswith("ssl_")}
    if tls and not is_encrypted:
        raise ConfigurationError(f"{variable} has options of TLS ({', '.join(tls)}) and no TLS; write {_TLS}://")
    return {**read, "tls": _checked(tls, variable) if is_encrypted else None}


def _checked(tls: dict[str, Any], variable: str) -> dict[str, Any]:
    if "ssl_keyfile" in tls and "ssl_certfile" not in tls:
        raise ConfigurationError(f"{variable}: ?ssl_keyfile= wants ?ssl_certfile= beside it")
    required = tls.get("ssl_cert_reqs", "required")
    is_checked = required != "none"
    return {**tls, "ssl_cert_reqs": required, "ssl_check_hostname": is_checked and tls.get("ssl_check_hostname", True)}


def what_is_unchecked(tls: Mapping[str, Any] | None) -> str | None:
    """Say what is not checked of the server that encrypts; None where all is, or nothing is encrypted."""
    if tls is None:
        return None
    if tls["ssl_cert_reqs"] == "none":
        return "the server's certificate is not checked (ssl_cert_reqs=none)"
    return None if tls["ssl_check_hostname"] else "the server's name is not checked (ssl_check_hostname=false)"


def _number(value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise ValueError
    return int(value)


def _at_least(least: float, reader: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(value: str) -> Any:
        number = reader(value)
        if not least <= number < float("inf"):
            raise ValueError
        return number

    return read


def _seconds(value: str) -> float:
    return float(value)


def _yes_or_no(value: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return bool(_one_of(value.lower(), words))


def _one_of(word: str, known: Mapping[str, Any]) -> Any:
    if word not in known:
        raise ValueError
    return known[word]


def _requirement(value: str) -> str:
    # To a client `optional` is `required`: the server always shows a certificate.
    words = {"required": "required", "optional": "required", "none": "none"}
    return str(_one_of(value.lower().removeprefix("cert_"), words))


def _file(value: str) -> str:
    if not (Path(value).is_file() and os.access(value, os.R_OK)):
        raise ValueError
    return value


def _protocol(value: str) -> int:
    return int(_one_of(value, {"2": 2, "3": 3}))


def _name(value: str) -> str:
    if not value:
        raise ValueError
    return value


_SECONDS_WANTED: Final = f"seconds, {_LEAST_TIMEOUT_S:g} or more"
_OPTIONS: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "db": (_number, "the number of a database"),
    "protocol": (_protocol, "2 or 3"),
    "socket_timeout": (_at_least(_LEAST_TIMEOUT_S, _seconds), _SECONDS_WANTED),
    "socket_connect_timeout": (_at_least(0.1, _seconds), "seconds, 0.1 or more"),
    "socket_keepalive": (_yes_or_no, "true or false"),
    "health_check_interval": (_number, "whole seconds"),
    "max_connections": (_at_least(_LEAST_CONNECTIONS, _number), f"a number, {_LEAST_CONNECTIONS} or more"),
    "client_name": (_name, "a name"),
    "ssl_cert_reqs": (_requirement, "required, or none"),
    "ssl_check_hostname": (_yes_or_no, "true or false"),
    "ssl_ca_certs": (_file, "the path of a file that can be read"),
    "ssl_certfile": (_file, "the path of a file that can be read"),
    "ssl_keyfile": (_file, "the path of a file that can be read"),
}
