"""The whole flow over TLS, as users of Redis with the rights that docs/security.md gives them and no others."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from redis.exceptions import NoPermissionError

from pipeline.local import LocalStack, pipeline_command, wait_until
from tests.integration.broker.tls import LOOPBACK, make_certificate, tls_endpoint

EVENT = (
    '{"type": "identify", "userId": "u1", "traits": {"email": "ada@example.com"}, "integrations": {"Salesforce": true}}'
)
TRACK = '{"type": "track", "event": "Looked", "userId": "u1", "integrations": {"Salesforce": true}}'
PRODUCER = """
import json
from pipeline import send_events
send_events.delay([json.loads(line) for line in open("events.jsonl")])
"""
INVALID = '{"type": "identify"}'
READS = "actions:\n  - {on: {type: track}, operation: read, object: Contact, match: {userId: LastName}, fields: [Id]}\n"


class Secured:
    """A stack whose Redis is reached over TLS, by users with a password."""

    def __init__(self, stack: LocalStack, port: int, authority: Path) -> None:
        self.stack, self._port, self._authority = stack, port, authority

    def address(self, user: str, authority: Path | None = None) -> str:
        return f"rediss://{user}@{LOOPBACK}:{self._port}/0?ssl_ca_certs={authority or self._authority}"

    def produce(self) -> Any:
        """Send the events of `events.jsonl` as a producer does, from Python."""
        return self.run("-c", PRODUCER, user="producer", is_pipeline=False)

    def run(
        self, *arguments: str, is_pipeline: bool = True, user: str = "pipeline", authority: Path | None = None
    ) -> Any:
        address = {"PIPELINE_REDIS_URL": self.address(user, authority), "PIPELINE_REDIS_PASSWORD": f"{user}-password"}
        env = {**self.stack.env, **address, "PIPELINE_BROKER_URL": ""}
        command = pipeline_command(*arguments) if is_pipeline else [sys.executable, *arguments]
        return subprocess.run(command, env=env, cwd=self.stack.folder, capture_output=True, text=True, check=False)


@pytest.fixture
def secured(start_stack: Callable[..., LocalStack], repository: Path, tmp_path: Path) -> Iterator[Secured]:
    stack = start_stack(workers={}, destination=READS, has_beat=False, broker_url=None)
    text = (repository / "docs" / "security.md").read_text(encoding="utf-8")
    rules = re.findall(r"^user (pipeline|producer) on (.+)$", text, re.MULTILINE)
    assert [name for name, _ in rules] == ["pipeline", "producer"]
    with stack.redis.client() as admin:
        for name, rule in rules:
            rights = rule.replace(">PASSWORD", f">{name}-password").split()
            admin.execute_command("ACL", "SETUSER", name, "reset", "on", *rights)
    certificate, key = make_certificate(tmp_path, "redis")
    with tls_endpoint(stack.redis.port, certificate, key) as port:
        yield Secured(stack, port, certificate)


def test_everything_runs_over_tls_with_the_documented_rights_and_is_denied_nothing(secured: Secured) -> None:
    stack = secured.stack
    stack.env |= {
        "PIPELINE_REDIS_URL": secured.address("pipeline"),
        "PIPELINE_REDIS_PASSWORD": "pipeline-password",
        "PIPELINE_BROKER_URL": "",
    }
    worker = stack.begin_worker("worker-1", "--concurrency", "1")
    beat = stack.begin_service("beat", pipeline_command("beat"), lambda beat: "Acquired lock" in beat.output())
    (stack.folder / "events.jsonl").write_text(f"{EVENT}\n{TRACK}\n{INVALID}\n", encoding="utf-8")
    sent = secured.produce()
    assert sent.returncode == 0, sent.stderr
    worker.wait_until_ready()
    beat.wait_until_ready()
    leads = f"{stack.emulator_url}/_emulator/records/Lead"
    wait_until(lambda: len(requests.get(leads, timeout=10).json()) == 1, what="the lead")
    for command in (
        ("send", "events.jsonl"),
        ("status", "--json"),
        ("check",),
        ("preview", "events.jsonl"),
        ("dead-letters", "list"),
        ("dead-letters", "retry", "--reason", "identify"),
        ("pause", "--reason", "for now"),
        ("resume",),
    ):
        done = secured.run(*command)
        assert done.returncode == 0, (command, done.stderr)
    worker.stop()
    beat.stop()
    assert worker.output().count("ERROR") + beat.output().count("ERROR") == 0
    with stack.redis.client() as admin:
        denied: Any = admin.execute_command("ACL", "LOG")
        assert denied == [], "a right that docs/security.md leaves out"


def test_no_user_may_do_what_it_has_no_need_of(secured: Secured) -> None:
    with secured.stack.redis.client() as admin:
        admin.set("somebody-elses", 1)
    everybody: tuple[tuple[Any, ...], ...] = (
        ("GET", "somebody-elses"),
        ("SET", "somebody-elses", 2),
        ("EVAL", "return redis.call('GET', 'somebody-elses')", 0),
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "dir"),
        ("ACL", "LIST"),
        ("SHUTDOWN", "NOSAVE"),
        ("FUNCTION", "FLUSH"),
        ("SUBSCRIBE", "somebody-elses"),
    )
    producer = (("LRANGE", "ingest", 0, -1), ("RPOP", "ingest"), ("GET", "pipeline:session"), ("DEL", "ingest"))
    for user, commands in (("pipeline", everybody), ("producer", (*everybody, *producer))):
        with redis.Redis.from_url(secured.address(f"{user}:{user}-password")) as client:
            assert client.ping()
            for command in commands:
                with pytest.raises((NoPermissionError, redis.ResponseError), match=r"(?i)permission|can't run|ACL"):
                    client.execute_command(*command)


def test_a_certificate_of_another_authority_and_a_wrong_password_are_told_as_what_they_are(
    secured: Secured, tmp_path: Path
) -> None:
    other, _ = make_certificate(tmp_path, "other")
    refused = secured.run("status", authority=other)
    assert refused.returncode != 0
    assert "certificate" in refused.stderr
    assert "ssl_ca_certs" in refused.stderr
    not_sent = secured.run("status", user="producer", authority=other)
    assert "certificate" in not_sent.stderr
    wrong = secured.run("status", user="nobody")
    assert "refuses the login" in wrong.stderr
    assert "nobody-password" not in refused.stderr + wrong.stderr
