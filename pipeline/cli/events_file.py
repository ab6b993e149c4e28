"""The file of events that a command is given: one JSON object a line, or a sentence that says what it is instead."""

import json
import re
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import click

_HEAD: Final = 64 * 1024  # bytes that are looked at: more than two of the largest events
_LINES: Final = 100
_WANTED: Final = "one JSON object per line is wanted"
_UNPACK: Final = "unpack it first, as in"
_EXPORT: Final = f"export its rows as JSON Lines; {_WANTED}"
_UTF16: Final = "is UTF-16: make it UTF-8 first, as in iconv -f UTF-16"
_UTF32: Final = "is UTF-32: make it UTF-8 first, as in iconv -f UTF-32"
_MAGIC: Final = (
    (b"\x1f\x8b", f"is gzip: {_UNPACK} zcat FILE | …"),
    (b"\x28\xb5\x2f\xfd", f"is zstd: {_UNPACK} zstdcat FILE | …"),
    (b"BZh", f"is bzip2: {_UNPACK} bzcat FILE | …"),
    (b"\xfd7zXZ\x00", f"is xz: {_UNPACK} xzcat FILE | …"),
    (b"\x04\x22\x4d\x18", f"is lz4: {_UNPACK} lz4cat FILE | …"),
    (b"7z\xbc\xaf\x27\x1c", f"is a 7-Zip archive: {_UNPACK} 7z x -so FILE | …"),
    (b"PK\x03\x04", f"is a ZIP archive, or a spreadsheet: {_UNPACK} unzip -p FILE | …"),
    (b"PK\x05\x06", "is an empty ZIP archive"),
    (b"\xff\xfe\x00\x00", f"{_UTF32} -t UTF-8 FILE | …"),
    (b"\x00\x00\xfe\xff", f"{_UTF32} -t UTF-8 FILE | …"),
    (b"{\x00\x00\x00", f"{_UTF32}LE -t UTF-8 FILE | …"),
    (b"\x00\x00\x00{", f"{_UTF32}BE -t UTF-8 FILE | …"),
    (b"\xff\xfe", f"{_UTF16} -t UTF-8 FILE | …"),
    (b"\xfe\xff", f"{_UTF16} -t UTF-8 FILE | …"),
    (b"{\x00", f"{_UTF16}LE -t UTF-8 FILE | …"),
    (b"[\x00", f"{_UTF16}LE -t UTF-8 FILE | …"),
    (b"\x00{", f"{_UTF16}BE -t UTF-8 FILE | …"),
    (b"\x00[", f"{_UTF16}BE -t UTF-8 FILE | …"),
    (b"PAR1", f"is Parquet: {_EXPORT}"),
    (b"Obj\x01", f"is Avro: {_EXPORT}"),
    (b"SQLite format 3\x00", f"is a SQLite database: {_EXPORT}"),
    (b"%PDF", f"is PDF; {_WANTED}"),
)
_TAR_AT: Final = 257
_SEPARATORS: Final = (",", ";", "\t")
# How a body begins that goes on over several lines.
_OPEN_BATCH: Final = re.compile(
    r'\{\s*(?:"(?:writeKey|sentAt|timestamp)"\s*:\s*"[^"]*"\s*,\s*)*"batch"\s*:\s*\[',
)


class EventsFile(click.File):
    """A file of events, or `-` for standard input. What is of another kind is refused with what to do about it."""

    name = "file"

    def __init__(self) -> None:
        super().__init__("rb")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Open the file. Fails where it holds something else than events, one JSON object a line."""
        then = f"pipeline {ctx.info_name if ctx else 'send'} -"
        if isinstance(value, str) and value != "-" and Path(value).is_dir():
            self.fail(
                f"{value} is a folder: name a file in it, or take them all: cat {value}/*.jsonl | {then}", param, ctx
            )
        file = super().convert(value, param, ctx)
        head, is_whole = _look(cast("BinaryIO", file))
        name = "standard input" if value == "-" else str(value)
        if why := what_else(head, is_whole=is_whole):
            self.fail(f"{name} {why.replace('FILE', 'FILE' if value == '-' else name)}".replace("…", then), param, ctx)
        if is_whole and not head.strip():
            click.echo(f"{name} is empty: it holds no event", err=True)
        return file


def is_batch_body(document: Any) -> bool:
    """Whether a JSON document is the body of a request to /v1/batch: many events in one."""
    return isinstance(document, dict) and isinstance(document.get("batch"), list) and "type" not in document


def what_else(head: bytes, *, is_whole: bool) -> str | None:
    """Say what a file is that begins so, if it is no file of events, and what to do; None where it is one.

    `is_whole`: there is no more of it. A line that is no event makes no other file of it. In the sentence FILE stands
    for the file, and … for the command that reads standard input.
    """
    told = next((sentence for magic, sentence in _MAGIC if head.startswith(magic)), None)
    if told is not None:
        return told
    if head[_TAR_AT:].startswith(b"ustar"):
        return "is a tar archive: unpack it first, as in tar -xOf FILE | …"
    if b"\x00" in head:
        return f"is binary; {_WANTED}"
    text = head.decode("utf-8-sig", "replace").strip()
    return _of_text(text, is_whole=is_whole) if text else None


def _of_text(text: str, *, is_whole: bool) -> str | None:
    first, *others = _lines(text, is_whole=is_whole)
    document = _parsed(first)
    has_event = isinstance(document, dict) or any(isinstance(_parsed(line), dict) for line in others)
    told: str | None = f"has no line that is a JSON object; {_WANTED}"
    if is_batch_body(document) or (document is None and _OPEN_BATCH.match(text)):
        told = "holds a body of /v1/batch: take its events apart, as in jq -c '.batch[]' FILE | …"
    elif first[0] == "[" and not (has_event and document is not None):
        told = "is one JSON array: take its elements apart, as in jq -c '.[]' FILE | …"
    elif first == "{" or (not has_event and isinstance(_parsed(text), dict)):
        told = "is JSON over several lines: put each object on one, as in jq -c . FILE | …"
    elif has_event or (first[0] == "{" and not others):  # its only line may go on, or be written still
        told = None
    elif first[0] == "<":
        told = f"is XML or HTML; {_WANTED}"
    elif first[0] != "{" and any(separator in first for separator in _SEPARATORS):
        told = f"is a table (CSV): make an event of each row; {_WANTED}"
    return told


def _lines(text: str, *, is_whole: bool) -> list[str]:
    """Return the first lines that are not blank; the last is left out where it may go on."""
    lines = [line.strip() for line in text.split("\n")]
    whole = lines if is_whole or len(lines) == 1 else lines[:-1]
    return [line for line in whole if line][:_LINES]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _look(file: BinaryIO) -> tuple[bytes, bool]:
    """Return how a file begins, without reading on, and whether that is all of it."""
    if file.seekable():
        at = file.tell()
        head = file.read(_HEAD)
        file.seek(at)
        return head, len(head) < _HEAD
    peek = getattr(file, "peek", None)
    head = peek(_HEAD)[:_HEAD] if peek else b""
    return head, not head
