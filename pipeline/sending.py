"""Sending: within a few seconds an event is in the broker, or its producer is told that it is not, and what to do.

Whoever calls `delay()` is often answering a request, so everything that may hang is bounded together: the address that
is looked up, the connection, TLS, the login, and the broker's answer. Celery and kombu bound each of these by itself
and repeat them. A connection is made in a thread of its own, because nothing else bounds the looking up of a name; once
it stands, an event is one round trip, whose timeout the socket has.

A connection that was at work when anything went wrong is thrown away, an interrupt included: an answer that was not
read would be taken for that of the next command.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, TypeVar

from kombu.exceptions import EncodeError, OperationalError
from redis.exceptions import ReadOnlyError, RedisError

from pipeline.errors import ConfigurationError, PipelineError
from pipeline.redis_faults import in_words, is_refusal

log = logging.getLogger(__name__)

T = TypeVar("T")

TIMEOUT: Final = "PIPELINE_SEND_TIMEOUT"
DEFAULT_TIMEOUT_S: Final = 3.0
_LONGEST_TIMEOUT_S: Final = 3600.0
# Of the whole time, for one answer: a connection of which nothing is heard leaves time to try another one.
_ANSWER_SHARE: Final = 1 / 3
# Before the second attempt, the third and the fourth: as Celery does by default.
_PAUSES_S: Final = (0.0, 0.2, 0.4)


class NotSent(PipelineError, OperationalError):  # noqa: N818  (what became of the event)
    """The broker did not confirm events in time, or refused them. They may be sent again with the same `messageId`.

    `message_ids` are those that were made or given. The broker may have the events nevertheless, where its answer was
    lost; the same id makes a repetition harmless.
    """

    def __init__(self, message: str, message_ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message_ids = message_ids


def send_timeout_s(environ: Mapping[str, str]) -> float:
    """Return how long sending may take, in seconds. Raises ConfigurationError for what is no such time."""
    from pipeline.settings.secrets import given

    text = given(environ, TIMEOUT)
    try:
        seconds = DEFAULT_TIMEOUT_S if text is None else float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_TIMEOUT_S:
        raise ConfigurationError(f"{TIMEOUT} is a number of seconds, as {DEFAULT_TIMEOUT_S:.0f}")
    return seconds


class Sender:
    """Producers that wait for an event to send, each with a connection of its own; for any number of threads."""

    def __init__(self, app: Any, timeout_s: float) -> None:
        from pipeline.settings import is_rabbitmq

        self._app = app
        self._timeout_s = timeout_s
        self._is_rabbitmq = is_rabbitmq(app.conf.broker_write_url)
        self._idle: list[Any] = []
        # As many as the application's other pool has: beyond that threads wait for one another.
        self._slots = threading.BoundedSemaphore(app.conf.broker_pool_limit or 10)

    def send(self, publish: Callable[[Any], T], *, has_retries: bool = True) -> T:
        """Have `publish` send with a producer, until it succeeds or the time is over. Raises NotSent."""
        ends_at = time.monotonic() + self._timeout_s
        error: Exception
        for pause_s in (*_PAUSES_S, None):
            try:
                return self._attempt(publish, ends_at)
            except (OperationalError, RedisError, OSError) as failed:
                error = failed
            if pause_s is None or not has_retries or _is_final(error) or time.monotonic() + pause_s >= ends_at:
                break
            time.sleep(pause_s)
        raise NotSent(self._advice(error)) from None

    def _attempt(self, publish: Callable[[Any], T], ends_at: float) -> T:
        if not self._slots.acquire(timeout=max(0.0, ends_at - time.monotonic())):
            raise _TooLateError("all connections are busy")
        producer = None
        try:
            producer = self._take_idle() or self._connect(ends_at - time.monotonic())
            result = publish(producer)
        except EncodeError:  # before anything was sent
            self._idle.append(producer)
            raise
        except BaseException:
            if producer is not None:
                _throw_away(producer.connection)
            self.close()  # what broke one has mostly broken all, and each would cost an attempt
            raise
        else:
            self._idle.append(producer)
            return result
        finally:
            self._slots.release()

    def _take_idle(self) -> Any:
        while (producer := self._pop()) is not None and not producer.connection.connected:
            _throw_away(producer.connection)
        return producer

    def _pop(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connect(self, left_s: float) -> Any:
        """Connect, and leave time for an answer."""
        from pipeline.amqp import SENDER_TRANSPORTS

        within_s = max(left_s - self._answer_s, left_s / 2)
        connection = self._app.connection_for_write(
            connect_timeout=self._timeout_s, transport_options=self._transport_options()
        )
        connection.transports = SENDER_TRANSPORTS

        def connect() -> Any:
            addresses = max(1, len(connection.alt))
            try:
                connection.ensure_connection(max_retries=addresses, interval_start=0, interval_step=0, interval_max=0)
                producer = self._app.amqp.Producer(connection, auto_declare=False)
                producer.maybe_declare(self._app.amqp.queues[self._app.conf.task_default_queue])
            except (*connection.connection_errors, *connection.channel_errors) as error:
                raise OperationalError(str(error)) from error
            return producer

        return _within(within_s, connect, too_late=lambda: _throw_away(connection))

    @property
    def _answer_s(self) -> float:
        return self._timeout_s * _ANSWER_SHARE

    def _transport_options(self) -> dict[str, Any]:
        if self._is_rabbitmq:
            return {"read_timeout": self._timeout_s, "write_timeout": self._timeout_s, "confirm_publish": True}
        return {
            "socket_timeout": self._answer_s,
            "socket_connect_timeout": self._timeout_s,
            "retry_on_timeout": False,
            "health_check_interval": 0,  # a dead connection shows itself, and is replaced
        }

    @property
    def publish_options(self) -> dict[str, Any]:
        """What a message is published with: RabbitMQ's confirmation has to come in time."""
        if not self._is_rabbitmq:
            return {}
        return {"timeout": self._answer_s, "confirm_timeout": self._answer_s}

    def _advice(self, error: Exception) -> str:
        where = self._app.connection_for_write().as_uri()  # its password is hidden
        refusal = _refusal(error)
        if refusal is not None:
            why = in_words(refusal)
        else:
            server = "RabbitMQ" if self._is_rabbitmq else "Redis"
            why = f"{server} does not answer ({_cause(error)})"
        return (
            f"the event was not sent: {why}. The broker is {where}. Keep the event and send it again later, with the "
            f"same messageId, which makes a repetition harmless. {TIMEOUT} ({self._timeout_s:g} s) bounds the wait"
        )

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while (producer := self._pop()) is not None:
            _throw_away(producer.connection)


