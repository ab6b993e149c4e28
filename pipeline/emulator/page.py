"""The page at the server's address: what the org holds, what was asked of it, and SOQL by hand.

It is read-only, needs no login and costs no API calls. Because it needs no login, it answers only a request whose Host
header is an IP address, localhost or the name that the server was told to listen on: a web page elsewhere that points
its own name at this machine (DNS rebinding) comes with that name. No script is in it, and none would run.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pipeline.emulator import ids
from pipeline.emulator.errors import ApiError
from pipeline.emulator.html import Html, document, join, link, section, table, tag
from pipeline.emulator.org import Org
from pipeline.emulator.page_parts import (
    choices_of,
    flags_of,
    length_of,
    list_records,
    list_results,
    show_faults,
    show_requests,
    show_value,
    soql_form,
)
from pipeline.emulator.request_log import MOST
from pipeline.emulator.rest_query import NEWEST
from pipeline.emulator.schema import SObject

Endpoint = Callable[[Request], Awaitable[Response]]

# Records on one page of an object, and rows of a query's result that are shown.
PER_PAGE = 50
MOST_ROWS = 200
_SAMPLE = "SELECT Id, Name, Email, Company, CreatedDate FROM Lead ORDER BY CreatedDate DESC LIMIT 20"
# A Host header: an IPv6 address in brackets or a name or IPv4 address, and a port where it is not 80.
_HOST = re.compile(r"(?:\[(?P<address>[^\[\]]+)\]|(?P<name>[^:\[\]]+))(?::\d+)?")
_ROOT = f"/services/data/v{NEWEST}.0"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class NoPage(Exception):  # noqa: N818 - it says what is missing
    """The address names an object or a record that the org has not."""


class Page:
    """The pages; ``host`` is the name or address that the server listens on."""

    def __init__(self, org: Org, host: str) -> None:
        self.org = org
        self.host = host

    def routes(self) -> list[Route]:
        """Return the routes of the pages; a record's address is the one that Salesforce gives it too."""
        pages = {
            "/": self.overview,
            "/soql": self.soql,
            "/objects/{name}": self.records,
            "/objects/{name}/fields": self.fields,
            "/{record_id}": self.record,
        }
        return [Route(path, self._endpoint(page), methods=["GET"]) for path, page in pages.items()]

    def _endpoint(self, page: Callable[[Request], bytes]) -> Endpoint:
        async def answer(request: Request) -> Response:
            if not is_own_name(request.headers.get("host", ""), self.host):
                return PlainTextResponse("This page is at 127.0.0.1, localhost or the address of the server.\n", 421)
            status = 200
            try:
                body = page(request)
            except NoPage as missing:
                status, body = 404, document("Not found", tag("h1", "Not found"), tag("p", str(missing)))
            return Response(body, status, _HEADERS, "text/html")

        return answer

    # The pages.

    def overview(self, request: Request) -> bytes:
        """Show what there is, what was used of the limits, and the last requests."""
        del request
        counts = {name: self.org.store.count(one) for name, one in sorted(self.org.schema.objects.items())}
        return document(
            "Overview",
            self._figures(counts),
            tag(
                "div",
                tag(
                    "div",
                    section("SOQL", soql_form(_SAMPLE)),
                    self._calls(),
                    section("Faults", show_faults(self.org.faults.rules)),
                    class_="stack",
                ),
                self._objects(counts),
                class_="halves",
            ),
            section(f"Last {MOST} requests", show_requests(list(self.org.requests))),
        )

    def soql(self, request: Request) -> bytes:
        """Show what a query answers, or why Salesforce would refuse it."""
        text = request.query_params.get("q", "")
        answer = section("Result", self._answer(text), class_="result") if text.strip() else None
        return document("SOQL", tag("h1", "SOQL"), tag("section", soql_form(text)), answer)

    def records(self, request: Request) -> bytes:
        """List an object's records, the newest first."""
        one = self._object(request)
        given = request.query_params.get("page", "1")
        number = max(int(given), 1) if given.isdecimal() and len(given) < len(str(2**31)) else 1
        found = self.org.newest(one, start=(number - 1) * PER_PAGE, most=PER_PAGE)
        total = self.org.store.count(one)
        last = max(-(-total // PER_PAGE), 1)
        turn = tag(
            "nav",
            link("← newer", "objects", one.name, page=number - 1) if number > 1 else None,
            tag("span", f"page {number} of {last}", class_="soft"),
            link("older →", "objects", one.name, page=number + 1) if number < last else None,
        )
        body = list_records(one, found) if found else tag("p", "No records here.", class_="soft")
        return document(one.name, *self._heading(one, total, "records"), tag("section", body, turn))

    def fields(self, request: Request) -> bytes:
        """List an object's fields."""
        one = self._object(request)
        heads = ("Field", "Label", "Type", "Length", "Flags", "Refers to, or values")
        rows = [
            (tag("code", known.name), known.label, known.type, length_of(known), flags_of(known), choices_of(known))
            for known in one.fields.values()
        ]
        total = self.org.store.count(one)
        return document(
            f"Fields of {one.name}",
            *self._heading(one, total, "fields"),
            tag("section", table(heads, rows, numeric=(3,))),
        )

    def record(self, request: Request) -> bytes:
        """Show a record with all its fields, deleted or not."""
        given = request.path_params["record_id"]
        try:
            record_id = ids.canonical(given)
        except ids.NotAnId:
            raise NoPage(f"There is no page {given}") from None
        one = self.org.schema.by_id(record_id)
        values = self.org.read(one, record_id, _ROOT) if one else None
        if one is None or values is None:
            raise NoPage(f"There is no record {given}")
        shown = [known for known in one.fields.values() if values[known.name] is not None]
        empty = ", ".join(known.name for known in one.fields.values() if values[known.name] is None)
        name = values[one.name_field.name] if one.name_field else record_id
        rows = [(tag("code", known.name), known.type, show_value(values[known.name], known)) for known in shown]
        bin_note = tag("p", "This record is in the recycle bin.", class_="bad") if values.get("IsDeleted") else None
        return document(
            f"{one.name} {record_id}",
            tag("h1", name or record_id, tag("small", link(one.label, "objects", one.name))),
            bin_note,
            tag("section", table(("Field", "Type", "Value"), rows)),
            section("Empty fields", tag("p", empty, class_="soft")) if empty else None,
        )

    # Their parts.

    def _object(self, request: Request) -> SObject:
        name = request.path_params["name"]
        one = self.org.schema.get(name)
        if one is None:
            raise NoPage(f"There is no object {name}")
        return one

    @staticmethod
    def _heading(one: SObject, total: int, here: str) -> tuple[Html, Html]:
        count = f"{total:,} record" + ("s" if total != 1 else "")
        every = f"SELECT FIELDS(ALL) FROM {one.name} LIMIT {MOST_ROWS}"  # noqa: S608 - SOQL, of a name of the describe
        tabs = tag(
            "nav",
            link("Records", "objects", one.name, class_="here" if here == "records" else None),
            link("Fields", "objects", one.name, "fields", class_="here" if here == "fields" else None),
            link("SOQL", "soql", q=every),
        )
        return tag(
            "h1", one.name, tag("small", f"{one.label_plural} · {count} · Ids begin with {one.key_prefix}")
        ), tabs

    def _answer(self, text: str) -> Html:
        try:
            result = self.org.queries.query(text, _ROOT, page=MOST_ROWS, pages=False)
        except ApiError as refused:
            lines = "\n".join(f"{error['errorCode']}: {error['message']}" for error in refused.body)
            return tag("pre", lines, class_="bad")
        records, total = result["records"], result["totalSize"]
        note = f"{total:,} row" + ("s" if total != 1 else "")
        note += f", the first {len(records):,} of them shown" if len(records) < total and records else ""
        return join(tag("p", note, class_="soft"), list_results(records) if records else None)

    def _figures(self, counts: Mapping[str, int]) -> Html:
        limits = self.org.limits
        used, most = limits.used(), limits.daily_limit
        faults = sum(not rule.spent for rule in self.org.faults.rules)
        meter = tag("meter", min=0, max=max(most, 1), value=used, low=int(most * 0.8), high=int(most * 0.95), optimum=0)
        return tag(
            "div",
            tag("div", "API calls used", tag("b", f"{used:,}", tag("small", f" of {most:,}")), meter),
            tag("div", "Records", tag("b", f"{sum(counts.values()):,}")),
            tag("div", "Refused by a limit", tag("b", f"{limits.refused:,}", class_="bad" if limits.refused else None)),
            tag("div", "Faults in force", tag("b", faults, class_="bad" if faults else None)),
            class_="figures",
        )

    def _objects(self, counts: Mapping[str, int]) -> Html:
        rows = [
            (
                tag("span", link(name, "objects", name), class_=None if count else "zero"),
                tag("span", f"{count:,}", class_=None if count else "zero"),
                link("fields", "objects", name, "fields"),
            )
            for name, count in counts.items()
        ]
        return section("Objects", table(("Object", "Records", ""), rows, numeric=(1,)))

    def _calls(self) -> Html:
        by_use = sorted(self.org.limits.by_resource.items(), key=lambda one: (-one[1], one[0]))
        if not by_use:
            return section("Calls by resource", tag("p", "Nothing was asked of the org yet.", class_="soft"))
        rows = [(f"{name} (not charged)" if name == "login" else name, f"{calls:,}") for name, calls in by_use]
        return section("Calls by resource", table(("Resource", "Calls"), rows, numeric=(1,)))


def is_own_name(host: str, listens_on: str) -> bool:
    """Whether a Host header is one that no foreign web page can bring: an address, localhost or the server's name."""
    match = _HOST.fullmatch(host.lower())
    if match is None:
        return False
    name = match["address"] or match["name"]
    if name in {"localhost", listens_on.lower()}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
