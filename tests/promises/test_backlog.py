"""Promises 1, 2, 3 and 5 for bulk jobs: a worker killed in the middle of one loses nothing and doubles nothing.

What breaks it: a job that nobody takes over (`bulk_wake.lua`), keys of a job that a lease lets go (`bulk_take.lua`).
"""

import time
from collections.abc import Callable
from typing import Any

import requests
from redis import Redis

from pipeline import send_event, send_events
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer, wait_until

PEOPLE = 120
JOB_S = 18.0  # longer than a lease, so that the job is at work when it is taken over


def test_a_worker_killed_in_the_middle_of_a_bulk_job_loses_and_doubles_nothing(
    start_stack: Callable[..., LocalStack],
) -> None:
    stack = start_stack(
        workers={"ingest": ("--ingest",)},
        # Short timeouts make short leases, so that the killed worker's job is taken over within the test.
        destination="linger: 0.05\nsalesforce: {timeout: 1}\nbulk: {threshold: 100}\n",
        has_beat=False,
    )
    connect_producer(stack.broker_url)
    emulator = f"{stack.emulator_url}/_emulator"
    requests.post(f"{emulator}/limits", json={"bulk_delay_s": JOB_S}, timeout=10).raise_for_status()
    # The request that starts the job is still on its way when the worker dies.
    slow = {"fault": "slow", "method": "PATCH", "path": "jobs/ingest", "ms": 900, "next": 1}
    requests.post(f"{emulator}/faults", json=slow, timeout=10).raise_for_status()
    with stack.redis.client() as redis:
        leads = Inbox(redis, "Lead")
        send_events.delay([identify(number, "first") for number in range(PEOPLE)])
        wait_until(lambda: leads.counts().get("appended") == PEOPLE, what="a backlog")
        stack.add_worker("delivery-1", "--delivery")
        wait_until(lambda: "uploading" in stages(redis), what="a job about to start")
        stack.workers["delivery-1"].kill()
        stack.add_worker("delivery-2", "--delivery")
        over = time.monotonic() + JOB_S + 1

        # Meanwhile one of the job's people comes again. Nothing is due, so nobody is woken but for the job.
        send_event.delay(identify(7, "second"))
        wait_until(
            lambda: leads.waiting().backlog == 0 and time.monotonic() > over,
            what="the delivery of everything and the end of the job",
            within_s=60,
        )
        assert leads.waiting().dead_letters == 0
        assert leads.waiting().in_flight == 0
        assert leads.counts()["applied"] == PEOPLE + 1
        assert not redis.keys("pipeline:{Lead}:bulk*:keys")
    expected = {email(number): "first" for number in range(PEOPLE)} | {email(7): "second"}
    assert people(emulator) == expected
    assert requests.get(f"{emulator}/stats", timeout=10).json()["records"]["Lead"] == PEOPLE


def identify(number: int, title: str) -> dict[str, object]:
    traits = {"email": email(number), "title": title}
    return {"type": "identify", "userId": "u", "traits": traits, "integrations": {"Salesforce": True}}


def email(number: int) -> str:
    return f"p{number}@example.com"


def people(emulator: str) -> dict[str, str]:
    found = requests.get(f"{emulator}/records/Lead", timeout=10).json()
    return {record["Email"]: record["Title"] for record in found}


def stages(redis: Redis) -> set[str]:
    tokens: Any = redis.zrange("pipeline:{Lead}:bulk", 0, -1)
    found: list[Any] = [redis.hget(f"pipeline:{{Lead}}:bulk:{token.decode()}", "stage") for token in tokens]
    return {stage.decode() for stage in found if stage}
