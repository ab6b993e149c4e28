"""What the servers that hold events do when they are full: take nothing more, or delete what they hold."""

import os
from typing import TYPE_CHECKING, Final

from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from pipeline.app import app
from pipeline.redis_faults import may_delete

if TYPE_CHECKING:
    from pipeline.settings import Settings

SAFE: Final = "noeviction"


def policies(settings: "Settings", redis: Redis) -> dict[str, str]:
    """Return the maxmemory-policy of each server, under `state` and, where it is another Redis, `broker`.

    A server that does not tell (managed ones and users with few rights often may not ask) or does not answer is left
    out.
    """
    told = {"state": _policy(redis)}
    if settings.broker.redis not in {None, settings.redis}:
        told["broker"] = _policy_of_the_broker()
    return {server: policy for server, policy in told.items() if policy}


def warnings(settings: "Settings", redis: Redis) -> list[str]:
    """Say of each server that deletes what it holds what that does to events, and what to set."""
    found = policies(settings, redis).items()
    return [f"{server}: {may_delete(policy)}" for server, policy in found if policy != SAFE]


def warnings_at_start() -> list[str]:
    """Return the warnings for the servers that the environment names."""
    from pipeline.settings import load_settings
    from pipeline.state_store import connect

    settings = load_settings(os.environ)
    with connect(settings.redis) as redis:
        return warnings(settings, redis)


def _policy(redis: Redis) -> str | None:
    try:
        policy: str | None = redis.info("memory").get("maxmemory_policy")
    except (RedisError, OSError):
        return None
    return policy


def _policy_of_the_broker() -> str | None:
    try:
        with app.connection_or_acquire() as connection:
            connection.connect()
            return _policy(connection.default_channel.client)
    except (OperationalError, RedisError, OSError):
        return None
