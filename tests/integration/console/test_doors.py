"""The console over HTTP: what is refused, to whom, and what answers carry."""

import html
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.inbox.dead_letters import Receipt, receive
from tests.integration.console.conftest import PASSWORD
from tests.integration.environment import Environment

StartConsole = Callable[..., str]


class Person:
    """Somebody with a browser that sends what a browser sends, and scripts that do not run."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.http.get(f"{self.url}{path}", headers=headers, timeout=10, allow_redirects=False)

    def send(self, path: str, page: str = "/", origin: str | None = None, **fields: str) -> requests.Response:
        """Send a form with the token of the page that it stands in."""
        return self.send_with(token_in(self.get(page).text), path, origin, **fields)

    def send_with(self, token: str, path: str, origin: str | None = None, **fields: str) -> requests.Response:
        headers = {"Origin": self.url if origin is None else origin}
        data = {"token": token, **fields}
        return self.http.post(f"{self.url}{path}", data=data, headers=headers, timeout=10, allow_redirects=False)

    def log_in(self, password: str = PASSWORD) -> requests.Response:
        return self.send("/login", "/login", password=password)


def token_in(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None, page[:500]
    return html.unescape(found[1])


@pytest.fixture
def person(start_console: StartConsole) -> Person:
    return Person(start_console())


def test_nothing_is_shown_before_the_password(person: Person) -> None:
    for path in ("/", "/dead-letters", "/dead-letters/Lead/1-0", "/pause", "/trace", "/figures", "/day"):
        shown = person.get(path)
        assert (shown.status_code, shown.text) == (303, ""), path
        assert shown.headers["Location"].startswith("/login?to=")
    assert person.get("/figures", **{"Sec-Fetch-Mode": "cors"}).status_code == 401
    assert person.get("/health").text == "ok\n"


def test_the_session_of_the_login_page_opens_nothing(person: Person, environment: Environment) -> None:
    door = person.get("/login")
    assert person.http.cookies
    assert person.get("/").status_code == 303
    assert person.get("/figures").status_code == 303
    assert person.send_with(token_in(door.text), "/pause").status_code == 403
    assert environment.runtime.pause.why() is None


def test_the_right_password_leads_to_the_page_that_was_asked_for(person: Person) -> None:
    door = person.get(person.get("/dead-letters?object=Lead").headers["Location"])
    to = re.search(r'name="to" value="([^"]+)"', door.text)
    assert to is not None
    done = person.send_with(token_in(door.text), "/login", password=PASSWORD, to=to[1])
    assert (done.status_code, done.headers["Location"]) == (303, "/dead-letters?object=Lead")
    cookie = done.headers["Set-Cookie"]
    assert all(flag in cookie for flag in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"))
    assert PASSWORD not in cookie
    assert person.get("/dead-letters?object=Lead").status_code == 200


def test_only_a_path_of_its_own_is_gone_to_after_the_login(person: Person) -> None:
    for elsewhere in ("https://attacker.example", "//attacker.example", "/dead-letters"):
        other = Person(person.url)
        done = other.send("/login", "/login", password=PASSWORD, to=elsewhere)
        assert done.headers["Location"] == "/"


def test_answers_carry_the_headers_that_keep_a_page_to_itself(person: Person) -> None:
    person.log_in()
    for path in ("/", "/login", "/nothing", "/static/console.css", "/dead-letters/Lead/1-0"):
        headers = person.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
        assert "server" not in headers


def test_no_script_or_style_stands_in_a_page_and_nothing_comes_from_elsewhere(person: Person) -> None:
    person.log_in()
    for path in ("/", "/dead-letters", "/pause", "/trace"):
        page = person.get(path).text
        assert re.findall(r"<script(?! src=\"/static/console.js\")", page) == []
        assert re.findall(r"<style|\sstyle=|\son\w+=|https?://|//\w", page) == [], path


def test_a_form_of_another_site_or_session_is_refused(person: Person, environment: Environment) -> None:
    person.log_in()
    other = Person(person.url)
    other.log_in()
    foreign = token_in(other.get("/pause").text)
    own = token_in(person.get("/pause").text)
    refused = [
        person.send_with("", "/pause"),
        person.send_with(foreign, "/pause"),
        person.send_with(own, "/pause", "https://attacker.example"),
        person.send_with(own, "/pause", "null"),
        person.send_with(own, "/pause", ""),
        Person(person.url).send_with(own, "/pause"),
    ]
    assert [answer.status_code for answer in refused] == [403] * 6
    assert environment.runtime.pause.why() is None
    assert person.send_with(own, "/pause").status_code == 303
    assert environment.runtime.pause.why() is not None


def test_a_foreign_name_is_refused_even_on_loopback(start_console: StartConsole) -> None:
    person = Person(start_console(""))
    assert person.get("/").status_code == 200
    rebound = person.get("/", Host="rebound.attacker.example")
    assert rebound.status_code == 421
    assert "Dead letters" not in rebound.text


def test_wrong_passwords_are_slowed_down_and_told_of_nobody(start_console: StartConsole, console_logs: Path) -> None:
    person = Person(start_console("another-password"))
    answers = [person.log_in(f"wrong-{number}") for number in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert person.log_in("another-password").status_code == 429
    person.http.headers["X-Forwarded-For"] = "192.0.2.7"
    assert person.log_in("another-password").status_code == 429
    logs = "".join(file.read_text() for file in console_logs.glob("*.log"))
    assert "did=refuse_login in_a_row=3" in logs
    assert "wrong-" not in logs
    assert "127.0.0.1" not in logs.replace("console on http://127.0.0.1:", "")


def test_who_logs_out_is_out_also_with_a_copy_of_the_cookie(person: Person) -> None:
    person.log_in()
    copy = dict(person.http.cookies)
    assert person.send("/logout").headers["Location"] == "/login"
    person.http.cookies.update(copy)
    assert person.get("/").status_code == 303


def test_a_link_on_another_site_neither_ends_the_session_nor_begins_one(person: Person) -> None:
    bounced = person.get("/dead-letters?object=Lead", **{"Sec-Fetch-Site": "cross-site"})
    assert bounced.status_code == 200
    assert 'content="0;url=/dead-letters?object=Lead"' in bounced.text
    assert "Set-Cookie" not in bounced.headers


def test_behind_a_proxy_with_tls_the_cookie_is_for_https_alone(start_console: StartConsole) -> None:
    person = Person(start_console(PASSWORD, "--url", "https://console.example.com"))
    door = person.get("/login", Host="console.example.com")
    assert door.headers["Set-Cookie"].startswith("__Host-pipeline-console=")
    assert "Secure" in door.headers["Set-Cookie"]
    assert "max-age" in door.headers["Strict-Transport-Security"]
    assert person.get("/login", Host="attacker.example").status_code == 421


def test_a_form_that_is_too_large_is_not_read(person: Person) -> None:
    answer = person.send("/login", "/login", password="x" * 100_000)
    assert answer.status_code == 400
    assert "64 kB" in answer.text


def test_people_s_data_stands_on_the_letter_s_own_page_and_nowhere_else(
    person: Person, environment: Environment, console_logs: Path
) -> None:
    email = "ada.lovelace@example.com"
    reason = f"INVALID_EMAIL_ADDRESS: Email: invalid email address: {email}"
    receive(environment.redis, [Receipt("m1", "rejected", reason, {"messageId": "m1", "traits": {"email": email}})])
    person.log_in()
    (path,) = set(re.findall(r'href="(/dead-letters/events/[^"]+)"', person.get("/dead-letters").text))
    found = person.send("/dead-letters/search", text=email).headers["Location"]
    assert email not in unquote(found)
    assert path in person.get(found).text
    asked = person.send("/dead-letters/ask", do="retry", text="INVALID_EMAIL")
    pages = [person.get(one).text for one in ("/", "/dead-letters", "/pause", "/trace")]
    assert not any(email in page for page in [*pages, asked.text])
    assert email in person.get(path).text
    person.send(f"{path}/drop")
    assert not any(email in file.read_text() for file in console_logs.glob("*.log"))


def test_what_was_buried_after_the_question_is_not_meant_by_the_answer(
    person: Person, environment: Environment
) -> None:
    receive(environment.redis, [Receipt(f"m{n}", "rejected", "unlike the others", {}) for n in range(2)])
    person.log_in()
    asked = person.send("/dead-letters/ask", do="drop", object="events")
    assert "Delete 2 dead letters?" in asked.text
    receive(environment.redis, [Receipt("later", "rejected", "buried later", {})])

    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text.partition("<h1")[2]))
    done = person.send_with(html.unescape(fields.pop("token")), "/dead-letters/drop-many", **fields)

    assert "2 dead letters deleted." in person.get(done.headers["Location"]).text
    assert environment.dead("events") == ["buried later"]


def test_a_letter_that_is_not_there_or_cannot_be_is_not_found(person: Person) -> None:
    person.log_in()
    for name in ("Lead/1-0", "Lead/99999999999999999999-99999999999999999999", "Lead/<script>", "Lead/*"):
        missing = person.get(f"/dead-letters/{name}")
        assert missing.status_code == 404
        assert "There is no such" in missing.text
        assert name not in missing.text


def test_the_command_says_what_to_set_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPELINE_CONSOLE_PASSWORD", raising=False)
    ran = CliRunner().invoke(main, ["console", "--bind", "0.0.0.0"])
    assert ran.exit_code == 2
    assert "set PIPELINE_CONSOLE_PASSWORD" in ran.output
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ran = CliRunner().invoke(main, ["console"])
    assert ran.exit_code == 2
    assert "pip install 'event-pipeline-salesforce[console]'" in ran.output
