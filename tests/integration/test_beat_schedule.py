"""Beat's schedule, as RedBeat keeps it in a real Redis."""

import pytest
from celery import Celery
from celery.schedules import crontab
from redbeat import RedBeatSchedulerEntry
from redbeat.schedulers import ensure_conf, get_redis
from redis import Redis

from pipeline import app
from pipeline.beat import Scheduler
from pipeline.local import LocalRedis

CLEANUP = "celery.backend_cleanup"


@pytest.fixture
def beat(redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """The application's own settings, in an application of the test's, as RedBeat keeps its client in it."""
    monkeypatch.setenv("PIPELINE_REDIS_URL", redis_server.url)
    made = Celery(set_as_current=False, backend="disabled")
    for name in ("redbeat_redis_url", "redbeat_redis_options", "redbeat_key_prefix", "beat_schedule", "result_expires"):
        made.conf[name] = app.conf[name]
    return made


def test_an_upgraded_system_loses_the_nightly_message_that_nobody_reads(beat: Celery, redis_client: Redis) -> None:
    Scheduler(beat, lazy=True)
    ensure_conf(beat)
    # As the beat of the version before has stored it.
    RedBeatSchedulerEntry(CLEANUP, CLEANUP, crontab("0", "4", "*"), app=beat).save()
    assert redis_client.exists(f"pipeline:redbeat:{CLEANUP}")
    scheduler = Scheduler(beat)
    assert not redis_client.exists(f"pipeline:redbeat:{CLEANUP}")
    names = {key.rpartition(":")[2] for key in get_redis(beat).zrange("pipeline:redbeat::schedule", 0, -1)}
    assert names == set(app.conf.beat_schedule)
    assert CLEANUP not in scheduler.schedule


def test_a_new_system_is_not_given_it(beat: Celery, redis_client: Redis) -> None:
    Scheduler(beat)
    assert not redis_client.exists(f"pipeline:redbeat:{CLEANUP}")
    assert redis_client.zcard("pipeline:redbeat::schedule") == len(app.conf.beat_schedule)
