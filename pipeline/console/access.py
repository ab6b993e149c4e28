"""Access: who may use the console, by which names it may be asked for, and how fast passwords may be tried."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

from pipeline.errors import ConfigurationError
from pipeline.settings.secrets import given_exactly

PASSWORD: Final = "PIPELINE_CONSOLE_PASSWORD"  # noqa: S105  (its variable's name)
# A Host header: an IPv6 address in brackets, or a name or an IPv4 address; then a port where it is not the default one.
_HOST = re.compile(r"(?:\[(?P<address>[^\[\]]+)\]|(?P<name>[^:\[\]/@\s]+))(?::\d+)?")

# A typing error or two costs nothing; then each failure doubles the wait, up to a minute.
_FREE_TRIES: Final = 3
_LONGEST_WAIT_S: Final = 60.0
_FORGOTTEN_AFTER_S: Final = 900.0
_MOST_CLIENTS: Final = 10_000  # that are remembered, so that nobody fills the memory
_IPV6_SITE_BITS: Final = 64  # what one customer of a provider has at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules. `url` is the address by which browsers come where a proxy stands before the console."""

    password: str | None = field(repr=False)
    address: str
    url: str | None = None

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by https."""
        return self.url is not None and self.url.startswith("https://")

    def is_right(self, password: str) -> bool:
        """Compare a password in a time that does not tell how much of it is right."""
        if self.password is None:
            return False
        return hmac.compare_digest(_hash(password), _hash(self.password))

    def is_own_name(self, host: str) -> bool:
        """Whether a Host header is one that no foreign web page can bring.

        A page elsewhere may point its own name at this machine (DNS rebinding), but comes with that name. Addresses
        are no names; where others are let in, under whatever name, the password stands before it.
        """
        match = _HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = match["address"] or match["name"]
        if name == "localhost" or _is_address(name) or (self.url is not None and name == urlsplit(self.url).hostname):
            return True
        return self.url is None and not is_loopback(self.address)

    def is_own_origin(self, origin: str, host: str) -> bool:
        """Whether the page that sends a form is one of this console, by the Origin and the Host header."""
        said = urlsplit(origin)
        if said.scheme not in {"http", "https"} or not said.netloc:
            return False
        own = {host.lower()} if self.url is None else {host.lower(), urlsplit(self.url).netloc.lower()}
        return said.netloc.lower() in own


def read_access(environ: Mapping[str, str], *, address: str, url: str | None = None) -> Access:
    """Read the password and check that nobody gets in without one. Raises ConfigurationError saying what to set."""
    if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc):
        raise ConfigurationError("--url is the address that browsers use; write it as https://console.example.com")
    password = _password(environ)
    if password is None and (url is not None or not is_loopback(address)):
        where = f"at {url}" if url is not None else f"on {address}"
        raise ConfigurationError(
            f"the console {where} can be reached from other machines and needs a password: set {PASSWORD}, or "
            f"{PASSWORD}_FILE to a file that holds it, or listen on --bind 127.0.0.1 alone"
        )
    return Access(password=password, address=address, url=url)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


class Throttle:
    """Counts refused passwords by where they come from. Times are seconds of any clock that only goes on."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._failed: dict[str, tuple[int, float]] = {}  # client → failures in a row, time of the last one

    def wait_s(self, client: str, now_s: float) -> float:
        """Return how long a client has to wait before it may try again; 0 where it may now."""
        with self._lock:
            failures, last_s = self._failed.get(_site(client), (0, 0.0))
        return max(0.0, last_s + _penalty_s(failures) - now_s)

    def fail(self, client: str, now_s: float) -> int:
        """Take note of a wrong password; returns how many there were in a row."""
        with self._lock:
            failures, last_s = self._failed.pop(_site(client), (0, now_s))
            if now_s - last_s > _FORGOTTEN_AFTER_S:
                failures = 0
            if len(self._failed) >= _MOST_CLIENTS:
                del self._failed[next(iter(self._failed))]  # whoever has not failed for longest
            self._failed[_site(client)] = (failures + 1, now_s)
        return failures + 1

    def succeed(self, client: str) -> None:
        """Forget the failures of whoever knows the password after all."""
        with self._lock:
            self._failed.pop(_site(client), None)


def _penalty_s(failures: int) -> float:
    beyond = failures - _FREE_TRIES
    return 0.0 if beyond < 0 else min(_LONGEST_WAIT_S, 2.0 ** min(beyond, 10))


def _site(client: str) -> str:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv4Address):
        return client
    return str(ipaddress.ip_network((address, _IPV6_SITE_BITS), strict=False))


def _password(environ: Mapping[str, str]) -> str | None:
    password = given_exactly(environ, PASSWORD)
    if password is None and environ.get(f"{PASSWORD}_FILE"):  # whoever names a file does not want an open door
        raise ConfigurationError(f"the file that {PASSWORD}_FILE names is empty; it has to hold the password")
    return password


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
