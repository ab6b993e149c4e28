"""What a scrape shows of what stands in Redis."""

from dataclasses import replace
from typing import Any

import fakeredis
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from pipeline.destination import Destination
from pipeline.inbox.claims import Batch, Settlement
from pipeline.inbox.dead_letters import Receipt, dead_letters, readmit, receive
from pipeline.inbox.inbox import Bounds, Inbox
from pipeline.metrics.alive import beat_is_alive, roles_of, worker_ends, worker_is_alive
from pipeline.metrics.exporter import Exporter
from pipeline.metrics.tally import TOTALS, Tally
from pipeline.operation import Operation
from pipeline.salesforce.pause import Pause


@pytest.fixture
def redis() -> Redis:
    return fakeredis.FakeRedis()


def operation(number: int) -> Operation:
    email = f"{number}@example.com"
    event: dict[str, Any] = {"traits": {"email": email}}
    return Operation(
        id=f"m{number}#identify",
        object="Lead",
        verb="upsert",
        match={"Email": email},
        event_time_ms=number,
        event=event,
    )


def page(redis: Redis) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Exporter(redis, Destination(), lambda _: 7))
    return generate_latest(registry).decode()


def scrape(redis: Redis) -> dict[tuple[str, ...], float]:
    """Return (name, label values in the order of their names) → value."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page(redis))
        for sample in family.samples
    }


def test_a_new_system_shows_zeros_and_nothing_that_is_not_known(redis: Redis) -> None:
    shown = scrape(redis)
    assert shown["pipeline_state_store_up",] == 1
    assert shown["pipeline_dead_letters", "events"] == 0
    assert shown["pipeline_dead_letters", "Lead"] == 0
    assert shown["pipeline_events_total", "accepted"] == 0
    assert shown["pipeline_workers", "delivery"] == 0
    assert shown["pipeline_paused", "salesforce", "all"] == 0
    assert shown["pipeline_queue_messages", "ingest"] == 7
    absent = {"pipeline_quota_limit_calls", "pipeline_session_age_seconds", "pipeline_beat_last_seen_timestamp_seconds"}
    assert not absent & {name for name, *_ in shown}


def test_what_waits_is_shown_by_object(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(linger_s=0))
    inbox.append([operation(1), operation(2), operation(3)])
    batch = inbox.claim("d")
    assert isinstance(batch, Batch)
    inbox.commit(batch.token, [Settlement(batch.claims[0]), Settlement(batch.claims[1], bury={0: "INVALID_FIELD: x"})])
    inbox.count_left_out({"trait `plan`": 3, "trait `size`": 4})
    shown = scrape(redis)
    assert shown["pipeline_backlog_operations", "Lead"] == 1
    assert shown["pipeline_in_flight_keys", "Lead"] == 1
    assert shown["pipeline_dead_letters", "Lead"] == 1
    assert shown["pipeline_operations_total", "Lead", "applied"] == 1
    assert shown["pipeline_values_left_out_total", "Lead"] == 7
    assert 0 <= shown["pipeline_backlog_oldest_age_seconds", "Lead"] < 60


def test_keys_that_share_a_value_with_a_claimed_one_are_counted_as_they_are_passed_by(redis: Redis) -> None:
    inbox = Inbox(redis, "Lead", Bounds(linger_s=0))
    inbox.append([operation(1)])
    inbox.claim("d")
    both = replace(operation(1), id="m2", match={"Email": "1@example.com", "Phone": "1"})
    inbox.append([both, operation(3)])
    inbox.claim("e")
    assert scrape(redis)["pipeline_lock_waits_total", "Lead"] == 1


def test_histograms_are_cumulative(redis: Redis) -> None:
    tally = Tally()
    for seconds in (0.01, 0.07, 0.07, 300):
        tally.count_call("write", seconds)
    tally.write(redis)
    shown = scrape(redis)
    name = "pipeline_api_request_duration_seconds"
    assert [shown[f"{name}_bucket", "write", bound] for bound in ("0.05", "0.1", "120", "+Inf")] == [1, 3, 3, 4]
    assert shown[f"{name}_count", "write"] == 4
    assert shown[f"{name}_sum", "write"] == pytest.approx(300.15)
    assert shown["pipeline_api_calls_total", "write"] == 4
    assert shown["pipeline_api_calls_total", "lookup"] == 0


def test_no_count_falls_when_a_rejected_event_is_taken_in_after_all(redis: Redis) -> None:
    receive(redis, [Receipt("m1", "rejected", "reason", {"type": "track"})])
    assert readmit(redis, dead_letters(redis, "events")[0], Receipt("m1", "accepted", planned="Lead#identify"))
    shown = scrape(redis)
    assert shown["pipeline_events_total", "rejected"] == 1
    assert shown["pipeline_events_total", "accepted"] == 1
    assert shown["pipeline_dead_letters", "events"] == 0


def test_skipped_events_are_counted_by_why(redis: Redis) -> None:
    receive(redis, [Receipt("m1", "skipped", 'near miss: "SFDC": true'), Receipt("m2", "skipped", "no_rule")])
    shown = scrape(redis)
    assert shown["pipeline_skipped_events_total", 'near miss: "SFDC": true'] == 1
    assert shown["pipeline_skipped_events_total", "no_rule"] == 1


def test_pauses_are_shown_with_their_cause_and_without_their_reason(redis: Redis) -> None:
    pause = Pause(redis)
    pause.hold("Lead", reason="ask ada@example.com")
    assert scrape(redis)["pipeline_paused", "hand", "Lead"] == 1
    assert scrape(redis)["pipeline_paused", "hand", "all"] == 0
    pause.hold(reason="ask ada@example.com")
    assert scrape(redis)["pipeline_paused", "hand", "all"] == 1
    assert "example.com" not in page(redis)


def test_workers_count_for_as_long_as_they_are_heard_of(redis: Redis) -> None:
    worker_is_alive(redis, "both@a", roles_of(["ingest", "salesforce.Lead", "upkeep"]))
    worker_is_alive(redis, "delivery@b", roles_of(["salesforce.Lead"]))
    beat_is_alive(redis)
    shown = scrape(redis)
    assert (shown["pipeline_workers", "ingest"], shown["pipeline_workers", "delivery"]) == (1, 2)
    seconds, _ = redis.time()
    assert shown["pipeline_beat_last_seen_timestamp_seconds",] == pytest.approx(seconds, abs=5)
    redis.zadd("pipeline:{metrics}:workers", {"delivery|delivery@b": seconds - 60})
    assert scrape(redis)["pipeline_workers", "delivery"] == 1
    worker_ends(redis, "both@a")
    assert scrape(redis)["pipeline_workers", "delivery"] == 0
    worker_is_alive(redis, "delivery@c", ["delivery"])
    assert redis.zcard("pipeline:{metrics}:workers") == 1


def test_a_redis_that_does_not_answer_is_a_figure_and_no_error() -> None:
    server = fakeredis.FakeServer()
    server.connected = False
    shown = scrape(fakeredis.FakeRedis(server=server))
    assert shown["pipeline_state_store_up",] == 0
    assert {name for name, *_ in shown} == {"pipeline_state_store_up", "pipeline_build_info"}


def test_the_page_names_nobody(redis: Redis) -> None:
    Inbox(redis, "Lead").append([operation(1)])
    receive(redis, [Receipt("secret-id", "rejected", "no good: ada@example.com", {"email": "ada@example.com"})])
    Inbox(redis, "Lead").count_left_out({"trait `ada@example.com`": 1})
    shown = page(redis)
    assert "example.com" not in shown
    assert "secret-id" not in shown


def test_figures_of_a_version_to_come_are_passed_by(redis: Redis) -> None:
    redis.hset(TOTALS, mapping={"invented|x": 1, "records|Lead": 5, "records|Lead|created": 2})
    assert scrape(redis)["pipeline_records_total", "created", "Lead"] == 2
