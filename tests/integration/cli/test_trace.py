"""`pipeline trace` on events that go through the pipeline into an emulated org."""

import json
import logging
import math
import re
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result

from pipeline.cli import main
from pipeline.tasks.deliver import deliver_due
from pipeline.tasks.ingest import ingest
from tests.integration.environment import Environment

EMAIL = "ada@example.com"


def identify(message_id: str, **more: Any) -> dict[str, Any]:
    event = {"type": "identify", "messageId": message_id, "userId": "u", "traits": {"email": EMAIL}}
    return {**event, "integrations": {"Salesforce": True}, **more}


def trace(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["trace", *arguments])


def told(message_id: str) -> dict[str, Any]:
    ran = trace(message_id, "--json")
    assert ran.exit_code == 0, ran.output
    assert EMAIL not in ran.output
    shown: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return shown


def test_an_event_is_followed_from_the_queue_into_its_record(
    environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="pipeline.delivery.calls")
    CliRunner().invoke(main, ["pause", "Lead", "--reason", "a release"])
    runtime = environment.runtime
    ingest([identify("m1"), identify("m2", traits={"email": EMAIL, "title": "Countess"})], runtime)
    (waiting,) = told("m2")["operations"]
    assert (waiting["state"], waiting["operations_before"]) == ("waiting", 1)
    assert waiting["held_back"].startswith("Lead is paused by hand: a release")
    shown = trace("m2").output
    assert f"waiting since {waiting['since']} for record {waiting['key']}" in shown
    assert "held back: Lead is paused by hand: a release; `pipeline resume Lead` ends it" in shown
    CliRunner().invoke(main, ["resume"])
    deliver_due("Lead", "t", runtime)
    (applied,) = told("m2")["operations"]
    (record,) = environment.records("Lead")
    assert (applied["state"], applied["record_id"], applied["held_back"]) == ("applied", record["Id"], None)
    assert f"record {record['Id']}, call {applied['call']}" in trace("m2").output
    calls = [entry.getMessage() for entry in caplog.records if f"call={applied['call']} " in entry.getMessage()]
    assert len(calls) == 1
    assert re.search(r"object=Lead (POST|PATCH) composite/sobjects answered=20\d ms=\d+$", calls[0])
    assert EMAIL not in caplog.text


def test_an_event_in_a_bulk_job_is_in_flight_without_a_lease(environment: Environment) -> None:
    ingest([identify("m1")], environment.runtime)
    redis = environment.runtime.redis
    redis.zadd("pipeline:{Lead}:claims", {f"email={EMAIL}": math.inf})
    redis.zrem("pipeline:{Lead}:ready", f"email={EMAIL}")
    (held,) = told("m1")["operations"]
    assert (held["state"], held["lease"]) == ("in_flight", None)
    assert "is in a bulk job" in trace("m1").output


def test_a_refused_event_says_where_its_dead_letter_is(environment: Environment) -> None:
    rule = {
        "fault": "refuse",
        "object": "Lead",
        "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "message": "needs a phone",
    }
    requests.post(f"{environment.url}/_emulator/faults", json=rule, timeout=10).raise_for_status()
    environment.deliver_all(identify("m1"))
    (buried,) = told("m1")["operations"]
    assert (buried["state"], buried["reason"]) == ("buried", "FIELD_CUSTOM_VALIDATION_EXCEPTION: needs a phone")
    assert CliRunner().invoke(main, ["dead-letters", "show", buried["dead_letter"]]).exit_code == 0
    assert f"dead letter {buried['dead_letter']}" in trace("m1").output


def test_an_event_that_goes_nowhere_says_why(environment: Environment) -> None:
    environment.deliver(
        identify("not-asked", integrations={}),
        identify("no-rule", type="track", event="Shopped"),
        {"type": "track", "messageId": "broken", "userId": "u"},
    )
    assert told("not-asked")["reason"] == "not_opted_in"
    assert told("no-rule")["reason"] == "no_rule"
    assert told("broken")["outcome"] == "rejected"
    assert "no rule of destination.yaml is for it" in trace("no-rule").output


def test_an_event_that_is_not_known_says_what_that_can_mean(environment: Environment) -> None:
    ran = trace("m404")
    assert ran.exit_code == 1
    assert "no event of this messageId was taken in within the last 24 hours" in ran.output
    environment.destination("trace: false\n")
    environment.deliver_all(identify("m1"))
    ran = trace("m1")
    assert ran.exit_code == 1
    assert "trace: false" in ran.output


def test_the_keys_that_the_docs_name_are_those_that_are_printed(environment: Environment, repository: Path) -> None:
    environment.deliver_all(identify("m1"))
    shown = told("m1")
    text = (repository / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.partition("## One event")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", section))
    assert {*shown, *shown["operations"][0]} <= named
