"""RedBeat's scheduler, which waits for its Redis where RedBeat's own would end the process."""

from typing import Any, Final

from celery.utils.log import get_logger
from redbeat import RedBeatScheduler
from redbeat.schedulers import get_redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pipeline.metrics.alive import beat_is_alive
from pipeline.redis_faults import in_words

log = get_logger(__name__)

_LOOK_AGAIN_S: Final = 1.0


class Scheduler(RedBeatScheduler):  # type: ignore[misc]  # RedBeat has no types
    """Goes on after a restart or a failover, if it was over before the lock ran out; else another beat has its turn."""

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Send what is due; return after how many seconds to look again."""
        try:
            wait_s = float(super().tick(*arguments, **options))
            beat_is_alive(get_redis(self.app))
        except (RedisConnectionError, RedisTimeoutError) as error:
            log.error("nothing is scheduled: %s", in_words(error))  # noqa: TRY400  (it comes every second)
            return _LOOK_AGAIN_S
        return wait_s
