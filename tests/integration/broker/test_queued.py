"""Counting the messages of a queue, which every delivery does: what it costs, and what it survives."""

from redis import Redis

from pipeline import send_event
from pipeline.local import LocalRedis, connect_producer
from pipeline.tasks.ingest import queued


def connections_so_far(client: Redis) -> int:
    return int(client.info("stats")["total_connections_received"])


def test_counting_opens_connections_once(redis_server: LocalRedis, redis_client: Redis) -> None:
    connect_producer(redis_server.url)
    assert queued() == 0
    send_event.delay({"type": "identify", "userId": "u"})
    before = connections_so_far(redis_client)
    assert [queued() for _ in range(5)] == [1] * 5
    assert connections_so_far(redis_client) == before


def test_counting_goes_on_after_its_connections_were_closed(redis_server: LocalRedis, redis_client: Redis) -> None:
    connect_producer(redis_server.url)
    send_event.delay({"type": "identify", "userId": "u"})
    assert queued() == 1
    redis_client.client_kill_filter(_type="normal", skipme=True)
    assert queued() == 1
