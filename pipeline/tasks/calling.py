"""What may be asked of `send_event` and `send_events` in Celery's many ways of calling a task.

A worker takes events in by the group and runs nothing after an event, keeps no result, and reads one queue. What Celery
would send along for other workers (callbacks, a chain, an hour to run at) would be dropped there without a word, so it
is refused where it is asked for, with a sentence that says what to do instead.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from pipeline.errors import RefusedCall

# Of Celery's Task.apply_async, in their order after args and kwargs.
POSITIONAL: Final = ("task_id", "producer", "link", "link_error", "shadow")

ONLY_FROM_HERE: Final = "pipeline_only_from_here"

MANY: Final = "send_events.delay([event, ...]) sends many events with one message; send_event has no map or chunks"
EAGER: Final = (
    "nothing is sent in eager mode, and events are not taken in by the process that sends them; in a test write "
    "`with pipeline.testing.sent_events() as sent:` around the code, and leave task_always_eager out"
)
_NOTHING_AFTER: Final = "workers run nothing after an event; send each event with a call of its own"
_AT_ONCE: Final = "an event is sent when it happens, and its time is its timestamp; to send it later, call delay later"
_KEPT: Final = "an event that is in the queue is delivered, however long that takes"
_WORKERS_OWN: Final = "the time that a worker may take is the worker's own setting"
_OWN_BROKER: Final = "events go to the broker that PIPELINE_BROKER_URL or PIPELINE_REDIS_URL names"
_REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("link", "link_error", "chain", "chord"), _NOTHING_AFTER),
    **dict.fromkeys(("countdown", "eta"), _AT_ONCE),
    **dict.fromkeys(("expires", "expiration"), _KEPT),
    **dict.fromkeys(("time_limit", "soft_time_limit"), _WORKERS_OWN),
    **dict.fromkeys(("connection", "publisher", "router"), _OWN_BROKER),
}
# A group sends over the connections of its first task, which may be another application's.
_LEFT_OUT: Final = frozenset({ONLY_FROM_HERE, "producer", *_REFUSED})
# A message that goes anywhere else is read by nobody.
_ADDRESSES: Final = ("queue", "routing_key", "exchange")
# What every installation of kombu can unpack.
_COMPRESSIONS: Final = ("gzip", "zlib", "bzip2")


def checked(name: str, options: Mapping[str, Any], conf: Any) -> dict[str, Any]:
    """Return the options of a call as they are passed on. Raises RefusedCall for those that would lose events."""
    kept = {option: value for option, value in options.items() if option not in _LEFT_OUT}
    for option, why in _REFUSED.items():
        if options.get(option) is not None and options[option] != []:
            raise RefusedCall(f"{name} takes no {option}: {why}")
    for option in _ADDRESSES:
        value = kept.pop(option, None)
        if value and getattr(value, "name", value) != conf.task_default_queue:
            raise RefusedCall(f"{name} takes no other {option} than {conf.task_default_queue!r}: no worker reads it")
    serializer = kept.pop("serializer", None)
    if serializer not in {None, conf.task_serializer}:
        raise RefusedCall(f"{name} sends {conf.task_serializer!r}; workers accept nothing else")
    if kept.get("compression") not in {None, *_COMPRESSIONS}:
        raise RefusedCall(f"{name} compresses with one of {', '.join(_COMPRESSIONS)}, or not at all")
    return kept


def argument(args: Any, kwargs: Any, name: str) -> Any:
    """Return the one argument of a call. Raises RefusedCall where there are more, or none."""
    if isinstance(args, Mapping | str | bytes):
        raise RefusedCall(f"apply_async takes a list of arguments: write apply_async([{name}]), or delay({name})")
    given = [*(args or ()), *((kwargs or {}).values())]
    unknown = [key for key in kwargs or {} if key != name]
    if len(given) != 1 or unknown:
        raise RefusedCall(f"the one argument is called {name}: write delay({name}), or delay({name}={name})")
    return given[0]


def called(name: str) -> str:
    """Return what to say to who calls a task as a function."""
    return f"{name}(...) sends nothing; write {name}.delay(...)"


def one_event(given: Any) -> dict[str, Any]:
    """Return an event that a caller gave. Raises RefusedCall for what is none, without quoting it."""
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        raise RefusedCall("send_event takes one event; send_events.delay([event, ...]) sends many")
    raise RefusedCall(f"an event is a dict, and this is {_kind(given)}")


def many_events(given: Any) -> list[Any]:
    """Return the events that a caller gave, or one by itself. Raises RefusedCall for what are none.

    What among many is no dict is sent as it is: it becomes a dead letter, and costs the others nothing.
    """
    if isinstance(given, Mapping):
        return [dict(given)]
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise RefusedCall(f"send_events takes a list of events, and this is {_kind(given)}")
    return [dict(one) if isinstance(one, Mapping) else one for one in given]


def _kind(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def as_json(events: list[Any]) -> list[Any]:
    """Return events, which are plain JSON, as a worker reads them: copies that nobody else changes."""
    decoded: list[Any] = json.loads(json.dumps(events))
    return decoded


class OnlyFromHere:
    """An option of a signature that keeps it out of messages.

    Celery writes a callback, or the rest of a chain, into the message of the task before it, and the worker of that
    task sends it to its own broker, where nobody takes events in.
    """

    def __json__(self) -> NoReturn:
        raise RefusedCall(
            "send_event cannot be part of another task's message (link, chain, chord): its worker would send the event "
            "to its own broker; call send_event.delay(event) in the task instead"
        )

    def __reduce__(self) -> NoReturn:
        self.__json__()

    def __copy__(self) -> "OnlyFromHere":
        return self

    def __deepcopy__(self, _: Any) -> "OnlyFromHere":
        return self
