"""A real HTTP server that answers as it is told, for what no emulator does on request: resets, trickles, web pages."""

import contextlib
import gzip
import json
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Fault = Literal["reset_before", "reset_after", "truncated", "truncated_chunks", "hang", "trickle", "gzip"]
LOGIN_PATHS = re.compile(r"/services/(oauth2/token|Soap/u/)")


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    fault: Fault | None = None


class ScriptedOrg:
    """Answers logins with sessions `token-1`, `token-2`, ... and everything else with what was put into `answers`."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.logins: list[Seen] = []
        self.connections = 0
        self.answers: deque[Answer] = deque()
        self.login_answers: deque[Answer] = deque()
        self.before_login: Callable[[], object] = lambda: None
        self.ended = threading.Event()
        self.lock = threading.Lock()
        org = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                with org.lock:
                    org.connections += 1
                super().setup()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen = Seen(self.command, self.path, dict(self.headers.items()), body)
                answer = org.next_answer(seen)
                with contextlib.suppress(OSError):
                    org.speak(self, answer)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = answer  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def next_answer(self, seen: Seen) -> Answer:
        if LOGIN_PATHS.match(seen.path):
            self.before_login()
            with self.lock:
                self.logins.append(seen)
                if self.login_answers:
                    return self.login_answers.popleft()
                token = f"token-{len(self.logins)}"
            if "Soap" in seen.path:
                return Answer(body=soap_success(token).encode())
            return Answer(body={"access_token": token, "instance_url": "https://acme.my.salesforce.com"})
        with self.lock:
            self.seen.append(seen)
            return self.answers.popleft() if self.answers else Answer()

    def speak(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        if answer.fault == "reset_after":
            reset(handler.connection)
            handler.close_connection = True
            return
        if answer.fault == "hang":
            self.ended.wait(30)
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.fault == "gzip":
            body = gzip.compress(body)
            handler.send_header("Content-Encoding", "gzip")
        if answer.fault == "truncated_chunks":
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            handler.wfile.write(f"{len(body):x}\r\n".encode() + body[: len(body) // 2])
            handler.close_connection = True
            return
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if answer.fault == "trickle":
            for byte in body:
                if self.ended.wait(0.05):
                    return
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
            return
        if answer.fault == "truncated":
            body = body[: len(body) // 2]
            handler.close_connection = True
        handler.wfile.write(body)

    def close(self) -> None:
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def soap_success(token: str, *, password_expired: bool = False) -> str:
    expired = "true" if password_expired else "false"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
        'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com"><soapenv:Body>'
        f"<loginResponse><result><passwordExpired>{expired}</passwordExpired>"
        "<serverUrl>https://acme.my.salesforce.com/services/Soap/u/64.0/00D000000000062</serverUrl>"
        f"<sessionId>{token}</sessionId></result></loginResponse></soapenv:Body></soapenv:Envelope>"
    )


def soap_fault(code: str, message: str) -> Answer:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
        'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:sf="urn:fault.partner.soap.sforce.com">'
        f"<soapenv:Body><soapenv:Fault><faultcode>{code}</faultcode><faultstring>{code}: {message}</faultstring>"
        f"<detail><sf:LoginFault><sf:exceptionCode>{code}</sf:exceptionCode><sf:exceptionMessage>{message}"
        "</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    )
    return Answer(500, body.encode())
