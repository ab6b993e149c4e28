"""LocalStack: the whole system on this machine, with every service a process of its own."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.local.folder import claimed, note_processes
from pipeline.local.pages import Page
from pipeline.local.redis_server import LocalRedis, free_port
from pipeline.local.service import (
    LOOPBACK,
    STOP_WITHIN_S,
    ReadyCheck,
    Service,
    ServiceFailed,
    clean_environment,
    ending_on_sigterm,
    pipeline_command,
    wait_until,
)

# What the emulator accepts unless it is given an org of its own, by OAuth's client credentials flow.
EMULATOR_CREDENTIALS: Mapping[str, str] = {"SALESFORCE_CONSUMER_KEY": "key", "SALESFORCE_CONSUMER_SECRET": "secret"}

TWO_WORKERS: Mapping[str, Sequence[str]] = {"worker-1": (), "worker-2": ()}

_EMULATOR_ADDRESS = re.compile(r"emulator listening on (http://\S+)")
_WORKER_READY = re.compile(r"@\S+ ready\.")
_TAKEN_PORT = " is taken: "  # as `port_taken` of the commands says it
_PORT_TRIES = 5


class LocalStack:
    """Redis, an emulated org, workers, beat and pages such as Flower, for as long as the context lasts.

    `workers` maps a name to the arguments of `pipeline worker`; `destination` is the text of destination.yaml, None
    leaves it to the environment; `environ` is added to every service's environment; `broker_url` names a broker other
    than the stack's own Redis. A `folder` is kept, with the data of Redis and the logs in it, and no second stack may
    have it at once; without one everything is temporary. Without `has_redis` or `has_emulator`, `environ` has to say
    where they are. Nothing else of the caller's own `PIPELINE_` and `SALESFORCE_` variables gets in, so that a local
    run never reaches a real org. `on_ready` hears of each service that is ready. Raises ServiceFailed, with the end of
    the log, when one does not get ready.
    """

    def __init__(
        self,
        *,
        workers: Mapping[str, Sequence[str]] = TWO_WORKERS,
        destination: str | None = "{}\n",
        environ: Mapping[str, str] | None = None,
        emulator_arguments: Sequence[str] = (),
        has_redis: bool = True,
        has_emulator: bool = True,
        has_beat: bool = True,
        pages: Sequence[Page] = (),
        is_append_only: bool = False,
        broker_url: str | None = None,
        redis_port: int = 0,
        folder: Path | None = None,
        on_ready: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._broker_url = broker_url
        self._worker_arguments = dict(workers)
        self._destination = destination
        self._environ = dict(environ or {})
        self._emulator_arguments = tuple(emulator_arguments)
        self._has_redis, self._has_emulator, self._has_beat = has_redis, has_emulator, has_beat
        self._pages = tuple(pages)
        self._is_append_only = is_append_only
        self._redis_port = redis_port
        self._kept_folder = folder
        self._pass_fds: tuple[int, ...] = ()
        self._on_ready = on_ready
        self._cleanup = ExitStack()
        self._services: list[Service] = []  # in the order of starting; ends before the emulator and Redis do
        self.folder = Path()
        self.env: dict[str, str] = {}
        self.addresses: dict[str, str] = {}  # by the name of the service
        self.while_stopping: Callable[[], None] = lambda: None  # called again and again while the workers finish
        self.killed: list[str] = []  # who had not ended by itself when it was stopped
        self.redis: LocalRedis
        self.emulator: Service

    @property
    def broker_url(self) -> str:
        """Where events are sent to: the stack's own Redis, unless it was given another broker."""
        return self._broker_url or self.redis.url

    @property
    def emulator_url(self) -> str:
        """Address of the emulated org."""
        return self.addresses["emulator"]

    @property
    def services(self) -> list[Service]:
        """Every process of the stack, in the order of starting."""
        held = [self.redis.service] if self._has_redis else []
        return [*held, *([self.emulator] if self._has_emulator else []), *self._services]

    @property
    def workers(self) -> dict[str, Service]:
        """The worker processes by name."""
        return {service.name: service for service in self._services if service.name in self._worker_arguments}

    def __enter__(self) -> Self:
        """Start everything and return when all of it is ready."""
        try:
            self._cleanup.enter_context(ending_on_sigterm())
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything in order: who carries events, then the org, then Redis. Remove a temporary folder."""
        self._cleanup.close()

    def check(self) -> None:
        """Raise ServiceFailed, with the end of its log, if a service has ended by itself."""
        for service in self.services:
            service.check()

    def add_worker(self, name: str, *arguments: str) -> Service:
        """Start one more `pipeline worker ARGUMENTS` and return when it is ready."""
        return self.begin_worker(name, *arguments).wait_until_ready()

    def begin_worker(self, name: str, *arguments: str) -> Service:
        """Start one more `pipeline worker ARGUMENTS` without waiting for it to be ready."""
        self._worker_arguments[name] = tuple(arguments)
        return self.begin_service(name, pipeline_command("worker", "--name", name, *arguments), _is_worker_ready)

    def begin_service(self, name: str, command: Sequence[str], is_ready: ReadyCheck | None = None) -> Service:
        """Start any process in the stack's environment, to be stopped with it, and return at once."""
        # Where the folder is kept, the environment is its owner's, and so are the relative paths in it.
        cwd = None if self._kept_folder else self.folder
        log = self._log(name)
        service = Service(name, command, env=self.env, log=log, cwd=cwd, is_ready=is_ready, pass_fds=self._pass_fds)
        self._services.append(service)
        return service.start()

    def _start(self) -> None:
        self._make_folder()
        self.env = clean_environment()
        if self._destination is not None:
            destination = self.folder / "destination.yaml"
            destination.write_text(self._destination, encoding="utf-8")
            self.env["PIPELINE_DESTINATION"] = str(destination)
        if self._has_redis:
            self._start_redis()
        if self._has_emulator:
            self._start_emulator()
        self.env |= self._environ
        self._cleanup.callback(self._stop_services)
        begun = [self.begin_worker(name, *arguments) for name, arguments in dict(self._worker_arguments).items()]
        if self._has_beat:
            begun.append(self.begin_service("beat", pipeline_command("beat"), _says("beat: Starting...")))
        for service in begun:
            service.wait_until_ready()
            self._on_ready(service.name)
        for page in self._pages:  # after the workers: Flower asks once, as it starts, who there is
            self._start_page(page)
            self._on_ready(page.name)
        self._note_processes()

    def _make_folder(self) -> None:
        if self._kept_folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="pipeline-"))
            self._cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
            return
        self.folder = self._kept_folder.resolve()
        self._pass_fds = (self._cleanup.enter_context(claimed(self.folder)),)

    def _note_processes(self) -> None:
        if self._kept_folder is not None:
            note_processes(self.folder, [os.getpid(), *(service.pid for service in self.services)])

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _start_redis(self) -> None:
        self.redis = LocalRedis(
            self.folder / "redis",
            is_append_only=self._is_append_only,
            port=self._redis_port,
            log=self._log("redis"),
            pass_fds=self._pass_fds,
        )
        self._cleanup.enter_context(self.redis)
        self.addresses["redis"] = self.redis.url
        self.env |= {"PIPELINE_REDIS_URL": self.redis.url, "PIPELINE_BROKER_URL": self.broker_url}
        self._on_ready("redis")

    def _start_emulator(self) -> None:
        self.emulator = emulator_service(self._log("emulator"), *self._emulator_arguments, pass_fds=self._pass_fds)
        self._cleanup.callback(self.emulator.stop)
        self.emulator.start().wait_until_ready()
        self.addresses["emulator"] = address = emulator_address(self.emulator)
        # Started again, it has to be where the others look for it.
        self.emulator.command += ["--port", address.rpartition(":")[2]]
        self.env |= {**EMULATOR_CREDENTIALS, "SALESFORCE_ENDPOINT_URL": address}
        self._on_ready("emulator")

    def _start_page(self, page: Page) -> None:
        """Return when a page is ready; one that may listen anywhere gets another port where its own was taken."""
        for tries_left in reversed(range(_PORT_TRIES)):
            port = page.port or free_port()
            self.addresses[page.name] = address = f"http://{LOOPBACK}:{port}"
            service = self.begin_service(page.name, page.command(port), partial(page.is_ready, address))
            try:
                service.wait_until_ready()
            except ServiceFailed:
                if page.port or not tries_left or _TAKEN_PORT not in service.output():
                    raise
                self._services.remove(service)
            else:
                return

    def _stop_services(self) -> None:
        """Ask all to end before waiting for the first; an exception, as by a second Ctrl-C, ends all at once."""
        try:
            for service in self._services:
                service.begin_stop()
            with suppress(TimeoutError):
                wait_until(self._have_ended, what="the end of every service", within_s=STOP_WITHIN_S)
        finally:
            self.killed = [service.name for service in self._services if service.is_running]
            for service in self._services:
                service.kill()

    def _have_ended(self) -> bool:
        self.while_stopping()
        return not any(service.is_running for service in self._services)


