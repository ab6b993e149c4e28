"""Users, connected apps and sessions: who may log in, and which tokens are good."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ORG_ID = "00DEm0000000001MAA"
# The stock session policy: two hours without a call (SOAP API guide, sessionSecondsValid).
SESSION_S = 7200.0
# Salesforce bounds how far in the future an assertion may expire; clocks may differ a little.
_LEEWAY_S = 60
# Tokens that are kept at once; the least recently used one goes first.
_MOST_SESSIONS = 10_000
_AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")
_COMMON_HOSTS = ("login.salesforce.com", "test.salesforce.com")


class OAuthError(Exception):
    """A refused token request: 400 with ``error`` and ``error_description`` (OAuth 2.0; Salesforce's wording)."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error)
        self.error = error
        self.description = description


class LoginError(Exception):
    """A refused SOAP login: the fault's exceptionCode and exceptionMessage."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


@dataclass(slots=True)
class User:
    """Someone who can log in."""

    username: str
    password: str
    security_token: str
    record_id: str = ""
    is_active: bool = True
    password_expired: bool = False
    # A user inside the org's trusted networks logs in with the password alone.
    needs_token: bool = True


@dataclass(slots=True)
class ConnectedApp:
    """An OAuth client; ``run_as`` is the username that client credentials log in."""

    consumer_key: str
    consumer_secret: str
    run_as: str
    public_key: str | None = None
    private_key: str | None = None


@dataclass(slots=True)
class Session:
    """A token's user and when it ends; every call sets the idle timer again."""

    user: User
    expires_at: float
    scope: str = "api"


@dataclass
class Auth:
    """Everything about logging in. ``clock`` gives seconds since 1970."""

    clock: Callable[[], float] = time.time
    session_s: float = SESSION_S
    users: dict[str, User] = field(default_factory=dict)
    apps: dict[str, ConnectedApp] = field(default_factory=dict)
    _sessions: dict[str, Session] = field(default_factory=dict)
    _refresh_tokens: dict[str, User] = field(default_factory=dict)

    def add_user(self, user: User) -> None:
        """Let a user log in; usernames are compared without case."""
        self.users[user.username.lower()] = user

    def user_of(self, record_id: str) -> User | None:
        """Return the user whose record has an Id; None when it is nobody who can log in."""
        return next((user for user in self.users.values() if user.record_id == record_id), None)

    # Sessions.

    def open_session(self, user: User) -> str:
        """Return a new token of a user."""
        now = self.clock()
        if len(self._sessions) >= _MOST_SESSIONS:
            ended = [token for token, session in self._sessions.items() if session.expires_at <= now]
            for token in ended or [next(iter(self._sessions))]:
                del self._sessions[token]
        token = f"{ORG_ID[:15]}!{secrets.token_urlsafe(72).replace('-', '.')}"
        self._sessions[token] = Session(user, now + self.session_s)
        return token

    def session(self, token: str) -> Session | None:
        """Return the session of a token and set its idle timer again; None when there is no such session."""
        session = self._sessions.get(token)
        if session is None:
            return None
        now = self.clock()
        if session.expires_at <= now:
            del self._sessions[token]
            return None
        session.expires_at = now + self.session_s
        return session

    def kill(self, token: str) -> None:
        """End a session, or forget a refresh token."""
        self._sessions.pop(token, None)
        self._refresh_tokens.pop(token, None)

    def kill_all(self) -> None:
        """End every session."""
        self._sessions.clear()

    # SOAP.

    def soap_login(self, username: str, password: str) -> tuple[User, str]:
        """Check a login() call; ``password`` is password and security token run together. Raise LoginError."""
        user = self.users.get(username.strip().lower())
        message = "Invalid username, password, security token; or user locked out."
        if user is None or not user.is_active:
            raise LoginError("INVALID_LOGIN", message)
        if _same(password, user.password) and user.needs_token and user.security_token:
            raise LoginError(
                "LOGIN_MUST_USE_SECURITY_TOKEN",
                message + " Are you at a new location? When accessing Salesforce--either via a desktop client or the"
                " API--from outside of your company's trusted networks, you must add a security token to your password"
                " to log in. To get your new security token, log in to Salesforce. From your personal settings, enter"
                " Reset My Security Token in the Quick Find box, then select Reset My Security Token.",
            )
        if not self._password_fits(user, password):
            raise LoginError("INVALID_LOGIN", message)
        return user, self.open_session(user)

    @staticmethod
    def _password_fits(user: User, password: str) -> bool:
        with_token = _same(password, user.password + user.security_token)
        return with_token or (not user.needs_token and _same(password, user.password))

    # OAuth.

    def token_reply(self, form: Mapping[str, str], basic: str | None, host: str, base_url: str) -> dict[str, Any]:
        """Answer a token request; ``basic`` is the Authorization header, ``host`` the one the client named."""
        grant = form.get("grant_type", "")
        flows: dict[str, Callable[[Mapping[str, str], str | None, str], User]] = {
            "password": self._password_grant,
            "refresh_token": self._refresh_grant,
            "client_credentials": self._client_credentials_grant,
            "urn:ietf:params:oauth:grant-type:jwt-bearer": self._jwt_grant,
        }
        if not grant:
            raise OAuthError("invalid_request", "missing required parameter: grant_type")
        if grant not in flows:
            raise OAuthError("unsupported_grant_type", "grant type not supported")
        user = flows[grant](form, basic, host)
        if not user.is_active:
            raise OAuthError("invalid_grant", "inactive user")
        token = self.open_session(user)
        issued_at = str(int(self.clock() * 1000))
        identity = f"{base_url}/id/{ORG_ID}/{user.record_id}"
        reply = {
            "access_token": token,
            "instance_url": base_url,
            "id": identity,
            "token_type": "Bearer",
            "issued_at": issued_at,
            "signature": self._signature(form, identity, issued_at),
        }
        if grant == "password":
            refresh = secrets.token_urlsafe(48)
            self._refresh_tokens[refresh] = user
            while len(self._refresh_tokens) > _MOST_SESSIONS:
                del self._refresh_tokens[next(iter(self._refresh_tokens))]
            return reply | {"refresh_token": refresh}
        return reply | {"scope": "api"}

    def _signature(self, form: Mapping[str, str], identity: str, issued_at: str) -> str:
        app = self.apps.get(form.get("client_id", ""))
        secret = app.consumer_secret if app else ""
        digest = hmac.new(secret.encode(), (identity + issued_at).encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()

    def _app(self, form: Mapping[str, str], basic: str | None, *, secret_optional: bool = False) -> ConnectedApp:
        key, secret = form.get("client_id"), form.get("client_secret")
        if basic and basic.lower().startswith("basic "):
            try:
                key, _, secret = base64.b64decode(basic[6:]).decode().partition(":")
            except ValueError:
                raise OAuthError("invalid_client", "invalid client credentials") from None
        if not key:
            raise OAuthError("invalid_request", "missing required parameter: client_id")
        app = self.apps.get(key)
        if app is None:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if secret is None and secret_optional:
            return app
        if secret is None or not _same(secret, app.consumer_secret):
            raise OAuthError("invalid_client", "invalid client credentials")
        return app

    def _password_grant(self, form: Mapping[str, str], basic: str | None, host: str) -> User:
        del host
        self._app(form, basic)
        user = self.users.get(form.get("username", "").strip().lower())
        if user is None or not self._password_fits(user, form.get("password", "")):
            raise OAuthError("invalid_grant", "authentication failure")
        return user

    def _refresh_grant(self, form: Mapping[str, str], basic: str | None, host: str) -> User:
        del host
        self._app(form, basic, secret_optional=True)
        user = self._refresh_tokens.get(form.get("refresh_token", ""))
        if user is None:
            raise OAuthError("invalid_grant", "expired access/refresh token")
        return user

    def _client_credentials_grant(self, form: Mapping[str, str], basic: str | None, host: str) -> User:
        if host in _COMMON_HOSTS:
            raise OAuthError("invalid_grant", "request not supported on this domain")
        user = self.users.get(self._app(form, basic).run_as.lower())
        if user is None:
            raise OAuthError("invalid_grant", "no client credentials user enabled")
        return user

    def _jwt_grant(self, form: Mapping[str, str], basic: str | None, host: str) -> User:
        del basic
        assertion = form.get("assertion", "")
        try:
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError:
            raise OAuthError("invalid_grant", "invalid assertion") from None
        app = self.apps.get(str(claims.get("iss")))
        if app is None:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        self.private_key(app)
        try:
            jwt.decode(
                assertion,
                app.public_key or "",
                algorithms=["RS256"],
                audience=[*_AUDIENCES, f"https://{host}", f"http://{host}"],
                leeway=_LEEWAY_S,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.InvalidAudienceError:
            raise OAuthError("invalid_grant", "audience is invalid") from None
        except jwt.ExpiredSignatureError:
            raise OAuthError("invalid_grant", "expired authorization code") from None
        except jwt.PyJWTError:
            raise OAuthError("invalid_grant", "invalid assertion") from None
        user = self.users.get(str(claims["sub"]).lower())
        if user is None:
            raise OAuthError("invalid_grant", "user hasn't approved this consumer")
        return user

    def private_key(self, app: ConnectedApp) -> str | None:
        """Return the key that signs the app's assertions, made on first use unless a certificate was configured."""
        if app.public_key is None:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            app.private_key = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode()
            app.public_key = (
                key.public_key()
                .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
                .decode()
            )
        return app.private_key


def _same(given: str, true: str) -> bool:
    return hmac.compare_digest(given.encode(), true.encode())
