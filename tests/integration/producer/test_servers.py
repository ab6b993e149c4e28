"""Producers in the servers that people run them in: processes that fork after a first event, gevent, an event loop."""

import contextlib
import http.client
import json
import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import send_event
from pipeline.local import LOOPBACK, LocalRedis, clean_environment, connect_producer, wait_until
from pipeline.sending import sender

EVENT: dict[str, Any] = {"type": "identify", "userId": "u1", "messageId": "m1"}
LISTENING = re.compile(r"Listening at: http://127\.0\.0\.1:(\d+)")

# An application that has sent an event before its server forks, and one with each request.
APPLICATION = """
import os
from pipeline import send_event
from pipeline.sending import sender
EVENT = {"type": "identify", "userId": "u1"}
send_event.delay({**EVENT, "messageId": "before"})
def application(environ, start_response):
    sent = send_event.delay({**EVENT, "messageId": environ["PATH_INFO"]})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {sent.message_id}".encode()]
"""


def identifiers(server: LocalRedis) -> set[str]:
    import base64

    with server.client() as redis:
        bodies = [json.loads(one)["body"] for one in redis.lrange("ingest", 0, -1)]
    return {json.loads(base64.b64decode(body))[0][0]["messageId"] for body in bodies}


@contextlib.contextmanager
def gunicorn(folder: Path, *options: str, **environ: str) -> Iterator[int]:
    """Run the application; yields the port."""
    (folder / "shop.py").write_text(APPLICATION, encoding="utf-8")
    log = folder / "gunicorn.log"
    # A worker that is still starting may miss that it is to end; gunicorn would wait 30 seconds before it kills it.
    server_options = ["--bind", f"{LOOPBACK}:0", "--graceful-timeout", "5"]
    command = [sys.executable, "-m", "gunicorn", *server_options, *options, "shop:application"]
    env = clean_environment() | {"PYTHONPATH": str(folder)} | environ
    with log.open("wb") as out, subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out) as server:
        try:
            wait_until(lambda: LISTENING.search(log.read_text()), what=f"gunicorn ({log.read_text()})", within_s=20)
            found = LISTENING.search(log.read_text())
            assert found is not None
            yield int(found[1])
        finally:
            server.terminate()
            server.wait(timeout=20)
    assert "Traceback" not in log.read_text()


def ask(port: int, path: str) -> str:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200
    return answer.read().decode()


@pytest.mark.parametrize("kind", [("sync",), ("gthread", "--threads", "4"), ("gevent",)], ids=lambda kind: kind[0])
def test_gunicorn_forks_after_a_first_event(kind: tuple[str, ...], tmp_path: Path, redis_server: LocalRedis) -> None:
    options = ["--preload", "--workers", "2", "--worker-class", *kind]
    with gunicorn(tmp_path, *options, PIPELINE_REDIS_URL=redis_server.url) as port:
        answers = [ask(port, f"/{number}") for number in range(20)]
    assert [answer.split()[1] for answer in answers] == [f"/{number}" for number in range(20)]
    assert identifiers(redis_server) == {"before", *(f"/{number}" for number in range(20))}


IN_GEVENT = """
import gevent.monkey; gevent.monkey.patch_all()
import json, sys, time
import gevent
from pipeline import NotSent, send_event
def send(number):
    return send_event.delay({"type": "identify", "userId": "u1", "messageId": str(number)}).message_id
try:
    done = gevent.joinall([gevent.spawn(send, number) for number in range(200)], raise_error=True)
    print(len({one.value for one in done}))
except NotSent:
    print("not sent")
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.01)
ticking = gevent.spawn(tick)
with gevent.Timeout(5, False):
    try: send(200)
    except NotSent: pass
print(max(b - a for a, b in zip(ticks, ticks[1:])) < 1.5 if len(ticks) > 1 else True)
"""


@pytest.mark.parametrize("is_there", [True, False])
def test_greenlets_send_at_once_and_wait_without_holding_the_others(
    redis_server: LocalRedis, is_there: bool, silent_port: int
) -> None:
    url = redis_server.url if is_there else f"redis://{LOOPBACK}:{silent_port}/0"
    done = subprocess.run(
        [sys.executable, "-c", IN_GEVENT],
        env=clean_environment() | {"PIPELINE_REDIS_URL": url, "PIPELINE_SEND_TIMEOUT": "30" if is_there else "2.5"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split("\n")[:2] == ["200" if is_there else "not sent", "True"], done.stdout + done.stderr
    assert len(identifiers(redis_server)) == (201 if is_there else 0)


IN_ASYNCIO = """
import asyncio, json, time
from pipeline import NotSent, send_event
async def send(number):
    event = {"type": "identify", "userId": "u1", "messageId": str(number)}
    return (await asyncio.to_thread(send_event.delay, event)).id
async def main():
    begun = time.monotonic()
    results = await asyncio.gather(*(send(number) for number in range(50)), return_exceptions=True)
    kinds = {type(one).__name__ for one in results}
    print(json.dumps([sorted(kinds), time.monotonic() - begun]))
asyncio.run(main())
"""


def test_an_event_loop_sends_from_its_threads(redis_server: LocalRedis) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_ASYNCIO],
        env=clean_environment() | {"PIPELINE_REDIS_URL": redis_server.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)[0] == ["str"]
    assert len(identifiers(redis_server)) == 50


def test_a_child_leaves_its_parent_s_connections_alone(redis_server: LocalRedis) -> None:
    connect_producer(redis_server.url)
    send_event.delay({**EVENT, "messageId": "parent-1"})
    parents = sender()
    child = os.fork()
    if not child:
        status = 1
        try:
            assert sender() is not parents
            send_event.delay({**EVENT, "messageId": "child"})
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with redis_server.client() as redis:
        before = redis.info("stats")["total_connections_received"]
        send_event.delay({**EVENT, "messageId": "parent-2"})
        assert redis.info("stats")["total_connections_received"] == before
    assert identifiers(redis_server) == {"parent-1", "child", "parent-2"}


def _send(number: int) -> str:
    return send_event.delay({**EVENT, "messageId": f"pool-{number}"}).message_id


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_pool_of_processes_sends(redis_server: LocalRedis) -> None:
    connect_producer(redis_server.url)
    send_event.delay(EVENT)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        sent = pool.map(_send, range(10))
    assert identifiers(redis_server) == {"m1", *sent}
