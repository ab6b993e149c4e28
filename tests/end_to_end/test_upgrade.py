"""What the oldest supported version has left in Redis is delivered today, and a newer one's is left alone.

tests/data/formats/ holds what each format's first version has written: messages as they lie in the queue, and an
inbox, whose bytes stand as Latin-1. A new format of either gets a file of its own, and the old ones stay for as long as
they are supported.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from pipeline import app, send_event
from pipeline.local import LocalRedis, LocalStack, ServiceFailed, connect_producer, wait_until
from pipeline.message_format import FORMAT, FORMAT_HEADER
from pipeline.operation import FORMAT as OPERATION_FORMAT
from pipeline.operation import Operation, decode, encode, in_words
from pipeline.schema import KEY, SCHEMA

FORMATS = Path(__file__).resolve().parents[1] / "data" / "formats"
EVENT = {
    "type": "identify",
    "userId": "u1",
    "traits": {"email": "today@example.com"},
    "integrations": {"Salesforce": True},
}


@pytest.mark.parametrize("file", sorted(FORMATS.glob("*.json")), ids=lambda file: f"format {file.stem}")
def test_what_an_older_version_has_left_is_delivered(start_stack: Callable[..., LocalStack], file: Path) -> None:
    left = json.loads(file.read_text(encoding="utf-8"))
    stack = start_stack(workers={}, has_beat=False, broker_url=None)
    with stack.redis.client() as redis:
        for message in left["messages"]:
            redis.lpush("ingest", message)
        redis.sadd("pipeline:objects", "Lead")
        redis.rpush(f"pipeline:{{Lead}}:inbox:{left['inbox']['key']}", left["inbox"]["entry"].encode("latin-1"))
        redis.zadd("pipeline:{Lead}:ready", {left["inbox"]["key"]: 0})
        stack.add_worker("worker-1", "--concurrency", "1")
        connect_producer(stack.broker_url)
        send_event.delay(EVENT)
        wanted = {f"{name}@example.com" for name in (*left["people"], "today")}
        wait_until(lambda: emails(stack) == wanted, what="what the older version has left, and today's")
        assert redis.get(KEY) == str(SCHEMA).encode()

        # A newer version has been here: a worker of this one ends at once, and what waits goes on waiting.
        stack.workers["worker-1"].stop()
        redis.set(KEY, SCHEMA + 1)
        send_event.delay({**EVENT, "traits": {"email": "later@example.com"}})
        worker = stack.begin_worker("worker-2", "--concurrency", "1")
        wait_until(lambda: not worker.is_running, what="the end of a worker that is too old")
        assert f"schema {SCHEMA + 1}" in worker.output()
        with pytest.raises(ServiceFailed, match="code 2"):
            worker.check()
        assert emails(stack) == wanted
        assert redis.llen("ingest") + redis.hlen("unacked") == 1
        assert redis.get(KEY) == str(SCHEMA + 1).encode()


def test_what_is_written_today_says_its_version_and_an_older_reader_passes_over_what_it_does_not_know(
    redis_server: LocalRedis,
) -> None:
    connect_producer(redis_server.url)
    send_event.delay(EVENT)
    with redis_server.client() as redis:
        message: Any = json.loads(redis.lrange("ingest", 0, -1)[0])
    assert message["headers"][FORMAT_HEADER] == FORMAT
    assert app.conf.accept_content == ["json"]
    operation = Operation(id="1", object="Lead", verb="upsert", match={"Email": "a@x.com"}, event_time_ms=1)
    stored = json.loads(in_words(encode(operation)))
    assert stored["v"] == OPERATION_FORMAT
    assert decode(json.dumps({**stored, "of a later version": [1]}).encode()) == operation
    with pytest.raises(ValueError, match="workers before producers"):
        decode(json.dumps({**stored, "v": OPERATION_FORMAT + 1}).encode())
    with pytest.raises(ValueError, match="workers before producers"):
        decode(b"z2 " + encode(operation).removeprefix(b"z1 "))


def emails(stack: LocalStack) -> set[str]:
    leads = requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()
    return {lead["Email"] for lead in leads}
