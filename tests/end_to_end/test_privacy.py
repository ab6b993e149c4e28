"""Nobody's data and no secret in any log, at DEBUG, nor on the pages of Flower, metrics and console, after a run."""

import itertools
import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pytest
import requests

from pipeline.inbox.dead_letters import received
from pipeline.inbox.inbox import Inbox, objects
from pipeline.local import LocalStack, Service, free_port, pipeline_command, wait_until
from pipeline.local.pages import Page, console

EVENTS = 300
SECRETS = {
    "SALESFORCE_PASSWORD": "correct-horse-battery",
    "SALESFORCE_SECURITY_TOKEN": "staple-token-0123456789",
    "SALESFORCE_CONSUMER_SECRET": "consumer-secret-9876543210",
    "PIPELINE_REDIS_PASSWORD": "redis-password-5555",
    "PIPELINE_MESSAGE_KEY": "message-key-" + "m" * 32,
}
USERNAME = "integration.user@acme.example.com"
ORG = f"""
users:
  - {{username: {USERNAME}, password: {SECRETS["SALESFORCE_PASSWORD"]},
     security_token: {SECRETS["SALESFORCE_SECURITY_TOKEN"]}}}
connected_apps:
  - {{consumer_key: the-key, consumer_secret: {SECRETS["SALESFORCE_CONSUMER_SECRET"]}, run_as: {USERNAME}}}
"""
# What these keys of an event hold is about a person. Words below six characters are also words of the logs.
PERSONAL = {"email", "phone", "name", "firstName", "lastName", "street", "fax", "website"}
SHORTEST = 6


def sample() -> list[dict[str, Any]]:
    lines = files("pipeline.data").joinpath("sdk_events.jsonl").read_text(encoding="utf-8").splitlines()
    read = [json.loads(line) for line in itertools.islice(lines, EVENTS)]
    # And what goes wrong: an event that is rejected, and values that the org refuses or has no place for.
    wanted = {"Salesforce": True}
    return [
        *read,
        {"type": "identify", "traits": {"email": "rejected.person@example.com"}, "integrations": wanted},
        {"type": "identify", "userId": "u", "traits": {"email": "refused person"}, "integrations": wanted},
        {"type": "group", "userId": "u", "groupId": "g-1", "traits": {"phone": "1" * 300}, "integrations": wanted},
        {"type": "identify", "userId": 7, "traits": {"email": ["listed.person@example.com"]}, "integrations": wanted},
    ]


