"""Who may use the console: passwords, names, origins, and how fast passwords may be tried."""

from pathlib import Path

import pytest

from pipeline.console.access import Access, Throttle, read_access
from pipeline.console.seal import Seal
from pipeline.console.visits import Sessions
from pipeline.errors import ConfigurationError

SECRET = "correct horse"
LOCAL = Access(password=None, address="127.0.0.1")
OPEN = Access(password=SECRET, address="0.0.0.0")
PROXIED = Access(password=SECRET, address="127.0.0.1", url="https://console.example.com")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_no_password_is_needed(address: str) -> None:
    assert read_access({}, address=address).password is None


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.7", "console.internal"])
def test_whoever_can_be_reached_from_elsewhere_needs_a_password_and_is_told_what_to_set(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"set PIPELINE_CONSOLE_PASSWORD, or PIPELINE_CONSOLE_PASSWORD_FILE"):
        read_access({"PIPELINE_CONSOLE_PASSWORD": ""}, address=address)
    assert read_access({"PIPELINE_CONSOLE_PASSWORD": SECRET}, address=address).is_right(SECRET)


def test_a_proxy_before_it_makes_a_password_necessary_on_loopback_too() -> None:
    with pytest.raises(ConfigurationError, match=r"at https://console\.example\.com"):
        read_access({}, address="127.0.0.1", url="https://console.example.com")
    with pytest.raises(ConfigurationError, match="write it as"):
        read_access({"PIPELINE_CONSOLE_PASSWORD": SECRET}, address="127.0.0.1", url="console.example.com")


def test_the_password_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    environ = {"PIPELINE_CONSOLE_PASSWORD_FILE": str(file)}
    assert read_access(environ, address="0.0.0.0").is_right(SECRET)
    with pytest.raises(ConfigurationError, match="both set"):
        read_access({**environ, "PIPELINE_CONSOLE_PASSWORD": "x"}, address="0.0.0.0")
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="is empty"):
        read_access(environ, address="127.0.0.1")
    file.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_access(environ, address="127.0.0.1")


def test_the_password_is_compared_and_never_shown() -> None:
    assert OPEN.is_right(SECRET)
    assert not any(OPEN.is_right(wrong) for wrong in ("", "correct horsf", SECRET + " ", "\ud800"))
    assert not LOCAL.is_right("")
    assert SECRET not in repr(OPEN)


@pytest.mark.parametrize(
    ("access", "host", "is_own"),
    [
        (LOCAL, "127.0.0.1:8080", True),
        (LOCAL, "localhost:8080", True),
        (LOCAL, "[::1]:8080", True),
        (LOCAL, "rebound.attacker.example:8080", False),
        (LOCAL, "localhost.attacker.example", False),
        (LOCAL, "", False),
        (LOCAL, "localhost@attacker.example", False),
        (OPEN, "console.internal:8080", True),
        (PROXIED, "console.example.com", True),
        (PROXIED, "CONSOLE.example.com:443", True),
        (PROXIED, "127.0.0.1:8080", True),
        (PROXIED, "attacker.example", False),
    ],
)
def test_a_foreign_name_is_told_from_its_own(access: Access, host: str, is_own: bool) -> None:
    assert access.is_own_name(host) is is_own


@pytest.mark.parametrize(
    ("access", "origin", "is_own"),
    [
        (LOCAL, "http://127.0.0.1:8080", True),
        (LOCAL, "http://127.0.0.1:9090", False),
        (LOCAL, "http://attacker.example", False),
        (LOCAL, "null", False),
        (LOCAL, "", False),
        (PROXIED, "https://console.example.com", True),
        (PROXIED, "https://console.example.com.attacker.example", False),
    ],
)
def test_a_form_comes_from_a_page_of_its_own(access: Access, origin: str, is_own: bool) -> None:
    assert access.is_own_origin(origin, "127.0.0.1:8080") is is_own


def test_a_few_errors_cost_nothing_and_then_each_doubles_the_wait() -> None:
    throttle, waits = Throttle(), []
    for _ in range(12):
        waits.append(throttle.wait_s("192.0.2.1", 100.0))
        throttle.fail("192.0.2.1", 100.0)
    assert waits[:6] == [0, 0, 0, 1, 2, 4]
    assert waits[-1] == 60
    assert throttle.wait_s("192.0.2.1", 130.0) == 30
    assert throttle.wait_s("192.0.2.2", 100.0) == 0
    throttle.succeed("192.0.2.1")
    assert throttle.wait_s("192.0.2.1", 100.0) == 0


def test_one_ipv6_site_counts_as_one_client_and_what_is_remembered_is_bounded() -> None:
    throttle = Throttle()
    for number in range(5):
        throttle.fail(f"2001:db8::{number}", 0.0)
    assert throttle.wait_s("2001:db8::ffff", 0.0) > 0
    for number in range(10_050):
        throttle.fail(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}", 1.0)
    assert len(throttle._failed) == 10_000
    assert throttle.wait_s("2001:db8::ffff", 1.0) == 0


def test_what_is_sealed_is_good_for_its_purpose_alone_and_not_for_ever() -> None:
    seal = Seal()
    sealed = seal.close("note", "ä text")
    assert "text" not in sealed
    assert seal.open("note", sealed, within_s=60) == "ä text"
    assert seal.open("session", sealed, within_s=60) is None
    assert seal.open("note", sealed, within_s=-1) is None
    assert seal.open("note", sealed[:-2] + "xx", within_s=60) is None
    assert Seal().open("note", sealed, within_s=60) is None
    assert seal.open("note", "x" * 100_000, within_s=60) is None


def test_an_ended_session_is_over_also_for_who_copied_its_cookie() -> None:
    sessions = Sessions(Seal())
    session, cookie = sessions.begin(is_in=True)
    assert sessions.read(cookie) == session
    sessions.end(session, 0.0)
    assert sessions.read(cookie) is None
