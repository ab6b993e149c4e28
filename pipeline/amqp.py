"""The application's connections to the broker: its own transport, its own pools, its own messages and no others."""

from typing import Any, Final

import kombu
from celery.app.amqp import AMQP as CeleryAMQP  # noqa: N811  (its name)
from kombu.pools import ProducerPool
from kombu.utils.imports import symbol_by_name

from pipeline.errors import RefusedCall

# Kombu's own transport can lose a message whose worker is killed right after taking it; see pipeline/broker.py. By
# scheme, because kombu goes by it for TLS and for the next of several addresses; kombu's own names stay what they are.
TRANSPORTS: Final = {
    "redis": "pipeline.broker:Transport",
    "rediss": "pipeline.broker:Transport",
    "sentinel": "pipeline.broker:SentinelTransport",
}
SENDER_TRANSPORTS: Final = {
    "redis": "pipeline.sender_transport:Transport",
    "rediss": "pipeline.sender_transport:Transport",
    "sentinel": "pipeline.sender_transport:SentinelTransport",
}
_OURS: Final = ("pipeline.", "celery.")


class Connection(kombu.Connection):
    """A connection of the pipeline's to its broker."""

    transports = TRANSPORTS

    def get_transport_cls(self) -> Any:
        """Return the pipeline's transport for Redis, kombu's for anything else."""
        ours = self.transports.get(self.transport_cls)
        return symbol_by_name(ours) if ours else super().get_transport_cls()


class Producer(kombu.Producer):
    """Publishes what the pipeline's workers can run.

    Celery's `group` publishes all its tasks over the connections of its first one's application, so that another
    application's task would come into the pipeline's broker, where nobody runs it.
    """

    def publish(self, body: Any, *arguments: Any, headers: Any = None, **options: Any) -> Any:
        """Publish a message; see kombu.Producer.publish. Raises RefusedCall for another application's task."""
        task = (headers or {}).get("task")
        if isinstance(task, str) and not task.startswith(_OURS):
            raise RefusedCall(
                f"{task} is no task of the pipeline's: a group of send_event and of tasks of your own would send all "
                "of them to the pipeline's broker; call send_event.delay(event) beside the group"
            )
        send: Any = super().publish
        return send(body, *arguments, headers=headers, **options)


class AMQP(CeleryAMQP):
    """Celery's, with the classes above and with pools that no other application shares."""

    Connection = Connection
    Producer = Producer
    _producer_pool: Any  # Celery's, which its stubs leave out

    @property
    def producer_pool(self: Any) -> Any:
        """Producers over the connections of `app.pool`."""
        if self._producer_pool is None:
            pool = self.app.pool
            self._producer_pool = ProducerPool(pool, limit=pool.limit, Producer=Producer)
        return self._producer_pool

    publisher_pool = producer_pool
