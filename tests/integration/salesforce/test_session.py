"""One session for all workers, renewed by one of them, and never at the price of a locked-out user."""

import base64
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import redis
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline.errors import ConfigurationError
from pipeline.local import LocalRedis
from pipeline.salesforce.credentials import Credentials
from pipeline.salesforce.errors import LoginRefused, NoAnswer, Unavailable
from pipeline.salesforce.login import SOAP_LOGIN_VERSION
from pipeline.salesforce.session import KEY, REFUSED_KEY, RENEWING_KEY, OrgSession, SessionStore
from pipeline.salesforce.transport import Transport
from tests.integration.salesforce.scripted_org import Answer, ScriptedOrg, soap_fault, soap_success

BY_PASSWORD = Credentials(username="a@example.com", password="p<&>w", security_token="tok", domain="test")
WORKERS = 8


def in_parallel(action: Callable[[], object]) -> list[object]:
    """Run an action in eight workers that start together; an exception is its result."""
    start = threading.Barrier(WORKERS)

    def one(_: int) -> object:
        start.wait(10)
        try:
            return action()
        except Exception as error:  # noqa: BLE001  (the tests look at it)
            return error

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(one, range(WORKERS)))


def fast_forward(client: redis.Redis, seconds: float) -> None:
    """Let a remembered refusal grow older."""
    stored = json.loads(client.get(REFUSED_KEY) or "{}")
    stored["until_ms"] -= round(seconds * 1000)
    client.set(REFUSED_KEY, json.dumps(stored))


def test_workers_that_need_a_session_at_once_make_one_login(scripted_org: ScriptedOrg, store: SessionStore) -> None:
    sessions = in_parallel(store.get)
    assert len(scripted_org.logins) == 1
    assert {session.session_id for session in sessions if isinstance(session, OrgSession)} == {"token-1"}


def test_workers_that_meet_an_expired_session_at_once_make_one_login(
    scripted_org: ScriptedOrg, store: SessionStore, redis_client: redis.Redis
) -> None:
    stale = store.get()
    renewed = in_parallel(lambda: store.renew(stale))
    assert len(scripted_org.logins) == 2
    assert {session.session_id for session in renewed if isinstance(session, OrgSession)} == {"token-2"}
    assert len(renewed) == WORKERS
    assert not redis_client.exists(RENEWING_KEY)


def test_the_others_wait_for_the_worker_that_is_logging_in(scripted_org: ScriptedOrg, store: SessionStore) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow_login() -> None:
        begun.set()
        assert go_on.wait(10)

    scripted_org.before_login = slow_login
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(store.get)
        assert begun.wait(10)
        second = pool.submit(store.get)
        assert not second.done()
        go_on.set()
        assert first.result(10) == second.result(10)
    assert len(scripted_org.logins) == 1


def test_a_session_renewed_by_another_worker_is_used_as_it_is(scripted_org: ScriptedOrg, store: SessionStore) -> None:
    stale = store.get()
    renewed = store.renew(stale)
    assert store.renew(stale) == renewed
    assert len(scripted_org.logins) == 2


