import json
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline.cli import main
from pipeline.cli.send import CHUNK, chunks, read_events

EVENTS: list[dict[str, Any]] = [{"type": "track", "event": f"e{number}"} for number in range(2 * CHUNK + 1)]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """What would have gone to the queue, message by message."""
    messages: list[list[Any]] = []
    monkeypatch.setattr(pipeline.send_events, "delay", messages.append)
    monkeypatch.delenv("PIPELINE_BROKER_URL", raising=False)
    state = fakeredis.FakeRedis()
    monkeypatch.setattr("pipeline.state_store.connect_from", lambda _: state)
    return messages


def write(folder: Path, events: list[dict[str, Any]]) -> Path:
    file = folder / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
    return file


def send(file: Path, *options: str) -> dict[str, Any]:
    run = CliRunner().invoke(main, ["send", str(file), *options, "--json"])
    assert run.exit_code == 0, run.output
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return figures


def numbers(messages: list[list[Any]]) -> list[str]:
    return [event["event"] for chunk in messages for event in chunk]


def test_a_file_is_sent_in_chunks_and_in_order(tmp_path: Path, sent: list[list[Any]]) -> None:
    file = write(tmp_path, EVENTS)
    assert send(file) == {"sent": len(EVENTS), "malformed": 0, "already_sent": 0}
    assert [len(chunk) for chunk in sent] == [CHUNK, CHUNK, 1]
    assert numbers(sent) == numbers([EVENTS])


def test_a_file_that_was_sent_is_not_sent_again_unless_asked_for(tmp_path: Path, sent: list[list[Any]]) -> None:
    file = write(tmp_path, EVENTS)
    send(file)
    first = [event["messageId"] for chunk in sent for event in chunk]
    sent.clear()
    assert send(file) == {"sent": 0, "malformed": 0, "already_sent": len(EVENTS)}
    assert "--again sends them once more" in CliRunner().invoke(main, ["send", str(file)]).output
    assert not sent
    assert send(file, "--again") == {"sent": len(EVENTS), "malformed": 0, "already_sent": 0}
    again = [event["messageId"] for chunk in sent for event in chunk]
    assert not {*first} & {*again}  # or the pipeline would pass all of it by


def test_another_file_of_the_same_name_is_sent(tmp_path: Path, sent: list[list[Any]]) -> None:
    send(write(tmp_path, EVENTS))
    assert send(write(tmp_path, EVENTS[:1]))["sent"] == 1


def test_a_file_that_has_grown_is_sent_from_where_it_ended(tmp_path: Path, sent: list[list[Any]]) -> None:
    file = write(tmp_path, EVENTS[:2])  # without a line break at its end
    send(file)
    with file.open("a", encoding="utf-8") as growing:
        growing.write("\n" + json.dumps(EVENTS[2]) + "\n")
    assert send(file) == {"sent": 1, "malformed": 0, "already_sent": 2}
    with file.open("a", encoding="utf-8") as growing:
        growing.write(json.dumps(EVENTS[3]) + "\n")
    assert send(file) == {"sent": 1, "malformed": 0, "already_sent": 3}
    assert send(file) == {"sent": 0, "malformed": 0, "already_sent": 4}
    assert numbers(sent) == numbers([EVENTS[:4]])
    assert len({event["messageId"] for chunk in sent for event in chunk}) == 4
    assert send(file, "--again")["sent"] == 4


def test_a_file_that_has_grown_while_it_was_sent_in_part_goes_on_there(
    tmp_path: Path, sent: list[list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, EVENTS)

    def stopped(chunk: list[Any]) -> None:
        if sent:
            raise KeyboardInterrupt
        sent.append(chunk)

    monkeypatch.setattr(pipeline.send_events, "delay", stopped)
    assert CliRunner().invoke(main, ["send", str(file)]).exit_code == 1
    monkeypatch.setattr(pipeline.send_events, "delay", sent.append)
    with file.open("a", encoding="utf-8") as growing:
        growing.write("\n" + json.dumps({"type": "track", "event": "last"}))
    assert send(file)["already_sent"] == CHUNK
    assert numbers(sent) == [*numbers([EVENTS]), "last"]


def test_a_file_that_only_begins_alike_is_sent_from_its_beginning(tmp_path: Path, sent: list[list[Any]]) -> None:
    send(write(tmp_path, EVENTS[:2]))
    assert send(write(tmp_path, [EVENTS[0], EVENTS[2], EVENTS[3]])) == {"sent": 3, "malformed": 0, "already_sent": 0}


def test_a_last_line_that_is_still_being_written_waits_for_the_next_time(tmp_path: Path, sent: list[list[Any]]) -> None:
    file = write(tmp_path, EVENTS[:2])
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole[:-5], encoding="utf-8")
    run = CliRunner().invoke(main, ["send", str(file)])
    assert "1 event sent" in run.stdout
    assert "the last line is not complete and was not sent" in run.stderr
    file.write_text(whole, encoding="utf-8")
    assert send(file) == {"sent": 1, "malformed": 0, "already_sent": 1}
    assert numbers(sent) == numbers([EVENTS[:2]])


