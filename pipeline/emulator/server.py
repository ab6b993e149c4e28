"""The emulator as a server: in the foreground for the command line, in a thread for tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pipeline.emulator import org_file, tls
from pipeline.emulator.control import Control
from pipeline.emulator.gate import Gate, Receive, Scope, Send
from pipeline.emulator.limits import DEFAULT_DAILY_LIMIT
from pipeline.emulator.org import InvalidSeed, Org
from pipeline.emulator.page import Page
from pipeline.emulator.rest_bulk import BulkJobs
from pipeline.emulator.rest_collections import Collections
from pipeline.emulator.rest_composite import Composites
from pipeline.emulator.rest_graph import Graphs
from pipeline.emulator.rest_layouts import Layouts
from pipeline.emulator.rest_query import Reading
from pipeline.emulator.rest_rows import Rows
from pipeline.emulator.rest_search import Searching
from pipeline.emulator.rest_users import Passwords
from pipeline.emulator.router import Router
from pipeline.emulator.schema import Schema, standard_objects
from pipeline.emulator.tls import Certificates, Proxy
from pipeline.emulator.tooling import Tooling

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
        Graphs(Composites(org, rows, router), router)
        Reading(org, router)
        Searching(org, router)
        BulkJobs(org, rows, router)
        Tooling(org, router)
        self.gate = Gate(org, rows, router, latency_ms=latency_ms)
        self._rest: ASGIApp = Starlette(routes=[*Control(org).routes(), *Page(org, host).routes()])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and _is_api(scope["path"]):
            await self.gate(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def _is_api(path: str) -> bool:
    """Whether the gate answers a path; Salesforce serves ``//services/data`` as well, which its CLI asks for."""
    return path.startswith(("/services/", "/id/")) or path.lstrip("/").startswith(("services/", "id/"))


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


class _Server(uvicorn.Server):
    """The server, and the proxy that leads https requests to it when there is one."""

    def __init__(self, config: uvicorn.Config, proxy: Proxy | None) -> None:
        super().__init__(config)
        self._proxy = proxy

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests."""
        await super().startup(sockets)
        if self._proxy is not None:
            await self._proxy.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests."""
        if self._proxy is not None:
            self._proxy.close()
        await super().shutdown(sockets)


@dataclass(frozen=True, slots=True)
class Secured:
    """An org's certificates and the address of its proxy."""

    certificates: Certificates
    proxy_listener: socket.socket

    @classmethod
    def prepare(cls, host: str) -> Self:
        """Make certificates, and listen for the proxy on a free port of this machine."""
        further = () if host in {"localhost", LOOPBACK} or not host[:1].isalpha() else (host,)
        return cls(tls.make(further), listen(LOOPBACK, 0))

    @property
    def proxy_url(self) -> str:
        """The proxy's address."""
        return address_of(self.proxy_listener)


def _server(application: Application, listener: socket.socket, secured: Secured | None) -> uvicorn.Server:
    config = uvicorn.Config(
        cast("Any", application),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )
    if secured is None:
        return _Server(config, None)
    with secured.certificates.chain_file() as name:
        config.ssl_certfile = name
        # The key is read now, so that its file can go at once.
        config.load()
    host, port = listener.getsockname()[:2]
    # The address of every interface is none to connect to.
    target = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 - it is compared, not bound
    return _Server(config, Proxy(secured.proxy_listener, (target, port)))


def serve(
    *,
    host: str = LOOPBACK,
    port: int = 0,
    latency_ms: float = 0.0,
    daily_limit: int = DEFAULT_DAILY_LIMIT,
    org_path: str | None = None,
    path: str | None = None,
    authority_file: str | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted; ``ready`` is told where, once connections are taken.

    With ``authority_file`` the org is served by https; the authority that clients have to trust is written there.
    """
    application = build(host=host, latency_ms=latency_ms, daily_limit=daily_limit, org_path=org_path, path=path)
    listener = listen(host, port)
    try:
        secured = Secured.prepare(host) if authority_file is not None else None
        server = _server(application, listener, secured)
        told = address_of(listener)
        if authority_file is not None and secured is not None:
            authority = Path(authority_file).resolve()
            authority.write_bytes(secured.certificates.authority)
            url = address_of(listener, "https")
            told = f"{url}\n{tls.how_to(url, str(authority), secured.proxy_url)}"
        if ready is not None:
            ready(told)
        server.run(sockets=[listener])
    finally:
        listener.close()
        application.org.close()


def address_of(listener: socket.socket, scheme: str = "http") -> str:
    """Return the address of a listening socket as a URL."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class Running:
    """An emulator in a thread of this process; ``url`` is its address. Use it as a context manager.

    With ``tls`` it speaks https; ``secured`` then has the authority that a client must trust, and the proxy.
    """

    def __init__(self, application: Application, *, host: str = LOOPBACK, port: int = 0, tls: bool = False) -> None:
        self.application = application
        self._listener = listen(host, port)
        self.secured = Secured.prepare(host) if tls else None
        self.url = address_of(self._listener, "https" if tls else "http")
        self._server = _server(application, self._listener, self.secured)
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
