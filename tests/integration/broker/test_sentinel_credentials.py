"""Passwords of the master and of the Sentinels reach all three who connect: the state's client, kombu and RedBeat."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redbeat.schedulers import get_redis

from pipeline.amqp import Connection
from pipeline.beat import Scheduler
from pipeline.local import LOOPBACK, LocalRedis
from pipeline.settings import broker
from pipeline.state_store import connect_from
from tests.integration.broker.sentinel import running_sentinel


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    with LocalRedis() as master, master.client() as client:
        client.config_set("requirepass", "of the master")
        directives = ('sentinel auth-pass ours "of the master"', "requirepass ofthesentinel")
        with running_sentinel(tmp_path, master, *directives) as port:
            yield {
                "PIPELINE_REDIS_URL": f"sentinel://{LOOPBACK}:1;sentinel://:of%20the%20master@{LOOPBACK}:{port}/3",
                "PIPELINE_REDIS_MASTER": "ours",
                "PIPELINE_SENTINEL_PASSWORD": "ofthesentinel",
            }


def test_a_sentinel_that_is_away_is_passed_over_and_passwords_reach_everybody(
    environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect_from(environ) as state:
        state.set("written", "by the pipeline")
    queue = broker(environ)
    with Connection(queue.url, transport_options=dict(queue.transport_options)) as connection:
        channel: Any = connection.default_channel
        assert channel.client.get("written") == b"by the pipeline"
    beat = Celery(set_as_current=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    beat.conf.redbeat_redis_url = "unused"
    Scheduler(beat, lazy=True)
    assert get_redis(beat).get("written") == "by the pipeline"
