"""Who encrypts is checked: real TLS servers that nobody should trust, and one of the system's authorities."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline import app
from pipeline.cli import main
from pipeline.local import LOOPBACK, LocalRedis, Service, connect_producer, pipeline_command, wait_until
from pipeline.settings import broker
from tests.integration.broker.sentinel import running_sentinel
from tests.integration.broker.tls import make_certificate, tls_endpoint
from tests.integration.broker.tls_clients import CLIENTS, outcomes

PATIENT = ("socket_timeout=20", "socket_connect_timeout=20")  # a busy machine is no answer
REFUSED = {"unknown": "self-signed certificate", "misnamed": "IP address mismatch", "expired": "expired"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Ports of TLS servers by what is wrong with their certificate, and the certificates."""
    folder = tmp_path_factory.mktemp("tls")
    made = {
        "unknown": make_certificate(folder, "unknown"),
        "misnamed": make_certificate(folder, "misnamed", host="127.0.0.2"),
        "expired": make_certificate(folder, "expired", is_expired=True),
        "right": make_certificate(folder, "right"),
    }
    with ExitStack() as cleanup:
        redis = cleanup.enter_context(LocalRedis())
        ports = {name: cleanup.enter_context(tls_endpoint(redis.port, *files)) for name, files in made.items()}
        yield {"ports": ports, "files": {name: str(files[0]) for name, files in made.items()}, "redis": redis}


def address(servers: dict[str, Any], name: str, *options: str) -> str:
    trusted = [] if name == "unknown" else [f"ssl_ca_certs={servers['files'][name]}"]
    query = "&".join([*trusted, *options])
    return f"rediss://{LOOPBACK}:{servers['ports'][name]}/0{'?' if query else ''}{query}"


@pytest.mark.parametrize("name", REFUSED)
def test_no_client_speaks_to_a_server_that_is_not_the_right_one(servers: dict[str, Any], name: str) -> None:
    found = outcomes({"PIPELINE_REDIS_URL": address(servers, name, *PATIENT)})
    assert set(found) == set(CLIENTS)
    assert all(REFUSED[name] in why for why in found.values()), found


def test_every_client_speaks_to_one_of_an_authority_of_ours(servers: dict[str, Any]) -> None:
    assert set(outcomes({"PIPELINE_REDIS_URL": address(servers, "right")}).values()) == {""}


@pytest.mark.parametrize(("known", "is_trusted"), [("right", True), ("expired", False)])
def test_without_options_the_systems_authorities_decide(servers: dict[str, Any], known: str, is_trusted: bool) -> None:
    # SSL_CERT_FILE stands for the store of the system, which a test must not change.
    env = {**os.environ, "SSL_CERT_FILE": servers["files"][known]}
    command = [sys.executable, "-m", "tests.integration.broker.tls_clients"]
    url = f"rediss://{LOOPBACK}:{servers['ports']['right']}/0"
    ran = subprocess.run([*command, url], env=env, capture_output=True, text=True, check=True)
    assert {not why for why in json.loads(ran.stdout).values()} == {is_trusted}


@pytest.mark.parametrize(
    ("option", "name", "told"),
    [
        ("ssl_cert_reqs=none", "unknown", "the server's certificate is not checked"),
        ("ssl_cert_reqs=CERT_NONE", "misnamed", "the server's certificate is not checked"),
        ("ssl_check_hostname=false", "misnamed", "the server's name is not checked"),
    ],
)
def test_not_to_check_has_to_be_said_and_every_command_warns(
    servers: dict[str, Any], monkeypatch: pytest.MonkeyPatch, option: str, name: str, told: str
) -> None:
    environ = {"PIPELINE_REDIS_URL": address(servers, name, option)}
    assert set(outcomes(environ).values()) == {""}
    monkeypatch.setenv("PIPELINE_REDIS_URL", environ["PIPELINE_REDIS_URL"])
    monkeypatch.setenv("PIPELINE_BROKER_URL", servers["redis"].url)
    ran = CliRunner().invoke(main, ["dead-letters", "list"])
    assert ran.exit_code == 0
    assert f"warning: PIPELINE_REDIS_URL: {told}" in ran.stderr
    connect_producer(servers["redis"].url)
    status = CliRunner().invoke(main, ["status"])
    assert f"redis: PIPELINE_REDIS_URL: {told}" in status.stdout


@pytest.mark.parametrize("name", [*REFUSED, "right"])
def test_sentinels_and_their_master_are_checked_too(servers: dict[str, Any], tmp_path: Path, name: str) -> None:
    trusted = "" if name == "unknown" else f"?ssl_ca_certs={servers['files'][name]}"
    certificate = Path(servers["files"][name])
    # The Sentinel names the TLS server before the master, which it cannot speak to itself, and finds that out too late.
    with (
        running_sentinel(tmp_path, servers["ports"][name], "sentinel down-after-milliseconds ours 3600000") as port,
        tls_endpoint(port, certificate, certificate.with_suffix(".key")) as sentinel,
    ):
        environ = {
            "PIPELINE_REDIS_URL": f"rediss+sentinel://{LOOPBACK}:{sentinel}/0{trusted}",
            "PIPELINE_REDIS_MASTER": "ours",
        }
        found = outcomes(environ)
    assert {not why for why in found.values()} == {name == "right"}, found


def test_a_real_worker_sends_nothing_to_a_server_that_is_not_the_right_one(
    servers: dict[str, Any], tmp_path: Path
) -> None:
    env = {**os.environ, "PIPELINE_REDIS_URL": address(servers, "unknown").replace("//", "//:hush@")}
    env["PIPELINE_BROKER_URL"] = ""
    command = pipeline_command("worker", "--ingest", "--concurrency", "1")
    worker = Service("worker", command, env=env, log=tmp_path / "worker.log", cwd=tmp_path).start()
    try:
        wait_until(lambda: "CERTIFICATE_VERIFY_FAILED" in worker.output(), what="the refusal")
    finally:
        worker.kill()
    assert "ready." not in worker.output()
    assert "hush" not in worker.output()


@pytest.fixture
def greeted() -> Iterator[Any]:
    """What a server hears first, after TLS: no RabbitMQ is needed to tell whether its client would speak at all."""
    heard: list[bytes] = []
    with socket.create_server((LOOPBACK, 0)) as listener:

        def listen() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    heard.append(client.recv(4))

        threading.Thread(target=listen, daemon=True).start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("name", [*REFUSED, "right"])
def test_rabbitmq_is_checked_with_its_name(servers: dict[str, Any], greeted: Any, name: str) -> None:
    port, heard = greeted
    certificate = Path(servers["files"][name])
    trusted = "" if name == "unknown" else f"?ssl_ca_certs={certificate}"
    with tls_endpoint(port, certificate, certificate.with_suffix(".key")) as encrypted:
        queue = broker({"PIPELINE_BROKER_URL": f"amqps://u:p@{LOOPBACK}:{encrypted}//{trusted}"})
        connection = app.amqp.Connection(queue.url, ssl=queue.use_ssl or False, connect_timeout=5)
        with pytest.raises(OSError, match=REFUSED.get(name, ".")):
            connection.connect()
    assert set(filter(None, heard)) == ({b"AMQP"} if name == "right" else set())
