"""Logging in: SOAP, the four OAuth grants, identity, and the ways a session ends."""

import time
import xml.etree.ElementTree as ET
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.emulator.org_client import OrgClient, xml_text

ORG_ID = "00DEm0000000001MAA"
USER_ID = "005Em0000000001IAA"
PASSWORD = {"username": "admin@example.com", "password": "passwordtoken"}
APP = {"client_id": "key", "client_secret": "secret"}


def ask_for_token(org: OrgClient, grant: str, form: dict[str, str], **arguments: Any) -> requests.Response:
    body = {"grant_type": grant, **form}
    return org.http.post(f"{org.url}/services/oauth2/token", data=body, timeout=10, **arguments)


def works(org: OrgClient, token: str) -> bool:
    return org.get("limits", headers={"Authorization": f"Bearer {token}"}).status_code == 200


# SOAP.


def test_a_soap_login_opens_a_session(org: OrgClient) -> None:
    reply = org.soap_login("ADMIN@example.com", "passwordtoken")
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/xml;charset=UTF-8")
    assert works(org, xml_text(reply, "sessionId"))
    assert xml_text(reply, "sessionId").startswith(f"{ORG_ID[:15]}!")
    assert xml_text(reply, "serverUrl") == f"{org.url}/services/Soap/u/59.0/{ORG_ID[:15]}"
    assert xml_text(reply, "passwordExpired") == "false"


def test_a_soap_reply_lists_its_elements_in_the_order_of_the_guide(org: OrgClient) -> None:
    root = ET.fromstring(org.soap_login("admin@example.com", "passwordtoken").content)
    (result,) = root.iter("{urn:partner.soap.sforce.com}result")
    assert [child.tag.partition("}")[2] for child in result] == [
        "metadataServerUrl",
        "passwordExpired",
        "sandbox",
        "serverUrl",
        "sessionId",
        "userId",
        "userInfo",
    ]
    assert result.findtext("{*}userInfo/{*}sessionSecondsValid") == "7200"
    assert result.findtext("{*}userInfo/{*}organizationId") == ORG_ID


@pytest.mark.parametrize(
    ("username", "password", "code"),
    [
        ("nobody@example.com", "passwordtoken", "INVALID_LOGIN"),
        ("admin@example.com", "wrong", "INVALID_LOGIN"),
        ("admin@example.com", "", "INVALID_LOGIN"),
        ("gone@example.com", "pwtok", "INVALID_LOGIN"),
        ("admin@example.com", "password", "LOGIN_MUST_USE_SECURITY_TOKEN"),
    ],
)
def test_a_refused_soap_login_is_a_fault(org: OrgClient, username: str, password: str, code: str) -> None:
    reply = org.soap_login(username, password)
    assert reply.status_code == 500
    assert xml_text(reply, "sf:exceptionCode") == code
    fault = ET.fromstring(reply.content).find(".//{http://schemas.xmlsoap.org/soap/envelope/}Fault")
    assert fault is not None
    assert fault.findtext("faultcode") == f"sf:{code}"
    assert str(fault.findtext("faultstring")).startswith(f"{code}: Invalid username, password, security token; or user")


def test_a_user_in_a_trusted_network_needs_no_security_token(org: OrgClient) -> None:
    assert org.soap_login("near@example.com", "pw").status_code == 200


@pytest.mark.parametrize("version", ["30.0", "65.0", "x"])
def test_soap_login_is_absent_from_versions_too_old_and_too_new(org: OrgClient, version: str) -> None:
    reply = org.soap_login("admin@example.com", "passwordtoken", version)
    assert (reply.status_code, xml_text(reply, "sf:exceptionCode")) == (500, "UNSUPPORTED_API_VERSION")


@pytest.mark.parametrize("body", [b"", b"<a/>", b"no xml", b"<!DOCTYPE x []><x/>", b"x" * 10_241])
def test_what_is_no_soap_login_is_a_fault_too(org: OrgClient, body: bytes) -> None:
    reply = org.http.post(f"{org.url}/services/Soap/u/59.0", data=body, timeout=10)
    assert reply.status_code == 500
    assert xml_text(reply, "sf:exceptionCode") in {"INVALID_OPERATION", "EXCEEDED_MAX_SIZE_REQUEST"}


def test_an_expired_password_still_logs_in_but_every_later_call_is_refused(org: OrgClient) -> None:
    login = org.soap_login("late@example.com", "pwtok")
    assert xml_text(login, "passwordExpired") == "true"
    reply = org.get("limits", headers={"Authorization": f"Bearer {xml_text(login, 'sessionId')}"})
    assert reply.status_code == 403
    assert reply.json()[0]["errorCode"] == "INVALID_OPERATION_WITH_EXPIRED_PASSWORD"


# OAuth.


def test_the_password_grant_brings_no_refresh_token(org: OrgClient) -> None:
    first = ask_for_token(org, "password", {**APP, **PASSWORD})
    assert first.status_code == 200
    body = first.json()
    assert set(body) == {
        "access_token",
        "instance_url",
        "id",
        "token_type",
        "issued_at",
        "signature",
    }
    assert (body["token_type"], body["instance_url"]) == ("Bearer", org.url)
    assert body["id"] == f"{org.url}/id/{ORG_ID}/{USER_ID}"
    assert works(org, body["access_token"])


def test_client_credentials_may_stand_in_the_form_or_in_the_header(org: OrgClient) -> None:
    for reply in (
        ask_for_token(org, "client_credentials", APP),
        ask_for_token(org, "client_credentials", {}, auth=("key", "secret")),
    ):
        assert works(org, reply.json()["access_token"])
        assert reply.json()["scope"] == "api"


