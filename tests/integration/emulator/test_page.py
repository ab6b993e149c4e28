"""The page at the emulator's address, asked for over HTTP."""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from pipeline.emulator.limits import DEFAULT_DAILY_LIMIT

API = "/services/data/v66.0"
HOSTILE = """<script>document.title = "owned"</script><img src=x onerror='alert(1)'>&"""


class Org:
    """An emulated org: its API with a session, and its page without."""

    def __init__(self, url: str) -> None:
        self.url = url
        form = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "secret"}
        answer = requests.post(f"{url}/services/oauth2/token", data=form, timeout=10)
        self.token: str = answer.json()["access_token"]

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | arguments.pop("headers", {})
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=10, **arguments)

    def create(self, name: str, **fields: Any) -> str:
        answer = self.call("POST", f"{API}/sobjects/{name}", json=fields)
        answer.raise_for_status()
        record_id: str = answer.json()["id"]
        return record_id

    def create_leads(self, count: int) -> None:
        for start in range(0, count, 200):
            leads = [
                {"attributes": {"type": "Lead"}, "LastName": f"Lead {number}", "Company": "ACME"}
                for number in range(start, min(start + 200, count))
            ]
            answer = self.call("POST", f"{API}/composite/sobjects", json={"records": leads})
            assert all(result["success"] for result in answer.json())

    def tell(self, what: str, body: Any) -> None:
        requests.post(f"{self.url}/_emulator/{what}", json=body, timeout=10).raise_for_status()

    def api_calls(self) -> dict[str, Any]:
        calls: dict[str, Any] = requests.get(f"{self.url}/_emulator/stats", timeout=10).json()["api_calls"]
        return calls

    def page(self, path: str = "/", **query: str) -> str:
        answer = requests.get(f"{self.url}{path}", params=query, timeout=10)
        answer.raise_for_status()
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return answer.text


@pytest.fixture
def org(emulator_url: str) -> Iterator[Org]:
    org = Org(emulator_url)
    yield org
    org.tell("limits", {"daily_limit": DEFAULT_DAILY_LIMIT})


def text_of(page: str) -> str:
    """Return what a reader sees: without tags and styles, in one line."""
    body = re.sub(r"<[^>]*>", " ", page.partition("<body>")[2])
    return " ".join(html.unescape(body).split())


def test_overview_lists_objects_with_their_records_and_leads_to_them(org: Org) -> None:
    org.create("Account", Name="ACME")
    org.create_leads(3)

    page = org.page()

    assert "Account 1 fields" in text_of(page)
    assert "Lead 3 fields" in text_of(page)
    assert "Opportunity 0 fields" in text_of(page)
    assert 'href="/objects/Lead"' in page
    assert 'href="/objects/Lead/fields"' in page


def test_overview_counts_calls_by_resource_and_shows_faults_with_how_often_they_fired(org: Org) -> None:
    org.tell("limits", {"daily_limit": 12_345})
    org.tell("faults", {"fault": "unavailable", "path": "/query", "next": 2})

    assert org.call("GET", f"{API}/query", params={"q": "SELECT Id FROM Lead"}).status_code == 503
    org.create_leads(1)
    org.call("POST", f"{API}/composite/batch", json={"batchRequests": [{"method": "GET", "url": "v66.0/limits"}] * 3})

    shown = text_of(org.page())
    assert "API calls used 4 of 12,345" in shown
    assert "collections 1" in shown
    assert "login (not charged) 1" in shown
    assert 'unavailable {"path": "/query", "next": 2} 1 of 2' in shown
    assert re.search(r"POST /services/data/v66.0/composite/batch 200 3 \d", shown)
    assert re.search(r"GET /services/data/v66.0/query SELECT Id FROM Lead 503 0 \d", shown)


def test_records_are_listed_newest_first_and_by_pages(org: Org) -> None:
    org.create_leads(60)

    first, second = org.page("/objects/lead"), org.page("/objects/Lead", page="2")

    assert re.findall(r"<td>Lead (\d+)</td>", first)[::2] == [str(number) for number in range(59, 9, -1)]
    assert re.findall(r"<td>Lead (\d+)</td>", second)[::2] == [str(number) for number in range(9, -1, -1)]
    assert 'href="/objects/Lead?page=2"' in first
    assert 'href="/objects/Lead?page=1"' in second
    assert "page 2 of 2" in second
    for number in ("0", "-1", "two", "²", "9" * 30):
        assert "page 1 of 2" in org.page("/objects/Lead", page=number)


