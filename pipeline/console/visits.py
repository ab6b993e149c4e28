"""Visits: one request of one browser, by whom it is, and that a form was made for that browser and by nobody else."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from pipeline.console.seal import Seal
from pipeline.tasks.runtime import Runtime

SESSION_S: Final = 12 * 3600  # a shift; then the password is asked for again
LINK_S: Final = 24 * 3600  # that a search may stand in an address
NOTE_S: Final = 60  # that what was done is told, when the page is loaded again

_SESSION, _FORM, _NOTE, _SOUGHT = "session", "form", "note", "sought"


@dataclass(frozen=True, slots=True)
class Session:
    """One browser: a name drawn by lot, and whether its user gave the password."""

    id: str
    is_in: bool


class Sessions:
    """Sessions stand in sealed cookies; those that were ended are remembered until they would end by themselves."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._lock = Lock()
        self._ended: dict[str, float] = {}  # id → when, monotonic s

    def begin(self, *, is_in: bool) -> tuple[Session, str]:
        """Return a new session and its cookie."""
        session = Session(secrets.token_urlsafe(16), is_in)
        return session, self._seal.close(_SESSION, json.dumps([session.id, session.is_in]))

    def read(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None for one that was ended, is too old or not of this console."""
        opened = self._seal.open(_SESSION, cookie, within_s=SESSION_S)
        if opened is None:
            return None
        session = Session(*json.loads(opened))
        with self._lock:
            return None if session.id in self._ended else session

    def end(self, session: Session, now_s: float) -> None:
        """End a session, also for who has copied its cookie."""
        with self._lock:
            self._ended = {one: at_s for one, at_s in self._ended.items() if now_s - at_s < SESSION_S}
            self._ended[session.id] = now_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a page needs to know of a request. `form` is empty for one that only looks."""

    runtime: Runtime = field(repr=False)
    seal: Seal = field(repr=False)
    session: Session
    is_open: bool  # whether no password is asked for
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)

    def form_token(self) -> str:
        """Return what a form has to carry, so that no other site can send one in this browser's name."""
        return self.seal.close(_FORM, self.session.id)

    def is_own_form(self) -> bool:
        """Whether the form that was sent carries a token that was made for this session."""
        return self.seal.open(_FORM, self.form.get("token", ""), within_s=SESSION_S) == self.session.id

    def note(self, told: str) -> str:
        """Return text for the address of the next page, which tells it once."""
        return self.seal.close(_NOTE, told)

    def noted(self) -> str | None:
        """Return what the page before had to tell."""
        return self.seal.open(_NOTE, self.query.get("note", ""), within_s=NOTE_S)

    def sought(self, text: str) -> str:
        """Return what somebody looks for in a form that may stand in an address: nobody else can read it there."""
        return self.seal.close(_SOUGHT, text) if text else ""

    def seeks(self) -> str:
        """Return what is looked for, from the address."""
        return self.seal.open(_SOUGHT, self.query.get("q", ""), within_s=LINK_S) or ""
