"""Grants of OAuth 2.0: what an app must show to be given a token (Salesforce Help, "OAuth Authorization Flows")."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from pipeline.emulator.auth import ORG_ID, Auth, ConnectedApp, OAuthError, User

# Salesforce bounds how far in the future an assertion may expire; clocks may differ a little.
_LEEWAY_S = 60
_AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")
_COMMON_HOSTS = ("login.salesforce.com", "test.salesforce.com")
# An authorization code is good once, for this long (Salesforce Help, "OAuth 2.0 Web Server Flow").
_CODE_S = 15 * 60.0
# Scopes that an app may ask for; openid, which brings an id_token, is not among them.
_SCOPES = ("api", "full", "id", "offline_access", "refresh_token", "web")
_DEFAULT_SCOPE = "refresh_token api id web"


@dataclass(frozen=True, slots=True)
class _Code:
    app: ConnectedApp
    user: User
    redirect: str
    scope: str
    challenge: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Granted:
    """Who gets a token, with what scope, and whether a refresh token goes with it."""

    user: User
    client_id: str
    scope: str = "api"
    refreshes: bool = False


class Grants:
    """Gives tokens to apps."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._codes: dict[str, _Code] = {}

    def token_reply(self, form: Mapping[str, str], basic: str | None, host: str, base_url: str) -> dict[str, Any]:
        """Answer a token request; ``basic`` is the Authorization header, ``host`` the one the client named."""
        grant = form.get("grant_type", "")
        flows: dict[str, Callable[[Mapping[str, str], str | None, str], _Granted]] = {
            "authorization_code": self._code,
            "password": self._password,
            "refresh_token": self._refresh,
            "client_credentials": self._client_credentials,
            "urn:ietf:params:oauth:grant-type:jwt-bearer": self._jwt,
        }
        if not grant:
            raise OAuthError("invalid_request", "missing required parameter: grant_type")
        if grant not in flows:
            raise OAuthError("unsupported_grant_type", "grant type not supported")
        granted = flows[grant](form, basic, host)
        user = granted.user
        if not user.is_active:
            raise OAuthError("invalid_grant", "inactive user")
        token = self._auth.open_session(user, scope=granted.scope, client_id=granted.client_id)
        issued_at = str(int(self._auth.clock() * 1000))
        identity = f"{base_url}/id/{ORG_ID}/{user.record_id}"
        reply = {
            "access_token": token,
            "instance_url": base_url,
            "id": identity,
            "token_type": "Bearer",
            "issued_at": issued_at,
            "signature": self._signature(granted.client_id, identity, issued_at),
        }
        if granted.refreshes:
            reply["refresh_token"] = self._auth.open_refresh(user, scope=granted.scope, client_id=granted.client_id)
        # The password grant names no scope, nor does it give a refresh token (Salesforce Help, "Username-Password
        # Flow": the client logs in anew each time).
        return reply if grant == "password" else reply | {"scope": granted.scope}

    def _signature(self, client_id: str, identity: str, issued_at: str) -> str:
        app = self._auth.apps.get(client_id)
        secret = app.consumer_secret if app else ""
        digest = hmac.new(secret.encode(), (identity + issued_at).encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()

    # The web server flow.

    @staticmethod
    def scope_of(asked: str | None) -> str:
        """Return the scope that an app gets for what it asks; raise OAuthError for one that is not covered."""
        names = (asked or _DEFAULT_SCOPE).split()
        unknown = next((name for name in names if name not in _SCOPES), None)
        if unknown is not None:
            raise OAuthError("invalid_scope", f"not part of this emulator: the scope {unknown}")
        return " ".join(names)

    def keep_code(self, app: ConnectedApp, user: User, form: Mapping[str, str]) -> str:
        """Return a code that the app may change for tokens; ``form`` is the authorize request."""
        now = self._auth.clock()
        self._codes = {code: kept for code, kept in self._codes.items() if kept.expires_at > now}
        code = secrets.token_urlsafe(48)
        scope, challenge = self.scope_of(form.get("scope")), form.get("code_challenge", "")
        self._codes[code] = _Code(app, user, form["redirect_uri"], scope, challenge, now + _CODE_S)
        return code

    def _code(self, form: Mapping[str, str], basic: str | None, host: str) -> _Granted:
        del host
        # A code with a challenge proves the client by itself, so that it may have no secret.
        app = self._auth.app_of(form, basic, secret_optional="code_verifier" in form)
        kept = self._codes.pop(form.get("code", ""), None)
        if kept is None or kept.app is not app:
            raise OAuthError("invalid_grant", "invalid authorization code")
        if kept.expires_at <= self._auth.clock():
            raise OAuthError("invalid_grant", "expired authorization code")
        if kept.redirect != form.get("redirect_uri"):
            raise OAuthError("redirect_uri_mismatch", "redirect_uri must match configuration")
        verifier = form.get("code_verifier", "")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        if (kept.challenge or verifier) and not hmac.compare_digest(digest, kept.challenge.rstrip("=")):
            raise OAuthError("invalid_grant", "invalid code verifier")
        refreshes = not {"refresh_token", "offline_access"}.isdisjoint(kept.scope.split())
        return _Granted(kept.user, app.consumer_key, kept.scope, refreshes)

    # The other flows.

    def _password(self, form: Mapping[str, str], basic: str | None, host: str) -> _Granted:
        del host
        app = self._auth.app_of(form, basic)
        user = self._auth.users.get(form.get("username", "").strip().lower())
        if user is None or not self._auth.password_fits(user, form.get("password", "")):
            raise OAuthError("invalid_grant", "authentication failure")
        return _Granted(user, app.consumer_key)

    def _refresh(self, form: Mapping[str, str], basic: str | None, host: str) -> _Granted:
        del host
        app = self._auth.app_of(form, basic, secret_optional=True)
        kept = self._auth.refresh(form.get("refresh_token", ""))
        if kept is None or kept.client_id != app.consumer_key:
            raise OAuthError("invalid_grant", "expired access/refresh token")
        return _Granted(kept.user, app.consumer_key, kept.scope)

    def _client_credentials(self, form: Mapping[str, str], basic: str | None, host: str) -> _Granted:
        if host in _COMMON_HOSTS:
            raise OAuthError("invalid_grant", "request not supported on this domain")
        app = self._auth.app_of(form, basic)
        user = self._auth.users.get(app.run_as.lower())
        if user is None:
            raise OAuthError("invalid_grant", "no client credentials user enabled")
        return _Granted(user, app.consumer_key)

    def _jwt(self, form: Mapping[str, str], basic: str | None, host: str) -> _Granted:
        del basic
        assertion = form.get("assertion", "")
        try:
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError:
            raise OAuthError("invalid_grant", "invalid assertion") from None
        app = self._auth.apps.get(str(claims.get("iss")))
        if app is None:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        self._auth.private_key(app)
        try:
            jwt.decode(
                assertion,
                app.public_key or "",
                algorithms=["RS256"],
                audience=self._audiences(host),
                leeway=_LEEWAY_S,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.InvalidAudienceError:
            raise OAuthError("invalid_grant", "audience is invalid") from None
        except jwt.ExpiredSignatureError:
            raise OAuthError("invalid_grant", "expired authorization code") from None
        except jwt.PyJWTError:
            raise OAuthError("invalid_grant", "invalid assertion") from None
        user = self._auth.users.get(str(claims["sub"]).lower())
        if user is None:
            raise OAuthError("invalid_grant", "user hasn't approved this consumer")
        return _Granted(user, app.consumer_key)

    def _audiences(self, host: str) -> list[str]:
        if self._auth.jwt_audiences is not None:
            return [*self._auth.jwt_audiences]
        return [*_AUDIENCES, f"https://{host}", f"http://{host}"]
