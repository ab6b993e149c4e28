"""What kind of file a command was given: one sentence that says what to do, and no dead letters of it."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline.cli import main
from pipeline.cli.events_file import what_else

EVENTS: list[dict[str, Any]] = [{"type": "track", "event": f"e{number}", "userId": "u"} for number in range(3)]
LINES = "\n".join(map(json.dumps, EVENTS)) + "\n"
BATCH = {"batch": EVENTS, "sentAt": "2026-11-28T00:00:00Z"}


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("events.jsonl", LINES)
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("events.jsonl")
        info.size = len(LINES)
        archive.addfile(info, io.BytesIO(LINES.encode()))
    return file.getvalue()


KINDS: list[tuple[bytes, str, str]] = [
    (gzip.compress(LINES.encode()), "is gzip", "zcat"),
    (b"\x28\xb5\x2f\xfd" + b"rest", "is zstd", "zstdcat"),
    (bz2.compress(LINES.encode()), "is bzip2", "bzcat"),
    (lzma.compress(LINES.encode()), "is xz", "xzcat"),
    (zipped(), "is a ZIP archive, or a spreadsheet", "unzip -p"),
    (tarred(), "is a tar archive", "tar -xOf"),
    (LINES.encode("utf-16"), "is UTF-16", "iconv -f UTF-16 -t UTF-8"),
    (LINES.encode("utf-16-le"), "is UTF-16", "iconv -f UTF-16LE"),
    (LINES.encode("utf-16-be"), "is UTF-16", "iconv -f UTF-16BE"),
    (LINES.encode("utf-32"), "is UTF-32", "iconv -f UTF-32"),
    (LINES.encode("utf-32-le"), "is UTF-32", "iconv -f UTF-32LE"),
    (LINES.encode("utf-32-be"), "is UTF-32", "iconv -f UTF-32BE"),
    (b"\x04\x22\x4d\x18rest", "is lz4", "lz4cat"),
    (b"7z\xbc\xaf\x27\x1c\x00", "is a 7-Zip archive", "7z x -so"),
    (b"PAR1\x15\x04", "is Parquet", "JSON Lines"),
    (b"Obj\x01\x04", "is Avro", "JSON Lines"),
    (b"SQLite format 3\x00\x10", "is a SQLite database", "JSON Lines"),
    (b"%PDF-1.7\n", "is PDF", "one JSON object per line"),
    (b"\x7fELF\x02\x00\x00", "is binary", "one JSON object per line"),
    (json.dumps(EVENTS).encode(), "is one JSON array", "jq -c '.[]'"),
    (json.dumps(EVENTS, indent=2).encode(), "is one JSON array", "jq -c '.[]'"),
    (f"[\n{LINES.strip()}\n]".replace("}\n{", "},\n{").encode(), "is one JSON array", "jq -c '.[]'"),
    (b"[]", "is one JSON array", "jq"),
    (json.dumps(BATCH).encode(), "holds a body of /v1/batch", "jq -c '.batch[]'"),
    (f"{json.dumps(BATCH)}\n{json.dumps(BATCH)}\n".encode(), "holds a body of /v1/batch", "jq -c '.batch[]'"),
    (json.dumps(BATCH, indent=2).encode(), "holds a body of /v1/batch", "jq -c '.batch[]'"),
    (b'{"writeKey": "w", "batch": [\n' + LINES.encode() + b"]}", "holds a body of /v1/batch", "jq -c '.batch[]'"),
    (json.dumps(EVENTS[0], indent=2).encode(), "is JSON over several lines", "jq -c ."),
    (b'{"type": "track",\n "event": "e"}', "is JSON over several lines", "jq -c ."),
    (b"type,event,traits.email\ntrack,e1,a@example.com\n", "is a table (CSV)", "one JSON object per line"),
    (b"type;event\ntrack;e1\n", "is a table (CSV)", "one JSON object per line"),
    (b"\xef\xbb\xbftype\tevent\ntrack\te1\n", "is a table (CSV)", "one JSON object per line"),
    (b"<html><body>sign in</body></html>", "is XML or HTML", "one JSON object per line"),
    (b"hello\nworld\n", "has no line that is a JSON object", "one JSON object per line"),
    (b'{"type": "track"\n{"type": \n', "has no line that is a JSON object", "one JSON object per line"),
]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    messages: list[Any] = []
    monkeypatch.setattr(pipeline.send_events, "delay", messages.append)
    return messages


@pytest.mark.parametrize("command", ["send", "preview"])
@pytest.mark.parametrize(("content", "kind", "advice"), KINDS, ids=[kind for _, kind, _ in KINDS])
def test_another_kind_of_file_is_refused_with_what_to_do(
    content: bytes, kind: str, advice: str, command: str, *, tmp_path: Path, sent: list[Any]
) -> None:
    file = tmp_path / "events"
    file.write_bytes(content)
    for run in (
        CliRunner().invoke(main, [command, str(file)]),
        CliRunner().invoke(main, [command, "-"], input=content),
    ):
        assert run.exit_code == 2
        said = " ".join(run.stderr.replace(str(file), "FILE").split())
        assert kind in said
        assert advice in said
        if "|" in said:
            assert f"| pipeline {command} -" in said
    assert not sent


def test_a_folder_is_refused_with_what_to_do(tmp_path: Path, sent: list[Any]) -> None:
    run = CliRunner().invoke(main, ["send", str(tmp_path)])
    assert run.exit_code == 2
    assert "is a folder: name a file in it" in " ".join(run.stderr.split())
    assert not sent


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_said_to_be_empty(content: bytes, sent: list[Any]) -> None:
    run = CliRunner().invoke(main, ["send", "-"], input=content)
    assert run.exit_code == 0
    assert "0 events sent" in run.stdout
    assert ("is empty: it holds no event" in run.stderr) is (not content.startswith(b"\xef"))
    assert not sent


@pytest.mark.parametrize(
    "content",
    [
        LINES.encode(),
        b"\xef\xbb\xbf" + LINES.encode(),  # with a byte order mark
        LINES.replace("\n", "\r\n").encode(),
        b"\n\n" + LINES.encode(),
        b"broken\n" + LINES.encode(),
        b'{"type": "track", \n' + LINES.encode(),
        b"[1, 2]\n" + LINES.encode(),
    ],
)
def test_events_are_sent_whatever_some_lines_are(content: bytes, sent: list[Any]) -> None:
    run = CliRunner().invoke(main, ["send", "-"], input=content)
    assert run.exit_code == 0, run.output
    names = [event["event"] for chunk in sent for event in chunk if isinstance(event, dict)]
    assert names == ["e0", "e1", "e2"]


def test_a_body_of_a_batch_among_events_is_told(sent: list[Any]) -> None:
    run = CliRunner().invoke(main, ["send", "-"], input=LINES + json.dumps(BATCH))
    assert run.exit_code == 0, run.output
    assert "1 of them is the body of a /v1/batch request" in run.stderr


def test_a_long_first_line_that_is_cut_is_no_reason_to_refuse() -> None:
    line = json.dumps({"type": "track", "properties": {"x": "a" * 70_000}}).encode()
    assert what_else(line[: 64 * 1024], is_whole=False) is None


@given(st.binary(max_size=300), st.booleans())
def test_any_beginning_is_events_or_something_else(head: bytes, is_whole: bool) -> None:
    told = what_else(head, is_whole=is_whole)
    assert told is None or told.startswith(("is ", "holds ", "has "))


def with_event(make: Callable[[bytes], bytes]) -> Any:
    return st.binary(max_size=100).filter(lambda noise: b"\n" not in noise).map(make)


@given(with_event(lambda noise: json.dumps(EVENTS[0]).encode() + b"\n" + noise))
def test_a_file_that_begins_with_an_event_is_one_of_events(head: bytes) -> None:
    assert what_else(head, is_whole=False) is None or b"\x00" in head