def test_a_record_has_the_address_that_its_describe_gives_and_links_to_those_it_refers_to(org: Org) -> None:
    account = org.create("Account", Name="ACME", BillingCity="London", BillingCountry="UK")
    contact = org.create("Contact", LastName="Lovelace", AccountId=account)
    address = org.call("GET", f"{API}/sobjects/Contact/describe").json()["urls"]["uiDetailTemplate"]

    page = requests.get(address.replace("{ID}", contact), timeout=10).text

    assert f'href="/{account}"' in page
    assert "Lovelace" in text_of(page)
    assert "London, UK" in text_of(org.page(f"/{account}"))
    assert org.page(f"/{account[:15]}") == org.page(f"/{account}")


def test_a_deleted_record_says_that_it_is_in_the_recycle_bin(org: Org) -> None:
    lead = org.create("Lead", LastName="Lovelace", Company="ACME")
    org.call("DELETE", f"{API}/sobjects/Lead/{lead}").raise_for_status()

    assert "in the recycle bin" in org.page(f"/{lead}")
    assert "No records here." in org.page("/objects/Lead")


def test_fields_are_listed_with_type_length_and_what_the_describe_says(org: Org) -> None:
    leads, numbers = text_of(org.page("/objects/Lead/fields")), text_of(org.page("/objects/Opportunity/fields"))

    assert "LastName Last Name string 80 required" in leads
    assert "Email Email email 80 idLookup" in leads
    assert "Salutation Salutation picklist 40 Mr., Ms., Mrs., Dr., Prof." in leads
    assert "OwnerId Owner ID reference 18 Group , User" in leads
    assert "Amount Amount currency 16, 2" in numbers


@pytest.mark.parametrize("path", ["/objects/Nothing", "/objects/Nothing/fields", "/00QEm000000000zMAA", "/favicon.ico"])
def test_what_the_org_has_not_is_not_found(org: Org, path: str) -> None:
    answer = requests.get(f"{org.url}{path}", timeout=10)

    assert answer.status_code == 404
    assert "There is no" in answer.text


def test_soql_shows_rows_with_parents_and_children(org: Org) -> None:
    account = org.create("Account", Name="ACME")
    contact = org.create("Contact", LastName="Lovelace", AccountId=account)

    parents = org.page("/soql", q="SELECT Id, LastName, Account.Name, Account.Id FROM Contact")
    children = org.page("/soql", q="SELECT Name, (SELECT LastName FROM Contacts) FROM Account")

    assert "Id LastName Account.Name Account.Id" in text_of(parents)
    assert f'href="/{contact}"' in parents
    assert f'href="/{account}"' in parents
    assert "Name Contacts ACME LastName Lovelace" in text_of(children)


def test_soql_shows_counts_and_groups(org: Org) -> None:
    org.create_leads(3)

    assert "Result 3 rows" in text_of(org.page("/soql", q="SELECT COUNT() FROM Lead"))
    grouped = org.page("/soql", q="SELECT Company, COUNT(Id) many FROM Lead GROUP BY Company")
    assert "1 row Company many ACME 3" in text_of(grouped)


@pytest.mark.parametrize("query", ["SELECT Nope FROM Lead", "SELECT Id FROM Nothing", "DELETE FROM Lead", "SELECT '<"])
def test_a_wrong_query_is_refused_in_salesforce_s_words(org: Org, query: str) -> None:
    (error,) = org.call("GET", f"{API}/query", params={"q": query}).json()

    shown = text_of(org.page("/soql", q=query))

    assert " ".join(f"{error['errorCode']}: {error['message']}".split()) in shown


def test_a_long_result_is_cut_and_takes_no_client_s_cursor(org: Org) -> None:
    org.create_leads(450)
    query = "SELECT Id FROM Lead"
    headers = {"Sforce-Query-Options": "batchSize=200"}
    started = org.call("GET", f"{API}/query", params={"q": query}, headers=headers).json()

    for _ in range(101):
        page = org.page("/soql", q=query)

    assert "450 rows, the first 200 of them shown" in text_of(page)
    assert len(org.call("GET", started["nextRecordsUrl"]).json()["records"]) == 200