def emulator_service(log: Path, *arguments: str, pass_fds: Sequence[int] = ()) -> Service:
    """Return a `pipeline emulator` on a free port; `emulator_address` tells where once it is ready."""
    return Service(
        "emulator",
        pipeline_command("emulator", "--port", "0", *arguments),
        env=clean_environment(),
        log=log,
        is_ready=lambda service: _EMULATOR_ADDRESS.search(service.output()),
        pass_fds=pass_fds,
    )


def emulator_address(emulator: Service) -> str:
    """Return the base URL that a ready emulator printed. Raises ServiceFailed if it printed none."""
    found = _EMULATOR_ADDRESS.search(emulator.output())
    if found is None:
        raise ServiceFailed(f"the emulator did not say where it listens\n{emulator.log_tail()}")
    return found[1]


def connect_producer(broker_url: str) -> None:
    """Point `send_event.delay` of this process at a broker, whichever it was pointed at before."""
    from celery.app.base import _after_fork_cleanup_app  # type: ignore[attr-defined]  # the stubs leave it out

    from pipeline import app
    from pipeline.sending import sender

    app.conf.update(broker_url=broker_url)
    sender.cache_clear()
    _after_fork_cleanup_app(app)  # forgets the connections to the former broker; `app.close` would forget the app


def _is_worker_ready(worker: Service) -> bool:
    return _WORKER_READY.search(worker.output()) is not None


def _says(words: str) -> ReadyCheck:
    return lambda service: words in service.output()
