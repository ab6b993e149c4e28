"""Exporter: the page that Prometheus scrapes. Each scrape looks at Redis once; nothing is counted here."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final
from wsgiref.simple_server import WSGIServer

from kombu.exceptions import OperationalError
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from pipeline.destination import Destination
from pipeline.metrics.families import ALL_OBJECTS, Figures, about, families
from pipeline.metrics.snapshot import look
from pipeline.salesforce.pause import Pause
from pipeline.salesforce.quota import QuotaGate

QUEUES: Final = ("ingest", "ingest.unreadable")


class Exporter(Collector):
    """The figures as they are at each scrape; of a Redis that does not answer, that it does not.

    `queued` counts the messages in a queue of the broker, which may be another server; `policies` returns the
    maxmemory-policy of each.
    """

    def __init__(
        self,
        redis: Redis,
        destination: Destination,
        queued: Callable[[str], int],
        policies: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._redis = redis
        self._queued = queued
        self._policies = policies
        self._objects = destination.objects
        self._gate = QuotaGate(redis, share=destination.quota.share, reserve=destination.quota.reserve)
        self._pause = Pause(redis)

    def collect(self) -> Iterator[Metric]:
        """Yield every family, read now."""
        try:
            figures = self.measure()
        except (RedisError, OSError):
            yield from about(is_redis_there=False)
            return
        yield from about(is_redis_there=True)
        yield from families(figures)

    def measure(self) -> Figures:
        """Look at everything: nine round trips to the state store, and a question to the broker for each queue."""
        return Figures(
            snapshot=look(self._redis, self._objects),
            quota=self._gate.status(),
            paused=self._paused(),
            queued=self._messages(),
            policies=self._policies(),
        )

    def _messages(self) -> dict[str, int]:
        try:
            return {queue: self._queued(queue) for queue in QUEUES}
        except (
            OperationalError,
            RedisError,
            OSError,
        ):  # the broker's; what the state store tells is shown all the same
            return {}

    def _paused(self) -> frozenset[tuple[str, str]]:
        held = self._pause.held_objects()
        everything = self._pause.why()
        paused = {(name, "hand") for name in held}
        if everything is not None:
            paused.add((ALL_OBJECTS, "hand" if everything.next_probe_ms is None else "salesforce"))
        return frozenset(paused)


def serve(collector: Collector, *, port: int, address: str) -> tuple[WSGIServer, Callable[[], None]]:
    """Serve the figures from threads of this process; returns the server and what ends it. Raises OSError.

    Only what the collector yields is served: no figures about this process itself.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    server, thread = start_http_server(port, address, registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server, stop
