"""One session with the org for all workers: kept in Redis, renewed by one of them while the others wait.

Keys
    pipeline:session            JSON {v, session_id, instance_url, issued_at_ms, credentials}, encrypted when a key is
                                configured (settings: PIPELINE_SECRET_KEY)
    pipeline:session:issued     when it was issued, Unix ms: no secret, for who may not read the session
    pipeline:session:renewing   token of the worker that is logging in, with a time to live
    pipeline:session:refused    JSON {v, code, times, until_ms, credentials} of a login that was refused
    `credentials` are two bytes that tell whether the credentials are still the same ones: a session of the sandbox
    must not outlive the change to production, and a corrected password is tried at once.
"""

import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from importlib import resources
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from redis import Redis

from pipeline.salesforce.credentials import Credentials
from pipeline.salesforce.errors import LoginRefused, NoAnswer
from pipeline.salesforce.login import log_in, refused
from pipeline.salesforce.transport import OnCall, Transport

log = logging.getLogger(__name__)

FORMAT: Final = 1  # of what is stored; anything else is as good as no session

KEY: Final = "pipeline:session"
ISSUED_KEY: Final = "pipeline:session:issued"
RENEWING_KEY: Final = "pipeline:session:renewing"
REFUSED_KEY: Final = "pipeline:session:refused"

# A login is one small request, so one that takes longer than this is not coming; the others are waiting for it.
LOGIN_TIMEOUT_S: Final = 20.0
# Longer than a session lives without use by default (2 hours), so that an idle pipeline's token does not lie about.
KEPT_FOR_S: Final = 24 * 3600
# Some logins count towards a lockout (five or ten wrong passwords by default), so the second try comes after a minute,
# the next after two, never more than one an hour for long. Just below the intervals at which a pause is probed.
FIRST_REFUSAL_S: Final = 50.0
LONGEST_REFUSAL_S: Final = 3500.0
_LOOK_AGAIN_S = 0.05
_FERNET_VERSION: Final = b"gAAAAA"  # what every Fernet token begins with: 0x80 and a time before the year 2106


@dataclass(frozen=True, slots=True)
class OrgSession:
    """A session: the token, the org's own address, and when Redis's clock said it was issued (Unix ms)."""

    session_id: str = field(repr=False)
    instance_url: str
    issued_at_ms: int


