"""A Sentinel of a test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.local import LOOPBACK, LocalRedis, Service, clean_environment
from pipeline.local.redis_server import _valkey_binary, free_port


@contextmanager
def running_sentinel(
    folder: Path, master: LocalRedis | int, *directives: str, is_ready: str = "+monitor"
) -> Iterator[int]:
    """Run a Sentinel that knows `master`, or its port, as `ours`; return its port once its log holds `is_ready`."""
    port, master_port = free_port(), master if isinstance(master, int) else master.port
    configuration = folder / "sentinel.conf"
    lines = [
        f"port {port}",
        f"bind {LOOPBACK}",
        f"sentinel monitor ours {LOOPBACK} {master_port} 1",
        "sentinel down-after-milliseconds ours 500",
        "sentinel failover-timeout ours 5000",
        *directives,
    ]
    configuration.write_text("\n".join(lines) + "\n")
    sentinel = Service(
        "sentinel",
        [_valkey_binary(), str(configuration), "--sentinel"],
        env=clean_environment(),
        log=folder / "sentinel.log",
        is_ready=lambda service: is_ready in service.output(),
    )
    try:
        sentinel.start().wait_until_ready()
        yield port
    finally:
        sentinel.stop()
