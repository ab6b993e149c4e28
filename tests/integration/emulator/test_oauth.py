"""OAuth beyond the token of a machine: the web server flow, introspection, revocation, and who a token belongs to."""

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from pipeline.emulator.auth import ORG_ID
from tests.integration.emulator.org_client import OrgClient

USER_ID = "005Em0000000001IAA"
APP = {"client_id": "key", "client_secret": "secret"}
CALLBACK = "http://localhost:1717/OauthRedirect"
ASKED = {"response_type": "code", "client_id": "key", "redirect_uri": CALLBACK, "state": "s 1"}
LOGIN = {"username": "admin@example.com", "password": "password"}


def authorize(org: OrgClient, form: dict[str, str] | None = None, **asked: str) -> requests.Response:
    url = f"{org.url}/services/oauth2/authorize"
    return org.http.post(url, params={**ASKED, **asked}, data=form, allow_redirects=False, timeout=10)


def code_of(reply: requests.Response) -> str:
    assert reply.status_code == 302, reply.text
    address = urlsplit(reply.headers["Location"])
    assert address._replace(query="").geturl() == CALLBACK
    told = parse_qs(address.query)
    assert told["state"] == ["s 1"]
    return told["code"][0]


def tokens(org: OrgClient, **form: str) -> requests.Response:
    return org.http.post(f"{org.url}/services/oauth2/token", data={**APP, **form}, timeout=10)


def change(org: OrgClient, code: str, **form: str) -> requests.Response:
    return tokens(org, grant_type="authorization_code", code=code, redirect_uri=CALLBACK, **form)


def introspect(org: OrgClient, token: str) -> dict[str, Any]:
    reply = org.http.post(f"{org.url}/services/oauth2/introspect", data={**APP, "token": token}, timeout=10)
    assert reply.status_code == 200, reply.text
    shown: dict[str, Any] = reply.json()
    return shown


def test_the_web_server_flow_asks_for_a_login_and_brings_a_refresh_token(org: OrgClient) -> None:
    page = org.http.get(f"{org.url}/services/oauth2/authorize", params=ASKED, timeout=10)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html;charset=UTF-8")
    assert 'name="password"' in page.text
    assert authorize(org, {**LOGIN, "password": "no"}).status_code == 200
    body = change(org, code_of(authorize(org, LOGIN))).json()
    assert body["scope"] == "refresh_token api id web"
    again = tokens(org, grant_type="refresh_token", refresh_token=body["refresh_token"]).json()
    assert "refresh_token" not in again
    for token in (body["access_token"], again["access_token"]):
        assert org.get("limits", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_code_is_good_once_and_only_for_its_address(org: OrgClient) -> None:
    code = code_of(authorize(org, LOGIN))
    wrong = tokens(org, grant_type="authorization_code", code=code, redirect_uri="http://localhost/other")
    assert wrong.json()["error"] == "redirect_uri_mismatch"
    code = code_of(authorize(org, LOGIN))
    assert change(org, code).status_code == 200
    assert change(org, code).json() == {"error": "invalid_grant", "error_description": "invalid authorization code"}


def test_without_the_scope_there_is_no_refresh_token(org: OrgClient) -> None:
    body = change(org, code_of(authorize(org, LOGIN, scope="api"))).json()
    assert body["scope"] == "api"
    assert "refresh_token" not in body


def test_a_challenge_wants_its_verifier(org: OrgClient) -> None:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 64).digest()).decode().rstrip("=")
    for verifier, status in (("v" * 64, 200), ("w" * 64, 400), ("", 400)):
        code = code_of(authorize(org, LOGIN, code_challenge=challenge, code_challenge_method="S256"))
        assert change(org, code, **({"code_verifier": verifier} if verifier else {})).status_code == status


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"client_id": "nobody"}, "invalid_client_id"),
        ({"redirect_uri": "http://localhost:1/x"}, "redirect_uri_mismatch"),
    ],
)
def test_an_app_or_address_that_is_not_known_is_not_led_back(org: OrgClient, asked: dict[str, str], error: str) -> None:
    reply = authorize(org, LOGIN, **asked)
    assert (reply.status_code, reply.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("asked", "error"),
    [({"response_type": "token"}, "unsupported_response_type"), ({"scope": "api openid"}, "invalid_scope")],
)
def test_what_is_not_covered_leads_back_with_an_error(org: OrgClient, asked: dict[str, str], error: str) -> None:
    reply = authorize(org, LOGIN, **asked)
    assert parse_qs(urlsplit(reply.headers["Location"]).query)["error"] == [error]