class SessionStore:
    """The session that all workers share.

    `secret_keys`: Fernet keys, the first of which encrypts what is stored (the others still read what is there, so
    that a key can be replaced). Redis holds the token in the clear without one. Raises ValueError for a key that is
    none; settings have checked them. `on_login` is told ("login", seconds) of every login that was tried.
    """

    def __init__(
        self,
        redis: Redis,
        credentials: Credentials,
        *,
        endpoint_url: str | None = None,
        secret_keys: Sequence[str] = (),
        transport: Transport | None = None,
        on_login: OnCall = lambda _kind, _seconds: None,
    ) -> None:
        self.endpoint_url = endpoint_url
        self._on_login = on_login
        self._redis = redis
        self._credentials = credentials
        self._transport = transport or Transport(endpoint_url=endpoint_url, read_timeout_s=LOGIN_TIMEOUT_S)
        self._cipher = MultiFernet([Fernet(key) for key in secret_keys]) if secret_keys else None
        self._fingerprint = _fingerprint(credentials, endpoint_url)
        script = resources.files(__package__).joinpath("session_release.lua").read_text()
        self._release = redis.register_script(script)

    def get(self) -> OrgSession:
        """Return the shared session, logging in where there is none. Raises as `renew` does."""
        return self._read() or self._renew(lambda stored: stored is not None)

    def renew(self, stale: OrgSession) -> OrgSession:
        """Return a session other than `stale`, which Salesforce refused: another worker's, or a new one.

        Exactly one worker logs in. Raises LoginRefused, without asking Salesforce again, while a refusal is fresh;
        NoAnswer(sent=False) when the worker that is logging in takes too long; and what `log_in` raises.
        """
        return self._renew(lambda stored: stored is not None and stored.session_id != stale.session_id)

    def renew_now(self) -> OrgSession:
        """Log in although the session may still be good, so that no delivery meets its end. Raises as `renew` does."""
        stored = self._read()
        return self.renew(stored) if stored is not None else self.get()

    def age_s(self) -> float | None:
        """Return how old the shared session is, in seconds, or None where there is none."""
        stored = self._read()
        return None if stored is None else max(0.0, (self._now_ms() - stored.issued_at_ms) / 1000)

    def _renew(self, is_good: Callable[[OrgSession | None], bool]) -> OrgSession:
        deadline = time.monotonic() + self._transport.slowest_request_s
        token = uuid.uuid4().hex
        lease_ms = round(self._transport.slowest_request_s * 1000) + 5000
        while True:
            stored = self._read()
            if stored is not None and is_good(stored):
                return stored
            if self._redis.set(RENEWING_KEY, token, nx=True, px=lease_ms):
                break
            if time.monotonic() > deadline:
                raise NoAnswer(sent=False, why="another worker has been logging in for too long")
            time.sleep(_LOOK_AGAIN_S)
        try:
            stored = self._read()  # it may have come between the look and the lock
            return stored if stored is not None and is_good(stored) else self._log_in()
        finally:
            self._release(keys=[RENEWING_KEY], args=[token])

    def _log_in(self) -> OrgSession:
        refusal = self._stored(self._redis.get(REFUSED_KEY)) or {"times": 0, "until_ms": 0}
        still_ms = refusal["until_ms"] - self._now_ms()
        if still_ms > 0:
            raise refused(refusal["code"], tried_again_in_s=still_ms / 1000)
        self._say_why_nobody_can_read_it()
        started = time.monotonic()
        try:
            session_id, instance_url = log_in(
                self._credentials, self._transport, any_domain=self.endpoint_url is not None
            )
        except LoginRefused as error:
            times = refusal["times"] + 1
            pause_s = min(FIRST_REFUSAL_S * 2 ** min(times - 1, 20), LONGEST_REFUSAL_S)
            until_ms = self._now_ms() + round(pause_s * 1000)
            self._store(REFUSED_KEY, {"code": error.code, "times": times, "until_ms": until_ms})
            error.tried_again_in_s = pause_s
            raise
        finally:
            self._on_login("login", time.monotonic() - started)
        session = OrgSession(session_id, instance_url, self._now_ms())
        self._store(
            KEY,
            {"session_id": session_id, "instance_url": instance_url, "issued_at_ms": session.issued_at_ms},
            encrypt=self._cipher,
        )
        self._redis.set(ISSUED_KEY, session.issued_at_ms, ex=KEPT_FOR_S)
        self._redis.delete(REFUSED_KEY)
        return session

    def _read(self) -> OrgSession | None:
        sealed = self._redis.get(KEY)
        if sealed is None:
            return None
        read = self._stored(self._unsealed(sealed))
        return None if read is None else OrgSession(read["session_id"], read["instance_url"], read["issued_at_ms"])

    def _unsealed(self, sealed: bytes | str) -> bytes | str | None:
        """Decrypt what is stored; None for what no configured key has encrypted."""
        if self._cipher is None:
            return sealed
        try:
            return self._cipher.decrypt(sealed)
        except InvalidToken:
            return None

    def _say_why_nobody_can_read_it(self) -> None:
        """Log that the stored session is of no use here because of keys, which would go unnoticed otherwise."""
        sealed = self._redis.get(KEY)
        if not isinstance(sealed, bytes):
            return
        is_encrypted = sealed.startswith(_FERNET_VERSION)
        if self._cipher is None and is_encrypted:
            log.warning("the session in Redis is encrypted and PIPELINE_SECRET_KEY is not set here: logging in anew")
        elif self._cipher is not None and not is_encrypted:
            log.warning("the session in Redis is not encrypted and PIPELINE_SECRET_KEY is set here: logging in anew")
        elif is_encrypted and self._unsealed(sealed) is None:
            log.warning("no key of PIPELINE_SECRET_KEY reads the session in Redis: logging in anew")

    def _store(self, key: str, value: dict[str, Any], *, encrypt: MultiFernet | None = None) -> None:
        text = json.dumps({"v": FORMAT, **value, "credentials": self._fingerprint}).encode()
        self._redis.set(key, text if encrypt is None else encrypt.encrypt(text), ex=KEPT_FOR_S)

    def _stored(self, text: bytes | str | None) -> dict[str, Any] | None:
        """Read what `_store` wrote for these credentials; anything else is not there."""
        try:
            read = json.loads(text) if text is not None else None
        except ValueError:
            return None
        if not isinstance(read, dict) or read.get("v") != FORMAT or read.get("credentials") != self._fingerprint:
            return None
        return read

    def _now_ms(self) -> int:
        """Tell the time by the one clock that all workers share."""
        seconds, microseconds = self._redis.time()
        return seconds * 1000 + microseconds // 1000


def _fingerprint(credentials: Credentials, endpoint_url: str | None) -> str:
    """Return two bytes of a digest: enough to notice a change, too little to guess a secret from."""
    told = json.dumps([*astuple(credentials), endpoint_url]).encode()
    return hashlib.sha256(told).hexdigest()[:4]
