"""Signs of life: which workers were heard of lately, and when beat was."""

from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

from redis import Redis

Role: TypeAlias = Literal["ingest", "delivery"]
ROLES: Final[tuple[Role, ...]] = ("ingest", "delivery")

WORKERS, BEAT = "pipeline:{metrics}:workers", "pipeline:{metrics}:beat"
# Workers tell every two seconds. One that is frozen, or cut off from Redis, does not count for long.
HEARD_WITHIN_S: Final = 30


def worker_is_alive(redis: Redis, node: str, roles: Iterable[Role]) -> None:
    """Take note that a worker is there, and forget those that were not heard of for long."""
    seconds, _ = redis.time()
    with redis.pipeline(transaction=False) as pipe:
        pipe.zadd(WORKERS, {f"{role}|{node}": seconds for role in roles})
        pipe.zremrangebyscore(WORKERS, "-inf", seconds - HEARD_WITHIN_S)
        pipe.execute()


def worker_ends(redis: Redis, node: str) -> None:
    """Forget a worker that ends by itself."""
    redis.zrem(WORKERS, *(f"{role}|{node}" for role in ROLES))


def beat_is_alive(redis: Any) -> None:
    """Take note that beat is there, on whichever client it has."""
    seconds, _ = redis.time()
    redis.set(BEAT, seconds)


def roles_of(queues: Iterable[str]) -> list[Role]:
    """Say what a worker of these queues does."""
    names = list(queues)
    takes: dict[Role, bool] = {
        "ingest": "ingest" in names,
        "delivery": any(name.startswith("salesforce.") for name in names),
    }
    return [role for role in ROLES if takes[role]]
