"""Signs of life: which workers were heard of lately, and when beat was; and whose clock is wrong."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from redis import Redis

Role: TypeAlias = Literal["ingest", "delivery"]
ROLES: Final[tuple[Role, ...]] = ("ingest", "delivery")

WORKERS, BEAT = "pipeline:{metrics}:workers", "pipeline:{metrics}:beat"
# Workers tell every two seconds. One that is frozen, or cut off from Redis, does not count for long.
HEARD_WITHIN_S: Final = 30
_CLOCK: Final = "pipeline:{metrics}:clock:"  # and the node: by how many seconds its clock is ahead, where it is wrong
BEAT_NODE: Final = "beat"
# Machines that keep their time agree within milliseconds, also with an answer of Redis's that took its time.
MOST_SKEW_S: Final = 5.0


def worker_is_alive(redis: Redis, node: str, roles: Iterable[Role]) -> float:
    """Take note that a worker is there, and forget those that were not heard of for long.

    Returns by how many seconds its clock is ahead of Redis's, 0 where that is little.
    """
    seconds, skew_s = server_time(redis)
    with redis.pipeline(transaction=False) as pipe:
        pipe.zadd(WORKERS, {f"{role}|{node}": seconds for role in roles})
        pipe.zremrangebyscore(WORKERS, "-inf", seconds - HEARD_WITHIN_S)
        _note_skew(pipe, node, skew_s)
        pipe.execute()
    return skew_s


def worker_ends(redis: Redis, node: str) -> None:
    """Forget a worker that ends by itself."""
    redis.zrem(WORKERS, *(f"{role}|{node}" for role in ROLES))


def beat_is_alive(redis: Any) -> None:
    """Take note that beat is there, on whichever client it has."""
    seconds, skew_s = server_time(redis)
    redis.set(BEAT, seconds)
    _note_skew(redis, BEAT_NODE, skew_s)


def server_time(redis: Any) -> tuple[int, float]:
    """Return Redis's time, Unix seconds, and by how many seconds this machine's clock is ahead of it.

    The second is 0 where the clocks differ by less than `MOST_SKEW_S` and what the answer took.
    """
    asked_s = time.time()
    seconds, micros = redis.time()
    answered_s = time.time()
    skew_s = (asked_s + answered_s) / 2 - seconds - micros / 1e6
    return seconds, round(skew_s, 1) if abs(skew_s) > MOST_SKEW_S + abs(answered_s - asked_s) / 2 else 0.0


def skews(redis: Redis) -> dict[str, float]:
    """Return whose clock is wrong, workers and beat: node → by how many seconds it is ahead of Redis's."""
    nodes = list(dict.fromkeys([*(one.node for one in heard(redis)), BEAT_NODE]))
    told = cast("list[bytes | None]", redis.mget([_CLOCK + node for node in nodes]))
    return {node: float(skew) for node, skew in zip(nodes, told, strict=True) if skew is not None}


def skew_in_words(whose: str, skew_s: float) -> str:
    """Say that a clock is wrong, and what to do."""
    direction = "ahead of" if skew_s > 0 else "behind"
    return (
        f"{whose} is {abs(skew_s):,.0f} s {direction} that of Redis: set it by NTP. The pipeline goes by the clock of "
        "Redis, but times in logs are wrong, and TLS and logins can fail"
    )


def _note_skew(redis: Any, node: str, skew_s: float) -> None:
    if skew_s:
        redis.set(_CLOCK + node, skew_s, ex=HEARD_WITHIN_S)
    else:
        redis.delete(_CLOCK + node)


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
