"""Bulk API 2.0: jobs that write, or read, very many records of one object (Bulk API 2.0 guide).

Every request is an API call, but none is for a record: a job costs three calls to start, one for each look at it and
one for each result file. A job is created without data and then does nothing by itself, so its id can be noted before
anything is written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias
from urllib.parse import quote_plus

from pipeline.operation import Json
from pipeline.salesforce.bulk_csv import read_rows
from pipeline.salesforce.client import Subrequest, Subresponse
from pipeline.salesforce.errors import NoAnswer, Refused

Kind: TypeAlias = Literal["insert", "update"]
Results: TypeAlias = Literal["successfulResults", "failedResults"]

# 150 MB once Salesforce has encoded it in base64, so 100 MB before (Bulk API 2.0 limits); some room is left.
MOST_BYTES: Final = 90_000_000
# Of one page of a query's results; one page is one call, and a page of short rows stays below some tens of MB.
PAGE_ROWS: Final = 250_000

_ENDED = frozenset({"JobComplete", "Failed", "Aborted"})
_ID = re.compile(r"[A-Za-z0-9]{15,18}")


class Org(Protocol):
    """What jobs need of an org: its API calls."""

    def send(self, subrequests: list[Subrequest]) -> list[Subresponse]:
        """Make one call."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """How far a job has come: rows worked off and refused so far, None where Salesforce does not say."""

    id: str
    state: str
    processed: int | None = None
    failed: int | None = None
    error: str = field(default="", repr=False)  # of a job that failed as a whole

    @property
    def is_ended(self) -> bool:
        """Whether it writes nothing more."""
        return self.state in _ENDED


class Bulk:
    """The jobs of an org. Every method is one API call, and raises Refused, Unavailable or NoAnswer as `send` does."""

    def __init__(self, org: Any, *, assignment_rule: str | None = None) -> None:
        self._org: Org = org
        self._assignment_rule = assignment_rule

    def create(self, object_name: str, kind: Kind) -> Job:
        """Create a job that waits for its data."""
        asked: dict[str, Json] = {"object": object_name, "operation": kind, "contentType": "CSV", "lineEnding": "LF"}
        if self._assignment_rule:
            asked["assignmentRuleId"] = self._assignment_rule
        return _job(self._call(Subrequest("POST", "jobs/ingest", asked)))

    def upload(self, job_id: str, data: bytes) -> None:
        """Hand the data over, once."""
        self._call(Subrequest("PUT", f"jobs/ingest/{job_id}/batches", csv=data))

    def close(self, job_id: str) -> Job:
        """Let a job begin: from now on it writes."""
        return _job(self._call(Subrequest("PATCH", f"jobs/ingest/{job_id}", {"state": "UploadComplete"})))

    def abort(self, job_id: str) -> Job:
        """End a job; what it has written stays."""
        return _job(self._call(Subrequest("PATCH", f"jobs/ingest/{job_id}", {"state": "Aborted"})))

    def look(self, job_id: str, *, kind: Literal["ingest", "query"] = "ingest") -> Job:
        """Look how far a job has come."""
        return _job(self._call(Subrequest("GET", f"jobs/{kind}/{job_id}")))

    def results(self, job_id: str, which: Results) -> Iterator[dict[str, str]]:
        """Return the rows of a result file of a job that has ended: `sf__Id`, `sf__Error` and what was uploaded.

        Raises ValueError where the answer is no such file.
        """
        return read_rows(_file(self._call(Subrequest("GET", f"jobs/ingest/{job_id}/{which}"))))

    def query(self, soql: str) -> Job:
        """Begin a query of any number of records."""
        return _job(self._call(Subrequest("POST", "jobs/query", {"operation": "query", "query": soql})))

    def page(self, job_id: str, locator: str = "") -> tuple[Iterator[dict[str, str]], str]:
        """Return a page of a query that is complete, and where the next one begins, "" after the last.

        Raises ValueError where the answer is no such page.
        """
        path = f"jobs/query/{job_id}/results?maxRecords={PAGE_ROWS}"
        answer = self._call(Subrequest("GET", path + (f"&locator={quote_plus(locator)}" if locator else "")))
        following = next((one for name, one in answer.headers.items() if name.lower() == "sforce-locator"), "null")
        return read_rows(_file(answer)), "" if following == "null" else following

    def record_count(self, object_name: str) -> int | None:
        """Return about how many records of an object there are, None where Salesforce does not say.

        The figure is cached by Salesforce and may be old (REST API guide, "Record Count").
        """
        answer = self._call(Subrequest("GET", f"limits/recordCount?sObjects={quote_plus(object_name)}"))
        try:
            return next((int(one["count"]) for one in answer.body["sObjects"] if one["name"] == object_name), None)
        except (TypeError, KeyError, ValueError):
            return None

    def _call(self, subrequest: Subrequest) -> Subresponse:
        (answer,) = self._org.send([subrequest])
        if not answer.ok:
            raise Refused(answer.status, answer.errors, resource="jobs")
        return answer


def _job(answer: Subresponse) -> Job:
    """Read a job. Raises NoAnswer(sent=True) where the answer is none, so that nothing is taken for granted."""
    try:
        told = answer.body
        job_id = _ID.fullmatch(told["id"])
        counted = (told.get("numberRecordsProcessed"), told.get("numberRecordsFailed"))
        processed, failed = (None if count is None else int(count) for count in counted)
        if job_id is not None:
            return Job(job_id[0], str(told["state"]), processed, failed, str(told.get("errorMessage") or ""))
    except (TypeError, KeyError, ValueError, AttributeError):
        pass
    raise NoAnswer(sent=True, why="the answer about a bulk job is no job")


def _file(answer: Subresponse) -> bytes:
    if not isinstance(answer.body, bytes):
        raise ValueError("the answer is not the CSV that was asked for")  # noqa: TRY004  (as of a CSV that is broken)
    return answer.body
