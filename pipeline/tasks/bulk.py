"""Bulk: what a deliverer does for the bulk jobs of its object, between its batches."""

from typing import TYPE_CHECKING, Literal

from celery.utils.log import get_task_logger

from pipeline.tasks.spending import spending

if TYPE_CHECKING:
    from pipeline.delivery.report import Report
    from pipeline.inbox.inbox import Inbox
    from pipeline.tasks.runtime import Runtime

log = get_task_logger(__name__)


def bulk_turn(
    inbox: "Inbox", token: str, report: "Report", runtime: "Runtime", *, more_to_come: bool, taken: int
) -> Literal["worked", "wait", "none"]:
    """Take the step of a bulk job that is due, or begin one; "wait": the backlog is for a job that leaves a bit later.

    `taken` calls have been granted before; whatever is not spent on a job is given back, but for "none".
    """
    from pipeline.delivery.backlog import Backlog
    from pipeline.delivery.report import Report

    jobs = runtime.bulk_jobs(inbox.object)
    held = jobs.next(token, more_to_come=more_to_come)
    if held == "none":
        return "none"
    if held == "wait":
        runtime.gate.give_back(taken, token)
        return "wait"
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
            deliverer=token,
            **terms.for_deliverer,
        )
        terms.paused = backlog.step(held, done)
    return "worked"
