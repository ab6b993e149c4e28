"""The address of Celery's broker: the Redis that holds the state, another one, or RabbitMQ."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.errors import ConfigurationError
from pipeline.settings.address import DEFAULT_REDIS_URL, Server, read_options, read_server, split
from pipeline.settings.sentinels import Sentinels, names_sentinels, read_sentinels

_RABBITMQ: Final = ("amqp", "amqps", "pyamqp")
_RABBITMQ_TLS: Final = "amqps"
_IN_PROCESS: Final = "memory"  # kombu's own, for tests of programs that send events


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the queues are, as Celery's settings: `url`, `use_ssl` (None: in the clear) and `transport_options`.

    `shown` is the address without the password.
    """

    url: str = field(repr=False)
    shown: str
    use_ssl: dict[str, Any] | None = None
    transport_options: dict[str, Any] = field(default_factory=dict)
    tls: Mapping[str, Any] | None = None  # as in `Server`
    redis: Server | Sentinels | None = None  # None: it is none, or kombu chooses among several


def broker_of(state: Server | Sentinels) -> Broker:
    """Return the broker that a Redis is."""
    options = state.broker_options if isinstance(state, Sentinels) else state.options
    return Broker(
        url=state.broker_url,
        shown=state.shown,
        use_ssl=None if state.tls is None else dict(state.tls),
        transport_options=dict(options),
        tls=state.tls,
        redis=state,
    )


def read_broker(url: str, environ: Mapping[str, str], variable: str) -> Broker:
    """Read the address of a broker; several of one kind are separated by `;`.

    Raises ConfigurationError naming `variable` and saying what to write instead, and not quoting what it holds.
    """
    if names_sentinels(url):
        return broker_of(read_sentinels(url, environ, variable))
    wrong = f"{variable} is no address; write it as {DEFAULT_REDIS_URL} or amqp://user:password@host//"
    addresses = [one for one in url.split(";") if one.strip()]
    schemes = {split(one, wrong)[0] for one in addresses}
    if not schemes:
        raise ConfigurationError(wrong)
    if schemes == {_IN_PROCESS}:
        return Broker(url=url.strip(), shown=url.strip())
    if schemes <= set(_RABBITMQ):
        return _rabbitmq(addresses, variable, wrong)
    return _servers(addresses, variable)


def _servers(addresses: list[str], variable: str) -> Broker:
    first, *others = servers = [read_server(one, variable) for one in addresses]
    if others and any((one.socket, one.tls, one.options) != (None, first.tls, first.options) for one in servers):
        raise ConfigurationError(f"{variable} names several servers; give all of them the same options, and no socket")
    return Broker(
        url=";".join(one.broker_url for one in servers),
        shown=";".join(one.shown for one in servers),
        use_ssl=None if first.tls is None else dict(first.tls),
        transport_options=dict(first.options),
        tls=first.tls,
        redis=None if others else first,
    )


def _rabbitmq(addresses: list[str], variable: str, wrong: str) -> Broker:
    urls, shown, said = [], [], []
    for address in addresses:
        scheme, parts = split(address, wrong)
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ConfigurationError(wrong) from None
        if port == 0:
            raise ConfigurationError(wrong)
        options = read_options(parts.query, variable, is_encrypted=scheme == _RABBITMQ_TLS)
        tls = options.pop("tls")
        if options:
            raise ConfigurationError(f"{variable}: {', '.join(options)} is no option of RabbitMQ's address")
        said.append(tls)
        urls.append(f"{scheme}://{parts.netloc}{parts.path}")
        name = f"[{host}]" if ":" in host else host
        shown.append(f"{scheme}://{name}{f':{port}' if port else ''}{parts.path}")
    if any(one != said[0] for one in said):
        raise ConfigurationError(f"{variable} names several servers; give all of them the same options")
    return Broker(url=";".join(urls), shown=";".join(shown), use_ssl=_of_amqp(said[0]), tls=said[0])


def _of_amqp(tls: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what py-amqp wants: without a name it would check the certificate and not whose it is."""
    if tls is None:
        return None
    files = {
        name.removeprefix("ssl_"): tls[name] for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile") if name in tls
    }
    is_checked = tls["ssl_cert_reqs"] != "none"
    # None stands for the host of the address, which kombu fills in.
    named = {"server_hostname": None} if tls["ssl_check_hostname"] else {}
    return {"cert_reqs": ssl.CERT_REQUIRED if is_checked else ssl.CERT_NONE, **files, **named}
