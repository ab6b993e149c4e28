"""A folder that one stack at a time may keep its data in."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import ConfigurationError

_LOCK = "lock"


@contextmanager
def claimed(folder: Path) -> Iterator[int]:
    """Make a folder and hold it, for as long as the context lasts; yields the descriptor of its lock.

    A process that was given the descriptor holds the folder as well: what outlives its supervisor still writes there.
    Raises ConfigurationError, naming the processes, where somebody else holds it.
    """
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)  # events are personal data
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written to ({error.strerror}): give another folder") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"{folder} is in use{_by_whom(folder)}: end that first, or give another folder"
            ) from None
        note_processes(folder, [os.getpid()])
        yield lock
    finally:
        os.close(lock)


def note_processes(folder: Path, pids: list[int]) -> None:
    """Write down who uses the folder, for the message to the next one who asks for it."""
    (folder / _LOCK).write_text(" ".join(map(str, pids)), encoding="ascii")


def _by_whom(folder: Path) -> str:
    alive = [pid for pid in (folder / _LOCK).read_text(encoding="ascii").split() if _is_alive(int(pid))]
    return f" by process{'es' if len(alive) > 1 else ''} {' '.join(alive)}" if alive else ""


def _is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        try:
            os.kill(pid, 0)
        except PermissionError:
            return True
        return True
    return False
