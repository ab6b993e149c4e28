"""Promise 1, no loss, when Redis itself fails: restarted, full, or a replica that takes no writes.

What breaks it: a worker that acknowledges what it could not take in, or that does not come back by itself.
"""

from collections.abc import Callable

import pytest
import requests

from pipeline import send_event
from pipeline.inbox.dead_letters import received
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalRedis, LocalStack, connect_producer, wait_until

DESTINATION = "linger: 0.05\nsalesforce: {timeout: 2}\n"
WORKERS = {"ingest": ("--ingest",), "delivery": ("--delivery",)}
FULL, REPLICA = "Redis is full (maxmemory)", "this Redis is a replica"


def send(number: int) -> None:
    send_event.delay(
        {
            "type": "identify",
            "userId": "u",
            "traits": {"email": f"p{number}@example.com"},
            "integrations": {"Salesforce": True},
        }
    )


def wait_for_leads(stack: LocalStack, number: int, within_s: float = 120) -> None:
    # What a worker could not give back comes after the visibility timeout of 40 s, and machines may be slow.
    with stack.redis.client() as redis:
        wait_until(lambda: received(redis) == {"accepted": number}, what="all taken in", within_s=within_s)
        wait_until(lambda: Inbox(redis, "Lead").waiting().backlog == 0, what="all delivered", within_s=within_s)
        assert Inbox(redis, "Lead").waiting().dead_letters == 0
    assert len(requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()) == number


def log_of(stack: LocalStack, name: str) -> str:
    return (stack.folder / f"{name}.log").read_text()


def test_workers_go_on_by_themselves_after_redis_was_restarted(start_stack: Callable[..., LocalStack]) -> None:
    stack = start_stack(workers=WORKERS, destination=DESTINATION, is_append_only=True)
    connect_producer(stack.redis.url)
    for number in range(0, 60, 20):
        for one in range(number, number + 20):
            send(one)
        stack.redis.restart()
    stack.redis.service.stop()
    wait_until(lambda: "nothing is scheduled: Redis does not answer" in log_of(stack, "beat"), what="a beat that waits")
    stack.redis.start()
    wait_for_leads(stack, 60)
    with stack.redis.client() as redis:
        left = redis.pttl("pipeline:redbeat::lock")
        wait_until(lambda: redis.pttl("pipeline:redbeat::lock") > left, what="a beat that holds its lock on")
    stack.check()


def test_a_full_redis_takes_nothing_more_loses_nothing_and_is_named(start_stack: Callable[..., LocalStack]) -> None:
    stack = start_stack(workers=WORKERS, destination=DESTINATION, has_beat=False)
    connect_producer(stack.redis.url)
    with stack.redis.client() as redis:
        stack.workers["ingest"].kill()
        for number in range(20):
            send(number)
        redis.config_set("maxmemory", "1mb")
        with pytest.raises(Exception, match="Redis is full"):
            send(20)
        starting = stack.begin_worker("successor", "--ingest")
        wait_until(lambda: FULL in log_of(stack, "successor"), what="the fault named")
        assert redis.llen("ingest") + redis.hlen("unacked") == 20
        redis.config_set("maxmemory", "0")
        starting.wait_until_ready()
    wait_for_leads(stack, 20)
    starting.check()


def test_a_redis_that_fills_up_while_workers_are_at_work_loses_nothing(start_stack: Callable[..., LocalStack]) -> None:
    stack = start_stack(
        workers=WORKERS, destination=DESTINATION, emulator_arguments=("--latency-ms", "200"), has_beat=False
    )
    connect_producer(stack.redis.url)
    with stack.redis.client() as redis:
        for number in range(200):
            send(number)
        redis.config_set("maxmemory", "1mb")
        wait_until(lambda: FULL in log_of(stack, "ingest") + log_of(stack, "delivery"), what="the fault named")
        redis.config_set("maxmemory", "0")
    wait_for_leads(stack, 200)
    stack.check()


def test_a_master_that_becomes_a_replica_loses_nothing_and_is_named(start_stack: Callable[..., LocalStack]) -> None:
    stack = start_stack(workers=WORKERS, destination=DESTINATION, has_beat=False)
    connect_producer(stack.redis.url)
    with LocalRedis() as other, stack.redis.client() as redis, other.client() as elsewhere:
        for number in range(20):
            send(number)
        # Its data has to stay: the other server first gets a copy, and is the master afterwards.
        elsewhere.replicaof("127.0.0.1", stack.redis.port)
        wait_until(lambda: elsewhere.info("replication")["master_link_status"] == "up", what="a replica")
        elsewhere.replicaof("NO", "ONE")
        redis.replicaof("127.0.0.1", other.port)
        with pytest.raises(Exception, match="is a replica"):
            send(20)
        wait_until(lambda: REPLICA in log_of(stack, "ingest"), what="the fault named")
        redis.replicaof("NO", "ONE")
    wait_for_leads(stack, 20)
    stack.check()