def test_a_session_renewed_between_the_look_and_the_lock_is_used_as_it_is(
    scripted_org: ScriptedOrg, credentials: Credentials, redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis_server.client() as mine, redis_server.client() as its:
        store = SessionStore(mine, credentials, endpoint_url=scripted_org.url)
        other = SessionStore(its, credentials, endpoint_url=scripted_org.url)
        stale = store.get()
        take_lock = mine.set

        def overtaken(name: str, *args: Any, **options: Any) -> Any:
            if name == RENEWING_KEY:
                other.renew(stale)
            return take_lock(name, *args, **options)

        monkeypatch.setattr(mine, "set", overtaken)
        assert store.renew(stale).session_id == "token-2"
    assert len(scripted_org.logins) == 2


def test_beat_renews_a_session_that_is_still_good(scripted_org: ScriptedOrg, store: SessionStore) -> None:
    assert store.renew_now().session_id == "token-1"
    assert store.renew_now().session_id == "token-2"


def test_a_worker_killed_while_logging_in_holds_the_others_up_only_so_long(
    scripted_org: ScriptedOrg, store: SessionStore, redis_client: redis.Redis
) -> None:
    redis_client.set(RENEWING_KEY, "the dead worker's", px=150)
    assert store.get().session_id == "token-1"


def test_a_worker_that_was_too_slow_leaves_the_lock_of_its_successor_alone(
    scripted_org: ScriptedOrg, store: SessionStore, redis_client: redis.Redis
) -> None:
    scripted_org.before_login = lambda: redis_client.set(RENEWING_KEY, "its successor's")
    store.get()
    assert redis_client.get(RENEWING_KEY) == b"its successor's"


def test_waiting_for_another_worker_s_login_ends(
    redis_client: redis.Redis, scripted_org: ScriptedOrg, credentials: Credentials
) -> None:
    transport = Transport(endpoint_url=scripted_org.url, connect_timeout_s=0.1, read_timeout_s=0.05)
    store = SessionStore(redis_client, credentials, endpoint_url=scripted_org.url, transport=transport)
    redis_client.set(RENEWING_KEY, "another's")
    with pytest.raises(NoAnswer) as lost:
        store.get()
    assert not lost.value.sent
    assert redis_client.get(RENEWING_KEY) == b"another's"


def test_a_refused_login_is_tried_once_whoever_asks(scripted_org: ScriptedOrg, redis_client: redis.Redis) -> None:
    store = SessionStore(redis_client, BY_PASSWORD, endpoint_url=scripted_org.url)
    scripted_org.login_answers.append(soap_fault("INVALID_LOGIN", "Invalid username, password, security token"))
    refusals = in_parallel(store.get)
    assert len(scripted_org.logins) == 1
    for refusal in refusals:
        assert isinstance(refusal, LoginRefused)
        assert refusal.code == "INVALID_LOGIN"
        assert "SALESFORCE_PASSWORD" in refusal.advice
        assert 0 < refusal.tried_again_in_s <= 50


def test_a_refused_login_is_tried_again_ever_more_rarely(scripted_org: ScriptedOrg, redis_client: redis.Redis) -> None:
    store = SessionStore(redis_client, BY_PASSWORD, endpoint_url=scripted_org.url)
    waits = []
    for attempt in range(9):
        scripted_org.login_answers.append(soap_fault("INVALID_LOGIN", "no"))
        with pytest.raises(LoginRefused) as refused:
            store.get()
        assert len(scripted_org.logins) == attempt + 1
        waits.append(refused.value.tried_again_in_s)
        fast_forward(redis_client, refused.value.tried_again_in_s)
    assert waits == [50, 100, 200, 400, 800, 1600, 3200, 3500, 3500]
    assert store.get().session_id == "token-10"
    assert not redis_client.exists(REFUSED_KEY)


def test_corrected_credentials_are_tried_at_once(scripted_org: ScriptedOrg, redis_client: redis.Redis) -> None:
    scripted_org.login_answers.append(soap_fault("INVALID_LOGIN", "no"))
    with pytest.raises(LoginRefused):
        SessionStore(redis_client, BY_PASSWORD, endpoint_url=scripted_org.url).get()
    corrected = replace(BY_PASSWORD, password="right")
    assert SessionStore(redis_client, corrected, endpoint_url=scripted_org.url).get().session_id == "token-2"


def test_a_session_of_other_credentials_is_not_used(scripted_org: ScriptedOrg, redis_client: redis.Redis) -> None:
    sandbox = Credentials(consumer_key="key", consumer_secret="secret", domain="acme--dev.sandbox.my")
    production = replace(sandbox, domain="acme.my")
    first = SessionStore(redis_client, sandbox, endpoint_url=scripted_org.url).get()
    second = SessionStore(redis_client, production, endpoint_url=scripted_org.url).get()
    assert (first.session_id, second.session_id) == ("token-1", "token-2")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503, b"<html>maintenance</html>"),
        Answer(503, b"<html><body>well formed</body></html>"),
        Answer(500, b""),
        Answer(200, [{"errorCode": "SERVER_UNAVAILABLE"}]),
        Answer(400, {"error": "unknown_error", "error_description": "retry your request"}),
        Answer(200, {"access_token": "x"}),
    ],
)
def test_an_org_that_cannot_say_is_not_taken_for_one_that_refuses(
    scripted_org: ScriptedOrg, store: SessionStore, redis_client: redis.Redis, answer: Answer
) -> None:
    scripted_org.login_answers.append(answer)
    with pytest.raises(Unavailable):
        store.get()
    assert not redis_client.exists(REFUSED_KEY)
    assert not redis_client.exists(RENEWING_KEY)
    assert store.get().session_id == "token-2"


