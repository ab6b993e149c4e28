"""Every way in which simple-salesforce logs in."""

from pathlib import Path
from typing import Any

import pytest
import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceRefusedRequest,
)
from simple_salesforce.login import SalesforceLogin

from pipeline.emulator.testing import Emulator


def username_of(client: Any) -> str:
    return str(client.oauth2("userinfo")["preferred_username"])


@pytest.fixture
def private_key(salesforce_emulator: Emulator) -> str:
    return requests.get(f"{salesforce_emulator.url}/_emulator/jwt_key", timeout=10).text


@pytest.mark.exercises("Salesforce.oauth2")
def test_soap_login_with_a_security_token(salesforce_emulator: Emulator) -> None:
    client: Any = Salesforce(
        username="admin@example.com",
        password="password",
        security_token="token",
        session=salesforce_emulator.session(),
    )
    assert (client.auth_type, username_of(client)) == ("password", "admin@example.com")


def test_soap_login_of_a_trusted_network_unescapes_the_password(salesforce_emulator: Emulator) -> None:
    client: Any = Salesforce(
        username="trusted@example.com",
        password="p&ss<word>",
        organizationId="00DEm0000000001MAA",
        session=salesforce_emulator.session(),
    )
    assert (client.auth_type, username_of(client)) == ("ipfilter", "trusted@example.com")


def test_soap_login_on_the_test_domain(salesforce_emulator: Emulator) -> None:
    client: Any = Salesforce(
        username="admin@example.com",
        password="password",
        security_token="token",
        domain="test",
        session=salesforce_emulator.session(),
    )
    assert client.query("SELECT Id FROM Lead")["totalSize"] == 0


def test_password_grant(salesforce_emulator: Emulator) -> None:
    client: Any = Salesforce(
        username="trusted@example.com",
        password="p&ss<word>",
        consumer_key="app",
        consumer_secret="app-secret",
        session=salesforce_emulator.session(),
    )
    assert username_of(client) == "trusted@example.com"


def test_signed_assertion(salesforce_emulator: Emulator, private_key: str, tmp_path: Path) -> None:
    client: Any = Salesforce(
        username="admin@example.com",
        consumer_key="key",
        privatekey=private_key,
        session=salesforce_emulator.session(),
    )
    assert (client.auth_type, username_of(client)) == ("jwt-bearer", "admin@example.com")
    file = tmp_path / "key.pem"
    file.write_text(private_key)
    from_file: Any = Salesforce(
        username="admin@example.com",
        consumer_key="key",
        privatekey_file=str(file),
        domain="test",
        session=salesforce_emulator.session(),
    )
    assert username_of(from_file) == "admin@example.com"


def test_client_credentials_of_a_my_domain_host(salesforce_emulator: Emulator) -> None:
    client: Any = Salesforce(
        consumer_key="app",
        consumer_secret="app-secret",
        domain="acme.my",
        session=salesforce_emulator.session(),
    )
    assert (client.auth_type, client.sf_instance) == ("client-credentials", "acme.my.salesforce.com")
    assert username_of(client) == "trusted@example.com"


def test_a_session_of_elsewhere_with_its_instance(salesforce: Any, salesforce_emulator: Emulator) -> None:
    host = salesforce_emulator.url.removeprefix("http://")
    places: list[dict[str, Any]] = [{"instance": host}, {"instance_url": salesforce_emulator.url}]
    for where in places:
        client = Salesforce(session_id=salesforce.session_id, session=salesforce_emulator.session(), **where)
        assert (client.auth_type, client.sf_instance) == ("direct", host)
        assert username_of(client) == "admin@example.com"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"password": "wrong", "security_token": "token"}, "INVALID_LOGIN"),
        ({"password": "password", "security_token": ""}, "LOGIN_MUST_USE_SECURITY_TOKEN"),
        ({"username": "gone@example.com", "password": "password", "security_token": ""}, "INVALID_LOGIN"),
        ({"password": "password", "security_token": "token", "sf_version": "65.0"}, "UNSUPPORTED_API_VERSION"),
        ({"password": "wrong", "consumer_key": "app", "consumer_secret": "app-secret"}, "invalid_grant"),
        ({"password": "password", "consumer_key": "no", "consumer_secret": "app-secret"}, "invalid_client_id"),
        ({"password": "password", "consumer_key": "app", "consumer_secret": "wrong"}, "invalid_client"),
    ],
)
def test_refused_logins(salesforce_emulator: Emulator, given: dict[str, Any], code: str) -> None:
    with pytest.raises(SalesforceAuthenticationFailed) as refused:
        SalesforceLogin(**{"username": "admin@example.com", **given}, session=salesforce_emulator.session())
    assert refused.value.code == code


