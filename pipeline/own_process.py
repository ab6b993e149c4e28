"""What a process of the pipeline's own, a worker or beat, does with itself: its log, its imports, its garbage.

Nothing of this happens in a process that only sends events, whose log and memory are somebody else's.
"""

import gc
import logging
import os
from typing import Any

from celery.signals import after_setup_logger, after_setup_task_logger, worker_init, worker_process_init

from pipeline import logs
from pipeline.extras import missing_for_workers

# Objects made and not given back since the last look for cycles, from which the next look is due.
_NEW_OBJECTS = 50_000

# They write a line when a task is received and another when it is done, which tells nothing of an event (its arguments
# are hidden) and costs an ingest worker as much as the event does. What a delivery did, `deliver` logs itself.
_WORDY = ("celery.worker.strategy", "celery.app.trace")


def set_up(app: Any) -> None:
    """Make this process the application's own. Ends it, with a sentence, where what workers need is not installed."""
    if missing := missing_for_workers():
        raise SystemExit(missing)
    app.set_current()
    app.set_default()
    after_setup_logger.connect(_log_batches_and_not_messages)
    after_setup_logger.connect(_log_without_values)
    after_setup_task_logger.connect(_log_without_values)
    worker_init.connect(_import_before_the_pool_forks)
    worker_process_init.connect(_look_for_garbage_rarely)


def _log_batches_and_not_messages(loglevel: int, **_: Any) -> None:
    """Keep Celery's two lines for each message to `--log-level DEBUG`."""
    for name in _WORDY:
        logging.getLogger(name).setLevel(logging.DEBUG if loglevel <= logging.DEBUG else logging.WARNING)


def _log_without_values(logger: Any, **_: Any) -> None:
    logs.set_up(logger, logs.log_format(os.environ))


def _import_before_the_pool_forks(**_: Any) -> None:
    """Import what the tasks use, which a producer does without: once, and not in each process at its first message.

    What was imported is never looked at for cycles from then on, in no process: a full look would copy most of the
    memory that they share, and Celery has one taken before it forks each of them.
    """
    import pipeline.amqp
    import pipeline.delivery.backlog
    import pipeline.delivery.deliverer
    import pipeline.events.schemas
    import pipeline.settings.file
    import pipeline.tasks.runtime
    import pipeline.tasks.sent  # noqa: F401

    gc.collect()
    gc.freeze()


def _look_for_garbage_rarely(**_: Any) -> None:
    """Have Python look for cycles seldom: a batch is a hundred thousand small objects, and none of them is in one.

    By default each 700 new ones bring a look, which is a fifth of a delivery's time.
    """
    gc.set_threshold(_NEW_OBJECTS)
