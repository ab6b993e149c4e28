"""`pipeline metrics`: the figures of the running system, for Prometheus."""

import os
import signal
from functools import partial

import click

_ENDS = (signal.SIGTERM, signal.SIGINT)


@click.command(epilog="\b\nExamples:\n  pipeline metrics\n  pipeline metrics --bind 0.0.0.0 --port 9808")
@click.option(
    "--port", default=9808, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option("--bind", "--address", "address", default="127.0.0.1", show_default=True, help="Address to listen on.")
def metrics(*, port: int, address: str) -> None:
    """Serve figures to Prometheus at /metrics until it is ended.

    It reads Redis at each scrape and holds nothing itself, so one is enough, and it may be restarted at any time. It
    needs destination.yaml and no credentials. The page names objects and error codes and nobody's data; whoever
    reaches the address can read it.
    """
    from pipeline.errors import ConfigurationError
    from pipeline.metrics.exporter import Exporter, serve
    from pipeline.settings import load_settings
    from pipeline.state_store import connect
    from pipeline.tasks.eviction import policies
    from pipeline.tasks.ingest import queued

    settings = load_settings(os.environ)
    with connect(settings.redis) as redis:
        # Held back from the first: a handler that wakes this thread could come while it falls asleep.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        exporter = Exporter(redis, settings.destination, queued, partial(policies, settings, redis))
        try:
            server, stop = serve(exporter, port=port, address=address)
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {address}:{port}: {error.strerror or error}") from None
        click.echo(f"metrics on http://{address}:{server.server_port}/metrics")
        signal.sigwait(_ENDS)
        stop()