class _TooLateError(OSError):
    """The time was over before something happened."""


def _within(seconds: float, work: Callable[[], T], *, too_late: Callable[[], None]) -> T:
    """Return what `work` returns, or raise what it raises; TimeoutError where it takes longer, and then `too_late()`.

    It goes on in its thread until its own timeouts end it; `too_late` is called when it does.
    """
    done = threading.Event()
    outcome: list[Any] = []
    lock = threading.Lock()
    is_given_up = False

    def run() -> None:
        try:
            result: Any = (True, work())
        except BaseException as error:  # noqa: BLE001  (it is raised where it is waited for)
            result = (False, error)
        with lock:
            outcome.append(result)
            is_late = is_given_up
        done.set()
        if is_late:
            too_late()

    _in_thread(run, "pipeline-connect")
    try:
        done.wait(seconds)
    finally:
        with lock:
            is_given_up = not outcome
    if is_given_up:
        raise _TooLateError("it took too long")
    is_good, value = outcome[0]
    if is_good:
        returned: T = value
        return returned
    raise value


def _throw_away(connection: Any) -> None:
    """Close a connection without waiting for its farewell, which a broker that hangs does not answer."""

    def close() -> None:
        try:
            connection.release()
        except Exception as error:  # noqa: BLE001  (it is of no use any more, in whatever state it is)
            log.debug("a connection did not close: %s", type(error).__name__)

    _in_thread(close, "pipeline-close")


def _in_thread(work: Callable[[], None], name: str) -> None:
    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:  # an interpreter that ends starts none any more
        work()


def _causes(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    for _ in range(10):
        if one is None:
            return
        yield one
        one = one.__cause__ or one.__context__


def _refusal(error: Exception) -> Exception | None:
    """Return the error in which the server says no, however libraries have wrapped it; None if it did not."""
    return next((one for one in _causes(error) if isinstance(one, Exception) and is_refusal(one)), None)


def _is_final(error: Exception) -> bool:
    """Whether to try again is of no use; a replica may have become one just now, and its master be elsewhere."""
    refusal = _refusal(error)
    return refusal is not None and not any(isinstance(one, ReadOnlyError) for one in _causes(error))


def _cause(error: Exception) -> str:
    return "timeout" if isinstance(error, _TooLateError) else type(error.__cause__ or error).__name__


@cache
def sender() -> Sender:
    """Return this process's sender. Raises ConfigurationError for a wrong PIPELINE_SEND_TIMEOUT."""
    from pipeline.app import app

    return Sender(app, send_timeout_s(os.environ))


_of_parents: Final[list[Sender]] = []


def _begin_anew() -> None:
    """Leave a parent process its connections: closed here, or collected as garbage, they would end over there too."""
    if sender.cache_info().currsize:
        _of_parents.append(sender())
        sender.cache_clear()


os.register_at_fork(after_in_child=_begin_anew)


# Where events go in place of the broker, the innermost last: pipeline/testing.py.
recorders: Final[list[list[dict[str, Any]]]] = []


@contextmanager
def recording() -> Iterator[list[dict[str, Any]]]:
    """Collect what this process sends, in place of sending it, for as long as the context lasts."""
    events: list[dict[str, Any]] = []
    recorders.append(events)
    try:
        yield events
    finally:
        recorders.pop()
