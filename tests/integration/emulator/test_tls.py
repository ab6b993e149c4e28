"""https by the emulator itself: clients trust its authority, and its proxy leads Salesforce's hosts to it."""

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from cryptography import x509

from pipeline.emulator.server import Running, Secured, build
from pipeline.emulator.tls import is_ours

FORM = {"grant_type": "client_credentials", "client_id": "key", "client_secret": "secret"}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(build(), tls=True) as server:
        yield server


@pytest.fixture
def secured(running: Running) -> Secured:
    assert running.secured is not None
    return running.secured


@pytest.fixture
def client(secured: Secured, tmp_path: Path) -> Iterator[requests.Session]:
    """A session that is told as an environment would tell it."""
    authority = tmp_path / "ca.pem"
    authority.write_bytes(secured.certificates.authority)
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(authority)
        session.proxies = {"https": secured.proxy_url}
        yield session


@pytest.mark.parametrize(
    "host",
    ["login.salesforce.com", "test.salesforce.com", "acme.my.salesforce.com", "acme--dev.sandbox.my.salesforce.com"],
)
def test_every_host_of_salesforce_is_this_org(client: requests.Session, host: str) -> None:
    versions = client.get(f"https://{host}/services/data/", timeout=10)
    assert versions.json()[-1]["version"] == "68.0"


def test_a_login_leads_to_a_host_that_works_as_well(client: requests.Session) -> None:
    told = client.post("https://acme.my.salesforce.com/services/oauth2/token", data=FORM, timeout=10).json()
    assert told["instance_url"] == "https://acme.my.salesforce.com"
    headers = {"Authorization": f"Bearer {told['access_token']}"}
    limits = client.get(f"{told['instance_url']}/services/data/v66.0/limits", headers=headers, timeout=10)
    assert limits.status_code == 200


def test_the_org_is_at_its_own_address_too(running: Running, client: requests.Session) -> None:
    client.proxies = {}
    assert running.url.startswith("https://127.0.0.1:")
    told = client.post(f"{running.url}/services/oauth2/token", data=FORM, timeout=10).json()
    assert told["instance_url"] == running.url
    named = running.url.replace("127.0.0.1", "localhost")
    assert client.get(f"{named}/services/data", timeout=10).status_code == 200


def test_without_the_authority_no_client_is_fooled(running: Running) -> None:
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"{running.url}/services/data", timeout=10)


def test_the_proxy_leads_nowhere_else(client: requests.Session, secured: Secured) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        client.get("https://example.com/", timeout=10)
    connection = http.client.HTTPConnection(urlsplit(secured.proxy_url).netloc, timeout=10)
    connection.request("GET", "http://login.salesforce.com/")
    assert connection.getresponse().status == 405
    connection.close()


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("login.salesforce.com", True),
        ("A.MY.SALESFORCE.COM.", True),
        ("localhost", True),
        ("127.0.0.1", True),
        ("salesforce.com.example.org", False),
        ("notsalesforce.com", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_which_hosts_are_led_to_the_org(host: str, *, ours: bool) -> None:
    assert is_ours(host) is ours


def test_the_authority_may_sign_for_salesforce_and_this_machine_alone(secured: Secured) -> None:
    authority = x509.load_pem_x509_certificate(secured.certificates.authority)
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = {str(name.value) for name in constraints.value.permitted_subtrees or ()}
    assert permitted == {"salesforce.com", "localhost", "127.0.0.1/32", "::1/128"}
    assert b"PRIVATE KEY" not in secured.certificates.authority


def test_the_command_says_how_clients_are_told(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    command = [sys.executable, "-m", "pipeline.cli.emulator", "--tls", "--ca-file", str(authority)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = "".join(process.stdout.readline() for _ in range(6))
        settings = dict(re.findall(r"(\w+)=(\S+)", told))
        try:
            script = "import requests; print(requests.get('https://test.salesforce.com/services/data').status_code)"
            environment = {**os.environ, **settings, "NO_PROXY": "", "no_proxy": ""}
            done = subprocess.run(
                [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=30, check=False
            )
            assert done.stdout.strip() == "200", done.stderr
        finally:
            process.terminate()
    assert settings["SSL_CERT_FILE"] == settings["NODE_EXTRA_CA_CERTS"] == str(authority)
