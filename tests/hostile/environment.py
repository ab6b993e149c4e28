"""What docs/deployment.md says of other programs' variables, and a run of the sample with them."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from pipeline.inbox.waiting import waiting
from pipeline.local import LocalStack, console, flower, pipeline_command, wait_until

ROOT = Path(__file__).resolve().parents[2]
EVENTS = 40

PRODUCER = """
import json, sys
from pipeline import send_events
with open(sys.argv[1], encoding="utf-8") as lines:
    send_events.delay([json.loads(line) for line in lines if len(line) < 32_000])
"""


def table() -> list[tuple[dict[str, str], str]]:
    """Return each row: the variables, and what it says of them."""
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    rows = text.partition("| variable | who would read it | in the pipeline |")[2].partition("\n\n")[0]
    found = []
    for line in rows.splitlines():
        named, _, said = line.strip("| ").rpartition(" | ")
        variables = re.findall(r"`(\w+)=([^`]*)`", named)
        if variables:
            found.append((dict(variables), said))
    return found


def sample(name: str) -> str:
    """Return events, and one of each kind that goes wrong; `name` tells them from others."""
    lines: list[dict[str, Any]] = [
        {
            "type": "identify",
            "userId": f"{name}{one}",
            "messageId": f"{name}{one}",
            "traits": {"email": f"{name}{one}@example.com", "lastName": f"Løve {one}", "company": "Ümlaut"},
            "integrations": {"Salesforce": True},
        }
        for one in range(EVENTS)
    ]
    skipped = {"type": "identify", "userId": "u", "messageId": f"{name}-skipped", "traits": {"email": "no@example.com"}}
    rejected = {"type": "identify", "messageId": f"{name}-rejected", "integrations": {"Salesforce": True}}
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in (*lines, skipped, rejected))


def run(hostile: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Send the sample through a whole system whose every process has these variables; return what came of it."""
    folder.mkdir(parents=True, exist_ok=True)
    events = folder / "events.jsonl"
    events.write_text(sample("e"), encoding="utf-8")
    sent = folder / "sent.jsonl"
    sent.write_text(sample("s"), encoding="utf-8")
    stack = LocalStack(
        workers={"worker": ("--concurrency", "1")},
        environ=dict(hostile),
        pages=[flower("--state", str(folder / "flower")), console()],
    )
    with stack:
        commands = {
            "send": pipeline_command("send", str(events)),
            "producer": [sys.executable, "-c", PRODUCER, str(sent)],
            "status": pipeline_command("status"),
            "letters": pipeline_command("dead-letters", "list"),
        }
        ended = {name: _ended(command, stack) for name, command in commands.items() if name != "letters"}
        counts = {"accepted": 2 * EVENTS, "skipped": 2, "rejected": 2}
        with stack.redis.client() as redis:

            def is_done() -> bool:
                taken_in = {name.decode(): int(of) for name, of in redis.hgetall("pipeline:{events}:counts").items()}
                lead = waiting(redis, ["Lead"])["Lead"]
                return taken_in == counts and not lead.backlog and not lead.in_flight

            wait_until(is_done, what="the sample", within_s=60)
        told = _status(stack)
        ended["letters"] = _ended(commands["letters"], stack)
        leads = requests.get(f"{stack.emulator_url}/_emulator/records/Lead", timeout=10).json()
        carriers = [service for service in stack.services if service.name not in {"redis", "emulator"}]
        for service in carriers:
            service.begin_stop()
        wait_until(lambda: not any(service.is_running for service in carriers), what="the end of all")
        ended |= {service.name: service.ending for service in carriers}
        assert {service.ending for service in carriers} == {"code 0"}, ended
    status = {name: told[name] for name in ("backlog", "dead_letters", "unreadable")}
    return {
        "ended": ended,
        "status": status,
        "leads": sorted((lead["Email"], lead["LastName"], lead["Company"]) for lead in leads),
    }


def _status(stack: LocalStack) -> dict[str, Any]:
    command = pipeline_command("status", "--json")
    ran = subprocess.run(command, env=stack.env, cwd=stack.folder, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


def _ended(command: list[str], stack: LocalStack) -> str:
    ran = subprocess.run(command, env=stack.env, cwd=stack.folder, capture_output=True, check=False, timeout=120)
    assert ran.returncode == 0, (command, ran.stderr.decode(errors="replace"))
    assert b"Traceback" not in ran.stderr, ran.stderr
    return str(ran.returncode)