def test_an_assertion_for_an_unknown_user_warns_that_the_app_is_not_approved(
    salesforce_emulator: Emulator, private_key: str
) -> None:
    with (
        pytest.warns(UserWarning, match="authorize this"),
        pytest.raises(SalesforceAuthenticationFailed, match="user hasn't approved this consumer"),
    ):
        SalesforceLogin(
            username="nobody@example.com",
            consumer_key="key",
            privatekey=private_key,
            session=salesforce_emulator.session(),
        )


def test_an_ended_session_is_renewed_once_there_are_credentials(salesforce_emulator: Emulator) -> None:
    client: Any = Salesforce(
        username="admin@example.com",
        password="password",
        security_token="token",
        session=salesforce_emulator.session(),
    )
    first = client.session_id
    salesforce_emulator.sessions(kill=True)
    assert client.query("SELECT Id FROM Lead")["totalSize"] == 0
    second = client.session_id
    salesforce_emulator.sessions(kill=True)
    assert client.Lead.create({"LastName": "Byron", "Company": "Engines"})["success"]
    assert len({first, second, client.session_id}) == 3


def test_an_ended_session_without_credentials_is_an_error(salesforce: Any, salesforce_emulator: Emulator) -> None:
    salesforce_emulator.sessions(kill=True)
    with pytest.raises(SalesforceExpiredSession) as ended:
        salesforce.query("SELECT Id FROM Lead")
    content: Any = ended.value.content  # the decoded JSON, whatever its annotation says
    assert content == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


@pytest.mark.exercises("Salesforce.oauth2")
def test_a_revoked_session_is_ended(salesforce: Any) -> None:
    salesforce.oauth2("revoke", params={"token": salesforce.session_id})
    with pytest.raises(SalesforceExpiredSession):
        salesforce.limits()


@pytest.mark.exercises("Salesforce.set_password")
def test_an_expired_password_allows_only_a_new_one(salesforce_emulator: Emulator) -> None:
    late: Any = Salesforce(
        username="late@example.com", password="old", security_token="", session=salesforce_emulator.session()
    )
    with pytest.raises(SalesforceRefusedRequest) as refused:
        late.limits()
    assert "INVALID_OPERATION_WITH_EXPIRED_PASSWORD" in str(refused.value)
    user_id = late.oauth2("userinfo")["user_id"]
    assert late.set_password(user_id, "new") is None
    assert late.limits()["DailyApiRequests"]["Max"] == 100_000
    with pytest.raises(SalesforceAuthenticationFailed):
        SalesforceLogin(
            username="late@example.com", password="old", security_token="", session=salesforce_emulator.session()
        )
    assert SalesforceLogin(
        username="late@example.com", password="new", security_token="", session=salesforce_emulator.session()
    )


@pytest.mark.exercises("Salesforce.set_password")
def test_a_password_of_another_user_and_of_none(salesforce: Any, salesforce_emulator: Emulator) -> None:
    (trusted,) = salesforce.query("SELECT Id FROM User WHERE Username = 'trusted@example.com'")["records"]
    assert salesforce.set_password(trusted["Id"], "new") is None
    assert salesforce.restful(f"sobjects/User/{trusted['Id']}/password") == {"isExpired": False}
    assert SalesforceLogin(
        username="trusted@example.com", password="new", security_token="", session=salesforce_emulator.session()
    )
