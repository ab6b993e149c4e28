"""Promise 2, no race: at most one worker looks up and writes a record key at a time.

What breaks it: an append that makes claimed keys ready, a claim that takes locked keys, and scripts that accept any
token, all three at once. The claim alone, or with one of the others, is caught by what is left.
"""

from collections.abc import Callable

import requests

from pipeline import send_event
from pipeline.local import LocalStack, connect_producer, wait_until
from pipeline.tasks.deliver import deliver

FOUR_WORKERS = {f"worker-{number}": () for number in range(1, 5)}


def test_two_hundred_identifies_for_one_new_person_make_one_lead_whatever_worker_takes_them(
    start_stack: Callable[..., LocalStack],
) -> None:
    # A slow org leaves the time between a lookup and its write in which two workers would both see nobody.
    stack = start_stack(
        workers=FOUR_WORKERS, emulator_arguments=("--latency-ms", "50"), destination="linger: 0.01\n", has_beat=False
    )
    connect_producer(stack.broker_url)
    # Wake-ups are messages: they come twice, or late. Here they come so often that every worker delivers at once.
    spellings = ("new@example.com", "New@Example.com", " new@example.com", "NEW@EXAMPLE.COM ")
    for number in range(200):
        send_event.delay(
            {
                "type": "identify",
                "userId": "u1",
                "traits": {"email": spellings[number % 4], "title": f"title {number}"},
                "integrations": {"Salesforce": True},
            }
        )
        deliver.apply_async(("Lead", f"repeated-{number}"), queue="salesforce.Lead")

    def all_applied() -> bool:
        with stack.redis.client() as client:
            return int(client.hget("pipeline:{Lead}:counts", "applied") or 0) >= 200

    wait_until(all_applied, what="all 200 applied", within_s=60)
    leads = requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()
    assert len(leads) == 1
