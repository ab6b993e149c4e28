"""The version of the messages between producers and workers. Apart, so that a producer imports no worker."""

from typing import Any, Final

FORMAT: Final = 1  # a worker that meets a newer one sets the message aside
FORMAT_HEADER: Final = "pipeline_format"  # absent: 1, as from what sends Celery messages without this package
LOST: Final = "pipeline_lost_readers"  # how many readers a message has cost their lives so far


def lost_readers(headers: Any) -> int:
    """Return how many readers a message with these headers has cost so far, as the workers' transport notes it."""
    count = headers.get(LOST) if isinstance(headers, dict) else 0
    return count if type(count) is int and 0 < count < _MOST_COUNTED else 0


_MOST_COUNTED: Final = 1_000
