"""Take in the messages that wait together: a strategy of Celery's consumer for tasks that may be repeated.

By itself Celery hands every message to a worker process on its own. Here one that comes after a pause goes at once;
what follows it closely goes together, once the pause is over and a process is free. So a quiet queue waits for nothing,
and a busy one pays once per group for the way to the process, for the task's set-up and for Redis.

The messages of a group are acknowledged after it was carried out, with Redis in one round trip. When a worker process
dies, its group's messages go back to the queue, and a message that comes again travels alone, so that one which kills
processes cannot keep others from being taken in.

What is relied on in Celery 5.7, worker/strategy.py: the default strategy gives each request to
`consumer.on_task_request` and to nothing else; `Request.on_accepted`, `on_success`, `on_failure` and `on_timeout` are
the pool's callbacks and acknowledge, or send back, their own message, unless `acknowledged` says that it was done.
After a lost connection the consumer makes its strategies anew, and takes back prefetches as messages are acknowledged
one by one; so a message that travels alone is.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from time import monotonic
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from billiard.exceptions import TimeLimitExceeded, WorkerLostError

from pipeline.message_format import lost_readers

# Enough to make what a group costs as a whole small against its messages, few enough to share among processes.
MOST_IN_GROUP: Final = 50
# Between two groups. Short beside what an event's way to Salesforce takes, long enough for a dozen messages to come.
_PAUSE_S: Final = 0.01

Body: TypeAlias = tuple[Any, str, str]  # as it came, content type ("" where it is decoded), content encoding


class Work(Protocol):
    """Carries out messages, several or one that may come again; answers as Celery's pool expects it of a task."""

    def __call__(self, messages: Sequence[Body], *, is_again: bool, lost: int) -> tuple[int, None, float]:
        """Carry them out; `lost` readers have died of the one that comes again."""


@runtime_checkable
class _AcknowledgesTogether(Protocol):
    """What pipeline/broker.py can, and RabbitMQ's transport cannot."""

    def ack_together(self, delivery_tags: Sequence[str]) -> None:
        """Acknowledge messages in one round trip."""


@runtime_checkable
class _CountsLostReaders(Protocol):
    """What pipeline/broker.py can; RabbitMQ counts deliveries by itself."""

    lost: set[str]


class Groups:
    """Requests that wait for a process, and how many groups are with one.

    The limits are those of a task, in seconds: after the soft one SoftTimeLimitExceeded is raised in the work, after
    the hard one its process is killed.
    """

    def __init__(
        self,
        pool: Any,
        timer: Any,
        work: Work,
        *,
        soft_time_limit: float | None,
        time_limit: float | None,
        most: int = MOST_IN_GROUP,
    ) -> None:
        self._pool = pool
        self._timer = timer
        self._work = work
        self._most = most
        self._limits = {"soft_timeout": soft_time_limit, "timeout": time_limit}
        self._waiting: deque[Any] = deque()
        self._at_work = 0
        self._last_sent_s = 0.0
        self._is_pausing = False

    def add(self, request: Any) -> None:
        """Send a request to a process, or let it wait until one is free."""
        self._waiting.append(request)
        self._send()

    def _send(self) -> None:
        while self._waiting and self._at_work < max(1, self._pool.num_processes or 1):
            left_s = self._last_sent_s + _PAUSE_S - monotonic()
            if left_s > 0 and len(self._waiting) < self._most:
                if not self._is_pausing:
                    self._is_pausing = True
                    self._timer.call_after(left_s, self._go_on)
                return
            self._last_sent_s = monotonic()
            self._at_work += 1
            try:
                self._give(self._next_group())
            except BaseException:
                self._at_work -= 1
                raise

    def _go_on(self) -> None:
        self._is_pausing = False
        self._send()

    def _next_group(self) -> list[Any]:
        group = [self._waiting.popleft()]
        if _is_again(group[0]):
            return group
        while self._waiting and len(group) < self._most and not _is_again(self._waiting[0]):
            group.append(self._waiting.popleft())
        return group

    def _give(self, group: Sequence[Any]) -> None:
        def each(name: str) -> Callable[..., None]:
            def tell(*arguments: Any, **options: Any) -> None:
                with ExitStack() as telling:  # one that fails does not keep the others from being told
                    for request in reversed(group):
                        telling.callback(getattr(request, name), *arguments, **options)

            return tell

        def ended(name: str) -> Callable[..., None]:
            tell = each(name)

            def tell_and_go_on(*arguments: Any, **options: Any) -> None:
                self._at_work -= 1
                try:
                    self._send()  # first, so that the process has work while the messages are acknowledged
                finally:
                    if name == "on_success":
                        _acknowledge(group)
                    elif len(group) == 1:
                        _note_lost_reader(group[0], *arguments)
                    tell(*arguments, **options)

            return tell_and_go_on

        self._pool.apply_async(
            self._work,
            args=([(one.body, one.content_type or "", one.content_encoding or "") for one in group],),
            kwargs={"is_again": _is_again(group[0]), "lost": lost_readers(group[0].message.headers)},
            accept_callback=each("on_accepted"),
            callback=ended("on_success"),
            error_callback=ended("on_failure"),
            timeout_callback=each("on_timeout"),
            correlation_id=group[0].id,
            **self._limits,
        )


def grouped(work: Work, *, most: int = MOST_IN_GROUP) -> Callable[..., Any]:
    """Return the strategy of a task whose messages are carried out by `work`, in groups of at most `most`."""

    def strategy(task: Any, app: Any, consumer: Any, **options: Any) -> Any:
        from celery.worker.strategy import default  # a producer does not load what workers run

        groups = Groups(
            consumer.pool,
            consumer.timer,
            work,
            soft_time_limit=task.soft_time_limit,
            time_limit=task.time_limit,
            most=most,
        )
        return default(task, app, _Consumer(consumer, groups.add), **options)

    return strategy


class _Consumer:
    """Celery's consumer, with another place to send requests to."""

    def __init__(self, consumer: Any, on_task_request: Callable[[Any], None]) -> None:
        self._consumer = consumer
        self.on_task_request = on_task_request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)


def _acknowledge(group: Sequence[Any]) -> None:
    """Acknowledge the messages of a group in one round trip; where that cannot be, each request does it by itself."""
    if len(group) == 1:
        return
    held = getattr(group[0].message.channel, "qos", None)
    together = [one for one in group if getattr(one.message.channel, "qos", None) is held and not one.acknowledged]
    if not isinstance(held, _AcknowledgesTogether):
        return
    try:
        held.ack_together([request.message.delivery_tag for request in together])
    except Exception:  # noqa: BLE001  (a lost connection, mostly; each request tells what it is when it does the same)
        return
    for request in together:
        request.acknowledged = True


def _note_lost_reader(request: Any, failure: Any = None, *_: Any) -> None:
    """Have a message counted that was alone with a process which died, or had to be killed for the time it took."""
    error = getattr(failure, "exception", None)
    error = getattr(error, "exc", error)  # as billiard wraps one to send it
    if isinstance(error, WorkerLostError | TimeLimitExceeded | SystemExit):
        held = getattr(request.message.channel, "qos", None)
        if isinstance(held, _CountsLostReaders):
            held.lost.add(request.message.delivery_tag)


def _is_again(request: Any) -> bool:
    return bool(request.delivery_info.get("redelivered"))
