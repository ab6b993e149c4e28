"""The org's REST API: one `send` is one API call, whatever it carries."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote_plus

import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceError as HttpError
from urllib3.exceptions import HTTPError

from pipeline.errors import ConfigurationError
from pipeline.operation import Json
from pipeline.salesforce.composite import MOST_COLLECTIONS, MOST_SUBREQUESTS, REFERENCE_IN_VALUE
from pipeline.salesforce.errors import ErrorDetail, NoAnswer, Refused, Unavailable, error_details
from pipeline.salesforce.record_result import RecordResult
from pipeline.salesforce.resources import COMPOSITE, kind_of, resource_of
from pipeline.salesforce.session import OrgSession, SessionStore
from pipeline.salesforce.transport import OnCall, Transport, no_answer

MOST_RECORDS: Final = 200  # of a collection (REST API guide, "sObject Collections")

# Salesforce's advice (help article 000386264): addresses of at most 2,000 characters, though it takes 16,384 bytes
# with the headers. In the body of a composite request an address may be as long as a SOQL statement, at the same price.
LONGEST_URL: Final = 2_000

_WRITES = frozenset({"POST", "PATCH", "DELETE"})
# What a composite would report inside its answer: the resource was found and judged this request alone.
_OF_THE_RESOURCE = frozenset({300, 400, 404})
_NOT_NOW = frozenset({408, 420, 429})  # timeouts and overload in front of the org; 420 is Salesforce Edge
_REDIRECTS = range(301, 400)  # to a maintenance page or another instance
_NOT_JSON = object()
_SESSION_IS_OVER = frozenset({"INVALID_SESSION_ID", "INVALID_AUTH_HEADER"})
_USAGE = re.compile(r"(?<![\w-])api-usage=(\d+)/(\d+)")

_DUPLICATE_RULE_HEADER_SINCE = 52.0
# Recently used items are for people. The header is documented for single records only, so it goes on the request and
# never into a subrequest, where Salesforce takes only the headers that the resource supports ("MRU Header").
_ON_EVERY_REQUEST = {"Sforce-Mru": "updateMru=false"}

# A session is there at once, or after a login of a second or two; whoever has waited longer had better start over.
START_WITHIN_S: Final = 4.0

Usage: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Subrequest:
    """One resource and what to do with it. `path` is relative to /services/data/vXX.X/, already percent-encoded."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str = field(repr=False)  # a query's path quotes values
    body: Json = field(default=None, repr=False)
    csv: bytes | None = field(default=None, repr=False)  # the data of a bulk job, in place of a JSON body

    @property
    def resource(self) -> str:
        """The kind of resource, without Ids or values: `query`, `composite/sobjects`, `sobjects/Lead/describe`."""
        return resource_of(self.path)

    def __repr__(self) -> str:
        """Show what is asked for, without anyone's data."""
        return f"<Subrequest {self.method} {self.resource}>"


@dataclass(frozen=True, slots=True)
class Subresponse:
    """Salesforce's answer to one subrequest: HTTP status, body (decoded JSON, CSV as bytes, or None), headers."""

    status: int
    body: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the subrequest was carried out. A collection that was may still hold records that were refused."""
        return 200 <= self.status < 300  # noqa: PLR2004  (the range of HTTP's successes)

    @property
    def errors(self) -> tuple[ErrorDetail, ...]:
        """Why the subrequest as a whole was refused; empty where it was carried out."""
        return () if self.ok else error_details(self.body)

    def results(self) -> list[RecordResult]:
        """Return what became of each record of a collection, in the order they were sent.

        Raises NoAnswer(sent=True) for a body that is not a collection's answer: what it did is not known.
        """
        if not self.ok or not isinstance(self.body, list):
            raise NoAnswer(sent=True, why="the answer to a collection holds no results")
        return [RecordResult.read(entry) for entry in self.body]


def query(soql: str) -> Subrequest:
    """Ask for the first page of a query: up to 2,000 rows in `records`, and `nextRecordsUrl` where there are more."""
    return Subrequest("GET", f"query?q={quote_plus(soql)}")


def create(object_name: str, records: Sequence[Mapping[str, Json]]) -> Subrequest:
    """Insert up to 200 records of one object. Records are field → value, without an Id."""
    return Subrequest("POST", "composite/sobjects", _collection(object_name, records))


def update(object_name: str, records: Sequence[Mapping[str, Json]]) -> Subrequest:
    """Change up to 200 records of one object. Each record holds its `Id`, each Id once."""
    return Subrequest("PATCH", "composite/sobjects", _collection(object_name, records))


def upsert(object_name: str, external_id_field: str, records: Sequence[Mapping[str, Json]]) -> Subrequest:
    """Insert or change up to 200 records of one object by an external-ID field that each record holds, distinct."""
    path = f"composite/sobjects/{quote_plus(object_name)}/{quote_plus(external_id_field)}"
    return Subrequest("PATCH", path, _collection(object_name, records))


def delete(ids: Sequence[str]) -> Subrequest:
    """Delete up to 200 records by Id; they stay in the recycle bin for 15 days."""
    _at_most_a_collection(ids)
    return Subrequest("DELETE", f"composite/sobjects?ids={quote_plus(','.join(ids))}&allOrNone=false")


def describe(object_name: str) -> Subrequest:
    """Ask for an object's describe."""
    return Subrequest("GET", f"sobjects/{quote_plus(object_name)}/describe")


