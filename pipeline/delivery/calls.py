"""Calls: whether one more may be made for a batch, asked before each."""

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence

from pipeline.delivery.org import Claims, Describes, Org
from pipeline.delivery.outcome import RetryAt
from pipeline.delivery.report import Report
from pipeline.delivery.work import Work
from pipeline.errors import PipelineError
from pipeline.salesforce.client import START_WITHIN_S, Subrequest, Subresponse
from pipeline.salesforce.describe import ObjectDescribe

log = logging.getLogger(__name__)


class NoCall(PipelineError):  # noqa: N818  (nothing went wrong)
    """No call may be made; the message says why."""


class Calls:
    """The calls of one batch after the other, counted in its report. Arguments as those of `Deliverer`."""

    def __init__(
        self, inbox: Claims, describes: Describes, *, may_spend: Callable[[], bool], is_ending: Callable[[], bool]
    ) -> None:
        self._inbox = inbox
        self._describes = describes
        self._may_spend = may_spend
        self._is_ending = is_ending
        self._token = ""
        self._report = Report(inbox.object)
        self.id = ""  # of the call that was allowed last: in the log, and in the trace of what it writes
        self.begin_by = 0.0  # of time.monotonic: when the call that was allowed last has to begin at the latest

    def start(self, token: str, report: Report) -> None:
        """Begin with a batch."""
        self._token, self._report = token, report

    def may_call(self, works: Sequence[Work]) -> bool:
        """Renew the lease, and ask the gate. Keys that are lost, or for which there is no call, are closed.

        A process can be stopped between this and the request, so the time allowed for that counts from here.
        """
        self.begin_by = time.monotonic() + START_WITHIN_S
        lost = self._inbox.renew(self._token, [work.claim.key for work in works])
        for work in works:
            if work.claim.key in lost:
                work.is_lost = True
        if not any(work.is_open for work in works):
            return False
        try:
            self.spend()
        except NoCall as no_call:
            self.close(works, no_call)
            return False
        return True

    def spend(self, calls: int = 1) -> None:
        """Count calls that are about to be made. Raises NoCall, with none of them counted, where not all may be."""
        before = self._report.calls
        for _ in range(calls):
            why_not = "this worker ends" if self._is_ending() else "" if self._may_spend() else "quota"
            if why_not:
                self._report.calls = before
                raise NoCall(why_not)
            self._report.calls += 1
        self.id = secrets.token_hex(4)

    def send(self, org: Org, subrequests: Sequence[Subrequest]) -> list[Subresponse]:
        """Make the call that was allowed last, and log it under its id. Raises what `Org.send` does."""
        begun, answered = time.monotonic(), "no"
        try:
            answers = org.send(subrequests, by=self.begin_by)
            answered = ",".join(dict.fromkeys(str(one.status) for one in answers))
        finally:
            resources = ",".join(dict.fromkeys(f"{one.method} {one.resource}" for one in subrequests))
            ms = round((time.monotonic() - begun) * 1000)
            told = (self._token[:8], self.id, self._inbox.object, resources, answered, ms)
            log.info("batch=%s call=%s object=%s %s answered=%s ms=%d", *told)
        return answers

    def close(self, works: Iterable[Work], no_call: NoCall) -> None:
        """Let keys wait for which there is no call."""
        for work in works:
            if work.is_open:
                work.verdict = RetryAt(0, str(no_call), counts_attempt=False)
        self._report.why = str(no_call)

    def described(self, object_name: str) -> ObjectDescribe:
        """Return a describe, for a call where it is not in the cache. Raises NoCall, and what `Describes.get` does."""
        if self._describes.missing([object_name]):
            self.spend()
        return self._describes.get(object_name)
