"""Users, connected apps and sessions: who may log in, and which tokens are good."""

from __future__ import annotations

import base64
import hmac
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ORG_ID = "00DEm0000000001MAA"
# The stock session policy: two hours without a call (SOAP API guide, sessionSecondsValid).
SESSION_S = 7200.0
# Tokens that are kept at once; the least recently used one goes first.
_MOST_SESSIONS = 10_000


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
    # Where the web server flow may lead back to; the addresses must be equal, letter by letter.
    callbacks: tuple[str, ...] = ()


@dataclass(slots=True)
class Session:
    """A token's user and when it ends; every call sets an access token's idle timer again."""

    user: User
    expires_at: float
    scope: str = "api"
    client_id: str = ""
    began_at: float = 0.0
    kind: str = "access_token"


@dataclass
class Auth:
    """Everything about logging in. ``clock`` gives seconds since 1970."""

    clock: Callable[[], float] = time.time
    session_s: float = SESSION_S
    users: dict[str, User] = field(default_factory=dict)
    apps: dict[str, ConnectedApp] = field(default_factory=dict)
    _sessions: dict[str, Session] = field(default_factory=dict)
    _refresh_tokens: dict[str, Session] = field(default_factory=dict)
    # What `aud` of a JWT bearer assertion may be; None for the login hosts and the host that was asked.
    jwt_audiences: tuple[str, ...] | None = None

    def add_user(self, user: User) -> None:
        """Let a user log in; usernames are compared without case."""
        self.users[user.username.lower()] = user

    def user_of(self, record_id: str) -> User | None:
        """Return the user whose record has an Id; None when it is nobody who can log in."""
        return next((user for user in self.users.values() if user.record_id == record_id), None)

    # Sessions.

    def open_session(self, user: User, *, scope: str = "api", client_id: str = "") -> str:
        """Return a new token of a user; ``client_id`` is the connected app's consumer key, if one asked."""
        now = self.clock()
        if len(self._sessions) >= _MOST_SESSIONS:
            ended = [token for token, session in self._sessions.items() if session.expires_at <= now]
            for token in ended or [next(iter(self._sessions))]:
                del self._sessions[token]
        token = f"{ORG_ID[:15]}!{secrets.token_urlsafe(72).replace('-', '.')}"
        self._sessions[token] = Session(user, now + self.session_s, scope, client_id, now)
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

    def open_refresh(self, user: User, *, scope: str, client_id: str) -> str:
        """Return a new refresh token of a user for a connected app."""
        token = secrets.token_urlsafe(48)
        self._refresh_tokens[token] = Session(user, math.inf, scope, client_id, self.clock(), "refresh_token")
        while len(self._refresh_tokens) > _MOST_SESSIONS:
            del self._refresh_tokens[next(iter(self._refresh_tokens))]
        return token

    def refresh(self, token: str) -> Session | None:
        """Return what a refresh token stands for; None when there is no such token."""
        return self._refresh_tokens.get(token)

    def look_at(self, token: str) -> Session | None:
        """Return what a token of either kind stands for, without using it; None when it is no good."""
        session = self._sessions.get(token) or self._refresh_tokens.get(token)
        return session if session is not None and session.expires_at > self.clock() else None

    def kill(self, token: str) -> bool:
        """End a session, or forget a refresh token; say whether there was one."""
        ended = self._sessions.pop(token, None) or self._refresh_tokens.pop(token, None)
        return ended is not None

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
        if not self.password_fits(user, password):
            raise LoginError("INVALID_LOGIN", message)
        return user, self.open_session(user)

    def web_login(self, username: str, password: str) -> User:
        """Check what was typed into the login page, which asks for no security token; raise LoginError."""
        user = self.users.get(username.strip().lower())
        if user is None or not user.is_active or not _same(password, user.password):
            message = "Please check your username and password. If you still can't log in, contact your administrator."
            raise LoginError("INVALID_LOGIN", message)
        return user

    @staticmethod
    def password_fits(user: User, password: str) -> bool:
        """Whether a password is the user's, with the security token behind it where one is needed."""
        with_token = _same(password, user.password + user.security_token)
        return with_token or (not user.needs_token and _same(password, user.password))

    # Connected apps.

    def app_of(self, form: Mapping[str, str], basic: str | None, *, secret_optional: bool = False) -> ConnectedApp:
        """Return the connected app that a request comes from; ``basic`` is its Authorization header.

        Raises OAuthError.
        """
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