def test_hostile_values_are_text_wherever_they_are_shown(org: Org) -> None:
    lead = org.create("Lead", LastName=HOSTILE[:80], Company=HOSTILE)
    org.tell("faults", {"fault": "slow", "path": re.escape(HOSTILE)})
    org.call("GET", f"{API}/sobjects/{HOSTILE}")
    org.call("GET", f"{API}/query", params={"q": f"SELECT Id FROM Lead WHERE Company = '{HOSTILE}'"})
    pages = [
        org.page(),
        org.page("/objects/Lead"),
        org.page(f"/{lead}"),
        org.page("/soql", q="SELECT Company FROM Lead"),
        org.page("/soql", q=f"</textarea>{HOSTILE}"),
        requests.get(f"{org.url}/objects/{HOSTILE.replace('/', '')}", timeout=10).text,
        requests.get(f"{org.url}/{HOSTILE.replace('/', '')}", timeout=10).text,
    ]

    for page in pages:
        assert "owned" in page
        assert "<script" not in page
        assert "<img" not in page
        assert page.count("</textarea>") <= 1
    assert html.escape(HOSTILE) in pages[1]


def test_no_script_would_run_and_no_other_site_may_frame_the_page(org: Org) -> None:
    policy = requests.get(org.url, timeout=10).headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy


def test_looking_costs_no_calls_and_is_no_request_of_the_log(org: Org) -> None:
    lead = org.create("Lead", LastName="Lovelace", Company="ACME")
    before = org.api_calls()

    for path in ("/", "/objects/Lead", "/objects/Lead/fields", f"/{lead}", "/soql?q=SELECT+Id+FROM+Lead"):
        org.page(path)

    assert org.api_calls() == before
    shown = text_of(org.page())
    assert shown.count(" GET ") == 0
    assert shown.count(" POST ") == 2  # the login and the create


def test_looking_is_possible_when_the_calls_are_used_up(org: Org) -> None:
    org.tell("limits", {"use": 1_000_000})
    assert org.call("GET", f"{API}/limits").status_code == 403

    assert "Refused by a limit 1" in text_of(org.page())
    assert "Result 0 rows" in text_of(org.page("/soql", q="SELECT COUNT() FROM Lead"))


def test_the_last_hundred_requests_are_listed_newest_first(org: Org) -> None:
    for number in range(105):
        org.call("GET", f"{API}/request/{number}")

    paths = re.findall(rf"{API}/request/(\d+)<", org.page())

    assert paths == [str(number) for number in range(104, 4, -1)]


def test_no_secret_is_shown(org: Org) -> None:
    form = {"grant_type": "password", "client_id": "key", "client_secret": "secret"}
    form |= {"username": "admin@example.com", "password": "passwordtoken"}
    requests.post(f"{org.url}/services/oauth2/token", data=form, timeout=10).raise_for_status()
    requests.get(f"{org.url}/services/oauth2/userinfo", params={"access_token": org.token}, timeout=10)
    requests.get(f"{org.url}/services/oauth2/revoke", params={"token": org.token}, timeout=10)
    org.call("GET", f"{API}/limits", params={"access_token": org.token})
    org.call("GET", f"{API}/query", params={"q": "SELECT Id FROM Lead", "access_token": org.token})

    page = org.page()

    assert "/services/oauth2/userinfo" in page
    assert "SELECT Id FROM Lead" in page
    for secret in (org.token, "passwordtoken", "access_token"):
        assert secret not in page
    assert "secret" not in text_of(page)


@pytest.mark.parametrize("fault", ["reset_before", "reset_after"])
def test_a_request_whose_connection_was_reset_is_listed_as_such(org: Org, fault: str) -> None:
    org.tell("faults", {"fault": fault, "next": 1})
    with pytest.raises(requests.ConnectionError):
        org.call("GET", f"{API}/limits")

    calls = 1 if fault == "reset_after" else 0
    assert f"GET {API}/limits reset {calls} " in text_of(org.page())


def test_a_reset_org_has_no_requests(org: Org) -> None:
    org.call("GET", f"{API}/limits")
    org.tell("reset", {})

    assert "Last 100 requests None yet." in text_of(org.page())


@pytest.mark.parametrize("path", ["/", "/soql?q=SELECT+Id+FROM+Lead", "/objects/Lead", "/objects/Lead/fields"])
def test_only_the_machine_s_own_names_and_addresses_are_answered(org: Org, path: str) -> None:
    def status(host: str) -> int:
        return requests.get(f"{org.url}{path}", headers={"Host": host}, timeout=10).status_code

    port = org.url.rpartition(":")[2]
    assert {status(host) for host in (f"localhost:{port}", f"127.0.0.1:{port}", "LOCALHOST", "[::1]:80")} == {200}
    assert {status(host) for host in ("attacker.example", f"127.0.0.1.nip.example:{port}", "localhost.x")} == {421}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_page_changes_nothing(org: Org, method: str) -> None:
    for path in ("/", "/soql", "/objects/Lead", "/objects/Lead/fields", "/00QEm000000000zMAA"):
        assert requests.request(method, f"{org.url}{path}", timeout=10).status_code == 405
