"""How messages are grouped, with a pool and a timer that note what they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.tasks.grouping import MOST_IN_GROUP, Groups


@dataclass
class Request:
    id: str
    is_again: bool = False
    told: list[str] = field(default_factory=list)
    content_type: str = "application/json"
    content_encoding: str = "utf-8"

    qos: object = None
    acknowledged: bool = False

    @property
    def message(self) -> SimpleNamespace:
        channel = SimpleNamespace(qos=self.qos) if self.qos else SimpleNamespace()  # RabbitMQ's channels have none
        return SimpleNamespace(channel=channel, delivery_tag=self.id, headers={})

    @property
    def body(self) -> str:
        return self.id

    @property
    def delivery_info(self) -> dict[str, bool]:
        return {"redelivered": self.is_again}

    def on_success(self, _result: object) -> None:
        self.told.append("success")

    def fail(self, _result: object) -> None:
        raise OSError("gone")

    def on_failure(self, _error: object) -> None:
        self.told.append("failure")

    def on_accepted(self, _pid: int, _time: float) -> None:
        self.told.append("accepted")

    def on_timeout(self, *, soft: bool, timeout: float) -> None:
        self.told.append(f"timeout {soft} {timeout}")


class Together:
    def __init__(self) -> None:
        self.acknowledged: list[list[str]] = []

    def ack_together(self, delivery_tags: list[str]) -> None:
        self.acknowledged.append(delivery_tags)


class Pool:
    def __init__(self, processes: int = 1) -> None:
        self.num_processes = processes
        self.jobs: list[dict[str, Any]] = []

    def apply_async(self, work: object, **job: Any) -> None:
        self.jobs.append(job)

    @property
    def groups(self) -> list[list[str]]:
        return [[body for body, _, _ in job["args"][0]] for job in self.jobs]


class Timer:
    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def call_after(self, _seconds: float, action: Callable[[], None]) -> None:
        self.due.append(action)

    def run(self, groups: Groups) -> None:
        groups._last_sent_s = 0.0  # as if the pause were over
        for action in self.due[:]:
            self.due.remove(action)
            action()


def grouping(processes: int = 1) -> tuple[Groups, Pool, Timer]:
    pool, timer = Pool(processes), Timer()
    return Groups(pool, timer, nothing, soft_time_limit=20, time_limit=30), pool, timer


def nothing(messages: object, *, is_again: bool, lost: int) -> tuple[int, None, float]:
    return 0, None, float(is_again and bool(messages) and lost)


def test_a_message_after_a_pause_goes_at_once() -> None:
    groups, pool, _ = grouping()
    groups.add(Request("a"))
    assert pool.groups == [["a"]]


def test_what_follows_closely_goes_together_after_the_pause_although_a_process_is_free() -> None:
    groups, pool, timer = grouping(processes=4)
    for name in "abc":
        groups.add(Request(name))
    assert pool.groups == [["a"]]
    assert len(timer.due) == 1
    timer.run(groups)
    assert pool.groups == [["a"], ["b", "c"]]


def test_what_comes_while_all_processes_are_busy_goes_when_one_is_free() -> None:
    groups, pool, timer = grouping()
    for name in "abc":
        groups.add(Request(name))
    timer.run(groups)
    assert pool.groups == [["a"]]
    groups._last_sent_s = 0.0
    pool.jobs[0]["callback"]((0, None, 0.1))
    assert pool.groups == [["a"], ["b", "c"]]


def test_a_full_group_does_not_wait_for_the_pause() -> None:
    groups, pool, _ = grouping(processes=2)
    for number in range(MOST_IN_GROUP + 1):
        groups.add(Request(str(number)))
    assert [len(group) for group in pool.groups] == [1, MOST_IN_GROUP]


def test_every_message_of_a_group_hears_what_became_of_it() -> None:
    groups, pool, timer = grouping(processes=2)
    requests = [Request(name) for name in "abc"]
    for request in requests:
        groups.add(request)
    timer.run(groups)
    pool.jobs[1]["accept_callback"](7, 0.0)
    pool.jobs[1]["timeout_callback"](soft=False, timeout=30)
    pool.jobs[1]["error_callback"](RuntimeError())
    assert [request.told for request in requests] == [[], *([["accepted", "timeout False 30", "failure"]] * 2)]


def test_a_message_that_comes_again_travels_alone() -> None:
    groups, pool, timer = grouping(processes=9)
    groups.add(Request("first"))
    for request in (Request("a"), Request("again", is_again=True), Request("b"), Request("c")):
        groups.add(request)
    for _ in range(3):
        timer.run(groups)
    assert pool.groups == [["first"], ["a"], ["again"], ["b", "c"]]
    assert [job["kwargs"]["is_again"] for job in pool.jobs] == [False, False, True, False]


def test_the_limits_of_the_task_are_those_of_its_groups() -> None:
    groups, pool, _ = grouping()
    groups.add(Request("a"))
    assert (pool.jobs[0]["soft_timeout"], pool.jobs[0]["timeout"]) == (20, 30)


def test_one_that_cannot_be_told_does_not_keep_the_others_from_it() -> None:
    groups, pool, timer = grouping(processes=2)
    requests = [Request(name) for name in "abcd"]
    requests[2].on_success = requests[2].fail  # type: ignore[method-assign]
    for request in requests:
        groups.add(request)
    timer.run(groups)
    with pytest.raises(OSError, match="gone"):
        pool.jobs[1]["callback"]((0, None, 0.1))
    assert [request.told for request in requests] == [[], ["success"], [], ["success"]]


def test_a_group_is_acknowledged_at_once_where_the_transport_can_and_one_by_one_where_not() -> None:
    together = Together()
    for qos, acknowledged in ((together, True), (None, False)):
        groups, pool, timer = grouping(processes=2)
        requests = [Request(name, qos=qos) for name in "abc"]
        for request in requests:
            groups.add(request)
        timer.run(groups)
        for job in pool.jobs:
            job["callback"]((0, None, 0.1))
        assert [request.told for request in requests] == [["success"]] * 3
        assert [request.acknowledged for request in requests] == [False, acknowledged, acknowledged]
    assert together.acknowledged == [["b", "c"]]
