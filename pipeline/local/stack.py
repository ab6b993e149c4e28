"""LocalStack: the whole system on this machine, with every service a process of its own."""

import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.local.redis_server import LocalRedis, free_port
from pipeline.local.service import (
    LOOPBACK,
    ReadyCheck,
    Service,
    ServiceFailed,
    clean_environment,
    ending_on_sigterm,
    pipeline_command,
)

# What the emulator accepts unless it is given an org of its own, by OAuth's client credentials flow.
EMULATOR_CREDENTIALS: Mapping[str, str] = {"SALESFORCE_CONSUMER_KEY": "key", "SALESFORCE_CONSUMER_SECRET": "secret"}

TWO_WORKERS: Mapping[str, Sequence[str]] = {"worker-1": (), "worker-2": ()}

_EMULATOR_ADDRESS = re.compile(r"emulator listening on (http://\S+)")
_WORKER_READY = re.compile(r"@\S+ ready\.")
_TAKEN_PORT = "Address already in use"
_PORT_TRIES = 5


class LocalStack:
    """Redis, an emulated org, workers, beat and Flower, for as long as the context lasts.

    `workers` maps a name to the arguments of `pipeline worker`; `destination` is the text of destination.yaml;
    `environ` is added to every service's environment; `broker_url` names a broker other than the stack's own Redis.
    Nothing of the caller's own `PIPELINE_` and `SALESFORCE_` variables gets in, so that a local run never reaches a
    real org. Raises ServiceFailed, with the end of the log, when a service does not get ready.
    """

    def __init__(
        self,
        *,
        workers: Mapping[str, Sequence[str]] = TWO_WORKERS,
        destination: str = "{}\n",
        environ: Mapping[str, str] | None = None,
        emulator_arguments: Sequence[str] = (),
        has_beat: bool = True,
        has_flower: bool = False,
        is_append_only: bool = False,
        broker_url: str | None = None,
    ) -> None:
        self._broker_url = broker_url
        self._worker_arguments = dict(workers)
        self._destination = destination
        self._environ = dict(environ or {})
        self._emulator_arguments = tuple(emulator_arguments)
        self._has_beat, self._has_flower = has_beat, has_flower
        self._is_append_only = is_append_only
        self._cleanup = ExitStack()
        self._services: list[Service] = []  # in the order of starting; ends before the emulator and Redis do
        self.folder = Path()
        self.env: dict[str, str] = {}
        self.emulator_url = ""
        self.flower_url = ""
        self.redis: LocalRedis
        self.emulator: Service

    @property
    def broker_url(self) -> str:
        """Where events are sent to: the stack's own Redis, unless it was given another broker."""
        return self._broker_url or self.redis.url

    @property
    def services(self) -> list[Service]:
        """Every process of the stack, in the order of starting."""
        return [self.redis.service, self.emulator, *self._services]

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
        """Stop everything in order, and remove the folder."""
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
        log = self.folder / f"{name}.log"
        service = Service(name, command, env=self.env, log=log, cwd=self.folder, is_ready=is_ready)
        self._services.append(service)
        return service.start()

    def _start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pipeline-"))
        self._cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
        destination = self.folder / "destination.yaml"
        destination.write_text(self._destination, encoding="utf-8")
        self.redis = self._cleanup.enter_context(LocalRedis(self.folder / "redis", is_append_only=self._is_append_only))
        self.env = {
            **clean_environment(),
            "PIPELINE_REDIS_URL": self.redis.url,
            "PIPELINE_BROKER_URL": self.broker_url,
            "PIPELINE_DESTINATION": str(destination),
            **EMULATOR_CREDENTIALS,
        }
        self.emulator = emulator_service(self.folder / "emulator.log", *self._emulator_arguments)
        self._cleanup.callback(self.emulator.stop)
        self.emulator.start().wait_until_ready()
        self.emulator_url = emulator_address(self.emulator)
        self.env |= {"SALESFORCE_ENDPOINT_URL": self.emulator_url, **self._environ}
        self._cleanup.callback(_stop_together, self._services)
        begun = [self.begin_worker(name, *arguments) for name, arguments in dict(self._worker_arguments).items()]
        if self._has_beat:
            begun.append(self.begin_service("beat", pipeline_command("beat"), _says("beat: Starting...")))
        if self._has_flower:
            self._start_flower()
        for service in begun:
            service.wait_until_ready()

    def _start_flower(self) -> None:
        for _ in range(_PORT_TRIES):
            port = free_port()
            self.flower_url = f"http://{LOOPBACK}:{port}"
            command = pipeline_command("flower", "--address", LOOPBACK, "--port", str(port))
            flower = self.begin_service("flower", command, lambda _: _answers_http(self.flower_url))
            try:
                flower.wait_until_ready()
            except ServiceFailed:
                if _TAKEN_PORT not in flower.output():
                    raise
                self._services.remove(flower)
            else:
                return
        raise ServiceFailed("flower found no port to listen on")


def emulator_service(log: Path, *arguments: str) -> Service:
    """Return a `pipeline emulator` on a free port; `emulator_address` tells where once it is ready."""
    return Service(
        "emulator",
        pipeline_command("emulator", "--port", "0", *arguments),
        env=clean_environment(),
        log=log,
        is_ready=lambda service: _EMULATOR_ADDRESS.search(service.output()),
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

    app.conf.update(broker_url=broker_url)
    _after_fork_cleanup_app(app)  # forgets the connections to the former broker; `app.close` would forget the app


def _is_worker_ready(worker: Service) -> bool:
    return _WORKER_READY.search(worker.output()) is not None


def _says(words: str) -> ReadyCheck:
    return lambda service: words in service.output()


def _answers_http(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310  (our own loopback address)
            return bool(response.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False


def _stop_together(services: Iterable[Service]) -> None:
    """Ask all to end before waiting for the first, so that stopping takes as long as the slowest one."""
    for service in services:
        service.begin_stop()
    with ExitStack() as stopping:  # one that resists does not keep the others alive
        for service in services:
            stopping.callback(service.stop)
