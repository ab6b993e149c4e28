"""Beat against a real server: what is due is told by the clock of Redis, whatever that of beat's machine says."""

from datetime import UTC, datetime, timedelta

import pytest
import redbeat.schedulers
from celery import Celery

from pipeline.beat import Scheduler
from pipeline.local import LocalRedis
from pipeline.state_store import ServerClock

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _looks_there(redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_REDIS_URL", redis_server.url)


def scheduler_of(server: LocalRedis) -> Scheduler:
    app = Celery("other", broker=server.url, set_as_current=False)
    app.conf.update(
        redbeat_redis_url=server.url,
        redbeat_key_prefix="pipeline:redbeat:",
        redbeat_lock_key=None,
        beat_schedule={"every half hour": {"task": "t", "schedule": 1800.0}},
    )
    return Scheduler(app=app)


def test_what_ran_last_by_a_clock_that_was_ahead_is_due_again_in_its_time(redis_server: LocalRedis) -> None:
    first = scheduler_of(redis_server)
    key = first.Entry.generate_key(first.app, "every half hour")
    entry = first.Entry.from_key(key, app=first.app)
    entry.reschedule(last_run_at=datetime.now(UTC) + HOUR)

    second = scheduler_of(redis_server)
    entry = second.Entry.from_key(key, app=second.app)
    assert entry.due_at - datetime.now(UTC) < timedelta(minutes=31)


def test_what_is_due_is_told_by_the_clock_of_redis(redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server an hour ahead of this machine is as a machine an hour behind its server."""
    monkeypatch.setattr(ServerClock, "now", lambda _: datetime.now(UTC) + HOUR)
    scheduler = scheduler_of(redis_server)
    key = scheduler.Entry.generate_key(scheduler.app, "every half hour")
    scheduler.Entry.from_key(key, app=scheduler.app).reschedule()
    entry = scheduler.Entry.from_key(key, app=scheduler.app)
    assert entry.last_run_at - datetime.now(UTC) > HOUR - timedelta(minutes=1)
    assert not entry.is_due().is_due
    score = redbeat.schedulers.get_redis(scheduler.app).zscore(scheduler.app.redbeat_conf.schedule_key, key)
    assert score == pytest.approx((datetime.now(UTC) + HOUR).timestamp() + 1800, abs=60)
