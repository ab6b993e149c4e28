"""A plain client of the emulated org: nothing between a test and the HTTP reply."""

import contextlib
import http.client
import json
import re
import socket
import xml.sax.saxutils
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from pipeline.emulator.server import Running, build

VERSION = "66.0"
LEAD = {"LastName": "Ng", "Company": "Ng Ltd"}
# Users and the app of the org, beside the ones that every emulator has.
CUSTOM_ORG = """\
objects:
  - name: Lead
    fields:
      - {name: Ext__c, type: string, length: 40, external_id: true, unique: true}
      - {name: Exact__c, type: string, length: 40, external_id: true, unique: true, case_sensitive: true}
      - {name: Code__c, type: string, length: 40, external_id: true}
      - {name: Number__c, type: double, precision: 10, scale: 0, external_id: true, unique: true}
      - {name: Topics__c, type: multipicklist, restricted: true, values: [Tea, Rice, Salt]}
      - {name: Grade__c, type: picklist, restricted: true, values: [A, B]}
      - {name: Score__c, type: int, digits: 3}
      - {name: Price__c, type: currency, precision: 6, scale: 2}
      - {name: Born__c, type: date}
      - {name: Seen__c, type: datetime}
      - {name: Notes__c, type: textarea, length: 32000}
  - name: Account
    fields: [{name: Key__c, type: string, length: 20, external_id: true, unique: true}]
  - name: Visit__c
    name_field: autonumber
    fields:
      - {name: Lead__c, type: reference, to: Lead, relationship: Lead__r, children: Visits__r, required: true}
      - {name: Place__c, type: string, length: 20, default: Home}
      - {name: Locked__c, type: string, length: 20, createable: true, updateable: false}
      - {name: Later__c, type: string, length: 20, createable: false, updateable: true}
      - {name: Ext__c, type: string, length: 40, external_id: true, unique: true}
users:
  - {username: other@example.com, password: pw, security_token: tok}
  - {username: gone@example.com, password: pw, security_token: tok, active: false}
  - {username: late@example.com, password: pw, security_token: tok, password_expired: true}
  - {username: near@example.com, password: pw, security_token: tok, needs_token: false}
connected_apps:
  - {consumer_key: stray, consumer_secret: s3, run_as: nobody@example.com}
  - {consumer_key: late, consumer_secret: s4, run_as: late@example.com}
  - {consumer_key: gone, consumer_secret: s5, run_as: gone@example.com}
"""


