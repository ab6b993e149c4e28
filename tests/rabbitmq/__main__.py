"""`make test-rabbitmq`: the tests of the whole system with a real RabbitMQ as the broker, on loopback, for them alone.

Installs the server (Debian's package) where it is missing and this user may; says what to install elsewhere.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.local import LOOPBACK, Service, clean_environment, free_port

# Debian's `rabbitmq-server` on PATH changes to a user of its own, who owns none of our folders; this one does not.
_SERVERS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/local/sbin/rabbitmq-server")
_WHOLE_SYSTEM = ("tests/end_to_end", "tests/promises")
# These are about the queue in Redis, and bring their own.
_OF_REDIS = ("tests/promises/test_redis_faults.py", "tests/promises/test_no_loss_at_ingest.py")


def find_server() -> str:
    """Return the server's command, installed first where that is possible. Exits with what to do where it is not."""
    found = _installed()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "--no-install-recommends", "rabbitmq-server"]
        for command in (["apt-get", "update"], install):
            subprocess.run(command, check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        found = _installed()
    if found is None:
        sys.exit("RabbitMQ is not installed: apt-get install rabbitmq-server, or brew install rabbitmq")
    return found


def _installed() -> str | None:
    return next((path for path in _SERVERS if Path(path).exists()), None) or shutil.which("rabbitmq-server")


@contextmanager
def running_rabbitmq(server: str) -> Iterator[str]:
    """Run a broker of our own on free ports and yield its address."""
    folder = Path(tempfile.mkdtemp(prefix="pipeline-rabbitmq-"))
    port, distribution, registry = free_port(), free_port(), free_port()
    env = {
        **clean_environment(),
        "HOME": str(folder),  # where Erlang keeps the cookie by which nodes know each other
        "RABBITMQ_NODENAME": f"pipeline-{os.getpid()}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(registry),
    }
    broker = Service("rabbitmq", [server], env=env, log=folder / "server.log", is_ready=_is_ready)
    try:
        broker.start().wait_until_ready(within_s=90)
        yield f"amqp://guest:guest@{LOOPBACK}:{port}//"
    finally:
        broker.stop()
        # Erlang's name server outlives the node that started it.
        subprocess.run(["epmd", "-port", str(registry), "-kill"], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _is_ready(service: Service) -> bool:
    return "completed with" in service.output() or "Server startup complete" in service.output()


def main() -> int:
    """Run the tests against a broker and return pytest's exit code."""
    with running_rabbitmq(find_server()) as url:
        command = [sys.executable, "-m", "pytest", "-q", f"--broker-url={url}", *_WHOLE_SYSTEM]
        command += [*(f"--ignore={path}" for path in _OF_REDIS), *sys.argv[1:]]
        # A producer's queues are declared as its broker wants them, and the tests are the producer.
        return subprocess.run(command, check=False, env={**os.environ, "PIPELINE_BROKER_URL": url}).returncode


if __name__ == "__main__":
    sys.exit(main())
