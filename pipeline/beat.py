"""RedBeat's scheduler, which waits for its Redis where RedBeat's own would end the process.

RedBeat is given its client, so that it reads no address of its own: TLS, Sentinels and sockets are those of the others.
"""

import os
from typing import Any, Final

from celery.utils.log import get_logger
from redbeat import RedBeatScheduler
from redbeat.schedulers import get_redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pipeline.metrics.alive import beat_is_alive
from pipeline.redis_faults import in_words
from pipeline.settings import redis_address
from pipeline.state_store import ServerClock, connect

log = get_logger(__name__)

_LOOK_AGAIN_S: Final = 1.0
_CLEANUP: Final = "celery.backend_cleanup"  # of results, which are not stored


class Scheduler(RedBeatScheduler):  # type: ignore[misc]  # RedBeat has no types
    """Goes on after a restart or a failover, if it was over before the lock ran out; else another beat has its turn.

    What is due is told by the clock of Redis, because the next beat may run on a machine with another clock. What
    RedBeat 2.3 and Celery 5.7 ask for the time is `app.now`.
    """

    def __init__(self, app: Any, *arguments: Any, **options: Any) -> None:
        app.redbeat_redis = connect(redis_address(os.environ), decode_responses=True)
        super().__init__(app, *arguments, **options)

    def setup_schedule(self) -> None:
        """Store the schedule, and drop what an earlier version left in it.

        What ran last by a clock that was ahead is due again in its time from now.
        """
        client = get_redis(self.app)
        self.app.now = ServerClock(client).now
        # RedBeat keeps an entry that it was given once, whatever the settings say later.
        cleanup = self.Entry.generate_key(self.app, _CLEANUP)
        client.zrem(self.app.redbeat_conf.schedule_key, cleanup)
        client.delete(cleanup)
        super().setup_schedule()
        for name in self.app.redbeat_conf.schedule:
            entry = self.Entry.from_key(self.Entry.generate_key(self.app, name), app=self.app)
            if entry.last_run_at is not None and entry.last_run_at > self.app.now():
                entry.reschedule()

    @property
    def info(self) -> str:
        """What beat says of its schedule as it starts."""
        return f"       . redis -> {redis_address(os.environ).shown}"

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Send what is due; return after how many seconds to look again."""
        try:
            wait_s = float(super().tick(*arguments, **options))
            beat_is_alive(get_redis(self.app))
        except (RedisConnectionError, RedisTimeoutError) as error:
            log.error("nothing is scheduled: %s", in_words(error))  # noqa: TRY400  (it comes every second)
            return _LOOK_AGAIN_S
        return wait_s