def personal_values(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from personal_values(inner, key if isinstance(inner, str) else name)
    elif isinstance(value, list):
        for inner in value:
            yield from personal_values(inner, name)
    elif isinstance(value, str) and (name in PERSONAL or "@" in value) and len(value) >= SHORTEST:
        yield value


# The library that sent the sample, in every event's context.
NOBODY = {"analytics-python"}


@dataclass(frozen=True)
class Finished:
    """A stack after a run, where its Flower is, and the id of the session that it had with the org."""

    stack: LocalStack
    flower_url: str
    metrics_url: str
    console_url: str
    session_id: str


def pages(flower_url: str) -> Iterator[tuple[str, str]]:
    """Return every page of Flower: its address and its text."""
    tasks = json.loads(get(f"{flower_url}/api/tasks?limit=100000"))
    assert len(tasks) > 1
    seen: dict[str, str] = {task["name"]: uuid for uuid, task in tasks.items()}
    assert set(seen) >= {"pipeline.send_events", "pipeline.deliver"}
    (worker,) = {task["worker"] for task in tasks.values()}
    order = "search[value]=&order[0][column]=0&order[0][dir]=asc&columns[0][data]=name"
    table = f"/tasks/datatable?draw=1&start=0&length=1000&{order}"
    paths = ["/", "/workers", "/workers?json=1&refresh=1", f"/worker/{worker}", "/tasks", table, "/broker", "/metrics"]
    paths += ["/api/workers?refresh=1&status=1", "/api/tasks?limit=100000", "/api/task/types", "/api/queues/length"]
    paths += [f"/task/{uuid}" for uuid in seen.values()] + [f"/api/task/info/{uuid}" for uuid in seen.values()]
    for path in paths:
        yield path, get(flower_url + path)


# Of the console, all but what is there to show one dead letter, and the event in it.
CONSOLE_PATHS = ("/", "/figures", "/day", "/dead-letters", "/pause", "/trace")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


@pytest.fixture
def finished(start_stack: Callable[..., LocalStack], tmp_path: Any) -> Finished:
    """A stack at DEBUG after a run over the sample, with whatever can be logged in it."""
    org = tmp_path / "org.yaml"
    org.write_text(ORG, encoding="utf-8")
    stack = start_stack(
        workers={},
        has_beat=False,
        environ={
            "SALESFORCE_USERNAME": USERNAME,
            "SALESFORCE_CONSUMER_KEY": "",
            **SECRETS,
            "PIPELINE_BROKER_URL": "",
            "FLOWER_UNAUTHENTICATED_API": "true",
        },
        emulator_arguments=("--org", str(org)),
        broker_url=None,
    )
    with stack.redis.client() as admin:
        rights = f"reset on >{SECRETS['PIPELINE_REDIS_PASSWORD']} ~* &* +@all"
        admin.execute_command("ACL", "SETUSER", "pipeline", *rights.split())
        stack.env["PIPELINE_REDIS_URL"] = f"redis://pipeline@127.0.0.1:{stack.redis.port}/0"
        stack.env["SALESFORCE_CONSUMER_SECRET"] = ""
        worker = stack.begin_worker("worker-1", "--log-level", "DEBUG", "--concurrency", "1")
        beat = pipeline_command("beat", "--log-level", "DEBUG")
        begun = stack.begin_service("beat", beat, lambda one: "Acquired lock" in one.output())
        flower_url = f"http://127.0.0.1:{free_port()}"
        flower = pipeline_command("flower", "--port", flower_url.rpartition(":")[2])
        pages_begun = stack.begin_service("flower", flower, lambda _: answers(f"{flower_url}/healthcheck"))
        others = [begin_page(stack, Page(name="metrics", ready_path="/metrics")), begin_page(stack, console())]
        for service in (worker, begun, pages_begun, *(one for _, one in others)):
            service.wait_until_ready()
        events = sample()
        # First one by itself: a short message is quoted whole, and a short query stands in the address of a request.
        file = tmp_path / "events.jsonl"
        alone = next(one for one in events if one["type"] == "identify")
        file.write_text(json.dumps(alone) + "\n", encoding="utf-8")
        run(stack, "send", str(file))
        wait_until(lambda: Inbox(admin, "Lead").counts().get("applied") == 1, what="the first lead")
        file.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
        run(stack, "send", str(file))
        # One that nobody signed, and one whose task fails by a mistake that nothing provides for.
        admin.lpush("ingest", json.dumps(sample()[0]))
        run(stack, "-c", FAILING, is_pipeline=False)
        wait_until(lambda: sum(received(admin).values()) == len(events), what="every event to be taken in")
        inboxes = [Inbox(admin, name) for name in objects(admin)]
        wait_until(lambda: sum(one.waiting().backlog for one in inboxes) == 0, what="the delivery")
        wait_until(lambda: "a task failed" in worker.output(), what="the failing task")
        session = json.loads(admin.get("pipeline:session") or b"{}")
    return Finished(stack, flower_url, others[0][0], others[1][0], session["session_id"])


def begin_page(stack: LocalStack, page: Page) -> tuple[str, Service]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    return address, stack.begin_service(page.name, page.command(port), lambda one: page.is_ready(address, one))


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.ConnectionError:
        return False


# Arguments that `deliver` cannot work with, and an error of which the text is a person's address.
# Half a surrogate pair cannot be sent to Redis.
FAILING = r"""
from pipeline.tasks.deliver import deliver
deliver.apply_async(("failing.person@example.com\ud800", "token"), queue="upkeep")
"""


def run(stack: LocalStack, *arguments: str, is_pipeline: bool = True) -> None:
    command = pipeline_command(*arguments) if is_pipeline else [pipeline_command()[0], *arguments]
    subprocess.run(command, env=stack.env, cwd=stack.folder, check=True, capture_output=True)


def test_no_log_and_no_page_of_a_whole_run_shows_anybody_s_data_or_a_secret(finished: Finished) -> None:
    sought = {*SECRETS.values(), finished.session_id, "failing.person@example.com"}
    sought |= set(personal_values(sample())) - NOBODY
    assert len(sought) > EVENTS
    # The longest first: what is told is the most that was found.
    pattern = re.compile("|".join(re.escape(one) for one in sorted(sought, key=len, reverse=True)))
    logs = {file.name: file.read_text(errors="replace") for file in finished.stack.folder.rglob("*.log")}
    assert set(logs) >= {"worker-1.log", "beat.log", "flower.log", "metrics.log", "console.log", "emulator.log"}
    found = {}
    addresses = [f"{finished.metrics_url}/metrics", *(finished.console_url + path for path in CONSOLE_PATHS)]
    others = {address: get(address) for address in addresses}
    assert "pipeline_events_total" in others[addresses[0]]
    for name, text in itertools.chain(logs.items(), others.items(), pages(finished.flower_url)):
        # Words as they stand, and as addresses and JSON write them.
        for written in (text, urllib.parse.unquote_plus(text), text.replace("\\u0040", "@")):
            if match := pattern.search(written):
                found[name] = written[max(0, match.start() - 150) : match.end() + 50]
    assert not found
    assert len(requests.get(f"{finished.stack.emulator_url}/_emulator/records/Lead", timeout=10).json()) > 50
