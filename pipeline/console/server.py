"""The console as a server in the foreground."""

import signal
import socket
from collections.abc import Callable
from typing import Final

import uvicorn

from pipeline.console.access import Access
from pipeline.console.app import Console
from pipeline.tasks.runtime import Runtime

_KEEP_ALIVE_S: Final = 30


def serve(runtime: Runtime, access: Access, *, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called with the address. Raises OSError where it cannot listen."""
    config = uvicorn.Config(
        Console(runtime, access).application(),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,  # addresses are nobody's business; what was done is logged by the pages
        server_header=False,
        proxy_headers=False,  # whoever may say where they come from tries as many passwords as they like
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)

    def end(*_: object) -> None:
        server.should_exit = True

    # uvicorn raises a signal again once it has ended; then it has been told to end and did, which is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    family = socket.AF_INET6 if ":" in access.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((access.address, port))
        listener.listen(128)
        host = f"[{access.address}]" if ":" in access.address else access.address
        ready(f"http://{host}:{listener.getsockname()[1]}")
        server.run(sockets=[listener])
