"""`pipeline demo` as a user runs it: a process of its own, real servers, real workers."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.local import clean_environment, pipeline_command, wait_until

KEYS = {
    "events",
    "accepted",
    "skipped",
    "rejected",
    "records",
    "duplicates",
    "api_calls",
    "api_calls_per_event",
    "seconds",
}
OPTED_IN = {"Salesforce": True}
WITHIN_S = 100


def run_demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it with a temporary folder of its own, in which nothing may be left."""
    temporary = folder / "temporary"
    temporary.mkdir()
    return subprocess.run(
        pipeline_command("demo", *arguments),
        env={**clean_environment(), "TMPDIR": str(temporary)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def figures(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert run.returncode == 0, run.stdout + run.stderr
    read: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return read


def identify(email: str, **more: Any) -> dict[str, Any]:
    traits = {"email": email, "lastName": "Doe", "company": "Acme"}
    return {"type": "identify", "userId": "u1", "traits": traits, "integrations": OPTED_IN, **more}


def test_the_sample_ends_with_one_record_per_key_at_a_fraction_of_the_calls(tmp_path: Path, repository: Path) -> None:
    lines = (repository / "pipeline" / "data" / "sdk_events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    emails = {event["traits"]["email"].lower() for event in events if event["type"] == "identify"}
    groups = {event["groupId"] for event in events if event["type"] == "group"}
    issues = [event for event in events if event.get("event") == "Issue Submitted"]

    result = figures(run_demo(tmp_path, "--json"))

    assert set(result) == KEYS
    assert result["records"] == {"Lead": len(emails), "Account": len(groups), "Case": len(issues)}
    assert result["duplicates"] == result["rejected"] == 0
    assert result["events"] == result["accepted"] + result["skipped"] == len(events)
    assert result["api_calls_per_event"] == pytest.approx(result["api_calls"] / len(events), abs=1e-5)
    assert result["api_calls_per_event"] <= 0.05
    assert list((tmp_path / "temporary").iterdir()) == []
    for page in (repository / "README.md", repository / "docs" / "quick-start.md"):
        text = page.read_text(encoding="utf-8")
        for name, records in result["records"].items():
            assert f" {records} │ {name} records " in text
        told = f" {len(events):,} │ events: {result['accepted']:,} accepted, {result['skipped']:,} skipped "
        assert told in text


def test_bad_input_is_rejected_and_stops_nothing(tmp_path: Path) -> None:
    hostile = ["o'brien@example.com", "back\\slash@example.com", "line\nbreak@example.com", '"quoted"@example.com']
    events: list[Any] = [
        identify("good@example.com"),
        {"type": "identify", "integrations": OPTED_IN},
        {"type": "group", "userId": "u1", "integrations": OPTED_IN},
        {"type": "nonsense", "integrations": OPTED_IN},
        identify("big@example.com", context={"blob": "x" * 1_000_000}),
        identify("not-opted-in@example.com", integrations={"All": True}),
        identify("GOOD@example.com "),
        *map(identify, hostile),
        identify("last@example.com"),
    ]
    garbage = [b"not json", b"[1, 2, 3]", b"null", b'{"type": "identify", ', b"\xff\xfe\x00", b"[" * 100_000]
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join([*garbage, b"", *(json.dumps(event).encode() for event in events)]))

    result = figures(run_demo(tmp_path, "--events", str(file), "--json"))

    assert result["events"] == result["accepted"] + result["skipped"] + result["rejected"] == len(events) + len(garbage)
    assert result["skipped"] == 1
    assert result["rejected"] == len(garbage) + 4
    assert result["duplicates"] == 0
    assert result["records"]["Lead"] >= 2


def test_without_json_it_ends_with_a_table_and_an_empty_file_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps(identify("one@example.com")) + "\n", encoding="utf-8")
    run = run_demo(tmp_path, "--events", str(file))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Lead records" in run.stdout
    assert "duplicates" in run.stdout
    assert "Flower shows the workers at http://127.0.0.1:" in run.stdout


def test_stopped_in_the_middle_it_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**clean_environment(), "TMPDIR": str(temporary)}
    demo = subprocess.Popen(
        pipeline_command("demo"), env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: list(temporary.glob("pipeline-*/worker-1.log")), what="the start of the workers")
        assert processes_of(temporary)
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(60) == 143
    finally:
        demo.kill()
    wait_until(lambda: not processes_of(temporary), what="the end of every service")
    assert list(temporary.iterdir()) == []


def processes_of(temporary: Path) -> list[int]:
    """Find the processes that were started with this temporary folder, the demo itself left out."""
    mark = f"TMPDIR={temporary}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (
                mark in (folder / "environ").read_bytes().split(b"\0")
                and b"demo" not in (folder / "cmdline").read_bytes()
            ):
                found.append(int(folder.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]
