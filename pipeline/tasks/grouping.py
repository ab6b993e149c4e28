"""Take in the messages that wait together: a strategy of Celery's consumer for tasks that may be repeated.

By itself Celery hands every message to a worker process on its own. Here one that comes after a pause goes at once;
what follows it closely goes together, once the pause is over and a process is free. So a quiet queue waits for nothing,
and a busy one pays once per group for the way to the process, for the task's set-up and for Redis.

The messages of a group are acknowledged in one round trip after it was carried out. When a worker process dies, its
group's messages go back to the queue, and a message that comes again travels alone, so that one which kills processes
cannot keep others from being taken in.

What is relied on in Celery 5.7, worker/strategy.py: the default strategy gives each request to
`consumer.on_task_request` and to nothing else; `Request.on_accepted`, `on_success`, `on_failure` and `on_timeout` are
the pool's callbacks and acknowledge, or send back, their own message, unless `acknowledged` says that it was done. And
in kombu 5.7, transport/redis.py: `QoS.ack` is `_remove_from_indices` and the ack of the virtual transport.
"""

from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final, TypeAlias

from kombu.transport.redis import QoS
from kombu.transport.virtual import QoS as VirtualQoS
from redis.exceptions import RedisError

# Enough to make what a group costs as a whole small against its messages, few enough to share among processes.
MOST_IN_GROUP: Final = 50
# Between two groups. Short beside what an event's way to Salesforce takes, long enough for a dozen messages to come.
_PAUSE_S: Final = 0.01

Body: TypeAlias = tuple[Any, str, str]  # as it came, content type ("" where it is decoded), content encoding
Work: TypeAlias = Callable[[Sequence[Body]], tuple[int, None, float]]


class Groups:
    """Requests that wait for a process, and how many groups are with one."""

    def __init__(self, pool: Any, timer: Any, work: Work, *, time_limit: float | None) -> None:
        self._pool = pool
        self._timer = timer
        self._work = work
        self._time_limit = time_limit
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
            if left_s > 0 and len(self._waiting) < MOST_IN_GROUP:
                if not self._is_pausing:
                    self._is_pausing = True
                    self._timer.call_after(left_s, self._go_on)
                return
            self._last_sent_s = monotonic()
            self._at_work += 1
            self._give(self._next_group())

    def _go_on(self) -> None:
        self._is_pausing = False
        self._send()

    def _next_group(self) -> list[Any]:
        group = [self._waiting.popleft()]
        if _is_again(group[0]):
            return group
        while self._waiting and len(group) < MOST_IN_GROUP and not _is_again(self._waiting[0]):
            group.append(self._waiting.popleft())
        return group

    def _give(self, group: Sequence[Any]) -> None:
        def each(name: str) -> Callable[..., None]:
            def tell(*arguments: Any, **options: Any) -> None:
                for request in group:
                    getattr(request, name)(*arguments, **options)

            return tell

        def ended(name: str) -> Callable[..., None]:
            tell = each(name)

            def tell_and_go_on(*arguments: Any, **options: Any) -> None:
                self._at_work -= 1
                self._send()  # first, so that the process has work while the messages are acknowledged
                if name == "on_success":
                    _acknowledge(group)
                tell(*arguments, **options)

            return tell_and_go_on

        self._pool.apply_async(
            self._work,
            args=([(one.body, one.content_type or "", one.content_encoding or "") for one in group],),
            accept_callback=each("on_accepted"),
            callback=ended("on_success"),
            error_callback=ended("on_failure"),
            timeout_callback=each("on_timeout"),
            timeout=self._time_limit,
            correlation_id=group[0].id,
        )


def grouped(work: Work) -> Callable[..., Any]:
    """Return the strategy of a task whose messages are carried out by `work`, in groups."""

    def strategy(task: Any, app: Any, consumer: Any, **options: Any) -> Any:
        from celery.worker.strategy import default  # a producer does not load what workers run

        groups = Groups(consumer.pool, consumer.timer, work, time_limit=task.time_limit or app.conf.task_time_limit)
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
    """Acknowledge the messages of a group in one round trip; where that fails, each request does it by itself."""
    held = group[0].message.channel.qos
    if not isinstance(held, QoS):
        return
    qos: Any = held
    together = [one for one in group if one.message.channel.qos is qos]
    try:
        with qos.pipe_or_acquire() as pipe:
            for request in together:
                qos._remove_from_indices(request.message.delivery_tag, pipe)  # noqa: SLF001  (kombu acknowledges so)
            pipe.execute()
    except (RedisError, OSError):
        return
    for request in together:
        VirtualQoS.ack(qos, request.message.delivery_tag)
        request.acknowledged = True


def _is_again(request: Any) -> bool:
    return bool(request.delivery_info.get("redelivered"))
