import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.local import LocalRedis, Service, ServiceFailed, clean_environment, free_port, wait_until

FORKING_SCRIPT = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
print("child", child or os.getpid(), flush=True)
time.sleep(600)
"""


def service(folder: Path, script: str, *, is_ready: Callable[[Service], object] | None = None) -> Service:
    return Service(
        "probe",
        [sys.executable, "-c", script],
        env=clean_environment(),
        log=folder / "probe.log",
        is_ready=is_ready,
    )


def is_gone(pid: int) -> bool:
    """A process that was reaped, or that waits for a parent which is no longer ours to be."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_a_service_that_dies_early_shows_the_end_of_its_log(tmp_path: Path) -> None:
    dying = service(tmp_path, "print('no such key'); raise SystemExit(3)", is_ready=lambda _: False)
    with pytest.raises(ServiceFailed, match=r"(?s)probe ended with code 3.*probe \| no such key"):
        dying.start().wait_until_ready()


def test_a_service_that_does_not_get_ready_is_named(tmp_path: Path) -> None:
    slow = service(tmp_path, "import time; print('warming up', flush=True); time.sleep(600)", is_ready=lambda _: False)
    try:
        with pytest.raises(ServiceFailed, match=r"probe was not ready within 0\.5 s"):
            slow.start().wait_until_ready(0.5)
    finally:
        slow.kill()
    assert not slow.is_running


def test_stop_ends_a_service_that_ignores_sigterm_and_its_children(tmp_path: Path) -> None:
    forking = service(tmp_path, FORKING_SCRIPT, is_ready=lambda it: it.output().count("\n") == 2)
    forking.start().wait_until_ready()
    child = int(forking.output().split()[1])
    forking.stop(within_s=0.2)
    assert not forking.is_running
    wait_until(lambda: is_gone(child), what="the child's end")


def test_a_service_can_be_started_again_and_shows_only_its_new_output(tmp_path: Path) -> None:
    again = service(tmp_path, "import os; print(os.getpid())")
    again.start()
    wait_until(lambda: not again.is_running, what="the first run")
    first = again.output()
    again.start()
    wait_until(lambda: not again.is_running, what="the second run")
    assert again.output() != first
    assert first.strip() not in again.output()


def test_local_runs_never_inherit_an_org_or_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SALESFORCE_PASSWORD", "PIPELINE_REDIS_URL", "FLOWER_BASIC_AUTH", "CELERY_BROKER_URL"):
        monkeypatch.setenv(name, "production")
    assert "production" not in clean_environment().values()


def test_redis_keeps_its_port_over_a_restart_and_its_data_with_an_append_only_file() -> None:
    with LocalRedis(is_append_only=True) as server, server.client() as client:
        client.set("kept", "yes")
        port = server.port
        server.restart()
        assert (server.port, client.get("kept")) == (port, b"yes")
        server.kill()
        server.start()
        assert (server.port, client.get("kept")) == (port, b"yes")


def test_redis_evicts_nothing_and_listens_on_loopback_only() -> None:
    with LocalRedis() as server, server.client() as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_redis_leaves_neither_a_process_nor_a_folder() -> None:
    with LocalRedis() as server:
        pid, folder = server.service.pid, server.folder
        assert folder.exists()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_redis_takes_another_port_when_its_own_is_taken_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalRedis() as first:
        free = free_port()
        offered = iter([first.port, free])
        monkeypatch.setattr("pipeline.local.redis_server.free_port", lambda: next(offered))
        with LocalRedis() as second:
            assert second.port == free


def test_sigterm_to_a_program_that_runs_a_server_stops_the_server(tmp_path: Path) -> None:
    script = """
import time
from pipeline.local import LocalRedis, ending_on_sigterm
with ending_on_sigterm(), LocalRedis() as server:
    print(server.service.pid, server.folder, flush=True)
    time.sleep(600)
"""
    owner = subprocess.Popen([sys.executable, "-c", script], env=clean_environment(), stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split()
    owner.send_signal(signal.SIGTERM)
    assert owner.wait(30) == 128 + signal.SIGTERM
    wait_until(lambda: is_gone(int(pid)), what="the server's end")
    assert not Path(folder).exists()


def test_waiting_names_what_did_not_happen() -> None:
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=r"the moon: not within 0\.1 s"):
        wait_until(lambda: False, what="the moon", within_s=0.1)
    assert time.monotonic() - begun < 5
