"""What workers contend for on a real server: the calls in the bucket, the slots, the probe."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import redis

from pipeline.salesforce.pause import Pause
from pipeline.salesforce.quota import Granted, QuotaGate

WORKERS = 8


@dataclass(frozen=True)
class Cause:
    reason: str = "HTTP 503"
    advice: str = ""
    needs_operator: bool = False


def test_workers_taking_at_once_never_get_more_than_there_is(redis_client: redis.Redis) -> None:
    gate = QuotaGate(redis_client, share=0.8, reserve=1000, most_in_flight=WORKERS)
    gate.observe(0, 100_000)
    free = gate.status().free_now

    def take_all(worker: int) -> int:
        mine = QuotaGate(redis_client, share=0.8, reserve=1000, most_in_flight=WORKERS)
        granted = 0
        for _ in range(200):
            if isinstance(mine.take(1, f"worker {worker}"), Granted):
                granted += 1
        mine.leave(f"worker {worker}")
        return granted

    with ThreadPoolExecutor(WORKERS) as pool:
        granted = sum(pool.map(take_all, range(WORKERS)))
    seconds_of_refill = 30  # far more than the test takes
    assert free <= granted <= free + seconds_of_refill
    assert gate.status().in_flight == 0


def test_workers_taking_at_once_never_fill_more_than_the_slots(redis_client: redis.Redis) -> None:
    gate = QuotaGate(redis_client, share=0.8, reserve=1000, most_in_flight=3)
    gate.observe(0, 100_000)
    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(lambda worker: gate.take(1, f"worker {worker}"), range(WORKERS)))
    assert sum(isinstance(answer, Granted) for answer in answers) == 3


def test_the_bucket_refills_by_the_server_s_clock(redis_client: redis.Redis) -> None:
    # A day of ten milliseconds: whatever was taken is there again at the next look.
    gate = QuotaGate(redis_client, share=1.0, reserve=0, day_s=0.01)
    gate.observe(0, 1000)
    for _ in range(3):
        assert isinstance(gate.take(6, "a"), Granted)
        deadline = 100
        while gate.status().free_now < 6 and deadline:
            deadline -= 1
        assert deadline


def test_one_of_many_workers_probes(redis_client: redis.Redis) -> None:
    pause = Pause(redis_client)
    pause.close(Cause())
    redis_client.hset("pipeline:{pause}:circuit", "next_ms", 1)
    with ThreadPoolExecutor(WORKERS) as pool:
        probes = list(pool.map(lambda _: pause.probe(), range(WORKERS * 4)))
    assert sum(probes) == 1
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda _: pause.close(Cause()), range(WORKERS * 4)))
    assert redis_client.hget("pipeline:{pause}:circuit", "interval_ms") == b"2000"
