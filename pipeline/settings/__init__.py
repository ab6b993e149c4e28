"""Settings: the environment and destination.yaml as values, with errors that say what to write instead.

Producers read the broker's address from here, so nothing heavy is imported before it is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from pipeline.destination import Destination
from pipeline.errors import ConfigurationError
from pipeline.salesforce.credentials import Credentials
from pipeline.settings.secrets import given, given_exactly, secret_keys
from pipeline.settings.sentinels import SENTINEL_SCHEME, Sentinels, read_sentinels

DEFAULT_REDIS_URL: Final = "redis://127.0.0.1:6379/0"
DEFAULT_DESTINATION: Final = "destination.yaml"
_REDIS_SCHEMES: Final = ("redis://", "rediss://", "unix://", SENTINEL_SCHEME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator decides. Addresses may hold passwords, so a repr shows none of them."""

    redis_url: str = field(repr=False)
    sentinels: Sentinels | None = None  # of the Redis that holds the state, where its address names Sentinels
    broker_url: str = field(repr=False)
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
        redis_url=redis_url(environ),
        sentinels=state_sentinels(environ),
        broker_url=broker_url(environ),
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


def redis_url(environ: Mapping[str, str]) -> str:
    """Return the address of the Redis that holds the pipeline's state. Raises ConfigurationError for another kind.

    PIPELINE_REDIS_PASSWORD is put into it where it has none, so that the password can come from a file of its own.
    """
    url = given(environ, "PIPELINE_REDIS_URL") or DEFAULT_REDIS_URL
    if not url.startswith(_REDIS_SCHEMES) or not _names_a_database(url):
        raise ConfigurationError(f"PIPELINE_REDIS_URL is no Redis address; write it as {DEFAULT_REDIS_URL}")
    password = given(environ, "PIPELINE_REDIS_PASSWORD")
    return url if password is None else _with_password(url, password)


def _with_password(url: str, password: str) -> str:
    scheme, _, rest = url.partition("://")
    if urlsplit(url.split(";", maxsplit=1)[0]).password:
        raise ConfigurationError("PIPELINE_REDIS_URL has a password, and PIPELINE_REDIS_PASSWORD is set; keep one")
    user, at, host = rest.rpartition("@") if "@" in rest.split(";", maxsplit=1)[0] else ("", "@", rest)
    return f"{scheme}://{user.rstrip(':')}:{quote(password, safe='')}{at}{host}"


def without_password(url: str) -> tuple[str, str | None]:
    """Return the address of a server without its password, and that: Flower shows addresses as they are configured."""
    password = urlsplit(url).password
    if password is None:
        return url, None
    scheme, _, rest = url.partition("://")
    user, _, host = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}@{host}", unquote(password)


def _names_a_database(url: str) -> bool:
    """Tell whether the port and the database of a server's address are numbers; Sentinels are read elsewhere."""
    if not url.startswith(("redis://", "rediss://")):
        return True
    try:
        parts = urlsplit(url)
        return parts.port != 0 and (parts.path.strip("/") or "0").isdecimal()
    except ValueError:
        return False


def state_sentinels(environ: Mapping[str, str]) -> Sentinels | None:
    """Return the Sentinels that PIPELINE_REDIS_URL names, None where it names a server. Raises ConfigurationError."""
    return read_sentinels(redis_url(environ), environ, "PIPELINE_REDIS_URL")


def broker_sentinels(environ: Mapping[str, str]) -> Sentinels | None:
    """Return the Sentinels that the broker's address names, None where it names none. Raises ConfigurationError."""
    url, variable = _broker(environ)
    return read_sentinels(url, environ, variable)


def broker_url(environ: Mapping[str, str]) -> str:
    """Return the address of Celery's broker, by default the Redis that holds the state. Raises ConfigurationError."""
    sentinels = broker_sentinels(environ)
    return sentinels.url if sentinels else _broker(environ)[0]


def _broker(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the broker's address as it was given, and the variable that gave it."""
    url = given(environ, "PIPELINE_BROKER_URL")
    if url is None:
        return redis_url(environ), "PIPELINE_REDIS_URL"
    if "://" not in url:
        raise ConfigurationError(f"PIPELINE_BROKER_URL is no address; write it as {DEFAULT_REDIS_URL}")
    return url, "PIPELINE_BROKER_URL"


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
