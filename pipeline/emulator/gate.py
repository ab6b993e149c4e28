"""The way of a request through the org: faults, latency, session, limits, the resource, and the reply's headers."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import socket
import struct
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from pipeline.emulator import errors, soap
from pipeline.emulator.auth import ORG_ID
from pipeline.emulator.drafts import UnparsableError
from pipeline.emulator.errors import ApiError
from pipeline.emulator.faults import Rule
from pipeline.emulator.http import Call, Reply, header_name, parse_query, split_path
from pipeline.emulator.oauth import OAuth, visit_of
from pipeline.emulator.org import Org
from pipeline.emulator.positions import position_of
from pipeline.emulator.rest_bulk1 import AsyncError, AsyncJobs, refusal
from pipeline.emulator.rest_composite import charge_of
from pipeline.emulator.rest_query import FIRST_RETIRED, NEWEST, OLDEST, versions
from pipeline.emulator.rest_rows import Rows
from pipeline.emulator.router import Router
from pipeline.emulator.soap import Soap
from pipeline.emulator.soap_partner import Partner

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Replies at least this long are worth compressing, at the quickest level.
_GZIP_FROM = 2_048
# A request may be at most this large (SOAP API guide: 50 MB; Bulk API 2.0 guide: 150 MB for job data).
_MOST_BYTES = 50 * 1024 * 1024
_MOST_JOB_BYTES = 150 * 1024 * 1024
# Longer than this, a URI is refused with 414 (REST API guide, status codes; Limits cheat sheet: 16,384 bytes).
_MOST_URI = 16_384
_DATE, _ENCODING, _TYPE, _LENGTH = map(header_name, ("Date", "Content-Encoding", "Content-Type", "Content-Length"))
# Request headers of Salesforce's own that are read (REST API guide: Headers).
_KNOWN_HEADERS = frozenset(
    {"sforce-auto-assign", "sforce-call-options", "sforce-duplicate-rule-header", "sforce-mru", "sforce-query-options"}
)
_CONDITIONS = frozenset({"if-match", "if-none-match", "if-unmodified-since"})
_PACKAGE_HEADER = "x-sfdc-packageversion-"
_VERSION = re.compile(r"v(\d+)\.0")
_SOAP_SEGMENTS = 4  # services/Soap/<kind>/<version>
_SOAP_KINDS = frozenset({"u", "c"})
# The resource of a user's password, without the Id: all that a session with an expired password may use.
_PASSWORD = ("sobjects", "User", "password")


@dataclass(slots=True)
class _Asked:
    """A request as it came, its path in segments, with the fault that meets it and whether the org is crowded."""

    method: str
    segments: tuple[str, ...]
    query: str
    headers: dict[str, str]
    raw: bytes
    fault: Rule | None
    base_url: str
    crowded: bool

    @property
    def error(self) -> Rule | None:
        """The fault that stands in for the answer of a resource."""
        return self.fault if self.fault is not None and self.fault.fault == "error" else None


class Gate:
    """An ASGI application for everything under /services and /id."""

    def __init__(self, org: Org, rows: Rows, router: Router, *, latency_ms: float = 0.0) -> None:
        self.org = org
        self.router = router
        self.latency_ms = latency_ms
        self._oauth = OAuth(org)
        self._async_jobs = AsyncJobs(org, rows)
        self._soap = Soap(org.auth, org.limits, Partner(org, rows))
        self._dated = (0, b"")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        method, path = scope["method"], scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        raw = await _body(receive)
        rules = self.org.faults.of_request(method, path)
        delay = self.latency_ms / 1000 + sum(rule.delay_s() for rule in rules if rule.fault == "slow")
        fault = next((rule for rule in rules if rule.fault != "slow"), None)
        crowded = self.org.limits.crowded()
        if delay > 0 and not crowded:
            await self._wait(delay)
        charged = self.org.limits.total
        reply: Reply | None = None
        if fault is None or fault.fault != "reset_before":
            reply = self._answer(scope, method, headers, raw, fault, crowded=crowded)
        if fault is not None and fault.fault == "reset_after":
            reply = None
        self.org.requests.add(
            method,
            path,
            scope["query_string"],
            status=reply.status if reply else None,
            calls=self.org.limits.total - charged,
            seconds=time.perf_counter() - started,
        )
        if reply is None:
            _reset(scope)
            return
        body, out = self._encode(reply, headers, method)
        start = {"type": "http.response.start", "status": reply.status, "headers": out}
        await send(start)
        if fault is not None and fault.fault == "truncated":
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            _close(scope)
            return
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    async def _wait(self, delay: float) -> None:
        """Let a request take its time without holding up others; it counts as running meanwhile."""
        token = self.org.limits.begin()
        try:
            await asyncio.sleep(delay)
        finally:
            self.org.limits.end(token)

    def _encode(self, reply: Reply, headers: dict[str, str], method: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        body = reply.encode(pretty=headers.get("x-prettyprint") == "1")
        out: list[tuple[bytes, bytes]] = [(_DATE, self._date())]
        out += [(header_name(name), value.encode("latin-1")) for name, value in reply.headers.items()]
        if len(body) >= _GZIP_FROM and "gzip" in headers.get("accept-encoding", "") and method != "HEAD":
            body = gzip.compress(body, compresslevel=1, mtime=0)
            out.append((_ENCODING, b"gzip"))
        if reply.status not in {204, 304}:
            if body:
                out.append((_TYPE, reply.content_type.encode()))
            out.append((_LENGTH, str(len(body)).encode()))
        return body, out

    def _date(self) -> bytes:
        """Return the time as the Date header has it; it is put together once a second."""
        second = int(time.time())
        if second != self._dated[0]:
            self._dated = second, formatdate(second, usegmt=True).encode()
        return self._dated[1]

    def _answer(
        self, scope: Scope, method: str, headers: dict[str, str], raw: bytes, fault: Rule | None, *, crowded: bool
    ) -> Reply:
        """Answer a request, faults that stand in for an answer included."""
        raw_path: str = scope["raw_path"].decode("latin-1")
        if fault is not None and fault.before_the_org:
            return _failure(fault)
        with contextlib.suppress(zlib.error, OSError, EOFError):
            if headers.get("content-encoding") == "gzip":
                raw = gzip.decompress(raw)
        segments = split_path(raw_path)
        if len(raw_path) + len(scope["query_string"]) > _MOST_URI:
            return self._refused(errors.refuse(414, "URI_TOO_LONG", "The URI is too long"))
        if len(raw) > (_MOST_JOB_BYTES if segments[-1:] == ("batches",) else _MOST_BYTES):
            return self._refused(errors.refuse(413, "EXCEEDED_MAX_SIZE_REQUEST", "The request is too large"))
        base_url = base_url_of(headers.get("host", ""), scope["scheme"])
        query = scope["query_string"].decode("latin-1")
        asked = _Asked(method, segments, query, headers, raw, fault, base_url, crowded)
        if segments[:2] == ("services", "data"):
            return self._data(asked, segments[2:])
        if segments[:2] == ("services", "async"):
            return self._async(asked, segments[2:])
        return self._elsewhere(asked)

    def _async(self, asked: _Asked, segments: tuple[str, ...]) -> Reply:
        """Answer a request to Bulk API 1.0, which names its session in a header of its own."""
        try:
            version = _version(f"v{segments[0]}" if segments else "")
            user_id = self._user_of(asked.headers.get("x-sfdc-session", ""), asked.fault, ())
            call = _call(asked, version, segments[1:], user_id)
            self._charge(call, asked, "bulk_1")
            if asked.error is None:
                return self._async_jobs.answer(call)
            refused: ApiError | AsyncError = AsyncError(asked.error.code, asked.error.message)
        except (ApiError, AsyncError) as problem:
            refused = problem
        return refusal(refused, asked.headers)

    def _elsewhere(self, asked: _Asked) -> Reply:
        """Answer a request to another API than REST."""
        segments, error = asked.segments, asked.error
        if segments[:2] == ("services", "Soap") and len(segments) >= _SOAP_SEGMENTS and segments[2] in _SOAP_KINDS:
            if error is not None:
                return soap.fault(error.code, error.message)
            call = Call(asked.method, segments[3], ("soap",), {}, asked.headers, asked.raw, base_url=asked.base_url)

            def admit(token: str, call: Call) -> str:
                user_id = self._user_of(token, asked.fault, ())
                self._charge(call, asked, "soap")
                return user_id

            return self._soap.answer(call, segments[2], admit)
        if segments[:2] == ("services", "oauth2") or segments[:1] == ("id",):
            if error is not None:
                return Reply(error.status, {"error": error.code, "error_description": error.message})
            visit = visit_of(asked.method, segments, asked.query, asked.headers, asked.raw, asked.base_url)
            return self._oauth.answer(visit)
        return self._refused(errors.not_found())

    # Data.

    def _data(self, asked: _Asked, segments: tuple[str, ...]) -> Reply:
        if not segments:
            return Reply(200, versions())
        try:
            version = _version(segments[0])
            user_id = self._session(asked.headers, asked.fault, segments[1:])
            call = _call(asked, version, segments[1:], user_id)
            found = self.router.find(call.path)
            counted_as = found[0].resource if found else "unknown" if call.path else "resources"
            self._charge(call, asked, counted_as)
            if asked.error is not None:
                raise errors.refuse(asked.error.status, asked.error.code, asked.error.message)
            _check_headers(asked.headers)
            reply = self._resources(call) if not call.path else self.router.answer_as_found(call, found)
        except UnparsableError as refused:
            line, column = position_of(asked.raw, refused.path)
            reply = self._refused(errors.json_invalid(refused.problem.message, line, column))
        except ApiError as refused:
            reply = self._refused(refused)
        reply.headers["Sforce-Limit-Info"] = self.org.limits.header()
        return reply

    def _session(self, headers: dict[str, str], fault: Rule | None, path: tuple[str, ...]) -> str:
        """Return the user of the request's session; raise 401, or 403 when only a new password is allowed."""
        given = headers.get("authorization")
        kind, _, token = (given or "").partition(" ")
        if kind.lower() not in {"bearer", "oauth"} or not token:
            raise errors.header_invalid() if given else errors.session_invalid()
        return self._user_of(token.strip(), fault, path)

    def _user_of(self, token: str, fault: Rule | None, path: tuple[str, ...]) -> str:
        """Return the user of a session; as _session."""
        if fault is not None and fault.fault == "expired_session":
            self.org.auth.kill(token)
        session = self.org.auth.session(token)
        if session is None:
            raise errors.session_invalid()
        if session.user.password_expired and path[:2] + path[3:] != _PASSWORD:
            message = (
                "The users password has expired, you must call SetPassword before attempting any other API operations"
            )
            raise errors.refuse(403, "INVALID_OPERATION_WITH_EXPIRED_PASSWORD", message)
        return session.user.record_id

    def _charge(self, call: Call, asked: _Asked, resource: str) -> None:
        """Count the call under the name of its resource, or raise 403 when the allowance is used up."""
        limits = self.org.limits
        fault = asked.fault.fault if asked.fault is not None else None
        if asked.crowded or fault == "concurrent":
            limits.refused += 1
            raise errors.limit_exceeded("ConcurrentRequests (Concurrent API Requests)")
        if fault == "quota" or limits.exhausted():
            limits.refused += 1
            raise errors.limit_exceeded()
        limits.charge(resource, charge_of(call))

    def _resources(self, call: Call) -> Reply:
        names = (
            "sobjects",
            "query",
            "queryAll",
            "search",
            "parameterizedSearch",
            "limits",
            "composite",
            "recent",
            "jobs",
            "tooling",
        )
        resources = {name: f"{call.root}/{name}" for name in names}
        return Reply(200, {**resources, "identity": f"{call.base_url}/id/{ORG_ID}/{call.user_id}"})

    @staticmethod
    def _refused(refused: ApiError) -> Reply:
        return Reply(refused.status, refused.body, dict(refused.headers))


