"""The reader that is fuzzed: a real worker in a thread of this process, on a real Redis; its lines are counted."""

import base64
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from celery.contrib.testing.worker import start_worker

import pipeline
from pipeline import app
from pipeline.events.ids import stored_id, well_formed
from pipeline.events.schemas import _SCHEMAS
from pipeline.inbox.dead_letters import dead_letters
from pipeline.local import LocalRedis, connect_producer
from pipeline.operation import decode
from pipeline.plain_json import loads
from pipeline.tasks import runtime
from tests.fuzz.messages import Sent

_WATCHED = str(Path(pipeline.__file__).parent)
_WITHIN_S = 60.0
_SPECS = frozenset(name for schema in _SCHEMAS.values() for name in schema.fields)


class Reader:
    """A worker, its Redis, and what it has been seen to run."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis
        self.edges: set[tuple[str, int, int]] = set()
        self.is_watched = True

    def take(self, batch: Sequence[Sent]) -> list[tuple[str, bytes]]:
        """Have the worker read a batch; returns what is wrong with where its messages have ended, and the messages."""
        self.redis.delete(*self.redis.keys("pipeline:{*") or ["-"], "ingest.unreadable")
        with self.redis.pipeline() as pipe:
            pipe.lpush("ingest", *[sent.raw for sent in batch]).lpush("bell.ingest", "").execute()
        if self._is_stuck():
            held = [bytes(entry) for entry in self.redis.hvals("unacked")]
            return [(f"stuck: {self.redis.llen('ingest')} in the queue, {len(held)} held", b"\n".join(held))]
        return list(self._wrong(batch))

    def _is_stuck(self) -> bool:
        """Wait until all is read; True where for a while nothing is any more, however slow the machine."""
        left, since = (-1, -1), time.monotonic()
        while time.monotonic() - since < _WITHIN_S:
            now = (self.redis.llen("ingest"), self.redis.hlen("unacked"))
            if now == (0, 0):
                return False
            if now != left:
                left, since = now, time.monotonic()
            time.sleep(0.02)
        return True

    def _wrong(self, batch: Sequence[Sent]) -> Iterator[tuple[str, bytes]]:
        aside = [_parts(raw) for raw in self.redis.lrange("ingest.unreadable", 0, -1)]
        letters = dead_letters(self.redis, "events", most=10_000)
        dead = "\n".join(json.dumps(letter.event, ensure_ascii=False) for letter in letters)
        for letter in letters:
            try:
                json.dumps(letter.event, allow_nan=False)
            except ValueError:
                yield "a dead letter is no JSON", repr(letter.event).encode()
        accepted = {operation.event.get("messageId"): operation.event for operation in self._operations()}
        for sent in batch:
            for mark in sent.marks:
                told = self.redis.get(f"pipeline:{{events}}:seen:{stored_id(mark)}")
                ended = [bool(told) or mark in dead, any(mark in part for part in aside)]
                if sent.is_good and (told is None or b" accepted " not in bytes(told)):
                    yield f"a good event is not accepted: {told!r}", sent.raw
                if ended == [True, True]:
                    yield f"an event has ended in two places: {mark}", sent.raw
                if ended == [False, False] and _is_there(mark, sent.raw):
                    yield f"an event has ended nowhere: {mark}", sent.raw
                if mark in accepted and mark in sent.values and _data(accepted[mark]) != _data(sent.values[mark]):
                    yield f"an event has come out as another: {mark}", sent.raw

    def _operations(self) -> Iterator[Any]:
        for key in self.redis.keys("pipeline:{Lead}:inbox:*"):
            for entry in self.redis.lrange(key, 0, -1):
                yield decode(entry.split(b" ", 1)[1])


def _parts(raw: bytes) -> str:
    """Return all that a message says, its body unpacked."""
    text = raw.decode("utf-8", "replace")
    try:
        return text + base64.b64decode(json.loads(raw)["body"]).decode("utf-8", "replace")
    except (ValueError, TypeError, KeyError):
        return text


def _is_there(mark: str, raw: bytes) -> bool:
    """Say whether an event's messageId is still one, after its message's bytes were changed."""
    try:
        body = loads(base64.b64decode(json.loads(raw)["body"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    args, kwargs = (body.get("args", []), body.get("kwargs", {})) if isinstance(body, dict) else body[:2]
    given = [*args, *kwargs.values()]
    events = [event for one in given for event in (one if isinstance(one, list) else [one])]
    return any(isinstance(event, dict) and event.get("messageId") == mark for event in events)


def _data(event: dict[str, Any]) -> Any:
    """Return what of an event is data: the rest is the spec's own, and may be written in several ways."""
    read = json.loads(well_formed(json.dumps(event, ensure_ascii=False)))
    return {name: value for name, value in read.items() if name not in _SPECS or (isinstance(value, dict) and value)}


@contextmanager
def reading() -> Iterator[Reader]:
    """Run a worker that reads the queue of events, for as long as the context lasts."""
    with LocalRedis() as server, server.client() as redis:
        reader = Reader(redis)

        def watch(frame: FrameType, kind: str, _: Any) -> Any:
            if not reader.is_watched or not frame.f_code.co_filename.startswith(_WATCHED):
                return None
            last = 0

            def lines(inner: FrameType, what: str, _: Any) -> Any:
                nonlocal last
                if what == "line":
                    reader.edges.add((inner.f_code.co_filename, last, inner.f_lineno))
                    last = inner.f_lineno
                return lines

            return lines

        os.environ["PIPELINE_REDIS_URL"] = server.url
        connect_producer(server.url)
        runtime.runtime.cache_clear()
        threading.settrace(watch)
        try:
            with start_worker(app, pool="solo", perform_ping_check=False, queues=["ingest"], loglevel="CRITICAL"):
                yield reader
        finally:
            threading.settrace(None)
            sys.settrace(None)