def test_introspection_tells_of_tokens_of_both_kinds(org: OrgClient) -> None:
    body = change(org, code_of(authorize(org, LOGIN))).json()
    access, refresh = introspect(org, body["access_token"]), introspect(org, body["refresh_token"])
    assert access["exp"] - access["iat"] == 7200
    assert access == {
        "active": True,
        "scope": "refresh_token api id web",
        "client_id": "key",
        "username": "admin@example.com",
        "sub": f"{org.url}/id/{ORG_ID}/{USER_ID}",
        "token_type": "access_token",
        "iat": access["iat"],
        "nbf": access["iat"],
        "exp": access["exp"],
    }
    assert (refresh["active"], refresh["token_type"]) == (True, "refresh_token")
    org.http.post(f"{org.url}/services/oauth2/revoke", data={"token": body["refresh_token"]}, timeout=10)
    assert introspect(org, body["refresh_token"]) == {"active": False}
    assert introspect(org, "00D!nothing") == {"active": False}
    refused = org.http.post(f"{org.url}/services/oauth2/introspect", data={"token": "x"}, timeout=10)
    assert refused.json() == {"error": "invalid_request", "error_description": "missing required parameter: client_id"}


def test_revoking_what_is_no_token_is_refused(org: OrgClient) -> None:
    reply = org.http.post(f"{org.url}/services/oauth2/revoke", data={"token": "x"}, timeout=10)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_token")


def test_a_token_is_asked_for_by_post(org: OrgClient) -> None:
    reply = org.http.get(f"{org.url}/services/oauth2/token", params=APP, timeout=10)
    assert reply.json() == {"error": "invalid_request", "error_description": "must use HTTP POST"}


SHARED = {"user_id", "organization_id", "email", "email_verified", "photos", "urls", "active", "user_type", "language"}
SHARED |= {"locale", "utcOffset", "is_app_installed"}
USERINFO = SHARED | {"sub", "preferred_username", "nickname", "name", "given_name", "family_name", "zoneinfo"}
USERINFO |= {"profile", "picture", "address", "updated_at"}
IDENTITY = SHARED | {"id", "asserted_user", "username", "nick_name", "display_name", "first_name", "last_name"}
IDENTITY |= {"timezone", "addr_street", "addr_city", "addr_state", "addr_country", "addr_zip", "mobile_phone"}
IDENTITY |= {"mobile_phone_verified", "is_lightning_login_user", "status", "last_modified_date"}
URLS = {"enterprise", "metadata", "partner", "rest", "sobjects", "search", "query", "recent", "tooling_soap"}
URLS |= {"tooling_rest", "profile", "feeds", "groups", "users", "feed_items", "feed_elements", "custom_domain"}


def test_userinfo_and_the_identity_url_have_all_their_keys(org: OrgClient) -> None:
    info = org.get("/services/oauth2/userinfo").json()
    assert set(info) == USERINFO
    assert (info["preferred_username"], info["user_id"]) == ("admin@example.com", USER_ID)
    identity = org.get(f"/id/{ORG_ID}/{USER_ID}").json()
    assert set(identity) == IDENTITY
    assert set(identity["urls"]) == set(info["urls"]) == URLS
    assert identity["urls"]["rest"] == f"{org.url}/services/data/v{{version}}/"
    filled = org.get(f"/id/{ORG_ID}/{USER_ID}", params={"version": "latest"}).json()
    assert filled["urls"]["rest"] == f"{org.url}/services/data/v68.0/"


@pytest.mark.parametrize(
    ("path", "authorized", "status", "text"),
    [
        ("services/oauth2/userinfo", None, 403, "Missing_OAuth_Token"),
        ("services/oauth2/userinfo", "Bearer x", 403, "Bad_OAuth_Token"),
        (f"id/00D000000000062EAA/{USER_ID}", "", 403, "Wrong_Org"),
        (f"id/{ORG_ID}/005000000000000AAA", "", 404, "Bad_Id"),
        (f"id/{ORG_ID}/{USER_ID}?version=x", "", 406, "Invalid_Version"),
    ],
)
def test_who_a_token_belongs_to_is_refused_as_salesforce_refuses_it(
    org: OrgClient, path: str, authorized: str | None, status: int, text: str
) -> None:
    headers = org.headers if authorized == "" else {"Authorization": authorized}
    reply = org.http.get(f"{org.url}/{path}", headers=headers, timeout=10)
    assert (reply.status_code, reply.text) == (status, text)


@pytest.mark.parametrize("path", ["services/oauth2/device", "services/oauth2/userinfo?format=xml"])
def test_other_addresses_and_forms_are_refused_plainly(org: OrgClient, path: str) -> None:
    reply = org.get(f"/{path}")
    assert reply.json()[0]["message"].startswith("not part of this emulator: ")
