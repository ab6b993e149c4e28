"""`delay()` returns within seconds, whatever the broker does; every server here is a real one.

What breaks it: without the thread that connects (`_within` in pipeline/sending.py) a name that is looked up for ever
holds it; without `_Once` in pipeline/sender_transport.py it does where a connection has died.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from pipeline import NotSent, app, send_event, send_events
from pipeline.errors import ConfigurationError, InvalidEvent, PipelineError
from pipeline.local import LOOPBACK, LocalRedis, clean_environment, connect_producer, wait_until
from pipeline.sending import DEFAULT_TIMEOUT_S, send_timeout_s, sender
from tests.integration.broker.tls import make_certificate, tls_endpoint

EVENT: dict[str, Any] = {"type": "identify", "userId": "u1", "messageId": "m1"}
SLACK_S = 1.0  # for a crowded machine


@pytest.fixture(autouse=True)
def _default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPELINE_SEND_TIMEOUT")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setenv("PIPELINE_SEND_TIMEOUT", "0.9")
    return 0.9


def refused(within_s: float) -> NotSent:
    """Send, and return the error, which has to come in time."""
    begun = time.monotonic()
    with pytest.raises(NotSent) as caught:
        send_event.delay(EVENT)
    assert time.monotonic() - begun < within_s + SLACK_S
    assert caught.value.message_ids == ("m1",)
    assert "send it again later" in str(caught.value)
    assert caught.value.__cause__ is None  # whose text may quote what was sent
    return caught.value


def waiting(server: LocalRedis) -> int:
    with server.client() as redis:
        return int(redis.llen("ingest"))


@contextmanager
def stopped(server: LocalRedis) -> Iterator[None]:
    """Keep a server from answering, with its connections open."""
    os.kill(server.service.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.service.pid, signal.SIGCONT)


def test_a_broker_that_accepts_and_does_not_answer_is_left_after_three_seconds(silent_port: int) -> None:
    connect_producer(f"redis://{LOOPBACK}:{silent_port}/0")
    begun = time.monotonic()
    error = refused(DEFAULT_TIMEOUT_S)
    assert time.monotonic() - begun > 2  # and not at once: it might have answered
    assert isinstance(error, OperationalError)
    assert isinstance(error, PipelineError)
    assert f"{LOOPBACK}:{silent_port}" in str(error)
    assert "PIPELINE_SEND_TIMEOUT (3 s)" in str(error)


@pytest.mark.parametrize("scheme", ["rediss", "amqp", "amqps"])
def test_so_is_one_that_should_speak_tls_or_amqp(scheme: str, silent_port: int, short: float) -> None:
    connect_producer(f"{scheme}://{LOOPBACK}:{silent_port}/0")
    assert ("RabbitMQ" if "amqp" in scheme else "Redis") in str(refused(short))


def test_so_are_sentinels(silent_port: int, short: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.conf, "broker_transport_options", {"master_name": "ours"})
    connect_producer(f"sentinel://{LOOPBACK}:{silent_port}/0;sentinel://{LOOPBACK}:{silent_port}/0")
    refused(short)


@pytest.mark.parametrize(
    "address", [f"redis://{LOOPBACK}:1/0", "redis://nobody.invalid:6379/0", f"amqp://{LOOPBACK}:1//"]
)
def test_where_nobody_listens_it_is_told_at_once(address: str) -> None:
    connect_producer(address)
    refused(1.0)


def test_a_password_in_the_address_is_not_in_the_error(silent_port: int, short: float) -> None:
    connect_producer(f"redis://:hunter2@{LOOPBACK}:{silent_port}/0")
    assert "hunter2" not in str(refused(short))


def test_a_name_that_is_looked_up_for_ever_is_left_as_well(short: float, monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: is_over.wait(30))
    connect_producer("redis://somewhere:6379/0")
    refused(short)
    is_over.set()


def test_a_server_that_stops_answering_is_left_and_found_again(own_redis: LocalRedis, short: float) -> None:
    connect_producer(own_redis.url)
    send_event.delay(EVENT)
    with stopped(own_redis):
        refused(short)
        refused(short)
    send_event.delay({**EVENT, "messageId": "m2"})
    # What was written into a connection before it was given up may have come in as well, with its id.
    wait_until(lambda: waiting(own_redis) >= 2, what="the event that was sent after it")


def test_many_threads_wait_no_longer_than_one(own_redis: LocalRedis, short: float) -> None:
    connect_producer(own_redis.url)
    errors: list[NotSent] = []
    with stopped(own_redis):
        threads = [threading.Thread(target=lambda: errors.append(refused(short))) for _ in range(25)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(errors) == 25
    wait_until(lambda: not any("pipeline" in one.name for one in threading.enumerate()), what="the end of all threads")


def test_a_connection_that_died_in_the_pool_is_replaced(own_redis: LocalRedis) -> None:
    connect_producer(own_redis.url)
    send_event.delay(EVENT)
    with own_redis.client() as redis:
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    send_event.delay(EVENT)
    own_redis.restart()
    send_event.delay(EVENT)
    assert waiting(own_redis) == 1  # it keeps nothing over a restart


def test_many_connections_that_died_cost_no_event(own_redis: LocalRedis) -> None:
    connect_producer(own_redis.url)
    at_once = threading.Barrier(8)

    def send() -> None:
        at_once.wait()
        send_event.delay(EVENT)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # As many as there are attempts, at least: each of them meets another one.
    while len(sender()._idle) < 6:
        sender()._idle.append(sender()._connect(3.0))
    with own_redis.client() as redis:
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    send_event.delay(EVENT)


def test_the_end_of_a_program_sends_too(redis_server: LocalRedis) -> None:
    program = f"import atexit; from pipeline import send_event; atexit.register(send_event.delay, {EVENT})"
    env = clean_environment() | {"PIPELINE_REDIS_URL": redis_server.url}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert waiting(redis_server) == 1


def test_a_connection_that_died_is_not_replaced_where_nothing_bounds_it(
    own_redis: LocalRedis, short: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_producer(own_redis.url)
    send_event.delay(EVENT)
    own_redis.service.stop()
    is_over = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: is_over.wait(30))
    refused(short)
    is_over.set()


def test_one_attempt_is_made_where_the_caller_asks_for_no_more(own_redis: LocalRedis) -> None:
    connect_producer(own_redis.url)
    send_event.delay(EVENT)
    with own_redis.client() as redis:
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(NotSent):
        send_event.apply_async([EVENT], retry=False)
    send_event.apply_async([EVENT], retry=False)


def test_a_full_server_says_so(own_redis: LocalRedis) -> None:
    connect_producer(own_redis.url)
    send_event.delay(EVENT)
    with own_redis.client() as redis:
        redis.config_set("maxmemory", "1")
        assert "Redis is full (maxmemory)" in str(refused(1.0))
        redis.config_set("maxmemory", "0")
    send_event.delay(EVENT)
    assert waiting(own_redis) == 2


def test_a_replica_says_so(own_redis: LocalRedis, redis_server: LocalRedis) -> None:
    connect_producer(own_redis.url)
    send_event.delay(EVENT)
    port = redis_server.url.rsplit(":", 1)[1].partition("/")[0]
    with own_redis.client() as redis:
        redis.execute_command("REPLICAOF", LOOPBACK, port)
        assert "this Redis is a replica" in str(refused(1.0))
        redis.execute_command("REPLICAOF", "NO", "ONE")
    send_event.delay(EVENT)


def test_a_wrong_password_says_so_at_once(own_redis: LocalRedis) -> None:
    with own_redis.client() as redis:
        redis.config_set("requirepass", "right")
    for url in (own_redis.url, own_redis.url.replace("//", "//:wrong@")):
        connect_producer(url)
        begun = time.monotonic()
        assert "Redis refuses the login" in str(refused(1.0))
        assert time.monotonic() - begun < 0.5 + SLACK_S


def test_a_certificate_that_is_not_trusted_says_so(redis_server: LocalRedis, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "redis")
    port = int(redis_server.url.rsplit(":", 1)[1].partition("/")[0])
    with tls_endpoint(port, certificate, key) as tls_port:
        address = f"rediss://{LOOPBACK}:{tls_port}/0?ssl_cert_reqs=CERT_REQUIRED"
        connect_producer(address)
        assert "the certificate of Redis is not trusted" in str(refused(1.0))
        connect_producer(f"{address}&ssl_ca_certs={certificate}")
        send_event.delay(EVENT)


def test_an_interrupt_while_it_sends_leaves_no_answer_for_the_next_one(own_redis: LocalRedis) -> None:
    connect_producer(own_redis.url)
    send_event.delay(EVENT)

    class Interrupted(BaseException):
        """As a soft time limit's, Ctrl-C's or gevent's."""

    def interrupt(*_: Any) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with stopped(own_redis):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Interrupted):
                send_event.delay(EVENT)
    finally:
        signal.signal(signal.SIGALRM, before)
    for number in range(3):
        assert send_event.delay({**EVENT, "messageId": f"after-{number}"}).message_id == f"after-{number}"
    wait_until(lambda: waiting(own_redis) >= 4, what="what was sent")