def test_a_soap_web_page_is_not_taken_for_a_refusal(scripted_org: ScriptedOrg, redis_client: redis.Redis) -> None:
    store = SessionStore(redis_client, BY_PASSWORD, endpoint_url=scripted_org.url)
    for body in (b"<html><body>well formed</body></html>", b"<html>maintenance"):
        scripted_org.login_answers.append(Answer(503, body))
        with pytest.raises(Unavailable):
            store.get()
    scripted_org.login_answers.append(soap_fault("SERVER_UNAVAILABLE", "later"))
    with pytest.raises(Unavailable):
        store.get()


def test_no_answer_to_a_login_leaves_no_trace(
    scripted_org: ScriptedOrg, store: SessionStore, redis_client: redis.Redis
) -> None:
    scripted_org.login_answers.append(Answer(fault="reset_after"))
    with pytest.raises(NoAnswer):
        store.get()
    scripted_org.login_answers.append(Answer(302, b"", {"Location": "https://elsewhere.salesforce.com/"}))
    with pytest.raises(NoAnswer):
        store.get()
    assert len(scripted_org.logins) == 2
    assert not redis_client.exists(REFUSED_KEY, RENEWING_KEY, KEY)


def test_client_credentials_identify_the_app_in_the_header(scripted_org: ScriptedOrg, store: SessionStore) -> None:
    assert store.get().instance_url == "https://acme.my.salesforce.com"
    (login,) = scripted_org.logins
    assert login.path == "/services/oauth2/token"
    assert parse_qs(login.body.decode()) == {"grant_type": ["client_credentials"]}
    assert base64.b64decode(login.headers["Authorization"].removeprefix("Basic ")) == b"key:secret"


def test_client_credentials_reach_an_emulator_whatever_the_domain(
    scripted_org: ScriptedOrg, redis_client: redis.Redis
) -> None:
    anywhere = Credentials(consumer_key="key", consumer_secret="secret")
    assert SessionStore(redis_client, anywhere, endpoint_url=scripted_org.url).get().session_id == "token-1"
    with pytest.raises(ConfigurationError, match="SALESFORCE_DOMAIN"):
        SessionStore(redis_client, anywhere).get()


def test_soap_login_speaks_the_last_version_that_has_it(scripted_org: ScriptedOrg, redis_client: redis.Redis) -> None:
    session = SessionStore(redis_client, BY_PASSWORD, endpoint_url=scripted_org.url).get()
    assert session.session_id == "token-1"
    assert session.instance_url == "https://acme.my.salesforce.com"
    (login,) = scripted_org.logins
    assert login.path == f"/services/Soap/u/{SOAP_LOGIN_VERSION}"
    assert float(SOAP_LOGIN_VERSION) < 65
    assert b"<n1:password>p&lt;&amp;&gt;wtok</n1:password>" in login.body


def test_an_expired_password_is_a_refusal_although_salesforce_gives_a_session(
    scripted_org: ScriptedOrg, redis_client: redis.Redis
) -> None:
    scripted_org.login_answers.append(Answer(body=soap_success("useless", password_expired=True).encode()))
    with pytest.raises(LoginRefused, match="INVALID_OPERATION_WITH_EXPIRED_PASSWORD"):
        SessionStore(redis_client, BY_PASSWORD, endpoint_url=scripted_org.url).get()


