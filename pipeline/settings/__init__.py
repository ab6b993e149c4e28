"""Settings: the environment and destination.yaml as values, with errors that say what to write instead.

Producers read the broker's address from here, so nothing heavy is imported before it is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pipeline.destination import Destination
from pipeline.errors import ConfigurationError
from pipeline.salesforce.credentials import Credentials
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
        endpoint_url=_endpoint_url(environ),
    )


def load_destination(environ: Mapping[str, str]) -> Destination:
    """Read destination.yaml. Raises ConfigurationError naming the file, the line, and what to write instead."""
    named = _given(environ, "PIPELINE_DESTINATION")
    path = Path(named or DEFAULT_DESTINATION)
    if named is None and not path.exists():
        return Destination()
    from pipeline.settings.file import read_destination

    return read_destination(path)


def redis_url(environ: Mapping[str, str]) -> str:
    """Return the address of the Redis that holds the pipeline's state. Raises ConfigurationError for another kind."""
    url = _given(environ, "PIPELINE_REDIS_URL") or DEFAULT_REDIS_URL
    if not url.startswith(_REDIS_SCHEMES) or not _names_a_database(url):
        raise ConfigurationError(f"PIPELINE_REDIS_URL is no Redis address; write it as {DEFAULT_REDIS_URL}")
    return url


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
    url = _given(environ, "PIPELINE_BROKER_URL")
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
    username = _given(environ, "SALESFORCE_USERNAME")
    if username and isinstance(sandbox, str) and not username.lower().endswith(f".{sandbox.lower()}"):
        username = f"{username}.{sandbox}"
    return Credentials(
        username=username,
        # A password is taken as it is: it may begin or end with a space.
        password=environ.get("SALESFORCE_PASSWORD") or None,
        security_token=_given(environ, "SALESFORCE_SECURITY_TOKEN"),
        domain=_given(environ, "SALESFORCE_DOMAIN") or ("test" if sandbox else "login"),
        consumer_key=_given(environ, "SALESFORCE_CONSUMER_KEY"),
        consumer_secret=_given(environ, "SALESFORCE_CONSUMER_SECRET"),
        private_key_file=_given(environ, "SALESFORCE_PRIVATE_KEY_FILE"),
    )


def _endpoint_url(environ: Mapping[str, str]) -> str | None:
    url = _given(environ, "SALESFORCE_ENDPOINT_URL")
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigurationError(
            "SALESFORCE_ENDPOINT_URL is no web address; write it as http://127.0.0.1:8080, or unset it for the real org"
        )
    return url.rstrip("/") if url else None


def _given(environ: Mapping[str, str], name: str) -> str | None:
    """Return a variable without the spaces around it; an empty one counts as not set."""
    return environ.get(name, "").strip() or None
