"""The version of the messages between producers and workers. Apart, so that a producer imports no worker."""

from typing import Final

FORMAT: Final = 1  # a worker that meets a newer one sets the message aside
FORMAT_HEADER: Final = "pipeline_format"  # absent: 1, as from what sends Celery messages without this package