def test_a_jwt_is_signed_with_the_private_key(
    scripted_org: ScriptedOrg, redis_client: redis.Redis, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    mine = Credentials(
        username="a@example.com", consumer_key="key", private_key_file=str(tmp_path / "key.pem"), domain="acme.my"
    )
    assert SessionStore(redis_client, mine, endpoint_url=scripted_org.url).get().session_id == "token-1"
    (assertion,) = parse_qs(scripted_org.logins[0].body.decode())["assertion"]
    claims = jwt.decode(assertion, key.public_key(), algorithms=["RS256"], audience="https://acme.my.salesforce.com")
    assert (claims["iss"], claims["sub"]) == ("key", "a@example.com")


def test_a_private_key_that_cannot_be_used_is_a_mistake_in_the_configuration(
    scripted_org: ScriptedOrg, redis_client: redis.Redis, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text("not a key")
    for path in (tmp_path / "absent.pem", tmp_path / "key.pem"):
        mine = Credentials(username="a@example.com", consumer_key="key", private_key_file=str(path))
        with pytest.raises(ConfigurationError, match="SALESFORCE_PRIVATE_KEY_FILE"):
            SessionStore(redis_client, mine, endpoint_url=scripted_org.url).get()
    with pytest.raises(ConfigurationError, match="SALESFORCE_USERNAME"):
        SessionStore(redis_client, replace(mine, username=None), endpoint_url=scripted_org.url).get()


@pytest.mark.parametrize(
    "incomplete",
    [
        Credentials(),
        Credentials(username="a@example.com"),
        Credentials(consumer_key="key"),
        Credentials(password="p", security_token="t"),
    ],
)
def test_incomplete_credentials_say_which_variables_to_set(
    redis_client: redis.Redis, scripted_org: ScriptedOrg, incomplete: Credentials
) -> None:
    with pytest.raises(ConfigurationError) as missing:
        SessionStore(redis_client, incomplete, endpoint_url=scripted_org.url).get()
    for name in ("CONSUMER_KEY", "CONSUMER_SECRET", "DOMAIN", "USERNAME", "PASSWORD", "SECURITY_TOKEN"):
        assert f"SALESFORCE_{name}" in str(missing.value)
    assert not scripted_org.logins


@pytest.mark.parametrize(
    "domain", ["acme.my", "acme.my.salesforce.com", "https://ACME.my.salesforce.com/", " acme.my "]
)
def test_a_domain_may_be_written_in_any_of_the_usual_ways(
    redis_client: redis.Redis, scripted_org: ScriptedOrg, monkeypatch: pytest.MonkeyPatch, domain: str
) -> None:
    asked = []
    send = Transport.send

    def spy(self: Transport, request: object, *args: object, **kwargs: object) -> object:
        asked.append(request.url)  # type: ignore[attr-defined]
        return send(self, request, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Transport, "send", spy)
    given = Credentials(consumer_key="key", consumer_secret="secret", domain=domain)
    SessionStore(redis_client, given, endpoint_url=scripted_org.url).get()
    assert asked == ["https://acme.my.salesforce.com/services/oauth2/token"]


def test_the_session_is_encrypted_where_a_key_is_configured(
    scripted_org: ScriptedOrg, redis_client: redis.Redis, credentials: Credentials
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    SessionStore(redis_client, credentials, endpoint_url=scripted_org.url, secret_keys=[old]).get()
    assert b"token-1" not in (redis_client.get(KEY) or b"token-1")
    rotated = SessionStore(redis_client, credentials, endpoint_url=scripted_org.url, secret_keys=[new, old])
    assert rotated.get().session_id == "token-1"
    assert rotated.renew_now().session_id == "token-2"
    only_new = SessionStore(redis_client, credentials, endpoint_url=scripted_org.url, secret_keys=[new])
    assert only_new.get().session_id == "token-2"
    only_old = SessionStore(redis_client, credentials, endpoint_url=scripted_org.url, secret_keys=[old])
    assert only_old.get().session_id == "token-3"  # what it cannot read is as good as none


@pytest.mark.parametrize("keys", [["old"], ["new"], []], ids=["the same", "another", "none"])
def test_a_session_that_was_encrypted_with_another_key_is_logged_in_anew_and_the_log_says_why(
    scripted_org: ScriptedOrg,
    redis_client: redis.Redis,
    credentials: Credentials,
    keys: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = {name: Fernet.generate_key().decode() for name in ("old", "new")}
    SessionStore(redis_client, credentials, endpoint_url=scripted_org.url, secret_keys=[made["old"]]).get()
    given = [made[name] for name in keys]
    store = SessionStore(redis_client, credentials, endpoint_url=scripted_org.url, secret_keys=given)
    assert store.get().session_id == ("token-1" if keys == ["old"] else "token-2")
    assert ("PIPELINE_SECRET_KEY" in caplog.text) is (keys != ["old"])
    assert "token" not in caplog.text


@pytest.mark.parametrize("stored", [b"", b"{}", b"[]", b"not json", b'{"v": 99}'])
def test_what_is_stored_in_another_format_is_as_good_as_nothing(
    redis_client: redis.Redis, store: SessionStore, stored: bytes
) -> None:
    redis_client.set(KEY, stored)
    assert store.get().session_id == "token-1"


def test_the_age_of_the_session_is_known(store: SessionStore) -> None:
    assert store.age_s() is None
    session = store.get()
    age_s = store.age_s()
    assert age_s is not None
    assert 0 <= age_s < 60
    assert session.issued_at_ms > 1_700_000_000_000


def test_no_representation_shows_a_secret(store: SessionStore) -> None:
    given = Credentials(username="u", password="pw1", security_token="tok1", consumer_key="ck1", consumer_secret="cs1")
    shown = repr(given) + repr(store.get())
    for secret in ("pw1", "tok1", "ck1", "cs1", "token-1"):
        assert secret not in shown
