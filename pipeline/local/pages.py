"""Pages: the pipeline's commands that answer over HTTP, as Flower does, and how they are started beside the workers."""

import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from pipeline.local.service import LOOPBACK, Service, pipeline_command


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`pipeline NAME --address 127.0.0.1 --port PORT OPTIONS`, which answers 200 at `ready_path` once it is up."""

    name: str
    port: int = 0  # 0 takes a free one
    options: Sequence[str] = ()
    ready_path: str = "/"  # one that asks for no password

    def command(self, port: int) -> list[str]:
        """Return the command that serves it on a port of loopback."""
        return pipeline_command(self.name, "--address", LOOPBACK, "--port", str(port), *self.options)

    def is_ready(self, address: str, service: Service) -> bool:
        """Tell whether the page answers at its address."""
        return service.is_running and _answers(f"{address}{self.ready_path}")


def flower(*options: str, port: int = 0) -> Page:
    """Return Flower with options of `pipeline flower`."""
    return Page(name="flower", port=port, options=options, ready_path="/healthcheck")


def console(*, port: int = 0) -> Page:
    """Return the console; it asks for a password where PIPELINE_CONSOLE_PASSWORD is set."""
    return Page(name="console", port=port, ready_path="/health")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310  (our own loopback address)
            return bool(response.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False
