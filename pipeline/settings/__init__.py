"""Settings: the environment and destination.yaml as values, with errors that say what to write instead.

Producers read the broker's address from here, so nothing heavy is imported before it is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.destination import Destination
from pipeline.errors import ConfigurationError
from pipeline.salesforce.credentials import Credentials
from pipeline.settings.address import DEFAULT_REDIS_URL, Server, read_server, what_is_unchecked
from pipeline.settings.broker import Broker, broker_of, read_broker
from pipeline.settings.secrets import given, given_exactly, secret_keys
from pipeline.settings.sentinels import Sentinels, names_sentinels, read_sentinels

DEFAULT_DESTINATION: Final = "destination.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator decides. Addresses may hold passwords, so a repr shows none of them."""

    redis: Server | Sentinels  # that holds the state
    broker: Broker
    destination: Destination
    credentials: Credentials
    secret_keys: tuple[str, ...] = field(default=(), repr=False)  # what encrypts the session at rest; (): nothing does
    endpoint_url: str | None = None  # of an emulator, in place of the org


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read all settings. Raises ConfigurationError with what is wrong, where, and what to write instead.

    The destination is the file that PIPELINE_DESTINATION names, else ./destination.yaml if there is one, else the
    built-in defaults. Credentials may be absent: taking events in needs none, and logging in says which are missing.
    """
    destination = load_destination(environ)
    return Settings(
        redis=redis_address(environ),
        broker=broker(environ),
        destination=destination,
        credentials=_credentials(environ, destination.salesforce.sandbox),
        secret_keys=secret_keys(environ),
        endpoint_url=_endpoint_url(environ),
    )


def load_destination(environ: Mapping[str, str]) -> Destination:
    """Read destination.yaml. Raises ConfigurationError naming the file, the line, and what to write instead."""
    named = given(environ, "PIPELINE_DESTINATION")
    path = Path(named or DEFAULT_DESTINATION)
    if named is None and not path.exists():
        return Destination()
    from pipeline.settings.file import read_destination

    return read_destination(path)


def redis_address(environ: Mapping[str, str]) -> Server | Sentinels:
    """Return where the Redis is that holds the pipeline's state. Raises ConfigurationError for another kind.

    PIPELINE_REDIS_PASSWORD is used where the address has none, so that the password can come from a file of its own.
    """
    url = given(environ, "PIPELINE_REDIS_URL") or DEFAULT_REDIS_URL
    password = given(environ, "PIPELINE_REDIS_PASSWORD")
    if names_sentinels(url):
        return read_sentinels(url, environ, "PIPELINE_REDIS_URL", password)
    if ";" in url:
        raise ConfigurationError(
            "PIPELINE_REDIS_URL names several servers, and the state is in one; for a master and its replicas write "
            "the Sentinels, as sentinel://host:26379;sentinel://host2:26379/0"
        )
    return read_server(url, "PIPELINE_REDIS_URL", password)


def broker(environ: Mapping[str, str]) -> Broker:
    """Return Celery's broker, by default the Redis that holds the state. Raises ConfigurationError."""
    url = given(environ, "PIPELINE_BROKER_URL")
    return broker_of(redis_address(environ)) if url is None else read_broker(url, environ, "PIPELINE_BROKER_URL")


def unchecked(redis: Server | Sentinels, queue: Broker) -> list[str]:
    """Say of each address whose server encrypts and is not checked what that means."""
    addresses = {"PIPELINE_REDIS_URL": redis.tls, "PIPELINE_BROKER_URL": queue.tls}
    if redis.tls == queue.tls:
        del addresses["PIPELINE_BROKER_URL"]
    found = ((name, what_is_unchecked(tls)) for name, tls in addresses.items())
    return [
        f"{name}: {what}: whoever answers there is sent the password and the events" for name, what in found if what
    ]


def broker_url(environ: Mapping[str, str]) -> str:
    """Return the address of Celery's broker, as Celery wants it. Raises ConfigurationError."""
    return broker(environ).url


def is_rabbitmq(broker_url: str) -> bool:
    """Tell whether a broker's address is RabbitMQ's."""
    return broker_url.startswith(("amqp://", "amqps://", "pyamqp://"))


def _credentials(environ: Mapping[str, str], sandbox: bool | str) -> Credentials:
    """Read the credentials. A sandbox's name is appended to the username, and its login host is `test`."""
    username = given(environ, "SALESFORCE_USERNAME")
    if username and isinstance(sandbox, str) and not username.lower().endswith(f".{sandbox.lower()}"):
        username = f"{username}.{sandbox}"
    return Credentials(
        username=username,
        # A password is taken as it is: it may begin or end with a space.
        password=given_exactly(environ, "SALESFORCE_PASSWORD"),
        security_token=given(environ, "SALESFORCE_SECURITY_TOKEN"),
        domain=given(environ, "SALESFORCE_DOMAIN") or ("test" if sandbox else "login"),
        consumer_key=given(environ, "SALESFORCE_CONSUMER_KEY"),
        consumer_secret=given(environ, "SALESFORCE_CONSUMER_SECRET"),
        private_key_file=given(environ, "SALESFORCE_PRIVATE_KEY_FILE"),
    )


def _endpoint_url(environ: Mapping[str, str]) -> str | None:
    url = given(environ, "SALESFORCE_ENDPOINT_URL")
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigurationError(
            "SALESFORCE_ENDPOINT_URL is no web address; write it as http://127.0.0.1:8080, or unset it for the real org"
        )
    return url.rstrip("/") if url else None
