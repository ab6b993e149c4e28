"""No message stops the worker or costs another event anything, whoever has put it into the queue."""

import base64
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import send_event, send_events
from pipeline.events.bounds import MOST_DIGITS, MOST_KEYS, MOST_NESTING
from pipeline.inbox.dead_letters import dead_letters, received
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer, wait_until
from pipeline.operation import decode

# Ends whoever reads an event that asks for it: the worker's main process as it looks at the message. What that has held
# comes back after a second, and not after forty.
ENDS_READERS = """
import os, signal
from celery.signals import worker_init

@worker_init.connect(weak=False)
def arm(sender, **_):
    import pipeline.consumer
    sender.app.conf.broker_transport_options["visibility_timeout"] = 1
    read = pipeline.consumer.read_body

    def ending(body, kind):
        if b"end-the-reader" in bytes(body):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(body, kind)

    pipeline.consumer.read_body = ending
"""
# The same with a process of the worker's pool, as it takes the event in.
ENDS_PROCESSES = """
import os, signal
from celery.signals import worker_init

@worker_init.connect(weak=False)
def arm(**_):
    import pipeline.tasks.ingest as ingest
    plan = ingest.plan

    def ending(event, *arguments):
        if isinstance(event, dict) and event.get("userId") == "end-the-process":
            os.kill(os.getpid(), signal.SIGKILL)
        return plan(event, *arguments)

    ingest.plan = ending
"""


def identify(number: int, **more: Any) -> dict[str, Any]:
    traits = {"email": f"p{number}@example.com"}
    return {"type": "identify", "userId": f"u{number}", "traits": traits, "integrations": {"Salesforce": True}, **more}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def foreign(body: bytes, *, task: str = "pipeline.send_events", **changes: Any) -> str:
    """Return a message as kombu lays it into Redis, with changes to its headers."""
    properties = {
        "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": "ingest"},
        "delivery_tag": secrets.token_hex(8),
        "priority": 0,
    }
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": task, "id": secrets.token_hex(8), **changes},
        "properties": properties,
    }
    return json.dumps(envelope)


def body(*events: Any, embed: Any = None) -> bytes:
    return json.dumps([[list(events)], {}, embed or {}]).encode()


def test_what_is_hostile_amid_good_events_costs_them_nothing(start_stack: Callable[..., LocalStack]) -> None:
    stack = start_stack(workers={"one": ("--ingest",)}, has_beat=False, has_emulator=False, broker_url=None)
    connect_producer(stack.redis.url)
    bad_events = [
        identify(900, deep=nested(MOST_NESTING + 8)),
        identify(901, keys=dict.fromkeys(map(str, range(MOST_KEYS + 1)), 1)),
        identify(902, long=10 ** (MOST_DIGITS + 1)),
        identify(903, odd=float("nan")),
        identify(904, note="x" * 33_000),
    ]
    # Each stands in a message between two good events, which are taken in.
    with_neighbours = [
        foreign(body(identify(2 * number), bad, identify(2 * number + 1))) for number, bad in enumerate(bad_events)
    ]
    good_text = json.dumps(identify(50)).encode()
    with_neighbours.append(foreign(b'[[[%s, {"type": "\xff"}, {"a": 1e999}, {"a" 1}]], {}, {}]' % good_text))
    first_protocol = {"task": "pipeline.send_event", "id": "x", "args": [identify(51)], "kwargs": {}}
    with_neighbours.append(foreign(json.dumps(first_protocol).encode(), task="pipeline.send_event"))
    with_neighbours.append(foreign(body(identify(52)), eta=None, expires="2020-01-01T00:00:00Z", timelimit=5))
    unreadable = [
        foreign(body(identify(800), embed={"chain": [{"task": "pipeline.send_event"}]})),
        foreign(body(identify(801), embed={"callbacks": nested(MOST_NESTING + 8)})),
        foreign(body(identify(802)), id=["x"]),
        foreign(body(identify(803)), eta="9999-12-31T23:59:59+00:00"),
        foreign(body(identify(804)), stamps=nested(40)),
        foreign(body(identify(805)), compression="application/x-gzip"),
        foreign(b'[[[{"a": 1]], {}, {}]'),
        foreign(body(identify(806))).replace('"body_encoding": "base64"', '"body_encoding": ["base64"]'),
        foreign(body(identify(807))).replace('"body_encoding": "base64"', '"body_encoding": "of-tomorrow"'),
        foreign(body(identify(808)), x={"__type__": "Person", "__value__": 1}).replace('"task"', '"no-task"'),
    ]
    plain = {"traits": {"email": "data@example.com", "it": {"__type__": "Person", "__value__": 1}}}
    with stack.redis.client() as redis:
        for number in range(50):
            send_event.delay(identify(100 + number))
        redis.lpush("ingest", *with_neighbours, *unreadable)
        send_events.delay([identify(60, **plain), identify(61, traits={"email": {"__type__": "decimal"}})])
        for number in range(50):
            send_event.delay(identify(200 + number))
        events = 100 + 2 + 3 * len(bad_events) + 4 + 1 + 1
        wait_until(lambda: sum(received(redis).values()) == events, what="every event accounted for")
        wait_until(lambda: redis.llen("ingest.unreadable") == len(unreadable), what="what is set aside")
        assert redis.llen("ingest") == redis.hlen("unacked") == 0
        assert received(redis)["rejected"] == len(bad_events) + 3 + 1  # no e-mail address is an object
        reasons = [letter.reason for letter in dead_letters(redis, "events")]
        assert "the event is nested deeper than 32 levels" in reasons
        assert "the event has 2,008 keys; at most 2,000 are taken" in reasons
        assert "the event holds a number of more than 400 digits" in reasons
        assert reasons.count("the event is no JSON") == 3  # NaN among them
        letters = dead_letters(redis, "events")
        assert all(json.dumps(letter.event, allow_nan=False) for letter in letters)
        (too_large,) = [letter for letter in letters if "bytes of JSON" in letter.reason]
        assert too_large.event["note"] == "x" * 33_000
        waiting = Inbox(redis, "Lead").waiting().backlog
        assert waiting == 100 + 2 * len(bad_events) + 3 + 1
        operation = next(iter(redis.lrange("pipeline:{Lead}:inbox:email=data@example.com", 0, 0)))
        assert decode(bytes(operation).split(b" ", 1)[1]).event["traits"] == plain["traits"]
    stack.check()


