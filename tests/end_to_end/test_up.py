"""`pipeline up` as a user runs it: a process of its own, told what to do by what it prints, stopped by signals."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from celery import Celery

from pipeline.inbox.dead_letters import received
from pipeline.local import clean_environment, pipeline_command, wait_until

ANY_PORTS = ("--redis-port", "0", "--emulator-port", "0", "--flower-port", "0", "--console-port", "0")
PERSONAL = ("ada@example.com", "Lovelace", "u1")


class Up:
    """A running `pipeline up` on a folder, and what it has printed."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.data = folder, folder / "data"
        self.output, self.errors = folder / f"{number}.out", folder / f"{number}.err"
        self.environment = {**clean_environment(), "FLOWER_BASIC_AUTH": "ops:a-long-password"}
        command = pipeline_command("up", "--json", "--data", str(self.data), "--concurrency", "1", *ANY_PORTS)
        with self.output.open("wb") as out, self.errors.open("wb") as err:
            self.process = subprocess.Popen(command, env=self.environment, cwd=folder, stdout=out, stderr=err)
        wait_until(lambda: self.process.poll() is not None or "All is ready" in self.shown, what="up", within_s=60)
        assert self.process.poll() is None, self.shown
        self.addresses: dict[str, Any] = json.loads(self.output.read_text())

    @property
    def shown(self) -> str:
        return self.errors.read_text()

    def wait_for(self, words: str) -> re.Match[str]:
        wait_until(lambda: re.search(words, self.shown), what=words, within_s=60)
        found = re.search(words, self.shown)
        assert found
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def get(self, path: str, service: str = "flower") -> requests.Response:
        answer = requests.get(self.addresses[service] + path, auth=("ops", "a-long-password"), timeout=10)
        answer.raise_for_status()
        return answer

    def received(self) -> int:
        with redis.Redis.from_url(self.addresses["redis"]) as client:
            return sum(received(client).values())


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Callable[[], Up]]:
    with ExitStack() as cleanup:
        started: list[Up] = []

        def start() -> Up:
            up = Up(tmp_path, len(started))
            started.append(up)
            cleanup.callback(end, up)
            return up

        yield start


def end(up: Up) -> None:
    """End what a test left running."""
    up.process.kill()
    up.process.wait(10)
    for pid in holders(up):
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def test_it_runs_shows_starts_again_stops_and_keeps_its_data(
    start_up: Callable[[], Up], tmp_path: Path, repository: Path
) -> None:
    up = start_up()
    for name in ("redis", "emulator", "ingest", "delivery", "beat", "flower", "console"):
        assert re.search(rf"^{name} +│ ready", up.shown, re.MULTILINE), name
    assert "\x1b[" not in up.shown  # no colours in a file

    the_page_shows_what_it_prints(up, repository)
    every_service_holds_the_folder(up)
    follow_what_it_says(up)
    wait_until(lambda: up.get("/_emulator/records/Lead", "emulator").json(), what="the lead", within_s=60)
    up.wait_for(r"delivery +│ .*object=Lead claimed=1 created=1")
    send_as_somebody_who_knows_only_names(up)
    flower_tells_what_happened_and_no_personal_data(up)

    os.kill(pid_of(up, "ingest"), signal.SIGKILL)
    up.wait_for(r"ingest +│ ended by itself \(SIGKILL\); starts again in 1 s")
    up.wait_for(r"ingest +│ is ready again")

    assert up.stop() == 0, up.shown
    assert "stopped; what waits is kept in" in up.shown
    assert "Warm shutdown" in up.shown
    assert not holders(up)

    again = start_up()
    assert again.received() == 2
    assert again.get("/_emulator/records/Lead", "emulator").json()[0]["Email"] == "ada@example.com"
    assert again.get("/api/tasks").json(), "Flower has forgotten its tasks"
    the_folder_is_taken(tmp_path)

    os.kill(pid_of(again, "delivery"), signal.SIGSTOP)  # one that would never finish what it holds
    again.process.send_signal(signal.SIGINT)
    again.wait_for("stopping: the workers finish what they hold; Ctrl-C again stops at once")
    assert again.stop(signal.SIGINT) == 1
    assert "Error: stopped at once; what the workers held goes on with the next start" in again.shown
    assert not holders(again)