def _collection(object_name: str, records: Sequence[Mapping[str, Json]]) -> Json:
    _at_most_a_collection(records)
    typed: list[Json] = [{"attributes": {"type": object_name}, **record} for record in records]
    return {"allOrNone": False, "records": typed}


def _at_most_a_collection(members: Sequence[object]) -> None:
    if not 1 <= len(members) <= MOST_RECORDS:
        raise ValueError(f"a collection holds 1 to {MOST_RECORDS} records, not {len(members)}")


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    data: str | bytes | None
    headers: Mapping[str, str]
    latest: float  # of time.monotonic: when it may start at the latest
    kind: str = ""  # of a composite; another one's follows from its resource


class Org:
    """One org, its REST API spoken through simple-salesforce with the session all workers share.

    `auto_assign` is the header Sforce-Auto-Assign: "FALSE", "TRUE" or the Id of a rule. Salesforce's own default is
    TRUE, which reassigns leads and cases and mails their owners, so it is always said. `allow_duplicates` saves
    records that a duplicate rule only alerts about. `on_usage` is told (used, limit) of the daily quota after every
    answer that carries it, refusals included; it must not raise. `transport` is by default one to the store's
    endpoint. `calls` counts the API calls made, by resource; `on_call` is told the kind of each, and its seconds.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        api_version: str,
        transport: Transport | None = None,
        on_usage: Usage | None = None,
        on_call: OnCall = lambda _kind, _seconds: None,
        auto_assign: str = "FALSE",
        allow_duplicates: bool = False,
    ) -> None:
        self.api_version = api_version
        self.calls: Counter[str] = Counter()
        self._store = store
        self._transport = transport or Transport(endpoint_url=store.endpoint_url)
        self._session = self._transport.session()
        self._on_usage = on_usage
        self._on_call = on_call
        self._write_headers = {"Sforce-Auto-Assign": auto_assign}
        if not re.fullmatch(r"\d\d\.0", api_version):
            raise ConfigurationError(f"salesforce.api_version has to look like 66.0, not {api_version}")
        if float(api_version) >= _DUPLICATE_RULE_HEADER_SINCE:
            self._write_headers["Sforce-Duplicate-Rule-Header"] = f"allowSave={str(allow_duplicates).lower()}"
        self._client: tuple[OrgSession, Salesforce] | None = None

    @property
    def slowest_send_s(self) -> float:
        """The longest that `send` can take from its call to the end of its last request; a lease has to outlive it."""
        return START_WITHIN_S + self._transport.slowest_request_s

    def send(
        self, subrequests: Sequence[Subrequest], *, headers: Mapping[str, str] | None = None, by: float | None = None
    ) -> list[Subresponse]:
        """Make exactly one API call and return the answer to each subrequest, in order.

        One subrequest goes to its resource, several go as one composite request, each on its own (allOrNone and
        collateSubrequests false); so does a single one whose address is too long. `headers` are added to all writes
        and override the defaults. A session that has expired is renewed and the call repeated once: the refused one
        did nothing, though it may be counted. No request starts after `by` (of time.monotonic), nor later than a few
        seconds after the call, however long a session took to get or the process was stopped: whoever holds a lease
        over what is written can tell when it is safe to let go.

        A refusal that concerns one subrequest is its Subresponse, even when it was sent alone (HTTP 300, 400, 404).
        Raises Refused for a refusal of the whole request, Unavailable where the org cannot serve, NoAnswer where no
        whole answer came, LoginRefused where no session can be had; ValueError for what would be a mistake of ours: no
        subrequests, more than 25, more than 5 collections and queries, NaN.
        """
        latest = time.monotonic() + START_WITHIN_S
        if by is not None:
            latest = min(latest, by)
        write_headers = {**self._write_headers, **(headers or {})}
        if len(subrequests) == 1 and len(subrequests[0].path) <= LONGEST_URL:
            (one,) = subrequests
            own_headers = write_headers if one.method in _WRITES else {}
            if one.csv is not None:
                own_headers = {**own_headers, "Content-Type": "text/csv; charset=UTF-8"}
            data = _encoded(one.body) if one.csv is None else one.csv
            return [self._call(_Request(one.method, one.path, data, own_headers, latest))]
        body = _composite(subrequests, self.api_version, write_headers)
        kind = kind_of([one.resource for one in subrequests])
        answer = self._call(_Request("POST", COMPOSITE, body, write_headers, latest, kind))
        if not answer.ok:
            raise Refused(answer.status, answer.errors, resource=COMPOSITE)
        return _composite_answers(answer.body, len(subrequests))

    def query_rest(self, next_records_url: str) -> Subresponse:
        """Get the next page of a query, from the `nextRecordsUrl` of the page before. One API call for each page."""
        return self.send([Subrequest("GET", "query/" + next_records_url.rpartition("/")[2])])[0]

    def limits(self) -> tuple[int, int]:
        """Ask for the daily quota: (used, limit). One API call; every other answer's header says the same for free."""
        answer = self.send([Subrequest("GET", "limits")])[0]
        told = _usage(answer.headers)
        if told is not None:
            return told  # the body lags by up to 5 minutes
        try:
            daily = answer.body["DailyApiRequests"]
            limit, remaining = int(daily["Max"]), int(daily["Remaining"])
        except (KeyError, TypeError, ValueError):
            raise Refused(answer.status, answer.errors, resource="limits") from None
        return limit - remaining, limit

    def _call(self, request: "_Request") -> Subresponse:
        session = self._store.get()
        try:
            return self._call_with(session, request)
        except Refused as refused:
            if refused.status != requests.codes.unauthorized or not refused.codes & _SESSION_IS_OVER:
                raise
        return self._call_with(self._store.renew(session), request)

    def _call_with(self, session: OrgSession, request: "_Request") -> Subresponse:
        resource = resource_of(request.path)
        client = self._client_for(session)
        seen: list[requests.Response] = []
        if time.monotonic() > request.latest:
            raise NoAnswer(sent=False, why="too late to start")
        started = time.monotonic()
        try:
            client._call_salesforce(  # noqa: SLF001  (its public form hides the status and chokes on empty answers)
                request.method,
                client.base_url + request.path,
                name=resource,
                data=request.data,
                # simple-salesforce asks for indented answers, which are a third larger; None takes its header out.
                headers={**_ON_EVERY_REQUEST, **request.headers, "X-PrettyPrint": None},
                hooks={"response": lambda response, **_: seen.append(response)},
                # A redirect would turn a write into a GET of somewhere else.
                allow_redirects=False,
            )
        except HttpError:
            pass  # any status from 300 on: judged below, with the headers that this error does not have
        except (requests.RequestException, HTTPError) as error:
            lost = no_answer(error)
            if lost.sent:
                self._count(request, resource, started)
            self._pass_on_usage(seen)
            raise lost from None
        self._count(request, resource, started)
        self._pass_on_usage(seen)
        return _judged(seen[-1], resource)

    def _count(self, request: "_Request", resource: str, started: float) -> None:
        self.calls[resource] += 1
        self._on_call(request.kind or kind_of([resource]), time.monotonic() - started)

    def _client_for(self, session: OrgSession) -> Salesforce:
        if self._client is None or self._client[0] != session:
            client = Salesforce(
                session_id=session.session_id,
                instance_url=session.instance_url,
                version=self.api_version,
                session=self._session,
                object_pairs_hook=None,
            )
            self._client = (session, client)
        return self._client[1]

    def _pass_on_usage(self, seen: Sequence[requests.Response]) -> None:
        usage = _usage(seen[-1].headers) if seen else None
        if usage is not None and self._on_usage is not None:
            self._on_usage(*usage)