def armed(start_stack: Callable[..., LocalStack], folder: Path, code: str) -> LocalStack:
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    path = os.pathsep.join([str(folder), str(Path(__file__).resolve().parents[2])])
    stack = start_stack(workers={}, has_beat=False, has_emulator=False, broker_url=None, environ={"PYTHONPATH": path})
    connect_producer(stack.redis.url)
    return stack


def test_a_message_that_has_ended_three_workers_is_set_aside_and_the_others_are_taken_in(
    start_stack: Callable[..., LocalStack], tmp_path: Path
) -> None:
    stack = armed(start_stack, tmp_path, ENDS_READERS)
    with stack.redis.client() as redis:
        send_event.delay(identify(0, context={"note": "end-the-reader"}))
        for number in range(1, 9):
            send_event.delay(identify(number))
        for life in range(3):
            worker = stack.begin_worker(f"life-{life}", "--ingest", "--concurrency", "1")
            wait_until(lambda one=worker: not one.is_running, what="the end of a worker")  # type: ignore[misc]
        stack.begin_worker("survivor", "--ingest", "--concurrency", "1")
        wait_until(lambda: received(redis) == {"accepted": 8}, what="the other events")
        wait_until(lambda: redis.hlen("unacked") == redis.llen("ingest") == 0, what="an empty queue")
        (aside,) = redis.lrange("ingest.unreadable", 0, -1)
        assert json.loads(aside)["headers"]["pipeline_lost_readers"] == 3
        assert b"end-the-reader" in base64.b64decode(json.loads(aside)["body"])
        assert dead_letters(redis, "events") == []


def test_an_event_that_ends_the_processes_that_take_it_in_is_a_dead_letter_and_its_neighbours_are_taken_in(
    start_stack: Callable[..., LocalStack], tmp_path: Path
) -> None:
    stack = armed(start_stack, tmp_path, ENDS_PROCESSES)
    with stack.redis.client() as redis:
        send_events.delay([identify(20), identify(99) | {"userId": "end-the-process"}, identify(21)])
        send_event.delay(identify(22))
        worker = stack.begin_worker("one", "--ingest", "--concurrency", "1")
        wait_until(lambda: sum(received(redis).values()) == 4, what="every event accounted for", within_s=60)
        assert received(redis) == {"accepted": 3, "rejected": 1}
        (letter,) = dead_letters(redis, "events")
        assert letter.event["userId"] == "end-the-process"
        assert letter.reason == "it has ended the processes that took it in"
        wait_until(lambda: redis.hlen("unacked") == redis.llen("ingest") == 0, what="an empty queue")
        assert not redis.exists("ingest.unreadable")
        worker.check()
