"""A scene for pictures of the console: a whole system at work, with a day behind it and a few things gone wrong."""

import json
import math
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from redis import Redis

from pipeline import send_events
from pipeline.inbox.dead_letters import count_dead_letters
from pipeline.local import LocalStack, connect_producer, console, wait_until
from pipeline.metrics.history import HISTORY
from pipeline.salesforce.pause import Pause

PASSWORD = "a-password-for-pictures"
TRACED = "5f1c8a52-0c1b-4c43-9a53-6f5c3f7d2b10"
_DESTINATION = """
linger: 0.05
actions:
  - on: {type: track, event: Issue Submitted}
    operation: create
    object: Case
    fields: {properties.subject: Subject}
"""
_DAY_MINUTES = 1_430
_OPTED_IN = {"Salesforce": True}


@contextmanager
def playing() -> Iterator[LocalStack]:
    """Run the scene; what is to be seen is there when the context begins."""
    chance = random.Random(7)
    environ = {"PIPELINE_CONSOLE_PASSWORD": PASSWORD}
    workers = {"ingest": ("--ingest",), "delivery": ("--delivery",)}
    with LocalStack(workers=workers, destination=_DESTINATION, environ=environ, pages=[console()]) as stack:
        connect_producer(stack.broker_url)
        with stack.redis.client() as redis:
            _remember_a_day(redis, chance)
            _tell(stack, "limits", {"use": 31_400})
            _bury(stack, redis)
            Pause(redis).hold("Case", reason="its triggers are being mended, until 15:00")
            send_events.delay([_issue(number) for number in range(1_860)])
            send_events.delay([_identify(number) for number in range(2_400)])
            send_events.delay([_group(number) for number in range(140)])
            wait_until(lambda: _is_settled(redis), what="the events of the scene", within_s=60)
        yield stack


def _is_settled(redis: Redis) -> bool:
    def of(name: str, count: str) -> int:
        return int(redis.hget(f"pipeline:{{{name}}}:counts", count) or 0)

    return of("Case", "appended") == 1_860 and of("Lead", "applied") >= 2_400 and of("Account", "applied") >= 140


def _bury(stack: LocalStack, redis: Redis) -> None:
    """Bury letters of several kinds."""
    send_events.delay([{"type": "track", "userId": "u1", "messageId": f"untitled-{number}"} for number in range(3)])
    refusals = (
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "A lead of the EMEA region needs a phone."),
        ("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id"),
        ("STRING_TOO_LONG", "Company: data value too large: Analytical Engines (max length=10)"),
    )
    for number, (code, message) in enumerate(refusals):
        _tell(stack, "faults", {"fault": "refuse", "object": "Lead", "code": code, "message": message})
        before = count_dead_letters(redis, "Lead")
        send_events.delay([_identify(10_000 + 10 * number + one) for one in range(4 - number)])
        wait_until(lambda least=before + 1: count_dead_letters(redis, "Lead") >= least, what="a dead letter")  # type: ignore[misc]
        if number == 0:
            send_events.delay([_identify(9_000) | {"messageId": TRACED}])
            wait_until(lambda least=before + 5: count_dead_letters(redis, "Lead") >= least, what="the traced one")  # type: ignore[misc]
        _tell(stack, "faults", {"clear": True})


def _tell(stack: LocalStack, path: str, said: dict[str, Any]) -> None:
    requests.post(f"{stack.emulator_url}/_emulator/{path}", json=said, timeout=10).raise_for_status()


def _identify(number: int) -> dict[str, Any]:
    traits = {"email": f"person{number}@example.com", "lastName": "Lovelace", "company": "Analytical Engines"}
    return {"type": "identify", "userId": f"u{number}", "traits": traits, "integrations": _OPTED_IN}


def _group(number: int) -> dict[str, Any]:
    traits = {"name": f"Company {number}"}
    return {"type": "group", "userId": "u", "groupId": f"g{number}", "traits": traits, "integrations": _OPTED_IN}


def _issue(number: int) -> dict[str, Any]:
    properties = {"subject": f"Issue {number}"}
    return {
        "type": "track",
        "event": "Issue Submitted",
        "userId": "u",
        "properties": properties,
        "integrations": _OPTED_IN,
    }


def _remember_a_day(redis: Redis, chance: random.Random) -> None:
    """Put samples in place of those that a day of work would have left: quiet at night, with one burst."""
    redis.delete(HISTORY)
    totals = dict.fromkeys(("accepted", "skipped", "rejected", "created", "updated", "calls"), 0)
    now = int(time.time() // 60) - 1
    samples, dead = [], 0
    for at in range(_DAY_MINUTES):
        minute = now - _DAY_MINUTES + at
        of_day = minute % 1_440 / 1_440
        load = 46 - 38 * math.cos(2 * math.pi * (of_day - 0.1)) + chance.random() * 9
        is_burst = 700 < at < 742
        load *= 5 if is_burst else 1
        for name, share in (("accepted", 4.0), ("skipped", 0.4), ("created", 0.7), ("updated", 1.6)):
            totals[name] += int(load * share)
        totals["calls"] += 2 + 2 * int(load > 60) + 3 * int(is_burst)
        dead += chance.random() < 0.004
        dead = 0 if at == 1_000 else dead
        used = int(19_000 + at * 8.6 + 2_500 * math.sin(at / 230))
        samples.append(
            (minute * 60, {**totals, "backlog": int(load * (9 if is_burst else 1.5)), "dead_letters": dead}, used)
        )
    last = samples[-1][1]
    for at_s, sample, used in samples:
        # They end where the counts of the running system begin.
        counts = {name: sample[name] - last[name] for name in totals}
        levels = {"backlog": sample["backlog"], "dead_letters": sample["dead_letters"]}
        told = {"at_s": at_s, **counts, **levels, "quota_used": used, "quota_limit": 100_000}
        redis.xadd(HISTORY, {"sample": json.dumps(told)}, id=f"{at_s * 1000}-0")
