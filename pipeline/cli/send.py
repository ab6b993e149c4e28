"""`pipeline send`: events from a JSON Lines file into the queue."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pipeline.cli.events_file import EventsFile, is_batch_body
from pipeline.cli.sent_so_far import Marks, NoMarks, Sent, new_sending
from pipeline.errors import InvalidEvent
from pipeline.events.bounds import MOST_BODY_BYTES, json_fault
from pipeline.events.plain import plain
from pipeline.events.stamp import stamp

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_PATIENCE_S = "30"  # nobody waits for a page, and a restart of Redis is no reason to stop
CHUNK = 100  # events per message: large enough that the queue costs little, small enough for workers to share the work


@click.command(
    epilog="\b\nExamples:\n  pipeline send events.jsonl\n  pipeline send --again events.jsonl\n"
    "  zcat events.jsonl.gz | pipeline send -"
)
@click.argument("file", type=EventsFile())
@click.option("--again", "is_again", is_flag=True, help="Send it all, although it was sent before.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def send(*, file: BinaryIO, is_again: bool, is_json: bool) -> None:
    """Send the events in FILE, one JSON object per line; `-` is standard input.

    How far it got is remembered for a week, by what is in the file: run again after it was stopped, or after the file
    has grown, it sends the rest. What may be sent twice at that point is recognised by its messageId, which events
    without one are given. A line that is not JSON does not stop the rest: it is sent as it is, and the pipeline keeps
    it with the reason (see `pipeline dead-letters list`). An event beyond a bound is not sent: its
    line and the bound are printed at once, the rest is sent, and the exit code is 1.
    """
    from rich.console import Console
    from rich.progress import Progress

    from pipeline import send_events
    from pipeline.sending import TIMEOUT
    from pipeline.settings.secrets import given

    if given(os.environ, TIMEOUT) is None:
        os.environ[TIMEOUT] = _PATIENCE_S
    console = Console(stderr=True)
    path = Path(str(getattr(file, "name", "")))
    is_file = path.is_file()  # and no pipe, which cannot be read twice
    with _marks(console, path if is_file else None) as marks:
        before = new_sending() if is_again else marks.read()
        done, malformed, bodies = before, 0, 0
        marks.note(before)  # a run that is killed at once is known as well, with the messageIds it gave
        refused = Refused(console)
        if before.offset:
            file.seek(before.offset)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("sending", total=size_of(file), completed=before.offset)
            lines = advancing(file, progress, bar)
            rest = _Rest(lines) if is_file else lines
            for chunk in chunks(_placed(rest, before, refused)):
                events = [event for _, event in chunk]
                send_events.delay(events)
                bodies += sum(map(is_batch_body, events))
                malformed += sum(not isinstance(event, dict) for event in events)
                done = replace(done, offset=chunk[-1][0], events=done.events + len(events))
                marks.note(done)
        marks.note(replace(done, is_done=True))
    figures = {"sent": done.events - before.events, "malformed": malformed, "already_sent": before.events}
    if is_json:
        click.echo(json.dumps(figures | ({"refused": refused.number} if refused.number else {})))
    else:
        click.echo(_in_words(**figures, was_done=before.is_done))
    if bodies:
        are = "is the body of a /v1/batch request" if bodies == 1 else "are bodies of /v1/batch requests"
        click.echo(f"{bodies:,} of them {are}: send the events in it, one a line (jq -c '.batch[]')", err=True)
    if isinstance(rest, _Rest) and rest.is_incomplete:
        click.echo("the last line is not complete and was not sent: send the file again when it is", err=True)
    if refused.number:
        raise click.exceptions.Exit(1)


class Refused:
    """Events that are not sent, each told of at once."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self.number = 0

    def tell(self, place: str, why: Exception) -> None:
        """Tell of one, by its place in the file and why."""
        self.number += 1
        self._console.print(f"{place} is not sent: {why}", soft_wrap=True, markup=False, highlight=False)


def _placed(lines: Iterable[bytes], sent: Sent, refused: Refused) -> Iterator[tuple[int, Any]]:
    """Read events, each with the place in the file where it ends and with a messageId that tells that place."""
    now = datetime.now(UTC)
    place = sent.offset
    since = f" after byte {sent.offset:,}" if sent.offset else ""
    for number, line in enumerate(lines, start=1):
        place += len(line)
        try:
            for event in _read(line):
                yield place, plain(stamp(event, now=now, message_id=f"{sent.run}-{place}"))
        except InvalidEvent as why:
            refused.tell(f"line {number:,}{since}", why)


def _read(line: bytes) -> Iterator[Any]:
    text = line.strip()
    fault = json_fault(text, most_bytes=MOST_BODY_BYTES)  # of an event's size, `plain` knows more
    if fault is None:
        return read_events([line])
    if text.startswith(b"{"):
        raise InvalidEvent(f"the event {fault}")
    return iter([text.decode("utf-8-sig", "backslashreplace")])  # no event, and not read any further


class _Rest:
    """The lines of a file that somebody may be writing: a last one that is no JSON yet is left for the next time."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.is_incomplete = False

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            if not line.endswith(b"\n") and not all(isinstance(event, dict) for event in read_events([line])):
                self.is_incomplete = True
                return
            yield line


@contextmanager
def _marks(console: "Console", path: Path | None) -> Iterator[Marks]:
    """Open what remembers how far files were sent; a broker alone is enough to send."""
    from redis.exceptions import RedisError

    from pipeline.settings import broker, redis_address
    from pipeline.state_store import connect_from

    if path is None:
        yield NoMarks()
        return
    with connect_from(os.environ) as redis:
        try:
            marks = Marks(redis, path)
        except RedisError:
            if broker(os.environ).url == redis_address(os.environ).broker_url:
                raise
            console.print(
                "Redis does not answer, so it is not remembered how far this gets; PIPELINE_REDIS_URL says where it is",
                soft_wrap=True,
            )
            yield NoMarks()
        else:
            yield marks


def _in_words(*, sent: int, malformed: int, already_sent: int, was_done: bool) -> str:
    words = f"{sent:,} event{'' if sent == 1 else 's'} sent"
    if malformed:
        words += f", {malformed:,} of them no JSON objects"
    if was_done:
        return f"{words}: all {already_sent:,} in this file were sent before; --again sends them once more"
    if already_sent:
        words += f", after {already_sent:,} that were sent before; --again sends all"
    return words


def advancing(file: BinaryIO, progress: "Progress", bar: "TaskID") -> Iterator[bytes]:
    """Read lines and move a progress bar by their bytes."""
    for line in file:
        yield line
        progress.advance(bar, len(line))


def size_of(file: BinaryIO) -> int | None:
    """Return the bytes in a file on disk; None for a pipe or a terminal, whose end nobody knows."""
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None


def read_events(lines: Iterable[bytes]) -> Iterator[Any]:
    """Read one event per line; blank lines are no events, and what is no JSON comes as text, to be rejected later.

    Bytes that are not UTF-8 come as backslash escapes, so that the dead letter shows them.
    """
    for line in lines:
        text = line.decode("utf-8-sig", "backslashreplace").strip()
        if not text:
            continue
        try:
            yield json.loads(text)
        except (ValueError, RecursionError):
            yield text


def chunks(events: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """Cut a stream of events into lists of at most `size`, in order."""
    chunk: list[Any] = []
    for event in events:
        chunk.append(event)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
