"""The emulator as a server: in the foreground for the command line, in a thread for tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any, Self, cast

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pipeline.emulator import org_file
from pipeline.emulator.control import Control
from pipeline.emulator.gate import Gate, Receive, Scope, Send
from pipeline.emulator.limits import DEFAULT_DAILY_LIMIT
from pipeline.emulator.org import InvalidSeed, Org
from pipeline.emulator.page import Page
from pipeline.emulator.rest_bulk import BulkJobs
from pipeline.emulator.rest_collections import Collections
from pipeline.emulator.rest_composite import Composites
from pipeline.emulator.rest_layouts import Layouts
from pipeline.emulator.rest_query import Reading
from pipeline.emulator.rest_rows import Rows
from pipeline.emulator.rest_search import Searching
from pipeline.emulator.rest_users import Passwords
from pipeline.emulator.router import Router
from pipeline.emulator.schema import Schema, standard_objects

LOOPBACK = "127.0.0.1"
# Longer than any test or demo waits between two requests; a real org keeps connections open for minutes too.
_KEEP_ALIVE_S = 75
# A start that takes longer than this has failed.
_START_TIMEOUT_S = 30.0


class _Protocol(HttpToolsProtocol):
    """Hands the transport to the application, which must be able to reset a connection."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["emulator.transport"] = self.transport


class Application:
    """The ASGI application: the API's paths go to the gate, everything else to the control API and the page."""

    def __init__(self, org: Org, *, latency_ms: float = 0.0, host: str = LOOPBACK) -> None:
        self.org = org
        router = Router()
        rows = Rows(org, router)
        Layouts(rows, router)
        Passwords(org, router)
        Collections(org, rows, router)
        Composites(org, rows, router)
        Reading(org, router)
        Searching(org, router)
        BulkJobs(org, rows, router)
        self.gate = Gate(org, router, latency_ms=latency_ms)
        self._rest: ASGIApp = Starlette(routes=[*Control(org).routes(), *Page(org, host).routes()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"].startswith(("/services/", "/id/")):
            await self.gate(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def build(
    *,
    host: str = LOOPBACK,
    latency_ms: float = 0.0,
    daily_limit: int = DEFAULT_DAILY_LIMIT,
    org_path: str | None = None,
    path: str | None = None,
) -> Application:
    """Put an emulator together; ``org_path`` names an org file (YAML), ``path`` a database file to keep.

    ``host`` is the name by which the page may be asked for, beside localhost and addresses.
    """
    schema = Schema(standard_objects())
    seed = org_file.load(org_path, schema) if org_path else None
    try:
        org = Org(schema=schema, seed=seed, path=path, daily_limit=daily_limit)
    except InvalidSeed as problem:
        raise InvalidSeed(f"{org_path}: {problem}") from None
    return Application(org, latency_ms=latency_ms, host=host)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle off only on sockets that say they are TCP; with it each reply waits for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(1024)
    return listener


def _server(application: Application) -> uvicorn.Server:
    config = uvicorn.Config(
        cast("Any", application),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def serve(
    *,
    host: str = LOOPBACK,
    port: int = 0,
    latency_ms: float = 0.0,
    daily_limit: int = DEFAULT_DAILY_LIMIT,
    org_path: str | None = None,
    path: str | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted; ``ready`` is called with the address once connections are taken."""
    application = build(host=host, latency_ms=latency_ms, daily_limit=daily_limit, org_path=org_path, path=path)
    listener = listen(host, port)
    if ready is not None:
        ready(address_of(listener))
    try:
        _server(application).run(sockets=[listener])
    finally:
        listener.close()
        application.org.close()


def address_of(listener: socket.socket) -> str:
    """Return the address of a listening socket as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Running:
    """An emulator in a thread of this process; ``url`` is its address. Use it as a context manager."""

    def __init__(self, application: Application, *, host: str = LOOPBACK, port: int = 0) -> None:
        self.application = application
        self._listener = listen(host, port)
        self.url = address_of(self._listener)
        self._server = _server(application)
        self._thread = threading.Thread(target=self._run, name="emulator", daemon=True)

    @property
    def org(self) -> Org:
        """The org behind the address; touch it from another thread only while no request is running."""
        return self.application.org

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])

    def __enter__(self) -> Self:
        """Start; the socket is already listening, so a client may connect at once."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop and release the port."""
        self._server.should_exit = True
        self._thread.join(_START_TIMEOUT_S)
        self._listener.close()
        self.org.close()
