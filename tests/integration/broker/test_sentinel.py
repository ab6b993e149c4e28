"""The transport behind Sentinel: a master dies, its replica takes over, and messages go on."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Consumer, Exchange, Producer, Queue

from pipeline import app, broker
from pipeline.inbox.dead_letters import received
from pipeline.local import (
    LOOPBACK,
    LocalRedis,
    LocalStack,
    Service,
    clean_environment,
    pipeline_command,
    wait_until,
)
from pipeline.local.redis_server import _valkey_binary, free_port

QUEUE = Queue("a", Exchange("ingest"), routing_key="a")


@pytest.fixture
def pair() -> Iterator[tuple[LocalRedis, LocalRedis]]:
    """A master and its replica."""
    with LocalRedis() as master, LocalRedis() as replica, replica.client() as client:
        client.replicaof(LOOPBACK, str(master.port))
        wait_until(lambda: client.info("replication")["master_link_status"] == "up", what="the replica")
        yield master, replica


@pytest.fixture
def sentinel_url(pair: tuple[LocalRedis, LocalRedis], tmp_path: Path) -> Iterator[str]:
    master, replica = pair
    port = free_port()
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind {LOOPBACK}\nsentinel monitor ours {LOOPBACK} {master.port} 1\n"
        "sentinel down-after-milliseconds ours 500\nsentinel failover-timeout ours 5000\n"
    )
    sentinel = Service(
        "sentinel",
        [_valkey_binary(), str(configuration), "--sentinel"],
        env=clean_environment(),
        log=tmp_path / "sentinel.log",
        is_ready=lambda service: f"+slave slave {LOOPBACK}:{replica.port}" in service.output(),
    )
    try:
        sentinel.start().wait_until_ready()
        yield f"sentinel://{LOOPBACK}:{port}/0"
    finally:
        sentinel.stop()


def publish(connection: Connection, number: int) -> None:
    with connection.channel() as channel:
        Producer(channel).publish({"number": number}, exchange=QUEUE.exchange, routing_key="a", declare=[QUEUE])


def take_one(connection: Connection) -> Any:
    messages: list[Any] = []
    with Consumer(connection.channel(), [QUEUE], callbacks=[lambda _, message: messages.append(message)]):
        while not messages:
            connection.drain_events(timeout=5)
    return messages[0]


def test_what_was_published_before_a_failover_is_taken_after_it(
    pair: tuple[LocalRedis, LocalRedis], sentinel_url: str
) -> None:
    master, replica = pair
    assert app.conf.broker_url  # reads the configuration, which registers the transport
    options = {"master_name": "ours", "socket_timeout": 5}
    with Connection(sentinel_url, transport_options=options) as before:
        assert type(before.transport) is broker.SentinelTransport
        for number in range(3):
            publish(before, number)
        assert take_one(before).payload == {"number": 0}  # and never acknowledged
        with master.client() as known, replica.client() as copy:
            assert known.wait(1, 5000) == 1  # the replica has it all
            master.kill()
            wait_until(lambda: copy.info("replication")["role"] == "master", what="the failover")
            assert (copy.hlen("unacked"), copy.llen("a")) == (1, 2)
    with Connection(sentinel_url, transport_options=options) as after:
        publish(after, 3)
        taken = [take_one(after) for _ in range(3)]
        for message in taken:
            message.ack()
    assert [message.payload["number"] for message in taken] == [1, 2, 3]
    with replica.client() as copy:
        assert copy.hlen("unacked") == 1  # still to come back from the worker before


def test_a_worker_goes_on_by_itself_after_a_failover(
    pair: tuple[LocalRedis, LocalRedis], sentinel_url: str, start_stack: Callable[..., LocalStack], tmp_path: Path
) -> None:
    master, replica = pair
    broker_url = {"PIPELINE_BROKER_URL": sentinel_url, "PIPELINE_BROKER_MASTER": "ours"}
    stack = start_stack(workers={"ingest": ("--ingest",)}, environ=broker_url, has_beat=False)
    events = tmp_path / "events.jsonl"

    def is_sent(number: int) -> bool:
        event = {"type": "identify", "userId": "u", "messageId": f"m{number}", "integrations": {"Salesforce": False}}
        events.write_text(json.dumps(event) + "\n", encoding="utf-8")
        command = pipeline_command("send", str(events))
        sent = subprocess.run(command, env=stack.env, cwd=stack.folder, capture_output=True, check=False, timeout=60)
        return sent.returncode == 0

    with stack.redis.client() as redis, replica.client() as copy:
        assert is_sent(1)
        wait_until(lambda: received(redis) == {"skipped": 1}, what="the event before the failover")
        master.kill()
        wait_until(lambda: copy.info("replication")["role"] == "master", what="the failover")
        # A producer is told of the old master until the Sentinel has settled on the new one, and says so.
        wait_until(lambda: is_sent(2), what="an event sent after the failover")
        wait_until(lambda: received(redis) == {"skipped": 2}, what="the event after the failover", within_s=60)
        stack.check()
