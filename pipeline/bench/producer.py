"""A producer in a process of its own: `python -m pipeline.bench.producer --events 1000 --keys 100`.

It knows the broker's address (PIPELINE_BROKER_URL or PIPELINE_REDIS_URL) and nothing else, and ends when all is sent.
"""

import importlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click

from pipeline.bench.workload import messages


@click.command()
@click.option("--events", required=True, type=click.IntRange(min=1))
@click.option("--keys", required=True, type=click.IntRange(min=1))
@click.option("--per-message", default=1, type=click.IntRange(min=1), help="Events in one message.")
@click.option("--rate", default=0.0, help="Events a second; 0 is as fast as it goes.")
@click.option("--task", help="Another task to send each event to, as module:name.")
def main(*, events: int, keys: int, per_message: int, rate: float, task: str | None) -> None:
    """Send identify events."""
    send = _sender(task, is_alone=per_message == 1)
    begun = time.monotonic()
    sent = 0
    for message in messages(events, keys, per_message):
        if rate:
            time.sleep(max(0.0, begun + sent / rate - time.monotonic()))
        send(message)
        sent += len(message)


def _sender(task: str | None, *, is_alone: bool) -> Callable[[Sequence[Any]], object]:
    if task is not None:
        module, _, name = task.partition(":")
        return partial(_each, getattr(importlib.import_module(module), name).delay)
    from pipeline import send_event, send_events

    return partial(_each, send_event.delay) if is_alone else send_events.delay


def _each(send: Callable[[Any], object], message: Sequence[Any]) -> None:
    for event in message:
        send(event)


if __name__ == "__main__":
    main()
