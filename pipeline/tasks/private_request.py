"""PrivateRequest: what a worker tells Celery's events and logs of a message, whoever sent it."""

from typing import Any

from celery.worker.request import Request


class PrivateRequest(Request):
    """A request whose arguments are shown as its task shows them, and never as its sender wrote.

    Senders that know the pipeline only by name, as by `send_task("pipeline.send_event", [event])`, send the event's own
    text along; it would stand in Flower and in the logs.
    """

    # Celery's own, which its stubs leave out.
    _task: Any
    _args: Any
    _request_dict: dict[str, Any]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        shown = self._task.shown(self._args) if isinstance(self._args, list | tuple) else "(hidden)"
        self._argsrepr = self._request_dict["argsrepr"] = shown
        self._kwargsrepr = self._request_dict["kwargsrepr"] = "{}"
