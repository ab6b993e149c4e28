"""Everything that connects to the broker or to the state, each once; run alone it prints what became of each."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery import Celery
from kombu import Consumer, Exchange, Producer, Queue
from redbeat.schedulers import get_redis

from pipeline import app
from pipeline.settings import broker
from pipeline.state_store import connect_from


def _queue(name: str) -> Queue:
    return Queue(name, Exchange("ingest"), routing_key=name)


def _opened(environ: Mapping[str, str]) -> Any:
    assert app.conf.broker_url
    queue = broker(environ)
    return app.amqp.Connection(
        queue.url, ssl=queue.use_ssl or False, connect_timeout=5, transport_options=queue.transport_options
    )


def state(environ: Mapping[str, str]) -> None:
    with connect_from(environ) as redis:
        redis.ping()


def producer(environ: Mapping[str, str], name: str = "produced") -> None:
    queue = _queue(name)
    with _opened(environ) as connection, connection.channel() as channel:
        Producer(channel).publish({}, exchange=queue.exchange, routing_key=name, declare=[queue])


def consumer(environ: Mapping[str, str]) -> None:
    producer(environ, "consumed")
    taken: list[Any] = []
    with (
        _opened(environ) as connection,
        Consumer(connection.channel(), [_queue("consumed")], callbacks=[lambda _, m: taken.append(m)]),
    ):
        connection.drain_events(timeout=5)
        taken[0].ack()


def redbeat(environ: Mapping[str, str]) -> None:
    from pipeline.beat import Scheduler

    os.environ.update(environ)
    beat = Celery(set_as_current=False)
    beat.conf.redbeat_redis_url = "unused"
    Scheduler(beat, lazy=True)
    get_redis(beat).ping()


def flower(environ: Mapping[str, str]) -> None:
    """Count a queue as Flower's page of the broker does."""
    from flower.utils.broker import Broker

    queue = broker(environ)

    async def count() -> Any:
        there = Broker(
            queue.url.partition(";")[0], broker_options=queue.transport_options, broker_use_ssl=queue.use_ssl or False
        )
        return await there.queues(["a"])

    assert asyncio.run(count())


CLIENTS: dict[str, Callable[[Mapping[str, str]], None]] = {
    "state": state,
    "producer": producer,
    "consumer": consumer,
    "redbeat": redbeat,
    "flower": flower,
}


def outcomes(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what became of each client: "" or why it was refused."""

    def outcome(client: Callable[[Mapping[str, str]], None]) -> str:
        try:
            client(environ)
        except Exception as error:  # noqa: BLE001  (told to the test)
            return f"{type(error).__name__}: {error}"
        return ""

    # At once: a client that is refused tries again for some seconds.
    with ThreadPoolExecutor() as pool:
        return dict(zip(CLIENTS, pool.map(outcome, CLIENTS.values()), strict=True))


if __name__ == "__main__":
    print(json.dumps(outcomes({**os.environ, "PIPELINE_REDIS_URL": sys.argv[1]})))  # noqa: T201