def test_what_is_no_json_costs_no_connection(redis_server: LocalRedis) -> None:
    connect_producer(redis_server.url)
    send_event.delay(EVENT)
    with redis_server.client() as redis:
        before = redis.info("stats")["total_connections_received"]
        for _ in range(3):
            with pytest.raises(InvalidEvent):
                send_event.delay({**EVENT, "traits": {"email": object()}})
            send_event.delay(EVENT)
        assert redis.info("stats")["total_connections_received"] == before


def test_threads_share_connections_and_each_event_comes_once(redis_server: LocalRedis) -> None:
    connect_producer(redis_server.url)

    def send(name: int) -> None:
        for number in range(20):
            send_event.delay({**EVENT, "messageId": f"{name}-{number}"})

    threads = [threading.Thread(target=send, args=(name,)) for name in range(15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waiting(redis_server) == 300
    assert len(sender()._idle) <= 10


def test_many_events_are_named_by_the_error_too(silent_port: int, short: float) -> None:
    connect_producer(f"redis://{LOOPBACK}:{silent_port}/0")
    with pytest.raises(NotSent) as caught:
        send_events.delay([{"type": "track", "messageId": name} for name in "abc"])
    assert caught.value.message_ids == ("a", "b", "c")


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "3601"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="PIPELINE_SEND_TIMEOUT is a number of seconds, as 3"):
        send_timeout_s({"PIPELINE_SEND_TIMEOUT": text})


def test_the_time_is_three_seconds_unless_it_is_set() -> None:
    assert (send_timeout_s({}), send_timeout_s({"PIPELINE_SEND_TIMEOUT": "0.5"})) == (3.0, 0.5)
