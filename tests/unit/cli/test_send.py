import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline.cli import main
from pipeline.cli.send import CHUNK, chunks, read_events


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """What would have gone to the queue, message by message."""
    messages: list[list[Any]] = []
    monkeypatch.setattr(pipeline.send_events, "delay", messages.append)
    return messages


def test_a_file_is_sent_in_chunks_and_in_order(tmp_path: Path, sent: list[list[Any]]) -> None:
    events = [{"type": "track", "event": f"e{number}"} for number in range(2 * CHUNK + 1)]
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
    run = CliRunner().invoke(main, ["send", str(file), "--json"])
    assert json.loads(run.stdout.splitlines()[-1]) == {"sent": len(events), "malformed": 0}
    assert [len(chunk) for chunk in sent] == [CHUNK, CHUNK, 1]
    assert [event for chunk in sent for event in chunk] == events


def test_a_malformed_line_is_sent_as_text_and_stops_nothing(sent: list[list[Any]]) -> None:
    lines = b'{"a": 1}\n\n{"type": "identify", \n\xff\xfe\n' + b"[" * 100_000 + b'\n{"b": 2}'
    run = CliRunner().invoke(main, ["send", "-"], input=lines)
    assert run.exit_code == 0, run.output
    assert sent == [[{"a": 1}, '{"type": "identify",', "\\xff\\xfe", "[" * 100_000, {"b": 2}]]
    assert "5 events sent, 3 of them no JSON objects" in run.output


def test_a_missing_file_is_a_usage_error(sent: list[list[Any]]) -> None:
    run = CliRunner().invoke(main, ["send", "no-such-file.jsonl"])
    assert run.exit_code == 2
    assert not sent


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_can_be_read_and_what_was_read_is_json(lines: list[bytes]) -> None:
    events = list(read_events(lines))
    assert len(events) <= len(lines)
    json.dumps(events)


@given(st.lists(st.integers()), st.integers(min_value=1, max_value=7))
def test_chunks_keep_everything_in_order(events: list[int], size: int) -> None:
    cut = list(chunks(events, size))
    assert [event for chunk in cut for event in chunk] == events
    assert all(len(chunk) == size for chunk in cut[:-1])
    assert all(cut)
