"""The transport against a real server: what kombu's own does must go on working."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kombu import Consumer, Exchange, Producer, Queue
from kombu.transport import pyamqp

from pipeline import app, broker, send_event
from pipeline.amqp import Connection
from pipeline.local import LocalRedis, LocalStack, connect_producer, wait_until
from pipeline.message_format import lost_readers

PLAIN = Exchange("ingest")


@pytest.fixture
def connection(redis_server: LocalRedis) -> Iterator[Connection]:
    options = {"visibility_timeout": 1, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
    with Connection(redis_server.url, transport_options=options) as opened:
        assert type(opened.transport) is broker.Transport
        yield opened


def taken(connection: Connection, *queues: Queue, no_ack: bool = False, most: int = 100) -> list[Any]:
    """Take messages until none comes for a moment; they stay unacknowledged."""
    messages: list[Any] = []
    channel = connection.channel()
    with Consumer(channel, queues, callbacks=[lambda _, message: messages.append(message)], no_ack=no_ack):
        while len(messages) < most:
            try:
                connection.drain_events(timeout=0.5)
            except TimeoutError:
                break
    return messages


def test_urls_of_redis_and_sentinel_use_it_and_others_do_not() -> None:
    schemes = ("redis", "rediss", "sentinel", "amqp")
    used: dict[str, Any] = {name: Connection(f"{name}://localhost").get_transport_cls() for name in schemes}
    assert used == {
        "redis": broker.Transport,
        "rediss": broker.Transport,
        "sentinel": broker.SentinelTransport,
        "amqp": pyamqp.Transport,
    }


def test_messages_come_by_priority_and_then_in_order_from_several_queues(connection: Connection) -> None:
    queues = [Queue(name, PLAIN, routing_key=name) for name in ("a", "b")]
    with connection.channel() as channel:
        producer = Producer(channel)
        for number, (name, priority) in enumerate([("a", 9), ("a", 0), ("a", 0), ("b", 0), ("b", 9)]):
            producer.publish({"number": number}, exchange=PLAIN, routing_key=name, declare=queues, priority=priority)
    messages = taken(connection, *queues, most=5)
    numbers = [message.payload["number"] for message in messages]
    assert sorted(numbers[:3]) == [1, 2, 3]
    assert numbers.index(1) < numbers.index(2)
    assert sorted(numbers[3:]) == [0, 4]


def test_what_is_taken_is_on_record_until_it_is_acknowledged_or_goes_back(
    connection: Connection, redis_server: LocalRedis
) -> None:
    queue = Queue("a", PLAIN, routing_key="a")
    with connection.channel() as channel, redis_server.client() as redis:
        for number in range(3):
            Producer(channel).publish({"number": number}, exchange=PLAIN, routing_key="a", declare=[queue])
        first, second, third = taken(connection, queue, most=3)
        assert redis.hlen("unacked") == redis.zcard("unacked_index") == 3
        first.ack()
        second.reject(requeue=True)
        assert redis.hlen("unacked") == redis.zcard("unacked_index") == 1
        (again,) = taken(connection, queue, most=1)
        assert again.payload == {"number": 1}
        assert again.properties["delivery_info"]["redelivered"]
        assert lost_readers(again.headers) == 0  # it was given back; nobody was lost with it
        third.ack()
        again.ack()
        assert redis.hlen("unacked") == 0


def test_what_nobody_acknowledges_comes_back_after_the_visibility_timeout(
    connection: Connection, redis_server: LocalRedis
) -> None:
    queue = Queue("a", PLAIN, routing_key="a")
    with connection.channel() as channel:
        Producer(channel).publish({"number": 0}, exchange=PLAIN, routing_key="a", declare=[queue])
    assert len(taken(connection, queue, most=1)) == 1
    with Connection(
        redis_server.url, transport_options={"visibility_timeout": 1, "unacked_restore_throttle": 1}
    ) as other:
        again: list[Any] = []

        def is_back() -> bool:
            again.extend(taken(other, queue, most=1))
            return bool(again)

        wait_until(is_back, what="the message again")
        assert lost_readers(again[0].headers) == 1


def test_what_was_held_when_the_connection_broke_is_given_back_over_the_next_one(tmp_path: Path) -> None:
    queue = Queue("a", PLAIN, routing_key="a")
    with LocalRedis(tmp_path, is_append_only=True) as server:
        broken = Connection(server.url)
        with broken.channel() as channel:
            for number in range(3):
                Producer(channel).publish({"number": number}, exchange=PLAIN, routing_key="a", declare=[queue])
        _, second, third = taken(broken, queue, most=3)
        server.service.stop()
        # As a worker does when its connection breaks. Its tasks in other processes end when they end.
        with suppress(*broken.connection_errors):
            broken.collect()
        broken.close()
        second.ack()
        third.reject(requeue=True)
        server.start()
        with Connection(server.url) as opened, server.client() as redis:
            again: list[Any] = []

            def is_back() -> bool:
                again.extend(taken(opened, queue))
                return len(again) == 2

            wait_until(is_back, what="what was held")
            assert sorted(message.payload["number"] for message in again) == [0, 2]
            for message in again:
                message.ack()
            assert redis.hlen("unacked") == redis.zcard("unacked_index") == redis.llen("a") == 0


def test_what_needs_no_acknowledgement_is_not_put_on_record(connection: Connection, redis_server: LocalRedis) -> None:
    queue = Queue("a", PLAIN, routing_key="a")
    with connection.channel() as channel, redis_server.client() as redis:
        Producer(channel).publish({"number": 0}, exchange=PLAIN, routing_key="a", declare=[queue])
        assert len(taken(connection, queue, no_ack=True, most=1)) == 1
        assert redis.hlen("unacked") == 0


def test_messages_lie_where_the_stock_transport_looks_for_them_and_the_other_way_round(
    connection: Connection, redis_server: LocalRedis
) -> None:
    queue = Queue("a", PLAIN, routing_key="a")
    with Connection(redis_server.url, transport="kombu.transport.redis:Transport") as stock:
        for sender, receiver in ((connection, stock), (stock, connection)):
            with sender.channel() as channel:
                Producer(channel).publish({"number": 0}, exchange=PLAIN, routing_key="a", declare=[queue])
            (message,) = taken(receiver, queue, most=1)
            message.ack()
    with redis_server.client() as redis:
        assert redis.hlen("unacked") == redis.llen("a") == 0


NO_MESSAGES = (
    "not json",
    "5",
    "null",
    "[]",
    "{}",
    '{"properties": null}',
    '{"properties": {}}',
    '{"properties": {"delivery_tag": "t", "delivery_info": 5}}',
    '{"properties": {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": null}}}',
    '{"properties": {"delivery_tag": 5, "delivery_info": {"exchange": "", "routing_key": "a"}}}',
    '{"headers": null, "properties": {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "a"}}}',
    '{"properties": {"delivery_tag": "", "delivery_info": {"exchange": "", "routing_key": "a"}}}',
    '{"body": 5, "properties": {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "a"}}}',
)


@pytest.mark.parametrize("no_ack", [False, True])
def test_what_is_no_message_is_moved_aside_and_those_behind_it_are_taken(
    connection: Connection, redis_server: LocalRedis, caplog: pytest.LogCaptureFixture, no_ack: bool
) -> None:
    queue = Queue("a", PLAIN, routing_key="a")
    with connection.channel() as channel, redis_server.client() as redis:
        for number, payload in enumerate(NO_MESSAGES):
            redis.lpush("a", payload)
            Producer(channel).publish({"number": number}, exchange=PLAIN, routing_key="a", declare=[queue])
        messages = taken(connection, queue, no_ack=no_ack, most=len(NO_MESSAGES))
        assert [message.payload["number"] for message in messages] == list(range(len(NO_MESSAGES)))
        assert redis.lrange("a.unreadable", 0, -1) == [payload.encode() for payload in reversed(NO_MESSAGES)]
        assert (redis.llen("a"), redis.hlen("unacked")) == (0, 0 if no_ack else len(NO_MESSAGES))
    assert caplog.text.count("queue=a what is no Celery message was moved to the list a.unreadable") == len(NO_MESSAGES)
    assert "not json" not in caplog.text


def test_what_is_no_message_stands_under_the_prefix_of_all_keys_whatever_its_priority(
    redis_server: LocalRedis,
) -> None:
    options = {"global_keyprefix": "of-ours:"}
    queue = Queue("a", PLAIN, routing_key="a")
    with Connection(redis_server.url, transport_options=options) as opened, redis_server.client() as redis:
        redis.lpush("of-ours:a\x06\x169", "5")
        with opened.channel() as channel:
            Producer(channel).publish({"number": 0}, exchange=PLAIN, routing_key="a", declare=[queue], priority=9)
        assert len(taken(opened, queue, most=1)) == 1
        assert redis.lrange("of-ours:a.unreadable", 0, -1) == [b"5"]


def test_a_worker_goes_on_after_what_is_no_message(start_stack: Any) -> None:
    stack: LocalStack = start_stack(workers={"one": ("--ingest",)}, has_beat=False)
    connect_producer(stack.redis.url)
    with stack.redis.client() as redis:
        for payload in NO_MESSAGES:
            redis.lpush("ingest", payload)
        send_event.delay({"type": "identify", "userId": "u"})
        wait_until(lambda: redis.hgetall("pipeline:{events}:counts"), what="the event taken in", within_s=30)
        assert redis.llen("ingest.unreadable") == len(NO_MESSAGES)


def test_a_prefix_for_all_keys_is_kept(redis_server: LocalRedis) -> None:
    queue = Queue("a", PLAIN, routing_key="a")
    options = {"global_keyprefix": "of-ours:"}
    with Connection(redis_server.url, transport_options=options) as opened, redis_server.client() as redis:
        with opened.channel() as channel:
            Producer(channel).publish({"number": 0}, exchange=PLAIN, routing_key="a", declare=[queue])
        (message,) = taken(opened, queue, most=1)
        assert redis.hlen("of-ours:unacked") == 1
        message.ack()
        assert [key for key in redis.scan_iter() if not key.startswith(b"of-ours:")] == []
        assert redis.hlen("of-ours:unacked") == 0


def test_inspect_reaches_workers_and_an_idle_worker_is_woken_at_once(start_stack: Any) -> None:
    stack: LocalStack = start_stack(workers={"one": ("--ingest",), "two": ("--ingest",)}, has_beat=False)
    connect_producer(stack.redis.url)
    assert len(app.control.inspect(timeout=5, limit=2).ping() or {}) == 2
    assert len(app.control.inspect(timeout=5, limit=2).active_queues() or {}) == 2
    with stack.redis.client() as redis:
        send_event.delay({"type": "identify", "userId": "u"})
        wait_until(lambda: redis.hgetall("pipeline:{events}:counts"), what="the event taken in", within_s=0.8)
