"""Everything that runs until it is stopped ends with 0, after SIGINT and after SIGTERM, with and without Redis."""

import os
import signal
import socket
from pathlib import Path

from pipeline.local import LOOPBACK, LocalRedis, Service, free_port, pipeline_command, wait_until

READY = {
    "worker": ("worker", "--concurrency", "1"),
    "beat": ("beat",),
    "flower": ("flower",),
    "console": ("console",),
    "metrics": ("metrics",),
    "emulator": ("emulator",),
    "up": ("up",),
}
SIGNS = {"worker": " ready.", "beat": "Acquired lock", "emulator": "listening on", "up": "All is ready"}


def started(name: str, url: str, folder: Path) -> Service:
    """Start a command that listens where nobody else does."""
    port, arguments = free_port(), list(READY[name])
    if name in {"flower", "console", "metrics", "emulator"}:
        arguments += ["--port", str(port)]
    if name == "up":
        arguments += [f"--{one}-port={0}" for one in ("redis", "emulator", "flower", "console")]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIPELINE_", "SALESFORCE_"))}
    env |= {"PYTHONUNBUFFERED": "1"} | ({} if name == "up" else {"PIPELINE_REDIS_URL": url})

    def is_ready(service: Service) -> bool:
        if name in SIGNS:
            return SIGNS[name] in service.output()
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, port)) == 0

    command = pipeline_command(*arguments)
    return Service(name, command, env=env, log=folder / f"{name}.log", cwd=folder, is_ready=is_ready).start()


def test_everything_ends_with_0_after_ctrl_c(redis_server: LocalRedis, tmp_path: Path) -> None:
    # How all of them end after SIGTERM is looked at by each test that stops a whole system, as that in tests/hostile.
    services = [started(name, redis_server.url, tmp_path) for name in READY]
    try:
        for service in services:
            service.wait_until_ready()
            service.send_signal(signal.SIGINT)
        wait_until(lambda: not any(service.is_running for service in services), what="the end of all", within_s=60)
        assert {service.name: service.ending for service in services} == dict.fromkeys(READY, "code 0")
        assert not [service.name for service in services if "Traceback" in service.output()]
    finally:
        for service in services:
            service.kill()


def test_what_waits_for_redis_says_where_it_looks_and_can_be_stopped(tmp_path: Path) -> None:
    port = free_port()
    services = [started(name, f"redis://ops:hush@{LOOPBACK}:{port}/0", tmp_path) for name in ("beat", "console")]
    try:
        for service in services:
            said = f"{service.name} waits: Redis does not answer (ConnectionError) at redis://ops@{LOOPBACK}:{port}/0"
            wait_until(lambda said=said, service=service: said in service.output(), what=said)  # type: ignore[misc]
        for service in services[1:]:
            service.wait_until_ready()
        for service, number in zip(services, (signal.SIGINT, signal.SIGTERM), strict=True):
            service.send_signal(number)
        wait_until(lambda: not any(service.is_running for service in services), what="the end")
        assert [service.ending for service in services] == ["code 0"] * 2
        assert not [
            service.name for service in services if "Traceback" in service.output() or "hush" in service.output()
        ]
    finally:
        for service in services:
            service.kill()
