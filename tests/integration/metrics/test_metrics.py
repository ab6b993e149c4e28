"""`pipeline metrics` against a real server and an emulated org: what a scrape shows, and what it costs."""

import doctest
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis as redis_library
import requests
from redis import Redis
from redis.connection import Connection

from pipeline.destination import Destination
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalRedis, LocalStack, connect_producer, wait_until
from pipeline.local.service import pipeline_command
from pipeline.metrics.exporter import Exporter, serve
from pipeline.metrics.history import history, sample
from pipeline.operation import Operation
from pipeline.tasks.ingest import queued
from tests.integration.environment import Environment

OPTED_IN = {"Salesforce": True}


def identify(number: int, **traits: Any) -> dict[str, Any]:
    return {
        "type": "identify",
        "messageId": f"m{number}",
        "userId": f"u{number}",
        "integrations": OPTED_IN,
        "traits": {"email": f"{number}@example.com", **traits},
    }


def read(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


@contextmanager
def scraped(redis: Redis) -> Iterator[str]:
    server, stop = serve(Exporter(redis, Destination(), queued), port=0, address="127.0.0.1")
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        stop()


def test_what_delivery_did_is_on_the_page(environment: Environment) -> None:
    sample(environment.redis)
    environment.deliver_all(*(identify(number) for number in range(3)), {"type": "track", "userId": "u"})
    environment.deliver_all(identify(4, leadSource="x" * 300), identify(1) | {"messageId": "again"})
    with scraped(environment.redis) as url:
        shown = read(url)
    assert shown['pipeline_events_total{outcome="accepted"}'] == 5
    assert shown['pipeline_events_total{outcome="rejected"}'] == 1
    assert shown['pipeline_records_total{change="created",object="Lead"}'] == 4
    assert shown['pipeline_api_calls_total{kind="lookup"}'] == environment.calls()["query"]
    assert shown['pipeline_api_calls_total{kind="write"}'] == shown['pipeline_batch_keys_count{object="Lead"}']
    assert shown['pipeline_api_request_duration_seconds_count{kind="login"}'] == 1
    assert shown['pipeline_api_calls_total{kind="describe"}'] == 1
    spent = environment.calls()
    assert shown["pipeline_quota_used_calls"] == sum(spent.values()) - spent["login"]
    assert 0 <= shown["pipeline_session_age_seconds"] < 60
    assert shown['pipeline_backlog_operations{object="Lead"}'] == 0
    (row,) = history(environment.redis)
    assert (row.accepted, row.rejected, row.created) == (5, 1, 4)
    assert row.calls == shown["pipeline_quota_used_calls"]


def test_a_dead_letter_is_counted_under_its_code(environment: Environment) -> None:
    rule = {"fault": "refuse", "object": "Lead", "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION"}
    requests.post(f"{environment.url}/_emulator/faults", json=rule, timeout=10).raise_for_status()
    environment.deliver_all(identify(1))
    with scraped(environment.redis) as url:
        shown = read(url)
    assert shown['pipeline_buried_operations_total{object="Lead",reason="FIELD_CUSTOM_VALIDATION_EXCEPTION"}'] == 1
    assert shown['pipeline_dead_letters{object="Lead"}'] == 1


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return what this process sends to Redis, an entry for each round trip."""
    packets: list[bytes] = []
    send = Connection.send_packed_command

    def record(connection: Connection, command: Any, **options: Any) -> None:
        packets.append(command if isinstance(command, bytes) else b"".join(command))
        send(connection, command, **options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Connection, "send_packed_command", record)
    return packets


def test_a_scrape_takes_as_many_round_trips_however_much_there_is_and_searches_no_keys(
    redis_server: LocalRedis, redis_client: Redis, sent: list[bytes]
) -> None:
    def cost() -> int:
        client = redis_library.Redis.from_url(redis_server.url)
        looking = Exporter(client, Destination(), lambda _: 0)
        looking.measure()
        sent.clear()
        looking.measure()
        client.close()
        assert not any(searching in packet.upper() for packet in sent for searching in (b"\r\nKEYS\r\n", b"SCAN\r\n"))
        return len(sent)

    def fill(name: str, keys: int) -> None:
        Inbox(redis_client, name).append(
            [
                Operation(id=f"{name}{one}", object=name, verb="upsert", match={"Id__c": one}, event_time_ms=1)
                for one in map(str, range(keys))
            ]
        )

    fill("Thing__c", 1)
    one = cost()
    for number in range(20):
        fill(f"Thing{number}__c", 150)
    assert cost() == one
    assert one <= 8


def test_the_page_that_a_running_system_shows(start_stack: Callable[..., LocalStack]) -> None:
    from pipeline import send_events

    stack = start_stack(workers={"worker": ()}, destination="linger: 0.05\n")
    connect_producer(stack.broker_url)
    metrics = stack.begin_service(
        "metrics", pipeline_command("metrics", "--port", "0"), lambda it: "/metrics" in it.output()
    ).wait_until_ready()
    url = metrics.output().split()[-1]
    send_events.delay([identify(number) for number in range(10)])
    wait_until(
        lambda: read(url).get('pipeline_records_total{change="created",object="Lead"}') == 10,
        what="the records on the page",
    )
    assert "object=Lead POST composite/sobjects answered=200" in stack.workers["worker"].output()
    shown = read(url)
    assert shown['pipeline_workers{role="ingest"}'] == shown['pipeline_workers{role="delivery"}'] == 1
    wait_until(lambda: "pipeline_beat_last_seen_timestamp_seconds" in read(url), what="beat's sign of life")
    with stack.redis.client() as redis:
        assert sum(row.created for row in history(redis)) == 10
    stack.workers["worker"].stop()
    assert read(url)['pipeline_workers{role="delivery"}'] == 0
    metrics.begin_stop()
    wait_until(lambda: not metrics.is_running, what="the end of the page")


def test_the_history_that_the_docs_show(redis_client: Redis, repository: Path) -> None:
    sample(redis_client)
    text = (repository / "docs" / "operations.md").read_text(encoding="utf-8")
    (shown,) = (part.partition("```")[0] for part in text.split("```pycon\n")[1:])
    example = doctest.DocTestParser().get_doctest(shown, {"redis": redis_client}, "operations.md", None, 0)
    assert doctest.DocTestRunner().run(example).failed == 0