def test_beginnings_of_one_first_line_are_bounded(tmp_path: Path, sent: list[list[Any]]) -> None:
    for number in range(1, 30):
        file = write(tmp_path, EVENTS[:number])
        assert send(file)["sent"] == 1
    with pipeline.state_store.connect_from({}) as state:
        (first,) = state.scan_iter("pipeline:{sent}:first:*")
        assert state.zcard(first) == 20


def test_killed_before_it_noted_anything_it_repeats_no_message_id(
    tmp_path: Path, sent: list[list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, EVENTS)

    def stopped(chunk: list[Any]) -> None:
        sent.append(chunk)  # the broker has it, and whoever sent it has not heard so
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline.send_events, "delay", stopped)
    assert CliRunner().invoke(main, ["send", str(file)]).exit_code == 1
    monkeypatch.setattr(pipeline.send_events, "delay", sent.append)
    send(file)
    by_id = {event["messageId"]: event["event"] for chunk in sent for event in chunk}
    assert list(by_id.values()) == numbers([EVENTS])


@pytest.mark.parametrize("is_noted", [True, False])
def test_stopped_in_the_middle_it_sends_the_rest_and_repeats_no_message_id(
    is_noted: bool, tmp_path: Path, sent: list[list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, EVENTS)

    def stopped(chunk: list[Any]) -> None:
        if len(sent) == 1:
            if not is_noted:
                sent.append(chunk)  # the broker has it, and whoever sent it has not heard so
            raise KeyboardInterrupt
        sent.append(chunk)

    monkeypatch.setattr(pipeline.send_events, "delay", stopped)
    assert CliRunner().invoke(main, ["send", str(file)]).exit_code == 1
    monkeypatch.setattr(pipeline.send_events, "delay", sent.append)

    assert send(file) == {"sent": CHUNK + 1, "malformed": 0, "already_sent": CHUNK}

    by_id = {event["messageId"]: event["event"] for chunk in sent for event in chunk}
    assert list(by_id.values()) == numbers([EVENTS])


def test_without_the_state_s_redis_a_broker_elsewhere_is_enough(
    tmp_path: Path, sent: list[list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = fakeredis.FakeServer()
    gone.connected = False
    monkeypatch.setattr("pipeline.state_store.connect_from", lambda _: fakeredis.FakeRedis(server=gone))
    monkeypatch.setenv("PIPELINE_BROKER_URL", "amqp://127.0.0.1//")
    run = CliRunner().invoke(main, ["send", str(write(tmp_path, EVENTS))])
    assert (run.exit_code, numbers(sent)) == (0, numbers([EVENTS])), run.output
    assert "not remembered" in run.stderr


def test_a_malformed_line_is_sent_as_text_and_stops_nothing(sent: list[list[Any]]) -> None:
    lines = b'{"a": 1}\n\n{"type": "identify", \n\xff\xfe\n' + b"[" * 100_000 + b'\n{"b": 2}'
    run = CliRunner().invoke(main, ["send", "-"], input=lines)
    assert run.exit_code == 0, run.output
    (chunk,) = sent
    assert chunk[1:4] == ['{"type": "identify",', "\\xff\\xfe", "[" * 100_000]
    assert (chunk[0]["a"], chunk[4]["b"]) == (1, 2)
    assert "5 events sent, 3 of them no JSON objects" in run.output


def test_an_event_beyond_a_bound_is_told_by_its_line_and_the_rest_is_sent(
    tmp_path: Path, sent: list[list[Any]]
) -> None:
    nested: dict[str, Any] = {}
    for _ in range(65):
        nested = {"a": nested}
    file = write(tmp_path, [EVENTS[0], {**EVENTS[1], "properties": nested}, EVENTS[2]])
    run = CliRunner().invoke(main, ["send", str(file), "--json"])
    assert run.exit_code == 1, run.output
    assert numbers(sent) == ["e0", "e2"]
    assert json.loads(run.stdout.splitlines()[-1]) == {"sent": 2, "malformed": 0, "already_sent": 0, "refused": 1}
    assert "line 2 is not sent: the event " in run.stderr
    assert "nest" in run.stderr


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
