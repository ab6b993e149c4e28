"""Whichever way an event is sent, a real worker takes it in, and `pipeline trace` finds it by what was returned."""

import subprocess
from collections.abc import Callable
from typing import Any

from celery import group

from pipeline import app, send_event, send_events
from pipeline.inbox.dead_letters import received
from pipeline.local import LocalStack, connect_producer, pipeline_command, wait_until

task: Any = send_event  # Celery's stubs know the function, and not that it is a task
tasks: Any = send_events
EVENT = {"type": "identify", "userId": "u1"}


def test_all_ways_lead_in(start_stack: Callable[..., LocalStack]) -> None:
    stack = start_stack(workers={"worker-1": ("--ingest",)}, has_beat=False)
    connect_producer(stack.broker_url)
    sent = [
        task.delay(EVENT),
        task.delay(event=EVENT),
        *(task.apply_async([EVENT], compression=name) for name in ("gzip", "zlib", "bzip2")),
        task.apply_async([EVENT], priority=9),
        task.apply_async([EVENT], priority=0, headers={"of": "test"}, queue="ingest", serializer="json"),
        task.apply_async([EVENT], task_id="an-id", ignore_result=False, shadow="identify"),
        task.s(EVENT).apply_async(),
        app.send_task("pipeline.send_event", [EVENT]),
        tasks.delay(EVENT for _ in range(3)),
        tasks.apply_async(([EVENT],), compression="gzip"),
    ]
    group(task.s(EVENT) for _ in range(2)).delay()
    ids = [message_id for one in sent for message_id in one.message_ids]
    assert len(set(ids)) == len(ids) == 14
    with stack.redis.client() as redis:
        wait_until(lambda: received(redis) == {"skipped": 16}, what="all events", within_s=30)
    for message_id in (ids[0], ids[-1]):
        trace = pipeline_command("trace", message_id)
        told = subprocess.run(trace, env=stack.env, cwd=stack.folder, capture_output=True, text=True, check=True)
        assert told.stdout.startswith("skipped")
    assert "set aside" not in stack.workers["worker-1"].output()
