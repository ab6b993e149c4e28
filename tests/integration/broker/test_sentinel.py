"""Behind Sentinel: a master dies, its replica takes over, and everything goes on."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from kombu import Consumer, Exchange, Producer, Queue
from redis import Redis

from pipeline import broker
from pipeline.amqp import Connection
from pipeline.inbox.dead_letters import received
from pipeline.inbox.inbox import Inbox
from pipeline.local import (
    LOOPBACK,
    LocalRedis,
    LocalStack,
    pipeline_command,
    wait_until,
)
from tests.integration.broker.sentinel import running_sentinel

QUEUE = Queue("a", Exchange("ingest"), routing_key="a")
EVENTS = 40
# What was claimed when the master died is due again when its lease ends: after 15 s with this.
DESTINATION = "linger: 0.05\nsalesforce: {timeout: 2}\n"


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
    with running_sentinel(tmp_path, master, is_ready=f"+slave slave {LOOPBACK}:{replica.port}") as port:
        yield f"sentinel://{LOOPBACK}:{port}/0"


def wait_for_the_replica(master: Redis) -> None:
    """Return when the replica has everything that was written so far."""
    master.set("written last", 1)  # WAIT goes by what its own connection wrote
    assert master.wait(1, 5000) == 1


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
    options = {"master_name": "ours", "socket_timeout": 5}
    with Connection(sentinel_url, transport_options=options) as before:
        assert type(before.transport) is broker.SentinelTransport
        for number in range(3):
            publish(before, number)
        assert take_one(before).payload == {"number": 0}  # and never acknowledged
        with master.client() as known, replica.client() as copy:
            wait_for_the_replica(known)
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


def identify(person: str) -> dict[str, Any]:
    return {
        "type": "identify",
        "userId": person,
        "messageId": person,
        "traits": {"email": f"{person}@example.com"},
        "integrations": {"Salesforce": True},
    }


def test_the_whole_system_goes_on_by_itself_after_a_failover(
    pair: tuple[LocalRedis, LocalRedis], sentinel_url: str, start_stack: Callable[..., LocalStack]
) -> None:
    master, replica = pair
    behind = {"PIPELINE_REDIS_URL": sentinel_url, "PIPELINE_BROKER_URL": "", "PIPELINE_REDIS_MASTER": "ours"}
    workers = {"ingest": ("--ingest",), "delivery": ("--delivery",)}
    stack = start_stack(
        workers=workers, destination=DESTINATION, environ=behind, emulator_arguments=("--latency-ms", "200")
    )

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            pipeline_command(*arguments),
            env=stack.env,
            cwd=stack.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def is_sent(name: str) -> bool:
        events = stack.folder / f"{name}.jsonl"
        people = [f"{name}{number}" for number in range(EVENTS)]
        events.write_text("".join(json.dumps(identify(person)) + "\n" for person in people), encoding="utf-8")
        return command("send", str(events)).returncode == 0

    with master.client() as known:
        assert is_sent("early")
        wait_until(lambda: Inbox(known, "Lead").counts().get("applied") == EVENTS, what="all delivered", within_s=60)
        assert is_sent("before")
        wait_until(lambda: received(known) == {"accepted": 2 * EVENTS}, what="all taken in", within_s=60)
        wait_for_the_replica(known)
    master.kill()
    with replica.client() as copy:
        wait_until(lambda: copy.info("replication")["role"] == "master", what="the failover")
        # The Sentinel names the old master a little longer, and then a producer is told that it is away.
        wait_until(lambda: is_sent("after"), what="events sent after the failover")
        wait_until(lambda: received(copy) == {"accepted": 3 * EVENTS}, what="all taken in", within_s=120)
        wait_until(lambda: Inbox(copy, "Lead").waiting().backlog == 0, what="all delivered", within_s=120)
        assert Inbox(copy, "Lead").waiting().dead_letters == 0
    leads = requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()
    assert sorted(lead["Email"] for lead in leads) == sorted(
        f"{name}{number}@example.com" for name in ("early", "before", "after") for number in range(EVENTS)
    )
    status = command("status")
    assert status.returncode == 0, status.stdout + status.stderr
    stack.check()  # nothing had to be started again
