"""The yardstick: a Celery application with Celery's own settings, and one task that takes an event and does nothing."""

import os
from typing import Any

from celery import Celery

from pipeline import settings

app = Celery("noop", broker=settings.broker_url(os.environ))
app.conf.task_default_queue = "noop"


@app.task(name="noop", ignore_result=True)
def noop(event: Any) -> None:
    """Take an event."""