def test_a_salesforce_host_is_answered_with_the_org_s_own_host(org: OrgClient) -> None:
    mine = ask_for_token(org, "client_credentials", APP, headers={"Host": "acme.my.salesforce.com"})
    assert mine.json()["instance_url"] == "https://acme.my.salesforce.com"
    common = ask_for_token(org, "client_credentials", APP, headers={"Host": "login.salesforce.com"})
    assert common.json() == {"error": "invalid_grant", "error_description": "request not supported on this domain"}


@pytest.mark.parametrize(
    ("grant", "form", "status", "error", "description"),
    [
        ("", {}, 400, "invalid_request", "missing required parameter: grant_type"),
        ("magic", {}, 400, "unsupported_grant_type", "grant type not supported"),
        ("client_credentials", {}, 400, "invalid_request", "missing required parameter: client_id"),
        ("client_credentials", {**APP, "client_id": "no"}, 400, "invalid_client_id", "client identifier invalid"),
        ("client_credentials", {**APP, "client_secret": "no"}, 401, "invalid_client", "invalid client credentials"),
        (
            "client_credentials",
            {"client_id": "stray", "client_secret": "s3"},
            400,
            "invalid_grant",
            "no client credentials user enabled",
        ),
        ("client_credentials", {"client_id": "gone", "client_secret": "s5"}, 400, "invalid_grant", "inactive user"),
        ("password", {**APP, **PASSWORD, "password": "no"}, 400, "invalid_grant", "authentication failure"),
        ("password", {**APP, **PASSWORD, "password": "password"}, 400, "invalid_grant", "authentication failure"),
        ("refresh_token", {**APP, "refresh_token": "no"}, 400, "invalid_grant", "expired access/refresh token"),
    ],
)
def test_a_refused_token_request_says_why(  # noqa: PLR0917  (columns of the table)
    org: OrgClient, grant: str, form: dict[str, str], status: int, error: str, description: str
) -> None:
    reply = ask_for_token(org, grant, form)
    assert reply.status_code == status
    assert reply.json() == {"error": error, "error_description": description}


def sign(org: OrgClient, key: Any = None, **claims: Any) -> str:
    key = key or org.http.get(f"{org.url}/_emulator/jwt_key", timeout=10).text
    told = {"iss": "key", "sub": "admin@example.com", "aud": "https://login.salesforce.com", "exp": time.time() + 180}
    return jwt.encode({**told, **claims}, key, algorithm="RS256")


JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def test_a_signed_assertion_is_a_login(org: OrgClient) -> None:
    for audience in ("https://login.salesforce.com", "https://test.salesforce.com"):
        reply = ask_for_token(org, JWT_GRANT, {"assertion": sign(org, aud=audience)})
        assert works(org, reply.json()["access_token"])
        assert "refresh_token" not in reply.json()


@pytest.mark.parametrize(
    ("claims", "error", "description"),
    [
        ({"aud": "https://example.com"}, "invalid_grant", "audience is invalid"),
        ({"exp": 1_000_000_000}, "invalid_grant", "expired authorization code"),
        ({"iss": "nobody"}, "invalid_client_id", "client identifier invalid"),
        ({"sub": "nobody@example.com"}, "invalid_grant", "user hasn't approved this consumer"),
    ],
)
def test_a_wrong_assertion_is_refused(org: OrgClient, claims: dict[str, Any], error: str, description: str) -> None:
    reply = ask_for_token(org, JWT_GRANT, {"assertion": sign(org, **claims)})
    assert reply.status_code == 400
    assert reply.json() == {"error": error, "error_description": description}


def test_an_assertion_signed_by_another_key_is_refused(org: OrgClient) -> None:
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for assertion in (sign(org, foreign), "a.b.c", ""):
        reply = ask_for_token(org, JWT_GRANT, {"assertion": assertion})
        assert reply.json() == {"error": "invalid_grant", "error_description": "invalid assertion"}


# The end of a session.


def test_the_401_of_a_session_that_ended_is_word_for_word_salesforces(org: OrgClient) -> None:
    for authorization in ("Bearer 00D!wrong", None, ""):
        reply = org.http.get(
            f"{org.url}/services/data/v66.0/limits", headers={"Authorization": authorization}, timeout=10
        )
        assert reply.status_code == 401
        assert reply.text == '[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]'
        assert reply.headers["Content-Type"] == "application/json;charset=UTF-8"


def test_a_token_is_taken_with_either_word_in_front(org: OrgClient) -> None:
    token = org.headers["Authorization"].removeprefix("Bearer ")
    assert org.get("limits", headers={"Authorization": f"OAuth {token}"}).status_code == 200
    assert org.get("limits", headers={"Authorization": f"bearer {token}"}).status_code == 200
    refused = org.get("limits", headers={"Authorization": token})
    assert refused.json()[0]["errorCode"] == "INVALID_AUTH_HEADER"


def test_revoking_ends_one_session(org: OrgClient) -> None:
    token, other = org.token(), org.token()
    assert org.http.post(f"{org.url}/services/oauth2/revoke", data={"token": token}, timeout=10).status_code == 200
    assert not works(org, token)
    assert works(org, other)


def test_all_sessions_can_be_killed(org: OrgClient) -> None:
    assert works(org, org.token())
    org.control("sessions", {"kill": True})
    assert org.get("limits").status_code == 401


def test_an_idle_session_expires_and_the_next_one_lives(org: OrgClient) -> None:
    org.control("sessions", {"lifetime_s": 0})
    token = org.token()
    assert not works(org, token)
    org.control("sessions", {"lifetime_s": 60})
    assert works(org, org.token())


def test_a_session_can_expire_in_the_middle(org: OrgClient) -> None:
    org.control("faults", {"fault": "expired_session", "next": 1})
    assert org.get("limits").status_code == 401
    assert org.get("limits").status_code == 401
    assert works(org, org.token())