def the_page_shows_what_it_prints(up: Up, repository: Path) -> None:
    page = (repository / "docs" / "local.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```text\n(redis.*?)^```$", page, re.MULTILINE | re.DOTALL)

    def anywhere(text: str) -> str:
        return re.sub(r":\d+", ":PORT", re.sub(r"\. /\S+/env", ". ENV", text))

    for line in block.splitlines():
        assert anywhere(line.partition("...")[0].rstrip()) in anywhere(up.shown), line


def every_service_holds_the_folder(up: Up) -> None:
    """Or a second one could write to it, after the first `up` was killed and its services were not."""
    assert holders(up) == [int(pid) for pid in (up.data / "lock").read_text().split()]


def send_as_somebody_who_knows_only_names(up: Up) -> None:
    event = {"type": "identify", "userId": "u1", "traits": {"email": "ada@example.com"}}
    with Celery(broker=up.addresses["redis"], set_as_current=False) as stranger:
        stranger.send_task("pipeline.send_event", [event], queue="ingest")
        stranger.send_task("pipeline.send_event", kwargs={"event": event}, queue="ingest")
    wait_until(lambda: up.received() >= 2, what="the taking in of what a stranger sent")


def follow_what_it_says(up: Up) -> None:
    sourced, send, status, *pages = [line.strip() for line in up.shown.splitlines() if line.startswith("  ")]
    assert [page.split()[0] for page in pages] == [up.addresses[name] for name in ("emulator", "flower", "console")]
    script = f'pipeline() {{ {shlex.join(pipeline_command())} "$@"; }}\n{sourced}\n{send}\n{status}'
    done = subprocess.run(
        ["bash", "-ec", script], env=up.environment, cwd=up.folder, capture_output=True, text=True, check=True
    )
    assert "1 event sent" in done.stdout
    assert "Lead" in done.stdout


def flower_tells_what_happened_and_no_personal_data(up: Up) -> None:
    def results() -> list[dict[str, Any]]:
        tasks = up.get("/api/tasks", "flower").json().values()
        return [
            task for task in tasks if task["name"] == "pipeline.deliver" and "'created': 1" in (task["result"] or "")
        ]

    wait_until(results, what="the delivery's result in Flower")
    assert requests.get(up.addresses["flower"] + "/tasks", timeout=10).status_code == 401  # without the password
    (delivery,) = results()
    for key in ("object", "claimed", "created", "updated", "retried", "dead", "calls", "ms"):
        assert f"'{key}': " in delivery["result"]
    assert delivery["args"] == "('Lead')"
    pages = [up.get("/api/tasks").text, up.get("/tasks").text, up.get(f"/task/{delivery['uuid']}").text]
    pages += [up.get(f"/task/{uuid}").text for uuid in up.get("/api/tasks").json()]
    assert not [word for word in PERSONAL for page in pages if word in page]
    assert "(1 event)" in pages[0]
    queues = up.get("/broker").text
    assert all(name in queues for name in ("ingest", "salesforce.Lead", "upkeep"))
    assert 'task="pipeline.deliver"' in requests.get(up.addresses["flower"] + "/metrics", timeout=10).text


def the_folder_is_taken(folder: Path) -> None:
    refused = subprocess.run(
        pipeline_command("up", "--data", str(folder / "data"), *ANY_PORTS),
        env=clean_environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert re.search(r"is in use by processes [\d ]+: end that first, or give another folder", refused.stderr)


def pid_of(up: Up, name: str) -> int:
    order = ("up", "redis", "emulator", "ingest", "delivery", "beat", "flower")
    return int((up.data / "lock").read_text().split()[order.index(name)])


def holders(up: Up) -> list[int]:
    """Find the processes that hold the folder: `up` itself and its services, as long as they are alive."""
    lock = up.data / "lock"
    pids = [int(pid) for pid in lock.read_text().split()]
    return [pid for pid in pids if lock in map(Path.resolve, descriptors(pid))]


def descriptors(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return []
