"""Service: a subprocess of this machine with a name, a log and a way to tell that it is ready."""

import os
import signal
import site
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Self, TypeAlias

from pipeline.errors import PipelineError

LOOPBACK = "127.0.0.1"

_POLL_S = 0.02
_READY_WITHIN_S = 60.0  # a worker needs about a second; a machine that builds something else at once needs patience
STOP_WITHIN_S = 30.0  # longer than the 20 s after which a worker that was asked to end cuts its deliveries short
_LOG_TAIL_LINES = 25


class ServiceFailed(PipelineError):  # noqa: N818  (the service failed; the message shows the end of its log)
    """A local service died or did not get ready in time."""


def wait_until(condition: Callable[[], object], *, what: str, within_s: float = 30.0) -> None:
    """Return as soon as `condition` answers something true. Raises TimeoutError naming `what` after `within_s`."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within_s:g} s")
        time.sleep(_POLL_S)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without anything that could lead a local run to a real org or broker."""
    ours = ("PIPELINE_", "SALESFORCE_", "CELERY_", "FLOWER_")
    harmless = ("PIPELINE_SEND_TIMEOUT",)
    environ = {name: value for name, value in os.environ.items() if name in harmless or not name.startswith(ours)}
    direct = ",".join(filter(None, [environ.get("NO_PROXY") or environ.get("no_proxy"), LOOPBACK, "localhost"]))
    environ["NO_PROXY"] = environ["no_proxy"] = direct
    environ["PYTHONUNBUFFERED"] = "1"
    package_root = str(Path(__file__).resolve().parents[2])
    if package_root not in site.getsitepackages():  # a source tree: the children have to find it as well
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, environ.get("PYTHONPATH")]))
    return environ


def pipeline_command(*arguments: str) -> list[str]:
    """Return the command that runs `pipeline ARGUMENTS` with this interpreter, installed or not."""
    return [sys.executable, "-m", "pipeline.cli", *arguments]


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Make SIGTERM end this process by SystemExit (code 143), as Ctrl-C does by KeyboardInterrupt: contexts close.

    Does nothing outside the main thread, which alone may decide about signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold signals back while a process is being started: it would be running, and nobody would know it to end it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    former = {
        number: signal.signal(number, lambda number, _: held.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for caught in held:
            signal.raise_signal(caught)


ReadyCheck: TypeAlias = Callable[["Service"], object]


class Service:
    """A subprocess with a name and a log file, in a process group of its own.

    `is_ready` is asked until it answers true; None means ready once started. `pass_fds` stay open in the process. Not
    for a process that leaves its group: `stop` and `kill` reach the group, so that a worker's pool goes with it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path | None = None,
        is_ready: ReadyCheck | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.command = list(command)
        self.env = dict(env)
        self.log = log
        self._cwd = cwd
        self._ready_check = is_ready
        self._pass_fds = tuple(pass_fds)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def __repr__(self) -> str:
        """Tell the name and the process, not the environment, which holds credentials."""
        return f"<Service {self.name} {self._process.pid if self._process else 'not started'}>"

    @property
    def pid(self) -> int:
        """Process id of the running service, which is its group's id too. Raises ServiceFailed if never started."""
        if self._process is None:
            raise ServiceFailed(f"{self.name} was not started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it can be used now."""
        return self.is_running and (self._ready_check is None or bool(self._ready_check(self)))

    @property
    def ending(self) -> str:
        """How the process ended, as `code 1` or `SIGKILL`; "" while it runs and before it was started."""
        code = self._process.poll() if self._process is not None else None
        if code is None:
            return ""
        return f"code {code}" if code >= 0 else signal.Signals(-code).name

    def start(self) -> Self:
        """Start the process and return at once; `wait_until_ready` follows."""
        if self.is_running:
            raise ServiceFailed(f"{self.name} is running already")
        with self.log.open("ab") as log, _undisturbed():
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self.command,
                env=self.env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=self._pass_fds,
                start_new_session=True,  # Ctrl-C in the terminal reaches us alone, and we stop things in order
            )
        return self

    def wait_until_ready(self, within_s: float = _READY_WITHIN_S) -> Self:
        """Return once the service is ready. Raises ServiceFailed, with the log's end, if it died or took too long."""
        deadline = time.monotonic() + within_s
        while not self.is_ready:
            self.check()
            if time.monotonic() > deadline:
                raise ServiceFailed(f"{self.name} was not ready within {within_s:g} s\n{self.log_tail()}")
            time.sleep(_POLL_S)
        return self

    def check(self) -> None:
        """Raise ServiceFailed, with the log's end, if the process has ended by itself."""
        if self.ending:
            raise ServiceFailed(f"{self.name} ended with {self.ending}\n{self.log_tail()}")

    def output(self) -> str:
        """Return what the process has written since it was last started."""
        with suppress(FileNotFoundError), self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")
        return ""

    def log_tail(self) -> str:
        """Return the last lines of the log, indented."""
        lines = self.output().splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join(f"  {self.name} | {line}" for line in lines) or f"  {self.name} wrote nothing"

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the service's own process and not to its children."""
        os.kill(self.pid, number)

    def begin_stop(self) -> None:
        """Ask the process to end, without waiting: several services end at once that way."""
        if self.is_running:
            self.send_signal(signal.SIGTERM)

    def stop(self, within_s: float = STOP_WITHIN_S) -> None:
        """End the process: SIGTERM, and SIGKILL for the whole group after `within_s`. Nothing of it is left."""
        try:
            self.begin_stop()
            if self._process is not None:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(within_s)
        finally:  # also when a second Ctrl-C cuts the waiting short
            self.kill()

    def kill(self) -> None:
        """End the whole group at once, as a power cut would."""
        if self._process is None:
            return
        with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
