"""`pipeline send`: events from a JSON Lines file into the queue."""

import json
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

CHUNK = 100  # events per message: large enough that the queue costs little, small enough for workers to share the work


@click.command(epilog="\b\nExamples:\n  pipeline send events.jsonl\n  zcat events.jsonl.gz | pipeline send -")
@click.argument("file", type=click.File("rb"))
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def send(*, file: BinaryIO, is_json: bool) -> None:
    """Send the events in FILE, one JSON object per line; `-` is standard input.

    A line that is not JSON does not stop the rest: it is sent as it is, and the pipeline keeps it with the reason
    (see `pipeline dead-letters list`).
    """
    from rich.console import Console
    from rich.progress import Progress

    from pipeline import send_events

    sent = malformed = 0
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("sending", total=size_of(file))
        for chunk in chunks(read_events(advancing(file, progress, bar))):
            send_events.delay(chunk)
            sent += len(chunk)
            malformed += sum(not isinstance(event, dict) for event in chunk)
    if is_json:
        click.echo(json.dumps({"sent": sent, "malformed": malformed}))
    else:
        click.echo(f"{sent:,} events sent" + (f", {malformed:,} of them no JSON objects" if malformed else ""))


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
