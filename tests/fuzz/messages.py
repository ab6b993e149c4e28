"""What the fuzzer puts on the queue: messages as producers send them, with something odd somewhere.

What is odd is random structure, or goes just past one of our own bounds. Nothing here is large or deep enough to
trouble anybody else's software.
"""

import base64
import copy
import json
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.events.bounds import MOST_DIGITS, MOST_KEYS, MOST_NESTING

ODD_VALUES: Sequence[Any] = (
    None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**30, -0.0, 1.5, 1e22, 5e-324, 1e308, "", " ", "0", "null",
    "\x00", "\ud83d", "\ude00\ud83d", "é", "\u2028", "𝄞", "a" * 300, "2026-11-23T19:06:21Z", "2026-13-99", "__type__",
    [], {}, [[]], [{}], {"": ""}, {"__type__": "decimal", "__value__": "5"}, {"__type__": "Person", "__value__": 1},
    {"__type__": "datetime", "__value__": "x"}, {"__type__": ["x"], "__value__": None},
    {"__type__": "bytes", "__value__": 5},
    {"__proto__": {}}, {"$ref": "#"}, "a@example.com", "'; DELETE", "\\", '"', "{", "[[[", "]]",
)  # fmt: skip
ODD_TOKENS: Sequence[bytes] = (
    b"NaN", b"-Infinity", b"1e999", b"-0", b"00", b"0x10", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"\\",
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"\x00", b"/**/", b"'", b"1" * (MOST_DIGITS + 1), b'"a":1,"a":2',
    b"[" * 40, b"]" * 40, b'{"__type__":"uuid","__value__":{"hex":"x"}}',
)  # fmt: skip
HEADERS: Sequence[str] = (
    "task", "id", "eta", "expires", "lang", "retries", "timelimit", "argsrepr", "kwargsrepr", "root_id", "parent_id",
    "group", "shadow", "origin", "ignore_result", "stamps", "stamped_headers", "compression", "redelivered",
    "pipeline_format", "pipeline_lost_readers", "replaced_task_nesting", "meth", "x",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as it is pushed. `marks` stand in its events; `values` are events as they have to come out."""

    raw: bytes
    marks: tuple[str, ...]
    values: dict[str, Any]
    is_good: bool = False


class Maker:
    """Makes messages, each with marks that no other has."""

    def __init__(self, seed: int, samples: Sequence[dict[str, Any]]) -> None:
        self.random = random.Random(seed)
        self._samples = samples
        self._run = f"{seed}-{self.random.getrandbits(24):x}"
        self._number = 0

    def good(self) -> Sent:
        """Make a message of one valid event."""
        event = self._event()
        return self._sent([event], "pipeline.send_event", is_good=True)

    def odd(self, seeds: Sequence[bytes]) -> Sent:
        """Make a message with something odd in it, or change one of `seeds` in its bytes."""
        choose = self.random
        if seeds and choose.random() < 0.2:
            return Sent(self._bitten(choose.choice(seeds)), (), {})
        task = choose.choice(("pipeline.send_event", "pipeline.send_events", "pipeline.send_events"))
        count = 1 if task == "pipeline.send_event" else choose.randint(0, 6)
        events = [self._event() for _ in range(count)]
        for event in events:
            if choose.random() < 0.5:
                self._spoil(event)
        return self._sent(events, task)

    def _event(self) -> dict[str, Any]:
        self._number += 1
        mark = f"mk-{self._run}-{self._number}-"
        event = copy.deepcopy(self.random.choice(self._samples))
        return {
            **event,
            "type": "identify",
            "userId": f"u{self._number}",
            "messageId": mark,
            "timestamp": "2026-11-23T19:06:21Z",
            "traits": {"email": f"{mark}@example.com"},
            "integrations": {"Salesforce": True},
        }

    def _spoil(self, event: dict[str, Any]) -> None:
        choose = self.random
        kind = choose.randrange(6)
        place = choose.choice((event, event["traits"], event.setdefault("context", {}) or {}))
        if not isinstance(place, dict):
            return
        if kind == 0:
            deep: Any = choose.choice(ODD_VALUES)
            for _ in range(MOST_NESTING + choose.randint(-3, 3)):
                deep = [deep] if choose.random() < 0.5 else {"d": deep}
            place["deep"] = deep
        elif kind == 1:
            place.update({f"k{number}": number for number in range(MOST_KEYS + choose.randint(-30, 3))})
        elif kind == 2:
            place["long"] = 10 ** (MOST_DIGITS + choose.randint(-3, 3))
        elif kind == 3:
            place[choose.choice(("type", "userId", "timestamp", "traits", "context", "integrations", "sentAt"))] = (
                self._value(3)
            )
        elif kind == 4:
            place["large"] = "x" * choose.choice((32_000, 33_000))
        else:
            place[choose.choice(("a", "", "é", "__type__", "__value__", "\x00"))] = self._value(5)

    def _value(self, depth: int) -> Any:
        choose = self.random
        if depth and choose.random() < 0.4:
            if choose.random() < 0.5:
                return [self._value(depth - 1) for _ in range(choose.randint(0, 3))]
            return {choose.choice(("a", "b", "__type__", "__value__", "")): self._value(depth - 1) for _ in range(3)}
        return choose.choice(ODD_VALUES)

    def _sent(self, events: list[dict[str, Any]], task: str, *, is_good: bool = False) -> Sent:
        choose = self.random
        marks = tuple(event["messageId"] for event in events if isinstance(event.get("messageId"), str))
        values = {event["messageId"]: event for event in events if isinstance(event.get("messageId"), str)}
        given = [events] if task == "pipeline.send_events" else events
        args, kwargs = (given, {}) if is_good or choose.random() < 0.8 else ([], {"events": given[0]})
        headers: dict[str, Any] = {"task": task, "id": f"{choose.getrandbits(64):x}", "lang": "py"}
        embed: Any = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
        is_first = not is_good and choose.random() < 0.2
        said: Any = {"args": args, "kwargs": kwargs, **headers} if is_first else [args, kwargs, embed]
        if is_first:
            headers = {}
        if not is_good and choose.random() < 0.2:
            headers[choose.choice(HEADERS)] = self._value(4)
        if not is_good and choose.random() < 0.1 and not is_first:
            embed[choose.choice(("callbacks", "chain", "chord", "errbacks", "x"))] = self._value(4)
        body = json.dumps(said).encode()
        if not is_good and choose.random() < 0.3:
            body, values = self._bitten(body), {}
        raw = self._wrapped(body, headers, is_good=is_good)
        if not is_good and choose.random() < 0.1:
            raw, values = self._bitten(raw), {}
        return Sent(raw, marks, values, is_good)

    def _wrapped(self, body: bytes, headers: dict[str, Any], *, is_good: bool) -> bytes:
        choose = self.random
        if not is_good and choose.random() < 0.05:
            headers["compression"] = choose.choice(("application/x-gzip", "application/x-bz2", "gzip", "x", 5))
            body = zlib.compress(body)
        envelope: dict[str, Any] = {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {
                "body_encoding": "base64",
                "correlation_id": headers.get("id"),
                "delivery_info": {"exchange": "", "routing_key": "ingest"},
                "delivery_tag": f"{choose.getrandbits(96):x}",
                "priority": 0,
            },
        }
        if is_good:
            return json.dumps(envelope).encode()
        if choose.random() < 0.15:
            place = choose.choice((envelope, envelope["properties"], envelope["properties"]["delivery_info"]))
            place[choose.choice((*place, "x", "priority", "redelivered", "reply_to"))] = self._value(4)
        return json.dumps(envelope).encode()

    def _bitten(self, raw: bytes) -> bytes:
        choose = self.random
        for _ in range(choose.randint(1, 3)):
            at = choose.randrange(len(raw) + 1)
            to = min(len(raw), at + choose.choice((0, 1, 2, 8, 40)))
            what = choose.choice((choose.choice(ODD_TOKENS), b"", raw[at:to] * 2, bytes([choose.randrange(256)])))
            raw = raw[:at] + what + raw[to:]
        return raw
