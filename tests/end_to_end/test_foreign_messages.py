"""With a key for messages, a worker runs what was signed and nothing else, and keeps the rest for a person to see."""

import base64
import json
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
import yaml

from pipeline import app, send_event
from pipeline.local import LocalStack, Service, connect_producer, pipeline_command, wait_until
from pipeline.signing import sign
from pipeline.tasks.ingest import queued

KEY, FORMER_KEY = "k" * 32, "f" * 32
EVENT = {"type": "identify", "userId": "u1", "integrations": {"Salesforce": True}}


class Runs:
    """A pickle that leaves a file behind where somebody loads it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def task_body(email: str) -> str:
    return json.dumps([[{**EVENT, "traits": {"email": email}}], {}, {"callbacks": None}])


def message(body: str | bytes, kind: str, **headers: Any) -> str:
    """Return a message as kombu lays it into Redis."""
    raw = body if isinstance(body, bytes) else body.encode()
    properties = {
        "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": "ingest"},
        "delivery_tag": os.urandom(8).hex(),
        "priority": 0,
    }
    return json.dumps(
        {
            "body": base64.b64encode(raw).decode(),
            "content-type": kind,
            "content-encoding": "binary" if isinstance(body, bytes) else "utf-8",
            "headers": {"task": "pipeline.send_event", "id": os.urandom(8).hex(), **headers},
            "properties": properties,
        }
    )


def send(stack: LocalStack, email: str, key: str) -> None:
    file = stack.folder / "events.jsonl"
    file.write_text(json.dumps({**EVENT, "traits": {"email": email}}) + "\n", encoding="utf-8")
    env = {**stack.env, "PIPELINE_MESSAGE_KEY": key}
    subprocess.run(pipeline_command("send", str(file)), env=env, cwd=stack.folder, check=True, capture_output=True)


def test_what_nobody_with_a_key_has_signed_is_set_aside_counted_and_never_run(
    start_stack: Callable[..., LocalStack], tmp_path: Path
) -> None:
    stack = start_stack(
        workers={"worker-1": ()},
        environ={"PIPELINE_MESSAGE_KEY": f"{KEY},{FORMER_KEY}"},
        has_beat=False,
        broker_url=None,  # what is pushed here is how kombu lays messages into Redis
    )
    marker = tmp_path / "pickle-was-loaded"
    signed = "application/x-signed-json"
    foreign = [
        message(task_body("unsigned@example.com"), "application/json"),
        message(sign(task_body("wrong@example.com"), "w" * 32), signed),
        message(sign(task_body("right@example.com"), KEY).replace("right@", "forged@"), signed),
        message(pickle.dumps([[Runs(marker)], {}, {}]), "application/x-python-serialize"),
        message(pickle.dumps([[Runs(marker)], {}, {}]), "application/data"),
        message(yaml.safe_dump([[{**EVENT, "traits": {"email": "yaml@example.com"}}], {}, {}]), "application/x-yaml"),
        message(sign(task_body("later@example.com"), KEY), signed, task="pipeline.of_tomorrow"),
        message(sign(task_body("newer@example.com"), KEY), signed, pipeline_format=2),
        message(b"not compressed", signed, compression="application/x-gzip"),
    ]
    with stack.redis.client() as redis:
        redis.lpush("ingest", *foreign)
        send(stack, "now@example.com", KEY)
        send(stack, "before@example.com", FORMER_KEY)  # a producer that has the former key still
        wait_until(lambda: redis.llen("ingest.unreadable") == len(foreign), what="all that is foreign to be set aside")
        wait_until(lambda: emails(stack) == {"now@example.com", "before@example.com"}, what="what was signed")
        # Kept as it came, so that it can be looked at, and put back once a worker can read it.
        kept = {json.loads(one)["headers"]["id"] for one in redis.lrange("ingest.unreadable", 0, -1)}
        assert kept == {json.loads(one)["headers"]["id"] for one in foreign}
        assert redis.llen("ingest") == 0
        assert redis.hlen("unacked") == 0
    assert not marker.exists()
    done = subprocess.run(
        pipeline_command("status", "--json"),
        env=stack.env,
        cwd=stack.folder,
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout.splitlines()[-1])["unreadable"] == len(foreign)
    worker: Service = stack.workers["worker-1"]
    assert "@example.com" not in worker.output()
    assert "deploy workers before producers" in worker.output()
    worker.check()


def test_a_task_of_a_newer_version_is_set_aside_whatever_the_broker(start_stack: Callable[..., LocalStack]) -> None:
    stack = start_stack(workers={"worker-1": ("--concurrency", "1")}, has_beat=False)
    connect_producer(stack.broker_url)
    app.send_task("pipeline.of_tomorrow", ({**EVENT, "traits": {"email": "later@example.com"}},), queue="ingest")
    send_event.delay({**EVENT, "traits": {"email": "now@example.com"}})
    wait_until(lambda: emails(stack) == {"now@example.com"}, what="what this version knows")
    wait_until(lambda: queued("ingest.unreadable") == 1, what="what it does not know to be set aside")
    assert "@example.com" not in stack.workers["worker-1"].output()


def emails(stack: LocalStack) -> set[str]:
    leads = requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()
    return {lead["Email"] for lead in leads}
