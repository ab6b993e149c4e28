"""Kombu's Redis transport with the one gap closed: a message is taken and noted as held in a single step.

Kombu's own channel takes a message with BRPOP (`_brpop_read`) and notes it afterwards (`QoS.append`: the hash `unacked`
and the sorted set `unacked_index`), so a worker killed in between, or one whose connection breaks before it has read
the reply, takes the message with it. Here the taking is `broker_take.lua`, which moves it from its list to `unacked`
before the worker sees it: at any instant it stands in one of the two, and `QoS.restore_visible` brings it back.

A script cannot block, so an idle channel waits for a bell instead: a list beside each queue that every publication
rings, read with BRPOP. A bell carries nothing. One that is lost, or that another producer never rang, costs the wait
(`brpop_timeout`, a second) and no message, because the channel looks into the queues after every wait.

Keys, besides kombu's own
    bell.<queue>        list of at most one empty entry, gone a minute after the last publication
    <queue>.unreadable  list of what was found in a queue and is no message of kombu's; for a person to look at

What is relied on in kombu 5.7, transport/redis.py and transport/virtual/base.py: `_brpop_start` sends one command on
the client's own connection, and the poller calls `_brpop_read` when its reply can be read; `Empty` means that there
was no message; `unacked` holds [payload, exchange, routing key] by delivery tag, `unacked_index` a time, which
`restore_visible` compares with `time() - visibility_timeout`: here both are by the clock of Redis, because those of
workers may differ;
`restore_by_tag`, `ack` and `reject` go by the tag alone; `ack` is `_remove_from_indices` and the virtual QoS's `ack`.
Everything else is inherited: priorities, fair order among queues, several queues, fanout, the visibility timeout, key
prefixes, TLS and Sentinel. Messages lie where stock kombu puts them, so workers and producers with and without this
transport work together.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from queue import Empty
from time import monotonic, sleep, time
from typing import Any, Final

from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

from pipeline.envelope import MOST_BESIDE_BODY, Message, Unfit, read_envelope, split_held
from pipeline.errors import InvalidEvent
from pipeline.events.bounds import MOST_MESSAGE_BYTES
from pipeline.message_format import LOST, lost_readers
from pipeline.redis_faults import in_words

log = logging.getLogger(__name__)

_TAKE: Final = files(__package__).joinpath("broker_take.lua").read_text("utf-8")
_BELL_KEPT_MS: Final = 60_000
_LOOK_AGAIN_S: Final = 1.0
MOST_LOST_READERS: Final = 3  # a message that has cost so many readers their lives is set aside


# Delivery tags that this process held when their connection broke → whether they have been carried out since. They are
# given back, or off the record, over the next connection; otherwise they would come back after the visibility timeout.
_left_behind: Final[dict[str, bool]] = {}


class QoS(redis.QoS):
    """Knows which messages were noted as held when they were taken."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.noted: set[str] = set()
        self._ahead_s = 0.0  # by which this machine's clock is ahead of that of Redis
        self.lost: set[str] = set()  # delivery tags of messages whose reader was lost, and which are to be given back
        self._are_abandoned = False  # whether what is being given back is so because its holder was lost
        self.alone = ""  # delivery tag of a message that has cost a reader its life, beside which no other is taken

    def can_consume(self: Any) -> bool:
        """Say whether another message may be taken now."""
        if self.alone:
            if self.alone in self._delivered and self.alone not in self._dirty:
                return False
            self.alone = ""
        return bool(super().can_consume())

    @property
    def visibility_timeout(self: Any) -> Any:
        """Seconds after which a held message is abandoned, for a time of Redis's beside this machine's clock."""
        return self.channel.visibility_timeout + self._ahead_s

    def append(self, message: Any, delivery_tag: str) -> None:
        """Remember a message that the worker holds, and note it in Redis unless that was done."""
        if delivery_tag in self.noted:
            self.noted.discard(delivery_tag)
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    @property
    def _is_cut_off(self: Any) -> bool:
        """Whether the channel's connection is closed: kombu's transport has no client left then to connect with."""
        return not (self.channel.connection and self.channel.connection.client)

    def ack(self: Any, delivery_tag: str) -> None:
        """Acknowledge a message; one whose connection is closed, over the next connection."""
        if self._is_cut_off:
            _left_behind[delivery_tag] = True
        else:
            super().ack(delivery_tag)

    def ack_together(self: Any, delivery_tags: Sequence[str]) -> None:
        """Acknowledge messages in one round trip. Raises RedisError or OSError with none of them acknowledged here."""
        if self._is_cut_off:
            raise RedisConnectionError("the connection on which they came was lost")
        with self.pipe_or_acquire() as pipe:
            for delivery_tag in delivery_tags:
                self._remove_from_indices(delivery_tag, pipe)
            pipe.execute()
        for delivery_tag in delivery_tags:
            virtual.QoS.ack(self, delivery_tag)

    def reject(self: Any, delivery_tag: str, requeue: bool = False) -> None:
        """Give a message back; one whose connection is closed, over the next connection.

        Where Redis takes no writes it comes back after the visibility timeout instead.
        """
        if self._is_cut_off:
            _left_behind[delivery_tag] = not requeue
            return
        try:
            super().reject(delivery_tag, requeue=requeue)
        except (OutOfMemoryError, ReadOnlyError):
            virtual.QoS.ack(self, delivery_tag)

    def restore_unacked_once(self: Any, stderr: Any = None) -> None:
        """Give back what is held when the channel closes, or remember it where the connection is broken."""
        self._flush()
        held = dict.fromkeys(self._delivered, False)
        # Celery closes a connection that broke twice, and by the second time it is cut off.
        if not self._is_cut_off:
            try:
                super().restore_unacked_once(stderr)
            except (*self.channel.connection_errors, OutOfMemoryError, ReadOnlyError):
                log.info("messages to be given back once there is a connection: %d", len(held))
            else:
                return
        _left_behind.update(held)
        self._delivered.clear()

    def restore_visible(self: Any, *arguments: Any, **options: Any) -> None:
        """Give abandoned messages back to their queues, once Redis takes writes."""
        try:
            for tag, is_done in tuple(_left_behind.items()):
                if is_done:
                    self._remove_from_indices(tag).execute()
                else:
                    self.restore_by_tag(tag)
                _left_behind.pop(tag, None)
            with self.channel.conn_or_acquire() as client:
                seconds, micros = client.time()
            self._ahead_s = time() - seconds - micros / 1e6
            self._are_abandoned = True
            super().restore_visible(*arguments, **options)
        except (OutOfMemoryError, ReadOnlyError) as error:
            log.error("abandoned messages are not looked for: %s", in_words(error))  # noqa: TRY400
        finally:
            self._are_abandoned = False

    def restore_by_tag(self: Any, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Give a held message back to its queue, or set it aside where it has cost too many readers their lives."""
        is_lost = self._are_abandoned or tag in self.lost
        self.lost.discard(tag)

        def restore(pipe: Any) -> None:
            entry = pipe.hget(self.unacked_key, tag)
            pipe.multi()
            self._remove_from_indices(tag, pipe)
            if entry:
                self.channel._give_back(entry, pipe, is_lost=is_lost, leftmost=leftmost)  # noqa: SLF001  (its own QoS)

        with self.channel.conn_or_acquire(client) as opened:
            opened.transaction(restore, self.unacked_key)


class Channel(redis.Channel):
    """A channel that takes a message and notes it as held in one step."""

    QoS = QoS
    from_transport_options = (*redis.Channel.from_transport_options, "protocol")
    protocol = None  # of Redis, 2 or 3; None: redis-py's choice
    Message = Message
    _is_waiting = False  # whether the reply that is due is a bell's
    _found_nothing = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._unacknowledged: set[str] = set()  # queues whose consumers want no acknowledgement, so nothing is noted
        super().__init__(*arguments, **options)

    def close(self: Any) -> None:
        """Close the channel, over a broken connection as well."""
        try:
            super().close()
        except self.connection_errors:
            self._disconnect_pools()
            self._close_clients()
            virtual.Channel.close(self)

    def _connparams(self: Any, asynchronous: bool = False) -> Any:
        """Return the keyword arguments of redis-py's connection; kombu knows of no protocol."""
        named = {} if self.protocol is None else {"protocol": self.protocol}
        parameters: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        return parameters | named

    def basic_consume(self: Any, queue: str, no_ack: bool = False, *arguments: Any, **options: Any) -> Any:
        """Consume from a queue; see kombu.transport.virtual.Channel.basic_consume."""
        (self._unacknowledged.add if no_ack else self._unacknowledged.discard)(queue)
        return super().basic_consume(queue, no_ack, *arguments, **options)

    def _brpop_start(self: Any, timeout: float | None = None) -> None:
        """Send what the poller waits for: the taking, or the waiting for a bell after nothing was found."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        self._is_waiting, self._found_nothing = self._found_nothing, False
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        if self._is_waiting:
            bells = [self.global_keyprefix + _bell(queue) for queue in queues]
            self.client.connection.send_command("BRPOP", *bells, timeout or self.brpop_timeout or 0)
        else:
            self.client.connection.send_command(*self._take(queues))

    def _brpop_read(self: Any, **options: Any) -> bool:
        """Read the reply and deliver the message, if it is one. Raises Empty if it is none."""
        try:
            # Under neither command's own name, which kombu's prefixing client would take a reply apart for.
            reply = self.client.parse_response(self.client.connection, "pipeline.take", **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        except OutOfMemoryError as error:
            log.error("no message is taken: %s", in_words(error))  # noqa: TRY400
            reply = None
        except ResponseError as error:
            # As when the server has become a replica. The address may lead to the new master by the next time.
            self.client.connection.disconnect()
            sleep(_LOOK_AGAIN_S)
            raise RedisConnectionError(in_words(error)) from None
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if self._is_waiting:
            raise Empty
        if not reply:
            self._found_nothing = True
            raise Empty
        key, *message = reply
        queue = bytes_to_str(key)[len(self.global_keyprefix) :].rsplit(self.sep, 1)[0]
        self._queue_cycle.rotate(queue)
        if not message:
            log.error("queue=%s what is no Celery message was moved to the list %s", queue, _unreadable(queue))
            raise Empty
        raw, tag = message
        try:
            envelope = read_envelope(raw)
        except Unfit as why:
            self._set_aside(queue, raw, tag)
            log.error("queue=%s a message was moved to the list %s: %s", queue, _unreadable(queue), why)  # noqa: TRY400
            raise Empty from None
        if tag:
            self.qos.noted.add(bytes_to_str(tag))
            if lost_readers(envelope.get("headers")):
                self.qos.alone = bytes_to_str(tag)
        self.connection._deliver(envelope, queue)  # noqa: SLF001  (as kombu's channel does)
        return True

    def set_aside(self: Any, envelope: Any, queue: str) -> None:
        """Put a message that turns out to be none for this worker into the list for such ones, as it came."""
        with self.conn_or_acquire() as client:
            client.lpush(_unreadable(queue), json.dumps(envelope))

    def _set_aside(self: Any, queue: str, raw: bytes, tag: bytes) -> None:
        """Move a message that was just taken to the list of what is no message."""
        with self.conn_or_acquire() as client, client.pipeline() as pipe:
            pipe.lpush(_unreadable(queue), raw)
            if tag:
                pipe.zrem(self.unacked_index_key, tag).hdel(self.unacked_key, tag)
            pipe.execute()

    def _give_back(self: Any, entry: bytes, pipe: Any, *, is_lost: bool, leftmost: bool) -> None:
        """Put a message of `unacked` back into its queue, with the commands that go with it.

        Raises nothing for what it cannot read: that goes back as it is, and whoever takes it sets it aside.
        """
        push = pipe.lpush if leftmost else pipe.rpush
        try:
            raw, exchange, routing_key = split_held(entry)
        except Unfit:
            pipe.lpush(_unreadable(self.unacked_key), entry)
            return
        queues = self._lookup(exchange, routing_key) or [routing_key]
        try:
            envelope = read_envelope(raw)
        except Unfit:
            for queue in queues:
                push(queue, raw)
            return
        headers = envelope["headers"] = envelope.get("headers") or {}
        headers["redelivered"] = envelope["properties"]["delivery_info"]["redelivered"] = True
        lost = lost_readers(headers) + is_lost
        if lost:
            headers[LOST] = lost
        text = json.dumps(envelope)
        for queue in queues:
            if is_lost and lost >= MOST_LOST_READERS:
                pipe.lpush(_unreadable(queue), text)
                told = "queue=%s a message has cost %d readers their lives and was moved to the list %s"
                log.error(told, queue, lost, _unreadable(queue))
            else:
                push(self._q_for_pri(queue, self._priority_of(envelope)), text)

    def _priority_of(self: Any, envelope: Any) -> Any:
        try:
            return self._get_message_priority(envelope, reverse=False)
        except OverflowError:
            return self.default_priority

    def _take(self: Any, queues: list[str]) -> list[Any]:
        by_priority = [(queue, priority) for priority in self.priority_steps for queue in queues]
        lists = [name for queue, step in by_priority for name in (self._q_for_pri(queue, step), _unreadable(queue))]
        names = [self.unacked_key, self.unacked_index_key, *lists]
        noted = ["" if queue in self._unacknowledged else queue for queue, _ in by_priority]
        keys = [self.global_keyprefix + name for name in names]
        return ["EVAL", _TAKE, len(keys), *keys, MOST_MESSAGE_BYTES, *noted]

    def _put(self: Any, queue: str, message: Any, **options: Any) -> None:
        """Publish a message and ring its queue's bell, in one round trip. Raises InvalidEvent if it is too large."""
        if len(message.get("body") or "") > MOST_MESSAGE_BYTES - MOST_BESIDE_BODY:
            raise InvalidEvent("the message is larger than a worker takes; send fewer events with one call")
        if options.get("_publish_batch") is not None:  # found by the next look, within a second
            super()._put(queue, message, **options)
            return
        with self.conn_or_acquire() as client, client.pipeline() as pipe:
            super()._put(queue, message, **{**options, "_publish_batch": _Commands(pipe)})
            bell = _bell(queue)
            with _refusal_in_words():
                pipe.delete(bell).lpush(bell, "").pexpire(bell, _BELL_KEPT_MS).execute()

    def _queue_bind(self: Any, *arguments: Any, **options: Any) -> None:
        with _refusal_in_words():
            redis.Channel._queue_bind(self, *arguments, **options)  # type: ignore[attr-defined]  # noqa: SLF001


class _Commands:
    """Takes what kombu would publish in a batch into a pipeline."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe

    def add(self, command: str, *arguments: Any) -> None:
        getattr(self._pipe, command)(*arguments)


@contextmanager
def _refusal_in_words() -> Iterator[None]:
    """Tell why Redis takes no writes, as an error after which kombu tries again for a while.

    The text of redis-py would quote the beginning of a message.
    """
    try:
        yield
    except ResponseError as error:
        raise RedisConnectionError(in_words(error)) from None


def _bell(queue: str) -> str:
    return f"bell.{queue}"


def _unreadable(queue: str) -> str:
    return f"{queue}.unreadable"


class Transport(redis.Transport):
    """The transport of redis:// and rediss:// addresses."""

    Channel = Channel


class SentinelChannel(Channel, redis.SentinelChannel):
    """The same to the master that Sentinels name; kombu has a channel of its own for that."""

    from_transport_options = (*redis.SentinelChannel.from_transport_options, "protocol")


class SentinelTransport(redis.SentinelTransport):
    """The transport of sentinel:// addresses."""

    Channel = SentinelChannel