def _usage(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Read (used, limit) of the org's last 24 hours; the header may hold other figures beside them."""
    found = _USAGE.search(headers.get("Sforce-Limit-Info", ""))
    return (int(found[1]), int(found[2])) if found else None


def _judged(response: requests.Response, resource: str) -> Subresponse:
    """Tell a refusal of one resource from a refusal of the request and from an org that cannot serve."""
    status = response.status_code
    if response.ok and response.headers.get("Content-Type", "").startswith("text/csv"):
        return Subresponse(status, response.content, response.headers)
    try:
        body = response.json() if response.content else None
    except requests.JSONDecodeError:
        if 200 <= status < 300:  # noqa: PLR2004  (the range of HTTP's successes)
            # Whoever wrote this page stands between us and the org, on the way there or on the way back.
            raise NoAnswer(sent=True, why="the answer is not JSON") from None
        body = _NOT_JSON
    if 200 <= status < 300:  # noqa: PLR2004  (as above)
        return Subresponse(status, body, response.headers)
    errors = error_details(body)
    if body is _NOT_JSON or status >= requests.codes.server_error or status in _NOT_NOW or status in _REDIRECTS:
        raise Unavailable(status, errors, retry_after_s=_seconds(response.headers.get("Retry-After")))
    if status in _OF_THE_RESOURCE:
        return Subresponse(status, body, response.headers)
    raise Refused(status, errors, resource=resource)


def _seconds(retry_after: str | None) -> float | None:
    """Read the header Retry-After where it is a number; as a date it would need clocks that agree."""
    return float(retry_after) if retry_after is not None and retry_after.strip().isdigit() else None


def _encoded(body: Json) -> str | None:
    """Write a body as JSON. Raises ValueError for numbers that JSON does not have."""
    return None if body is None else json.dumps(body, separators=(",", ":"), allow_nan=False)


def _composite(subrequests: Sequence[Subrequest], api_version: str, write_headers: Mapping[str, str]) -> str | None:
    """Write the body of a composite request. Raises as `send` says."""
    if not 1 <= len(subrequests) <= MOST_SUBREQUESTS:
        raise ValueError(f"a composite request holds 1 to {MOST_SUBREQUESTS} subrequests, not {len(subrequests)}")
    weighty = sum(one.resource in {"query", "queryAll", "composite/sobjects"} for one in subrequests)
    if weighty > MOST_COLLECTIONS:
        raise ValueError(f"a composite request holds {MOST_COLLECTIONS} collections and queries, not {weighty}")
    # A subrequest inherits only Accept, Authorization and Content-Type from the request (REST API guide, "Composite
    # Request Body"): what is to hold for a write has to stand in the write itself.
    wanted: list[Json] = [
        {
            "method": one.method,
            "url": f"/services/data/v{api_version}/{one.path}",
            "referenceId": f"r{position}",
            **({"body": one.body} if one.body is not None else {}),
            **({"httpHeaders": dict(write_headers)} if one.method in _WRITES else {}),
        }
        for position, one in enumerate(subrequests)
    ]
    data = _encoded({"allOrNone": False, "collateSubrequests": False, "compositeRequest": wanted})
    if data is not None and "@{" in data:
        raise Refused(0, (ErrorDetail(REFERENCE_IN_VALUE),), resource=COMPOSITE)
    return data


def _composite_answers(body: Any, how_many: int) -> list[Subresponse]:
    """Put the answers in the order of the subrequests. Raises NoAnswer(sent=True) where one is missing."""
    try:
        by_reference = {one["referenceId"]: one for one in body["compositeResponse"]}
        answers = [by_reference[f"r{position}"] for position in range(how_many)]
        return [Subresponse(one["httpStatusCode"], one["body"], one.get("httpHeaders") or {}) for one in answers]
    except (KeyError, TypeError, AttributeError):
        raise NoAnswer(sent=True, why="the answer to a composite request is incomplete") from None
