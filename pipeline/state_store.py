"""The Redis that holds the pipeline's state: one server, or the master that Sentinels name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pipeline.settings import redis_url, state_sentinels
from pipeline.settings.sentinels import Sentinels

if TYPE_CHECKING:
    from redis import Redis

# Commands end within seconds, also against a server that is frozen.
_OPTIONS: Final[Mapping[str, Any]] = {"socket_timeout": 10, "socket_connect_timeout": 5, "health_check_interval": 30}


def connect(url: str, sentinels: Sentinels | None = None) -> "Redis":
    """Return a client of the state store; behind Sentinels, one that asks them again whenever it has to connect."""
    from redis import Redis
    from redis.sentinel import Sentinel

    if sentinels is None:
        return Redis.from_url(url, **_OPTIONS)
    asked = Sentinel(sentinels.nodes, sentinel_kwargs=sentinels.client_options)  # type: ignore[no-untyped-call]
    master: Redis = asked.master_for(  # type: ignore[no-untyped-call]
        sentinels.master,
        db=sentinels.database,
        username=sentinels.username,
        password=sentinels.password,
        **_OPTIONS,
    )
    return master


def connect_from(environ: Mapping[str, str]) -> "Redis":
    """Return a client of the state store that PIPELINE_REDIS_URL names. Raises ConfigurationError for no address."""
    return connect(redis_url(environ), state_sentinels(environ))
