"""Drain: what a worker that was asked to end does with the deliveries that it has under way.

Celery's warm shutdown waits for its tasks, however long they take. So the tasks are told: a delivery begins no further
request, settles what was answered and hands everything else back at once. One that waits for an answer all the same
is cut short before a supervisor would send SIGKILL.
"""

import mmap
import os
import signal
import threading
from contextlib import suppress
from typing import Any, Final

from celery.signals import worker_shutting_down
from celery.utils.log import get_task_logger

log = get_task_logger(__name__)

# Docker gives 10 s by default, Kubernetes 30 s; docker-compose.yml gives 30 s.
CUT_AFTER_S: Final = 20.0

# One byte that the pool's processes, forked later, share with their parent. No lock goes with it, so a process that is
# killed can leave none behind.
_told = mmap.mmap(-1, 1)


def is_draining() -> bool:
    """Tell whether this worker was asked to end."""
    return _told[0] != 0


@worker_shutting_down.connect
def _begin(**_: Any) -> None:
    _told[0] = 1
    cut = threading.Timer(CUT_AFTER_S, _cut)
    cut.daemon = True  # it keeps no worker that has ended by itself
    cut.start()


def _cut() -> None:
    """Raise SoftTimeLimitExceeded in every process of the pool that still delivers."""
    from celery.worker.state import active_requests

    for request in list(active_requests):
        if request.name == "pipeline.deliver" and request.worker_pid:
            log.warning("a delivery is still at work %g s after it was asked to end: it is cut short", CUT_AFTER_S)
            with suppress(ProcessLookupError):
                os.kill(request.worker_pid, signal.SIGUSR1)
