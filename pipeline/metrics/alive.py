"""Signs of life: which workers were heard of lately, and when beat was."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

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


@dataclass(frozen=True, slots=True)
class Heard:
    """When a worker was last heard of, Unix time in seconds."""

    node: str
    role: str
    at_s: float


def heard(redis: Redis) -> list[Heard]:
    """Return what was heard of last: workers that are there, and those that fell silent when all did."""
    read = cast("list[tuple[bytes, float]]", redis.zrange(WORKERS, 0, -1, withscores=True))
    split = ((member.decode().partition("|"), at_s) for member, at_s in read)
    return sorted((Heard(node, role, at_s) for (role, _, node), at_s in split), key=lambda one: (one.node, one.role))


def roles_of(queues: Iterable[str]) -> list[Role]:
    """Say what a worker of these queues does."""
    names = list(queues)
    takes: dict[Role, bool] = {
        "ingest": "ingest" in names,
        "delivery": any(name.startswith("salesforce.") for name in names),
    }
    return [role for role in ROLES if takes[role]]
