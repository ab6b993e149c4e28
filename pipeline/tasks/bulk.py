"""Bulk: what a deliverer does for the bulk jobs of its object, between its batches."""

import secrets
from typing import TYPE_CHECKING, Final, Literal

from celery.utils.log import get_task_logger

from pipeline.tasks.ingest import wake
from pipeline.tasks.spending import spending

if TYPE_CHECKING:
    from pipeline.delivery.report import Report
    from pipeline.inbox.inbox import Inbox
    from pipeline.tasks.runtime import Runtime

log = get_task_logger(__name__)

# A look at a job that is due within this time is woken for; the sweep finds later ones as well.
_SOON_S: Final = 15.0


def bulk_turn(
    inbox: "Inbox", token: str, report: "Report", runtime: "Runtime", *, more_to_come: bool, can_delay: bool, taken: int
) -> Literal["worked", "wait", "leave", "none"]:
    """Take the step of a bulk job that is due, or begin one; "wait": the backlog is for a job that leaves a bit later.

    "leave": others wait for that already.

    `taken` calls have been granted before; what is not spent on a job is given back.
    """
    from pipeline.delivery.backlog import Backlog
    from pipeline.delivery.report import Report
    from pipeline.inbox.bulk_jobs import Held

    jobs = runtime.bulk_jobs(inbox.object)
    held = jobs.next(token, more_to_come=more_to_come)
    if not isinstance(held, Held):
        return held
    if held.taken_from:
        log.warning("object=%s a bulk job goes on (%s): its worker did not finish", inbox.object, held.stage)
    done = Report(report.object)
    with spending(inbox, token, report, done, runtime, keys=0, taken=taken) as terms:
        backlog = Backlog(
            inbox,
            runtime.org,
            runtime.describes,
            jobs=jobs,
            bulk=runtime.bulk(),
            **terms.for_deliverer,
        )
        terms.paused = backlog.step(held, done)
    wait_s = jobs.due_in_s(held)
    if can_delay and wait_s is not None and 0 < wait_s <= _SOON_S:
        # The deliverer keeps no place meanwhile: for what arrives another one is woken at once.
        wake(inbox.object, secrets.token_hex(8), in_s=wait_s)
    return "worked"
