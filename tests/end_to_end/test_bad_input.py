"""Bad input gives a clear message, loses nothing, and does not stop the others."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import requests
from celery import Celery

from pipeline import send_event, send_events
from pipeline.inbox.dead_letters import dead_letters, received
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer, pipeline_command, wait_until

OPTED_IN = {"Salesforce": True}
WRONG_PASSWORD = {
    "SALESFORCE_CONSUMER_KEY": "",
    "SALESFORCE_CONSUMER_SECRET": "",
    "SALESFORCE_USERNAME": "admin@example.com",
    "SALESFORCE_PASSWORD": "not the password",
    "SALESFORCE_SECURITY_TOKEN": "token",
}


def identify(email: str, **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": "u1", "traits": {"email": email, **traits}, "integrations": OPTED_IN}


def test_what_cannot_be_taken_is_kept_with_its_reason_and_the_others_arrive(
    start_stack: Callable[..., LocalStack],
) -> None:
    stack = start_stack(has_beat=False)
    connect_producer(stack.broker_url)
    too_big = identify("big@example.com", note="x" * 1_000_000)
    odd = [
        "o'hara@example.com",
        "back\\slash@example.com",
        "new\nline@example.com",
        "'; DELETE FROM Lead --@example.com",
    ]
    malformed = [
        {"type": "identify"},
        {"type": "unheard-of", "userId": "u"},
        "text",
        7,
        None,
        [],
        {"type": "group", "userId": "u"},
    ]
    send_events.delay([identify("first@example.com"), *malformed, *(identify(email) for email in odd)])
    # By name, as from an app without this package: `send_event.delay` refuses it.
    other = Celery(broker=stack.broker_url, set_as_current=False)
    other.send_task("pipeline.send_event", [too_big], queue="ingest", argsrepr="", kwargsrepr="")
    send_event.delay(identify("last@example.com"))

    events = 1 + len(malformed) + len(odd) + 2
    with stack.redis.client() as redis:
        wait_until(lambda: sum(received(redis).values()) == events, what="every event accounted for")
        leads = Inbox(redis, "Lead")
        wait_until(lambda: leads.waiting().backlog == 0, what="the delivery of what can be delivered")
        rejected = dead_letters(redis, "events")
        buried = dead_letters(redis, "Lead")

    assert "identify needs userId or anonymousId" in {letter.reason for letter in rejected}
    (whole,) = [letter for letter in rejected if "bytes" in letter.reason]
    assert whole.event["traits"] == too_big["traits"]
    assert all(letter.reason for letter in (*rejected, *buried))

    emails = sorted(record["Email"] for record in _records(stack))
    assert {"first@example.com", "last@example.com", "o'hara@example.com"} <= set(emails)
    assert len(emails) == len(set(emails))
    # Whatever is no address for Salesforce is a dead letter: nothing disappeared.
    assert len(emails) + len(rejected) + len(buried) == events


def test_a_wrong_password_says_what_to_do_and_everything_waits_until_it_is_right(
    start_stack: Callable[..., LocalStack],
) -> None:
    stack = start_stack(workers={"worker-1": ()}, environ=WRONG_PASSWORD, has_beat=False)
    connect_producer(stack.broker_url)
    send_events.delay([identify(f"p{number}@example.com") for number in range(5)] + [{"type": "identify"}])
    worker = stack.workers["worker-1"]
    wait_until(lambda: "INVALID_LOGIN" in worker.output(), what="a message about the login")
    status = _status(stack)
    assert status["backlog"]["Lead"] == 5
    assert "INVALID_LOGIN" in json.dumps(status["paused"])
    assert "SALESFORCE_PASSWORD" in json.dumps(status["paused"])
    assert status["dead_letters"]["events"] == 1
    assert "not the password" not in worker.output()
    # One refused login counts towards a lockout; a second is not tried at once.
    logins = requests.get(f"{stack.emulator_url}/_emulator/stats", timeout=10).json()["api_calls"]["by_resource"]
    assert logins.get("login") == 1

    worker.stop()
    stack.env["SALESFORCE_PASSWORD"] = "password"
    stack.add_worker("worker-2")
    wait_until(lambda: len(_records(stack)) == 5, what="the delivery with the right password")


def _records(stack: LocalStack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()
    return found


def _status(stack: LocalStack) -> dict[str, Any]:
    done = subprocess.run(
        pipeline_command("status", "--json"),
        env=stack.env,
        cwd=stack.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    status: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return status