def _call(asked: _Asked, version: str, path: tuple[str, ...], user_id: str) -> Call:
    query = parse_query(asked.query)
    return Call(asked.method, version, path, query, asked.headers, asked.raw, user_id, base_url=asked.base_url)


def base_url_of(host: str, scheme: str = "http") -> str:
    """Return the address that replies name: an org's own host for a Salesforce host, any other as it is.

    A client whose transport rewrites hosts thereby stays on Salesforce names, and one that talks to the emulator
    directly is sent back to it.
    """
    name = host.partition(":")[0].lower()
    if name.endswith(".salesforce.com"):
        own = name if name.endswith(".my.salesforce.com") else "emulator.my.salesforce.com"
        _, colon, port = host.partition(":")
        return f"https://{own}{colon}{port}"
    return f"{scheme}://{host}"


@lru_cache(maxsize=256)  # an error is not kept
def _version(segment: str) -> str:
    """Return the version a path names; raise 404, or 410 for a retired one."""
    match = _VERSION.fullmatch(segment)
    number = int(match.group(1)) if match else 0
    if FIRST_RETIRED <= number < OLDEST:
        raise errors.refuse(410, "GONE", f"The requested API version v{number}.0 has been retired")
    if not OLDEST <= number <= NEWEST:
        raise errors.not_found()
    return f"{number}.0"


