"""One chaos run: a story sent through a whole system in bad weather, and the org held against the model."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
from kombu.exceptions import OperationalError
from redis import Redis, RedisError

from pipeline import send_event, send_events
from pipeline.cli.flow import observe
from pipeline.inbox.chosen_letters import Choice
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer
from tests.chaos import weather
from tests.chaos.story import KEY_FIELD, Event, Story, tell
from tests.chaos.verdict import Verdict, judge

_WORKERS = 4
_FOLDER = Path(__file__).parent
# Short requests make short leases, so that what a killed worker held goes on within seconds.
_TIMEOUT_S = 2
_LEASE_S = 20.0
_DESTINATION = f"""
linger: 0.1
salesforce: {{timeout: {_TIMEOUT_S}}}
actions:
  - on: {{type: track, event: Issue Submitted}}
    operation: create
    object: Case
    idempotency_field: MessageId__c
    fields: {{properties.subject: Subject}}
  - on: {{type: track, event: Account Closed}}
    operation: delete
    object: Lead
    match: {{properties.email: Email}}
"""
_BATCH = 20
_POLL_S = 0.2
# Nothing may stand still for longer: the longest pause is a probe that failed several times in a row.
_STALLED_AFTER_S = 240.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a run met and what it left. The last four must be 0."""

    seed: int
    events: int
    kills: int
    redis_restarts: int
    freezes: int
    faults: int
    redeliveries: int
    api_calls: int
    verdict: Verdict
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the figures under their public names."""
        figures = {name: value for name, value in asdict(self).items() if name != "verdict"}
        return {**figures, **asdict(self.verdict), "seconds": round(self.seconds, 1)}


def run(
    events: int, keys: int, seed: int, *, pace: float, kill_every_s: float, report: Callable[[str], None] = print
) -> Result:
    """Send a story of `events` events at `pace` events a second, disturb everything, and judge what is left.

    Raises TimeoutError when nothing moves any more.
    """
    story = tell(events, keys, seed)
    stack = LocalStack(
        workers={f"worker-{number}": () for number in range(1, _WORKERS + 1)},
        destination=_DESTINATION,
        emulator_arguments=("--org", str(_FOLDER / "org.yaml"), "--daily-limit", "100000000"),
        is_append_only=True,
    )
    begun = time.monotonic()
    with stack:
        connect_producer(stack.broker_url)
        rules = weather.faults(seed)
        requests.post(f"{stack.emulator_url}/_emulator/faults", json=rules, timeout=30).raise_for_status()
        sent = _Sent(len(story.sent))
        with (
            stack.redis.client() as redis,
            weather.Weather(
                stack, seed=seed, kill_every_s=kill_every_s, freeze_s=_LEASE_S, progress=sent.share
            ) as disturbed,
        ):
            _send(story.sent, pace, sent)
            report(f"sent {len(story.sent)} messages; {disturbed.done.kills} kills so far")
            _wait_until_settled(redis, len(story.steps), report)
        if disturbed.done.errors:
            raise RuntimeError(f"the weather itself failed: {disturbed.done.errors[0]}")
        return _measure(stack, story, seed, disturbed.done, time.monotonic() - begun)


@dataclass(slots=True)
class _Sent:
    """How much of the story was sent."""

    total: int
    count: int = 0

    def share(self) -> float:
        return self.count / self.total


def _send(events: Sequence[Event], pace: float, sent: _Sent) -> None:
    """Send one message for an event, or for a few; what the broker does not take is sent again, as a producer would."""
    begun = time.monotonic()
    while sent.count < len(events):
        part = list(events[sent.count : sent.count + _BATCH])
        with suppress(OperationalError, RedisError, OSError):
            if len(part) == _BATCH and (sent.count // _BATCH) % 2:
                send_events.delay(part)
                sent.count += len(part)
            else:
                for event in part:
                    send_event.delay(event)
                    sent.count += 1
        ahead_s = sent.count / pace - (time.monotonic() - begun)
        if ahead_s > 0:
            time.sleep(ahead_s)


def _wait_until_settled(redis: Redis, messages: int, report: Callable[[str], None]) -> None:
    """Return once every message was received and nothing waits anywhere."""
    last: Any = None
    moved = time.monotonic()
    while True:
        with suppress(RedisError, OSError):  # the server may be down for a restart
            flow = observe(redis)
            if flow != last:
                last, moved = flow, time.monotonic()
            if flow.is_idle and flow.received >= messages:
                return
        if time.monotonic() - moved > _STALLED_AFTER_S:
            report(f"stalled: {last}")
            raise TimeoutError(f"nothing moved for {_STALLED_AFTER_S:.0f} s: {last}, {messages} messages were sent")
        time.sleep(_POLL_S)


def _measure(stack: LocalStack, story: Story, seed: int, done: weather.Done, seconds: float) -> Result:
    def ask(path: str) -> Any:
        return requests.get(f"{stack.emulator_url}/_emulator/{path}", timeout=60).json()

    org = {name: ask(f"records/{name}") for name in KEY_FIELD}
    with stack.redis.client() as redis:
        buried = [letter.event["messageId"] for letter in Choice().letters(redis)]
        repeated = sum(Inbox(redis, name).counts().get("repeated", 0) for name in KEY_FIELD)
    return Result(
        seed=seed,
        events=len(story.steps),
        kills=done.kills,
        redis_restarts=done.redis_restarts,
        freezes=done.freezes,
        faults=weather.fired(stack.emulator_url),
        redeliveries=repeated,
        api_calls=ask("stats")["api_calls"]["total"],
        verdict=judge(story.steps, org, buried),
        seconds=seconds,
    )
