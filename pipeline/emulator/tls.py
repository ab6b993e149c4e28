"""https for an emulated org: an authority, a certificate for Salesforce's hosts, and a proxy that leads to the org.

The authority's private key never leaves this process's memory and is made anew at each start. Its certificate may sign
for Salesforce's domains and this machine alone (name constraints, RFC 5280 section 4.2.1.10), so that trusting it opens
nothing else. The proxy answers CONNECT (RFC 9110 section 9.3.6) for those hosts only, and connects to nothing but the
org.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# The hosts of login and of orgs of every kind (Salesforce Help, "My Domain URL Formats"); a wildcard is one label.
HOSTS = (
    "salesforce.com",
    "*.salesforce.com",
    "*.my.salesforce.com",
    "*.sandbox.my.salesforce.com",
    "*.develop.my.salesforce.com",
    "*.scratch.my.salesforce.com",
    "localhost",
)
_DOMAINS = ("salesforce.com", "localhost")
_ADDRESSES = ("127.0.0.1", "::1")
_DAYS = 30
# What the start of a CONNECT request may hold at most, and how long it may take to come.
_MOST_HEAD = 16_384
_HEAD_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority's certificate, and a key with its certificate that the authority signed, in PEM."""

    authority: bytes
    chain: bytes

    @contextlib.contextmanager
    def chain_file(self) -> Iterator[str]:
        """Give the name of a file with key and certificate that nobody else can read and that is gone afterwards."""
        handle, name = tempfile.mkstemp(suffix=".pem")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.chain)
            yield name
        finally:
            Path(name).unlink()


def make(names: tuple[str, ...] = ()) -> Certificates:
    """Return a new authority and a certificate for Salesforce's hosts, this machine and further ``names`` of it."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Salesforce emulator of this machine")])
    domains = [x509.DNSName(domain) for domain in (*_DOMAINS, *names)]
    networks = [x509.IPAddress(ip_network(address)) for address in _ADDRESSES]
    authority = (
        _builder(issuer, issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints([*domains, *networks], None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    hosts = [x509.DNSName(host) for host in (*HOSTS, *names)]
    addresses = [x509.IPAddress(ip_address(address)) for address in _ADDRESSES]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "*.salesforce.com")])
    certificate = (
        _builder(subject, issuer, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([*hosts, *addresses]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certificates(authority.public_bytes(pem), private + certificate.public_bytes(pem))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def is_ours(host: str) -> bool:
    """Whether the proxy leads a host to the org: one of Salesforce's, or this machine."""
    name = host.lower().rstrip(".")
    return name in {*_DOMAINS, *_ADDRESSES} or any(name.endswith(f".{domain}") for domain in _DOMAINS)


class Proxy:
    """A proxy for https whose only target is the org: clients take it from HTTPS_PROXY, and DNS stays as it is."""

    def __init__(self, listener: socket.socket, target: tuple[str, int]) -> None:
        self._listener = listener
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._accepted, sock=self._listener, limit=_MOST_HEAD)

    def close(self) -> None:
        """Take no more connections and drop those that there are."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            try:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_TIMEOUT_S)
            except (TimeoutError, asyncio.LimitOverrunError):
                return
            method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
            authority = rest.partition(" ")[0]
            host = authority.rpartition(":")[0].strip("[]")
            if method != "CONNECT":
                await _refuse(writer, "405 Method Not Allowed", "this proxy is for https alone")
                return
            if not is_ours(host):
                await _refuse(writer, "403 Forbidden", f"this proxy leads to the emulated org, not to {host}")
                return
            onward, back = await asyncio.open_connection(*self._target)
            with contextlib.closing(back):
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_pump(reader, back), _pump(onward, writer))


async def _refuse(writer: asyncio.StreamWriter, status: str, message: str) -> None:
    body = f"{message}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass bytes on until one side ends; the other is then told."""
    try:
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    finally:
        if target.can_write_eof():
            with contextlib.suppress(OSError):
                target.write_eof()


def how_to(url: str, authority_file: str, proxy_url: str) -> str:
    """Say how clients are told, their code unchanged."""
    return (
        f"trust the authority {authority_file} and use the proxy, with no change to a client's code:\n"
        f"  export HTTPS_PROXY={proxy_url} SSL_CERT_FILE={authority_file} REQUESTS_CA_BUNDLE={authority_file}\n"
        f"  export NODE_EXTRA_CA_CERTS={authority_file} CURL_CA_BUNDLE={authority_file}\n"
        f"https://login.salesforce.com and every other host of Salesforce are then this org; other hosts are refused.\n"
        f"Without the proxy, the org is at {url}. Java: keytool -importcert -file {authority_file}"
    )
