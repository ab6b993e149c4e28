"""Secrets come from the environment or from files that it names, and an unusable one says how to make a good one."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from pipeline.errors import ConfigurationError
from pipeline.settings import broker_url, load_settings, redis_address
from pipeline.settings.secrets import accepts_unsigned, given, given_exactly, message_keys, secret_keys


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def test_a_secret_comes_from_a_file_without_the_newline_at_its_end(file: Path) -> None:
    file.write_text(" pass word \n", encoding="utf-8")
    environ = {"SALESFORCE_PASSWORD_FILE": str(file)}
    assert given_exactly(environ, "SALESFORCE_PASSWORD") == " pass word "
    assert given(environ, "SALESFORCE_PASSWORD") == "pass word"
    credentials = load_settings({**environ, "SALESFORCE_CONSUMER_SECRET_FILE": str(file)}).credentials
    assert (credentials.password, credentials.consumer_secret) == (" pass word ", "pass word")


def test_a_secret_given_twice_or_in_a_file_that_cannot_be_read_is_refused_without_showing_it(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"SALESFORCE_PASSWORD_FILE: .* cannot be read"):
        load_settings({"SALESFORCE_PASSWORD_FILE": str(file)})
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_settings({"SALESFORCE_PASSWORD_FILE": str(file)})
    file.write_text("one", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="keep one") as refused:
        load_settings({"SALESFORCE_PASSWORD_FILE": str(file), "SALESFORCE_PASSWORD": "hush"})
    assert "hush" not in str(refused.value)
    assert given({"SALESFORCE_PASSWORD_FILE": ""}, "SALESFORCE_PASSWORD") is None


@pytest.mark.parametrize(
    ("url", "filled"),
    [
        ("redis://redis:6379/0", "redis://:p%40ss@redis:6379/0"),
        ("rediss://pipeline@redis:6380/0", "rediss://pipeline:p%40ss@redis:6380/0"),
        ("rediss://pipeline:@redis", "rediss://pipeline:p%40ss@redis:6379/0"),
        ("unix:///run/redis.sock", "redis+socket://:p%40ss@/run/redis.sock?virtual_host=0"),
    ],
)
def test_the_password_of_redis_is_put_into_its_address(url: str, filled: str, file: Path) -> None:
    file.write_text("p@ss\n", encoding="utf-8")
    environ = {"PIPELINE_REDIS_URL": url, "PIPELINE_REDIS_PASSWORD_FILE": str(file)}
    assert redis_address(environ).password == "p@ss"
    assert redis_address(environ).broker_url == broker_url(environ) == filled


def test_the_password_of_redis_reaches_the_sentinels_master() -> None:
    environ = {"PIPELINE_REDIS_URL": "sentinel://a:26379;sentinel://b:26379/0", "PIPELINE_REDIS_PASSWORD": "p@ss"}
    assert broker_url(environ) == "sentinel://:p%40ss@a:26379/0;sentinel://:p%40ss@b:26379/0"
    with pytest.raises(ConfigurationError, match="keep one") as refused:
        redis_address({"PIPELINE_REDIS_URL": "redis://:old@host", "PIPELINE_REDIS_PASSWORD": "p@ss"})
    assert "old" not in str(refused.value)


def test_keys_that_encrypt_are_fernet_keys_the_first_of_which_is_in_use() -> None:
    new, old = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    assert secret_keys({"PIPELINE_SECRET_KEY": f"{new}, {old}"}) == (new, old)
    assert load_settings({"PIPELINE_SECRET_KEY": new}).secret_keys == (new,)
    assert new not in repr(load_settings({"PIPELINE_SECRET_KEY": new}))
    assert secret_keys({"PIPELINE_SECRET_KEY": " "}) == ()


@pytest.mark.parametrize("key", ["secret", "ä", "a" * 44, "YQ==", f"{'A' * 43}=,no"])
def test_a_key_that_is_none_says_how_to_make_one_and_is_not_shown(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Fernet\.generate_key") as refused:
        load_settings({"PIPELINE_SECRET_KEY": key})
    assert key not in str(refused.value)


def test_a_key_that_signs_has_to_be_long() -> None:
    assert message_keys({}) == ()
    assert message_keys({"PIPELINE_MESSAGE_KEY": f"{'n' * 32},{'o' * 40}"}) == ("n" * 32, "o" * 40)
    with pytest.raises(ConfigurationError, match="token_urlsafe"):
        message_keys({"PIPELINE_MESSAGE_KEY": "short"})
    with pytest.raises(ConfigurationError, match="more than 10"):
        message_keys({"PIPELINE_MESSAGE_KEY": ",".join(["k" * 32] * 11)})


def test_unsigned_messages_are_accepted_only_where_that_is_said() -> None:
    assert not accepts_unsigned({})
    assert accepts_unsigned({"PIPELINE_ACCEPT_UNSIGNED": "true"})
    with pytest.raises(ConfigurationError, match="true or false"):
        accepts_unsigned({"PIPELINE_ACCEPT_UNSIGNED": "yes"})