@lru_cache(maxsize=256)
def _unread(names: tuple[str, ...]) -> str | None:
    """Return what the first header asks that nobody reads; clients send the same names again and again."""
    for name in names:
        if name.startswith("sforce-") and name not in _KNOWN_HEADERS:
            return f"the header {name}"
        if name in _CONDITIONS:
            return f"the header {name}; If-Modified-Since is"
        if name.startswith(_PACKAGE_HEADER):
            return f"the header {name}: no packages are installed"
    return None


def _check_headers(headers: Mapping[str, str]) -> None:
    """Refuse what a header asks and this emulator does not do, so that nothing asked for is passed over."""
    if "sforce-call-options" in headers and "defaultnamespace" in headers["sforce-call-options"].lower():
        raise errors.not_covered("defaultNamespace of the header sforce-call-options: no packages are installed")
    unread = _unread(tuple(headers))
    if unread is not None:
        raise errors.not_covered(unread)
    accepted = headers.get("accept", "")
    if "xml" in accepted and "json" not in accepted and "*/*" not in accepted:
        raise errors.not_covered("answers in XML; send Accept: application/json")


def _failure(fault: Rule) -> Reply:
    """Return a reply from in front of the org, or from its depths."""
    if fault.html:
        page = b"<html><head><title>Service Unavailable</title></head><body>We are down for maintenance.</body></html>"
        return Reply(fault.status, page, content_type="text/html;charset=UTF-8")
    return Reply(fault.status, errors.refuse(fault.status, fault.code, fault.message).body)


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


def _reset(scope: Scope) -> None:
    """Reset the connection: the client sees ECONNRESET, not a clean end."""
    transport = scope["emulator.transport"]
    connection = transport.get_extra_info("socket")
    # Lingering for no time at all is what makes the kernel send a reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _close(scope: Scope) -> None:
    """Close the connection after what was written has left."""
    scope["emulator.transport"].close()
