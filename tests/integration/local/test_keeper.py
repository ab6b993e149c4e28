import os
import signal
import sys
from pathlib import Path

from pipeline.local import Keeper, LogReader, Service, clean_environment, wait_until
from pipeline.local.keeper import pause_s

STEADY_S = 61.0


def service(folder: Path, script: str) -> Service:
    command = [sys.executable, "-u", "-c", script]
    return Service("probe", command, env=clean_environment(), log=folder / "probe.log", is_ready=lambda it: it.output())


def test_the_pause_grows_up_to_half_a_minute() -> None:
    assert [pause_s(endings) for endings in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_what_ends_by_itself_is_started_again_after_a_pause_that_grows(tmp_path: Path) -> None:
    told: list[str] = []
    dying = service(tmp_path, "raise SystemExit(3)").start()
    keeper = Keeper([dying], lambda name, words: told.append(f"{name} {words}"), now=0.0)
    now = 0.0
    for expected in ("1 s", "2 s", "4 s"):
        wait_until(lambda: not dying.is_running, what="its end")
        keeper.look(now)
        assert told[-1] == f"probe ended by itself (code 3); starts again in {expected}"
        before = dying.pid
        keeper.look(now + float(expected.split()[0]) - 0.1)
        assert dying.pid == before
        now += float(expected.split()[0])
        keeper.look(now)
        assert dying.pid != before
    dying.kill()


def test_what_is_ready_again_is_told_and_after_a_steady_while_begins_anew(tmp_path: Path) -> None:
    told: list[str] = []
    steady = service(tmp_path, "print('here'); import time; time.sleep(600)").start().wait_until_ready()
    try:
        keeper = Keeper([steady], lambda _, words: told.append(words), now=0.0)
        for now in (1.0, 2.0 + STEADY_S):
            os.kill(steady.pid, signal.SIGKILL)
            wait_until(lambda: not steady.is_running, what="its end")
            keeper.look(now)
            keeper.look(now + 1.0)
            wait_until(lambda: steady.is_ready, what="its start")
            keeper.look(now + 1.1)
            keeper.look(now + 1.2)
    finally:
        steady.kill()
    assert told == ["ended by itself (SIGKILL); starts again in 1 s", "is ready again"] * 2


def test_a_log_is_read_in_whole_lines_from_where_it_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"old\n")
    reader = LogReader(log)
    with log.open("ab", buffering=0) as writer:
        assert reader.lines() == []
        writer.write(b"one\ntw")
        assert reader.lines() == ["one"]
        writer.write("o \N{EURO SIGN}\n\n".encode())
        assert reader.lines() == ["two \N{EURO SIGN}", ""]


def test_a_log_does_not_grow_for_ever(tmp_path: Path) -> None:
    log = tmp_path / "log"
    reader = LogReader(log, most_bytes=10)
    with log.open("ab", buffering=0) as writer:
        writer.write(b"more than ten bytes\nand")
        assert reader.lines() == ["more than ten bytes"]
        assert log.stat().st_size == 0
        writer.write(b" more\n")
        assert reader.lines() == ["and more"]
