"""The Celery application: the one place where it is made."""

import gc
import logging
import os
from typing import Any

from celery import Celery
from celery.app.utils import Settings
from celery.signals import after_setup_logger, after_setup_task_logger, worker_init, worker_process_init

from pipeline import logs


class _Settings(Settings):
    """Celery's settings as we give them: Celery's own class has CELERY_ variables of the environment come first.

    Those are as a rule of the Django or Flask application that events are sent from.
    """

    broker_url = property(lambda self: self["broker_url"])
    broker_read_url = broker_write_url = broker_url
    result_backend = property(lambda self: self["result_backend"])


class _App(Celery):
    def on_init(self) -> None:
        """Make the settings ours, before one of them is read; see celery.Celery.on_init."""
        object.__setattr__(self.conf, "__class__", _Settings)  # an attribute that is set as usual is a setting

    def start(self, argv: Any = None) -> Any:
        """Run a command of Celery's and return the code that it ends with, which Celery's own `start` drops."""
        from celery.bin.celery import celery

        celery.params[0].default = self
        return celery.main(args=argv, standalone_mode=False)


# Objects made and not given back since the last look for cycles, from which the next look is due.
_NEW_OBJECTS = 50_000

# Said here, because CELERY_LOADER, CELERY_RESULT_BACKEND and DJANGO_SETTINGS_MODULE of a host would be taken otherwise.
app = _App(
    "pipeline",
    include=["pipeline.tasks.ingest", "pipeline.tasks.deliver", "pipeline.tasks.upkeep"],
    loader="celery.loaders.app:AppLoader",
    backend="disabled",
    fixups=[],
)
app.config_from_object("pipeline.celeryconfig")

# They write a line when a task is received and another when it is done, which tells nothing of an event (its arguments
# are hidden) and costs an ingest worker as much as the event does. What a delivery did, `deliver` logs itself.
_WORDY = ("celery.worker.strategy", "celery.app.trace")


@after_setup_logger.connect
def _log_batches_and_not_messages(loglevel: int, **_: Any) -> None:
    """Keep Celery's two lines for each message to `--log-level DEBUG`."""
    for name in _WORDY:
        logging.getLogger(name).setLevel(logging.DEBUG if loglevel <= logging.DEBUG else logging.WARNING)


@after_setup_logger.connect
@after_setup_task_logger.connect
def _log_without_values(logger: Any, **_: Any) -> None:
    logs.set_up(logger, logs.log_format(os.environ))


@worker_init.connect
def _import_before_the_pool_forks(**_: Any) -> None:
    """Import what the tasks use, which a producer does without: once, and not in each process at its first message.

    What was imported is never looked at for cycles from then on, in no process: a full look would copy most of the
    memory that they share, and Celery has one taken before it forks each of them.
    """
    import pipeline.delivery.backlog
    import pipeline.delivery.deliverer
    import pipeline.events.schemas
    import pipeline.settings.file
    import pipeline.tasks.runtime  # noqa: F401

    gc.collect()
    gc.freeze()


@worker_process_init.connect
def _look_for_garbage_rarely(**_: Any) -> None:
    """Have Python look for cycles seldom: a batch is a hundred thousand small objects, and none of them is in one.

    By default each 700 new ones bring a look, which is a fifth of a delivery's time.
    """
    gc.set_threshold(_NEW_OBJECTS)
