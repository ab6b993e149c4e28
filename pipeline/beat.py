"""RedBeat's scheduler, which waits for its Redis where RedBeat's own would end the process."""

from typing import Any, Final

from celery.utils.log import get_logger
from redbeat import RedBeatScheduler
from redbeat.schedulers import get_redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pipeline.metrics.alive import beat_is_alive
from pipeline.redis_faults import in_words
from pipeline.state_store import ServerClock

log = get_logger(__name__)

_LOOK_AGAIN_S: Final = 1.0


class Scheduler(RedBeatScheduler):  # type: ignore[misc]  # RedBeat has no types
    """Goes on after a restart or a failover, if it was over before the lock ran out; else another beat has its turn.

    What is due is told by the clock of Redis, because the next beat may run on a machine with another clock. What
    RedBeat 2.3 and Celery 5.7 ask for the time is `app.now`.
    """

    def setup_schedule(self) -> None:
        """Store the schedule. What ran last by a clock that was ahead is due again in its time from now."""
        self.app.now = ServerClock(get_redis(self.app)).now
        super().setup_schedule()
        for name in self.app.redbeat_conf.schedule:
            entry = self.Entry.from_key(self.Entry.generate_key(self.app, name), app=self.app)
            if entry.last_run_at is not None and entry.last_run_at > self.app.now():
                entry.reschedule()

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Send what is due; return after how many seconds to look again."""
        try:
            wait_s = float(super().tick(*arguments, **options))
            beat_is_alive(get_redis(self.app))
        except (RedisConnectionError, RedisTimeoutError) as error:
            log.error("nothing is scheduled: %s", in_words(error))  # noqa: TRY400  (it comes every second)
            return _LOOK_AGAIN_S
        return wait_s
