"""LogReader: what a service has written since the last look, line by line."""

import os
from pathlib import Path

_MOST_BYTES = 10_000_000  # of a log that is kept; what was read is dropped beyond it


class LogReader:
    """Reads a log from where it ends now, whole lines only, and keeps it from growing for ever.

    Only for a log that is written in append mode: a line that is written while the log is emptied is lost to it.
    """

    def __init__(self, log: Path, *, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._log = log
        self._position = log.stat().st_size if log.exists() else 0
        self._begun = b""

    def lines(self) -> list[str]:
        """Return the lines that were finished since the last look."""
        try:
            with self._log.open("rb") as log:
                log.seek(self._position)
                read = log.read()
        except FileNotFoundError:
            return []
        self._position += len(read)
        if self._position > self._most_bytes:
            os.truncate(self._log, 0)
            self._position = 0
        *finished, self._begun = (self._begun + read).split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in finished]
