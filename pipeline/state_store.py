"""The Redis that holds the pipeline's state: one server, or the master that Sentinels name; and its clock."""

from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pipeline.settings import redis_address
from pipeline.settings.address import Server
from pipeline.settings.sentinels import Sentinels

if TYPE_CHECKING:
    from redis import Redis

# Commands end within seconds, also against a server that is frozen.
_OPTIONS: Final[Mapping[str, Any]] = {"socket_timeout": 10, "socket_connect_timeout": 5, "health_check_interval": 30}

# A look at the clock costs a round trip once in so long. The machine's own monotonic clock tells what passes between.
_KEPT_S: Final = 1.0
_SLOW_S: Final = 0.1  # an answer that took longer may be that much off, and is not kept


class ServerClock:
    """The clock of the state store, by which the times of different machines are compared.

    A worker's own clock may be an hour off, and is not looked at. Raises RedisError where the server cannot be asked.
    """

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._ahead_s = 0.0  # of the machine's monotonic clock
        self._kept_until_s = 0.0

    def now_ms(self) -> int:
        """Return the Unix time in milliseconds."""
        return round(self._now_s() * 1000)

    def asked_ms(self) -> int:
        """Return the Unix time in milliseconds, asked for now: nothing that the server has noted is later."""
        seconds, micros = self._redis.time()
        return seconds * 1000 + micros // 1000

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        return datetime.fromtimestamp(self._now_s(), UTC)

    def _now_s(self) -> float:
        asked_s = monotonic()
        if asked_s < self._kept_until_s:
            return asked_s + self._ahead_s
        seconds, micros = self._redis.time()
        answered_s = monotonic()
        self._ahead_s = seconds + micros / 1e6 - (asked_s + answered_s) / 2
        self._kept_until_s = answered_s + _KEPT_S if answered_s - asked_s < _SLOW_S else 0.0
        return answered_s + self._ahead_s


def connect(address: Server | Sentinels, **options: Any) -> "Redis":
    """Return a client of the state store; behind Sentinels, one that asks them again whenever it has to connect.

    `options` are more keyword arguments of redis-py's client; what the address says comes before them.
    """
    from redis import Redis
    from redis.sentinel import Sentinel

    options = {**_OPTIONS, **options}
    if isinstance(address, Server):
        return Redis(**{**options, **address.client_options})
    asked = Sentinel(address.nodes, sentinel_kwargs=address.client_options)  # type: ignore[no-untyped-call]
    master: Redis = asked.master_for(  # type: ignore[no-untyped-call]
        address.master, **{**options, **address.master_options}
    )
    return master


def connect_from(environ: Mapping[str, str], **options: Any) -> "Redis":
    """Return a client of the state store that PIPELINE_REDIS_URL names. Raises ConfigurationError for no address."""
    return connect(redis_address(environ), **options)
