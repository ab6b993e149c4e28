"""The Celery application: the one place where it is made.

It is a guest in other people's programs: making it, and sending with it, changes nothing for another Celery application
of the process. So it is not the current one; it takes no other application's tasks and gives it none of its own; its
transport and its pools are its own, and no name that kombu knows is changed; it brings no Django fixup, which connects
Celery's signals and changes `sys.path`. What a worker wants of its process is set up by `pipeline/own_process.py`, once
a worker or beat of this application starts there.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.app import base
from celery.app.utils import Settings

# What Celery.send_task takes by position after args and kwargs, as far as anybody would write it so.
_OF_SEND_TASK = ("countdown", "eta", "task_id", "producer", "connection")


class _Settings(Settings):
    """Celery's settings as we give them: Celery's own class has CELERY_ variables of the environment come first.

    Those are as a rule of the Django or Flask application that events are sent from.
    """

    broker_url = property(lambda self: self["broker_url"])
    broker_read_url = broker_write_url = broker_url
    result_backend = property(lambda self: self["result_backend"])


class _App(Celery):
    amqp_cls = "pipeline.amqp:AMQP"

    def on_init(self) -> None:
        """Make the settings ours, before one of them is read; see celery.Celery.on_init."""
        object.__setattr__(self.conf, "__class__", _Settings)  # an attribute that is set as usual is a setting

    if not TYPE_CHECKING:  # it has Celery's types

        def task(self, *arguments: Any, **options: Any) -> Any:
            """Make a task of this application, also where FORKED_BY_MULTIPROCESSING is set.

            Celery then makes it one of whatever application is current (`Celery.task`), which is not ours in a host.
            """
            former, base.USING_EXECV = base.USING_EXECV, None
            try:
                return super().task(*arguments, **options)
            finally:
                base.USING_EXECV = former

    def start(self, argv: Any = None) -> Any:
        """Run a command of Celery's and return the code that it ends with, which Celery's own `start` drops."""
        from celery.bin.celery import celery

        celery.params[0].default = self
        return celery.main(args=argv, standalone_mode=False)

    def send_task(self, name: str, args: Any = None, kwargs: Any = None, *arguments: Any, **options: Any) -> Any:
        """Send a task by its name; send_event and send_events as `apply_async` does, which calls this once more."""
        if "task_type" not in options and name in ("pipeline.send_event", "pipeline.send_events"):
            by_position = dict(zip(_OF_SEND_TASK, arguments, strict=False))
            return self.tasks[name].apply_async(args, kwargs, **by_position, **options)
        return super().send_task(name, args, kwargs, *arguments, **options)

    @cached_property
    def Worker(self) -> Any:  # noqa: N802  (Celery's name)
        """The worker of `pipeline worker` and of `celery -A pipeline worker`, whose process is the pipeline's own."""
        return self._in_own_process("celery.apps.worker:Worker")

    @cached_property
    def Beat(self) -> Any:  # noqa: N802  (Celery's name)
        """As `Worker`, for beat."""
        return self._in_own_process("celery.apps.beat:Beat")

    def _in_own_process(self: Any, name: str) -> Any:
        from pipeline.own_process import set_up

        set_up(self)
        return self.subclass_with_self(name)

    @property
    def pool(self: Any) -> Any:
        """The connections that workers publish over. Kombu's own pools are shared, and so is the bound on them."""
        if self._pool is None:
            self._ensure_after_fork()
            self._pool = self.connection_for_write().Pool(limit=self.conf.broker_pool_limit)
        return self._pool

    def _task_from_fun(self, fun: Any, *arguments: Any, **options: Any) -> Any:
        """Make a task of a function of the pipeline's or Celery's; Celery offers those of every other application."""
        if fun.__module__.partition(".")[0] not in {"pipeline", "celery"}:
            return None
        make: Any = super()._task_from_fun
        return make(fun, *arguments, **options)


# Said here, because CELERY_LOADER, CELERY_RESULT_BACKEND and DJANGO_SETTINGS_MODULE of a host would be taken otherwise.
app = _App(
    "pipeline",
    loader="celery.loaders.app:AppLoader",
    backend="disabled",
    fixups=[],
    set_as_current=False,
    include=["pipeline.tasks.ingest", "pipeline.tasks.deliver", "pipeline.tasks.upkeep"],
)
app.config_from_object("pipeline.celeryconfig")
