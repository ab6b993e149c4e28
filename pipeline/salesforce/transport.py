"""How requests travel: with timeouts, over connections that are kept, and to an emulator where one is named.

simple-salesforce sets no timeout and writes https://….salesforce.com into every address, so both are put right here,
below it, in the adapter of the `requests` session that all of it goes through.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from pipeline.errors import ConfigurationError
from pipeline.salesforce.errors import NoAnswer

# A handshake takes a few round trips, so what takes longer than this is not answering.
CONNECT_TIMEOUT_S = 5.0
# A composite of 1,000 records runs triggers and flows 200 records at a time and may need tens of seconds. Salesforce
# itself gives up after 10 minutes, but a lease has to outlive the wait, so it cannot be as long as that.
READ_TIMEOUT_S = 60.0
# A pool's connection that has been idle this long may have been dropped silently on the way; a write sent into it
# would have an uncertain outcome. A new handshake costs a tenth of a second.
LONGEST_IDLE_S = 30.0

# Told of each request that may have reached Salesforce: its kind, as "lookup" or "login", and the seconds it took.
OnCall: TypeAlias = Callable[[str, float], None]

_NEVER_CONNECTED = (ConnectTimeoutError, NewConnectionError, NameResolutionError, ProxyError)


class Transport(HTTPAdapter):
    """The adapter: timeouts on every request, no retries of its own (a repeated write could be carried out twice).

    `endpoint_url`: every request goes there instead, path and query unchanged, whatever host it names, and past any
    proxy; nothing can reach a real org then. `read_timeout_s` bounds the wait for the answer's first byte, and again
    the time its body takes.
    """

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._endpoint = _checked(endpoint_url) if endpoint_url else None
        self._timeout_s = (connect_timeout_s, read_timeout_s)
        self._last_used = time.monotonic()
        self._process = os.getpid()
        super().__init__(max_retries=0)

    @property
    def slowest_request_s(self) -> float:
        """The longest a request can take, in seconds: a lease has to outlive it.

        A host with several addresses may take the time to connect once for each of them that does not answer.
        """
        connect_s, read_s = self._timeout_s
        return connect_s + 2 * read_s

    def session(self) -> requests.Session:
        """Return a session whose requests all go through this adapter."""
        session = requests.Session()
        session.auth = _as_it_is
        session.mount("https://", self)
        session.mount("http://", self)
        return session

    def send(  # noqa: PLR0917  (the signature is that of requests)
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send one request. Raises what `requests` raises; `no_answer` tells what that means."""
        now = time.monotonic()
        # A forked process must not speak into its parent's connections.
        if now - self._last_used > LONGEST_IDLE_S or self._process != os.getpid():
            self.poolmanager.clear()
            self._process = os.getpid()
        if self._endpoint is not None:
            address = urlsplit(request.url or "")
            request.url = urlunsplit((*self._endpoint, address.path, address.query, ""))
            proxies = None
        response = super().send(request, stream, timeout or self._timeout_s, verify, cert, proxies)
        response.raw = _Bounded(response.raw, time.monotonic() + self._timeout_s[1])
        self._last_used = time.monotonic()
        return response


class _Bounded:
    """A response body that has to arrive by a deadline, however steadily it trickles.

    Reads what is there instead of waiting for whole blocks, or the deadline would be looked at once a block.
    """

    def __init__(self, raw: Any, deadline: float) -> None:
        self._raw = raw
        self._deadline = deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, amt: int, *, decode_content: bool) -> Iterator[bytes]:
        while chunk := self._raw.read1(amt, decode_content=decode_content):
            if time.monotonic() > self._deadline:
                raise ReadTimeoutError(self._raw, "", "the body took too long")
            yield chunk


def _checked(endpoint_url: str) -> tuple[str, str]:
    address = urlsplit(endpoint_url)
    if address.scheme not in {"http", "https"} or not address.netloc or address.path.strip("/"):
        raise ConfigurationError(
            "SALESFORCE_ENDPOINT_URL has to be a scheme and a host, as http://127.0.0.1:8080; unset it for a real org"
        )
    return address.scheme, address.netloc


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand in for `requests`' own choice, which would replace our Authorization header by an entry of ~/.netrc."""
    return request


def no_answer(error: Exception) -> NoAnswer:
    """Tell whether a request that `requests` or urllib3 gave up on can have reached Salesforce."""
    for cause in _causes(error):
        if isinstance(cause, _NEVER_CONNECTED):
            return NoAnswer(sent=False, why=f"could not connect: {type(cause).__name__}")
        # Handshake errors come wrapped by the pool, whose job ends when the headers are there; after the connection
        # stands, an SSL error may just as well strike while the answer is read, so only a refused certificate is sure.
        if isinstance(cause, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(cause):
            return NoAnswer(sent=False, why="the server's certificate is not trusted")
    return NoAnswer(sent=True, why=type(error).__name__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk down to what `requests` and urllib3 wrapped."""
    todo: list[BaseException] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, MaxRetryError) and one.reason is not None:
            todo.append(one.reason)
        todo.extend(part for part in one.args if isinstance(part, BaseException))
        if one.__cause__ is not None:
            todo.append(one.__cause__)
