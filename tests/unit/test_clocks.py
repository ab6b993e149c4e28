"""Whose clock: a process's own is read only where docs/architecture.md says so, and Redis's everywhere else."""

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import celery.worker.strategy
import fakeredis
import pytest

from pipeline.console.overview import alerts
from pipeline.metrics.alive import beat_is_alive, server_time, skew_in_words, skews, worker_ends, worker_is_alive
from pipeline.salesforce.pause import Pause
from pipeline.state_store import ServerClock
from pipeline.tasks.deliver import DELAY_HEADER, deliver
from tests.unit.console.test_showing import observed

ROOT = Path(__file__).resolve().parents[2]
HOUR_S = 3600


class OtherClock(fakeredis.FakeRedis):
    """A server whose clock is an hour behind this machine's."""

    asked = 0

    def time(self, **_: Any) -> tuple[int, int]:
        self.asked += 1
        return int(datetime.now(UTC).timestamp()) - HOUR_S, 0


def own_clock_in(text: str) -> bool:
    """Whether a module reads the wall clock of its machine."""
    tree = ast.parse(text)
    bare = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for name in node.names
        if name.name in {"time", "time_ns", "localtime", "gmtime"}
    }
    return any(
        (isinstance(node, ast.Name) and node.id in bare)
        or (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr)
            in {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}
        )
        for node in ast.walk(tree)
    )


def test_the_own_clock_is_read_in_the_places_of_the_table_alone() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| where \| for what.*\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    named = {name for line in table.splitlines() for name in re.findall(r"`([\w/]+\.py)`", line.split("|")[1])}
    rooms = ROOT / "pipeline"
    found = {
        str(file.relative_to(rooms))
        for file in rooms.rglob("*.py")
        if file.parts[len(rooms.parts)] != "emulator" and own_clock_in(file.read_text(encoding="utf-8"))
    }
    assert found == named


def test_the_server_s_clock_is_asked_once_for_many_looks() -> None:
    redis = OtherClock()
    clock = ServerClock(redis)
    looks = [clock.now_ms() for _ in range(100)]
    assert looks == sorted(looks)
    assert redis.asked == 1
    assert clock.now() - datetime.now(UTC) == pytest.approx(timedelta(seconds=-HOUR_S), abs=timedelta(seconds=2))


def test_a_clock_that_is_off_is_known_by_its_node_while_it_is() -> None:
    redis, right = OtherClock(), fakeredis.FakeRedis()
    for _ in range(2):
        assert worker_is_alive(redis, "w1@host", ["ingest", "delivery"]) == pytest.approx(HOUR_S, abs=2)
    beat_is_alive(redis)
    assert skews(redis) == {"w1@host": pytest.approx(HOUR_S, abs=2), "beat": pytest.approx(HOUR_S, abs=2)}
    worker_ends(redis, "w1@host")
    assert set(skews(redis)) == {"beat"}
    assert worker_is_alive(right, "w2@host", ["ingest"]) == server_time(right)[1] == 0
    assert skews(right) == {}


def test_the_console_says_whose_clock_is_wrong() -> None:
    (alert,) = [one for one in alerts(observed(skews={"w1@host": -HOUR_S})) if "clock" in one.what]
    assert alert.what == "The clock of w1@host is 3,600 s behind that of Redis."
    assert alert.advice.startswith("Set it by NTP.")
    assert "ahead of" in skew_in_words("it", 7.0)


def test_a_pause_by_hand_is_of_the_server_s_time() -> None:
    pause = Pause(OtherClock())
    pause.hold()
    state = pause.why()
    assert state is not None
    assert state.since_ms / 1000 == pytest.approx(datetime.now(UTC).timestamp() - HOUR_S, abs=2)


def test_a_wake_up_waits_from_when_it_is_received(monkeypatch: pytest.MonkeyPatch) -> None:
    handled: list[Any] = []
    monkeypatch.setattr(celery.worker.strategy, "default", lambda *_, **__: handled.append)
    receive = deliver.Strategy(deliver, deliver.app, None)  # type: ignore[operator]  # a name in Celery's stubs
    of_another_clock = (datetime.now(UTC) + timedelta(seconds=HOUR_S)).isoformat()
    for headers in ({DELAY_HEADER: 0.5, "eta": of_another_clock}, {"eta": of_another_clock}, {"eta": None}):
        receive(SimpleNamespace(headers=headers))
    first, older, at_once = (message.headers["eta"] for message in handled)
    assert datetime.fromisoformat(first) - datetime.now(UTC) < timedelta(seconds=1)
    assert (older, at_once) == (of_another_clock, None)
