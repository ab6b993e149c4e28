"""Passwords of users: /sobjects/User/{id}/password (REST API guide: sObject User Password)."""

from __future__ import annotations

import secrets

from pipeline.emulator import errors, ids
from pipeline.emulator.auth import User
from pipeline.emulator.http import Call, Reply
from pipeline.emulator.org import Org
from pipeline.emulator.router import Router

_RESET_BYTES = 9


class Passwords:
    """Answers about passwords. A new one leaves security token and sessions as they are."""

    def __init__(self, org: Org, router: Router) -> None:
        self.org = org
        router.add("GET", "sobjects/User/{id}/password", "sobject", self.show)
        router.add("POST", "sobjects/User/{id}/password", "sobject", self.set)
        router.add("DELETE", "sobjects/User/{id}/password", "sobject", self.reset)

    def _user(self, text: str) -> User:
        """Return the user a path names; raise 404 for a record of User that cannot log in, too."""
        try:
            user = self.org.auth.user_of(ids.canonical(text))
        except ids.NotAnId:
            user = None
        if user is None:
            raise errors.not_found()
        return user

    def show(self, call: Call, text: str) -> Reply:
        """Say whether a password has expired."""
        del call
        return Reply(200, {"isExpired": self._user(text).password_expired})

    def set(self, call: Call, text: str) -> Reply:
        """Change a password."""
        user, body = self._user(text), call.json()
        password = body.get("NewPassword") if isinstance(body, dict) else None
        if not isinstance(password, str) or not password:
            raise errors.refuse(400, "INVALID_NEW_PASSWORD", "Your new password cannot be empty")
        if password == user.password:
            raise errors.refuse(400, "INVALID_NEW_PASSWORD", "invalid repeated password")
        user.password, user.password_expired = password, False
        return Reply(204)

    def reset(self, call: Call, text: str) -> Reply:
        """Replace a password by a new one of the org's own, and tell it."""
        del call
        user = self._user(text)
        user.password, user.password_expired = secrets.token_urlsafe(_RESET_BYTES), False
        return Reply(200, {"NewPassword": user.password})
