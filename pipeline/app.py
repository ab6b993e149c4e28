"""The Celery application: the one place where it is made."""

import os
from typing import Any

from celery import Celery
from celery.signals import after_setup_logger, after_setup_task_logger

from pipeline import logs


class _App(Celery):
    def start(self, argv: Any = None) -> Any:
        """Run a command of Celery's and return the code that it ends with, which Celery's own `start` drops."""
        from celery.bin.celery import celery

        celery.params[0].default = self
        return celery.main(args=argv, standalone_mode=False)


app = _App("pipeline", include=["pipeline.tasks.ingest", "pipeline.tasks.deliver", "pipeline.tasks.upkeep"])
app.config_from_object("pipeline.celeryconfig")


@after_setup_logger.connect
@after_setup_task_logger.connect
def _write_logs_our_way(logger: Any, **_: Any) -> None:
    logs.set_up(logger, logs.log_format(os.environ))
