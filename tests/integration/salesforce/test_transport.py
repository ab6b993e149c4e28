"""What happens on the wire is told truly: nothing sent, sent and not answered, answered by something else."""

import socket
import time
from pathlib import Path

import pytest
import requests

from pipeline.errors import ConfigurationError
from pipeline.salesforce.client import Org, create, query
from pipeline.salesforce.errors import NoAnswer, Unavailable
from pipeline.salesforce.session import SessionStore
from pipeline.salesforce.transport import CONNECT_TIMEOUT_S, LONGEST_IDLE_S, READ_TIMEOUT_S, Transport
from tests.integration.salesforce.scripted_org import Answer, Fault, ScriptedOrg

A_LEAD = [create("Lead", [{"LastName": "x"}])]
ROWS = {"totalSize": 1, "done": True, "records": [{"Id": "00Q000000000001AAA"}]}


def test_a_request_without_a_timeout_of_its_own_gets_one(scripted_org: ScriptedOrg, org: Org) -> None:
    scripted_org.answers.append(Answer(fault="hang"))
    started = time.monotonic()
    with pytest.raises(NoAnswer) as lost:
        org.send(A_LEAD)
    assert lost.value.sent
    assert time.monotonic() - started < 5


def test_the_slowest_request_is_bounded_by_the_timeouts() -> None:
    assert Transport().slowest_request_s == CONNECT_TIMEOUT_S + 2 * READ_TIMEOUT_S


def test_a_refused_connection_is_certain_to_have_done_nothing(store: SessionStore) -> None:
    store.get()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    org = Org(store, api_version="66.0", transport=Transport(endpoint_url=f"http://127.0.0.1:{port}"))
    with pytest.raises(NoAnswer) as lost:
        org.send(A_LEAD)
    assert not lost.value.sent
    assert not org.calls


@pytest.mark.parametrize("fault", ["reset_after", "truncated", "truncated_chunks", "trickle", "hang"])
def test_an_answer_lost_after_sending_is_uncertain_and_the_write_is_not_repeated(
    scripted_org: ScriptedOrg, org: Org, fault: Fault
) -> None:
    scripted_org.answers.append(Answer(body=[{"id": "x" * 18, "success": True, "errors": []}], fault=fault))
    with pytest.raises(NoAnswer) as lost:
        org.send(A_LEAD)
    assert lost.value.sent
    assert len(scripted_org.seen) == 1
    assert org.calls["composite/sobjects"] == 1


def test_a_body_that_trickles_for_ever_is_given_up_in_time(scripted_org: ScriptedOrg, org: Org) -> None:
    scripted_org.answers.append(Answer(body={"records": "x" * 1000}, fault="trickle"))
    started = time.monotonic()
    with pytest.raises(NoAnswer):
        org.send(A_LEAD)
    assert time.monotonic() - started < 5, "fifty seconds of trickling were not waited for"


def test_an_answer_may_be_compressed(scripted_org: ScriptedOrg, org: Org) -> None:
    scripted_org.answers.append(Answer(body=ROWS, fault="gzip"))
    assert org.send([query("SELECT Id FROM Lead")])[0].body == ROWS


def test_a_web_page_instead_of_an_answer_leaves_a_write_uncertain(scripted_org: ScriptedOrg, org: Org) -> None:
    scripted_org.answers.append(Answer(body=b"<html>welcome to the hotel</html>"))
    with pytest.raises(NoAnswer) as lost:
        org.send(A_LEAD)
    assert lost.value.sent


@pytest.mark.parametrize("status", [408, 420, 429, 500, 502, 503, 504, 403, 404, 302])
def test_a_web_page_with_an_error_status_says_that_the_org_is_unavailable(
    scripted_org: ScriptedOrg, org: Org, status: int
) -> None:
    scripted_org.answers.append(Answer(status, b"<html>maintenance</html>", {"Retry-After": "7", "Location": "/x"}))
    with pytest.raises(Unavailable) as unavailable:
        org.send(A_LEAD)
    assert unavailable.value.status == status
    assert unavailable.value.retry_after_s == 7
    assert len(scripted_org.seen) == 1


def test_an_error_of_the_server_in_json_keeps_its_code(scripted_org: ScriptedOrg, org: Org) -> None:
    body = [{"errorCode": "SERVER_UNAVAILABLE", "message": "too busy"}]
    scripted_org.answers.append(Answer(503, body, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}))
    with pytest.raises(Unavailable) as unavailable:
        org.send(A_LEAD)
    assert unavailable.value.codes == {"SERVER_UNAVAILABLE"}
    assert unavailable.value.retry_after_s is None


def test_connections_are_kept_and_dropped_when_idle_for_long(scripted_org: ScriptedOrg, store: SessionStore) -> None:
    transport = Transport(endpoint_url=scripted_org.url)
    org = Org(store, api_version="66.0", transport=transport)
    store.get()
    before = scripted_org.connections
    org.send(A_LEAD)
    org.send(A_LEAD)
    assert scripted_org.connections == before + 1
    transport._last_used -= LONGEST_IDLE_S + 1
    org.send(A_LEAD)
    assert scripted_org.connections == before + 2


def test_neither_a_netrc_nor_a_proxy_gets_between_the_client_and_an_emulator(
    scripted_org: ScriptedOrg, org: Org, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    org.send(A_LEAD)
    assert scripted_org.seen[0].headers["Authorization"] == "Bearer token-1"


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "ftp://host", "http://host/path", "http://"])
def test_an_endpoint_that_is_no_address_is_a_mistake_in_the_configuration(address: str) -> None:
    with pytest.raises(ConfigurationError, match="SALESFORCE_ENDPOINT_URL"):
        Transport(endpoint_url=address)


def test_every_host_leads_to_the_endpoint(scripted_org: ScriptedOrg) -> None:
    with Transport(endpoint_url=scripted_org.url).session() as session:
        answer = session.get("https://na1.salesforce.com/services/data/?a=b%20c")
        assert isinstance(answer, requests.Response)
    assert scripted_org.seen[0].path == "/services/data/?a=b%20c"