class OrgClient:
    """One session with an emulated org at ``url``; paths without a leading slash are resources of one API version."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self.http = session
        self.headers: dict[str, str] = {}
        self.headers["Authorization"] = f"Bearer {self.token()}"

    def token(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "secret"}
        reply = self.http.post(f"{self.url}/services/oauth2/token", data=form, timeout=10)
        return str(reply.json()["access_token"])

    def call(
        self, method: str, path: str, body: Any = None, *, version: str = VERSION, **arguments: Any
    ) -> requests.Response:
        url = path if path.startswith("/") else f"/services/data/v{version}/{path}"
        headers = self.headers | dict(arguments.pop("headers", {}))
        if body is not None:
            arguments["json"] = body
        return self.http.request(method, self.url + url, headers=headers, timeout=30, **arguments)

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self.call("GET", path, **arguments)

    def post(self, path: str, body: Any = None, **arguments: Any) -> requests.Response:
        return self.call("POST", path, body, **arguments)

    def patch(self, path: str, body: Any = None, **arguments: Any) -> requests.Response:
        return self.call("PATCH", path, body, **arguments)

    def delete(self, path: str, **arguments: Any) -> requests.Response:
        return self.call("DELETE", path, **arguments)

    @contextlib.contextmanager
    def started(self, method: str, path: str, body: Any = None) -> Iterator[socket.socket]:
        """Send a request without waiting for the answer, and hang up in the end."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        headers = self.headers | {"Content-Type": "application/json"}
        try:
            connection.request(method, f"/services/data/v{VERSION}/{path}", json.dumps(body), headers)
            yield connection.sock
        finally:
            connection.close()

    # Short ways to what most tests need.

    def create(self, name: str, **fields: Any) -> str:
        """Create a record that must succeed, and return its Id."""
        reply = self.post(f"sobjects/{name}", fields)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["id"])

    def lead(self, **fields: Any) -> str:
        return self.create("Lead", **{**LEAD, **fields})

    def read(self, name: str, record_id: str, *fields: str) -> dict[str, Any]:
        reply = self.get(f"sobjects/{name}/{record_id}", params={"fields": ",".join(fields)} if fields else None)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def soql(self, text: str, *, resource: str = "query", **arguments: Any) -> requests.Response:
        return self.get(resource, params={"q": text}, **arguments)

    def records(self, text: str) -> list[dict[str, Any]]:
        """Return the records of a query that must succeed, without their attributes."""
        reply = self.soql(text)
        assert reply.status_code == 200, reply.text
        return [without_attributes(record) for record in reply.json()["records"]]

    def column(self, text: str) -> list[Any]:
        """Return the only field of a query's records."""
        return [next(iter(record.values())) for record in self.records(text)]

    def upload(self, records: Sequence[Mapping[str, Any]], *, all_or_none: bool = False) -> requests.Response:
        """Create records by sObject Collections; leads unless they say what they are."""
        typed = [{"attributes": {"type": "Lead"}, **record} for record in records]
        return self.post("composite/sobjects", {"allOrNone": all_or_none, "records": typed})

    def control(self, what: str, body: Any = None) -> Any:
        """Use the control API, and return what it answers."""
        method = "GET" if body is None else "POST"
        reply = self.http.request(method, f"{self.url}/_emulator/{what}", json=body, timeout=10)
        reply.raise_for_status()
        return reply.json()

    def calls(self) -> dict[str, Any]:
        found: dict[str, Any] = self.control("stats")["api_calls"]
        return found

    def soap_login(self, username: str, password: str, version: str = "59.0") -> requests.Response:
        given = {"username": username, "password": password}
        inner = "".join(f"<n1:{name}>{xml.sax.saxutils.escape(text)}</n1:{name}>" for name, text in given.items())
        envelope = (
            '<?xml version="1.0" encoding="utf-8"?><env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/">'
            f'<env:Body><n1:login xmlns:n1="urn:partner.soap.sforce.com">{inner}</n1:login></env:Body></env:Envelope>'
        )
        headers = {"content-type": "text/xml", "charset": "UTF-8", "SOAPAction": "login"}
        url = f"{self.url}/services/Soap/u/{version}"
        return self.http.post(url, data=envelope.encode(), headers=headers, timeout=10)


def without_attributes(value: Any) -> Any:
    """Return JSON data without the attributes that every record has."""
    if isinstance(value, dict):
        return {name: without_attributes(inner) for name, inner in value.items() if name != "attributes"}
    return [without_attributes(inner) for inner in value] if isinstance(value, list) else value


def xml_text(reply: requests.Response, tag: str) -> str:
    """Return what stands in the first element of a name, prefix included, as clients without a parser read it."""
    found = re.search(f"<{tag}>(.*?)</{tag}>", reply.text, re.DOTALL)
    assert found is not None, reply.text
    return found.group(1)


Cause = Callable[[OrgClient], requests.Response]


@contextlib.contextmanager
def running_org(folder: Path, text: str) -> Iterator[tuple[Running, requests.Session]]:
    """Run the org of an org file's text in a thread of this process, with a client for it."""
    path = folder / "org.yaml"
    path.write_text(text, encoding="utf-8")
    with Running(build(org_path=str(path))) as running, requests.Session() as http:
        http.trust_env = False
        yield running, http


def emptied(running: Running, http: requests.Session) -> OrgClient:
    """Return a client of the org without sessions of earlier tests, records, faults or spent calls."""
    http.cookies.clear()
    http.post(f"{running.url}/_emulator/reset", json={}, timeout=10).raise_for_status()
    return OrgClient(running.url, http)
