"""`pipeline check` says what lies in a Redis elsewhere, or travels to it, in the clear."""

import base64

import pytest

from pipeline.cli.check import protection
from pipeline.settings import load_settings

KEY = base64.urlsafe_b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("url", "key", "told"),
    [
        ("redis://127.0.0.1:6379/0", "", set()),
        ("redis://localhost", "", set()),
        ("unix:///run/redis.sock", "", set()),
        ("redis://redis.internal:6379/0", "", {"PIPELINE_SECRET_KEY", "PIPELINE_REDIS_URL"}),
        ("rediss://pipeline:secret@redis.internal:6379/0", "", {"PIPELINE_SECRET_KEY"}),
        ("rediss://redis.internal", KEY, set()),
        ("sentinel://redis.internal:26379;sentinel://other:26379/0", KEY, {"PIPELINE_REDIS_URL"}),
    ],
)
def test_what_is_in_the_clear_elsewhere_is_a_warning(url: str, key: str, told: set[str]) -> None:
    findings = protection(load_settings({"PIPELINE_REDIS_URL": url, "PIPELINE_SECRET_KEY": key}))
    assert {finding.where for finding in findings} == told
    assert {finding.verdict for finding in findings} <= {"warning"}
    assert "secret@" not in repr(findings)
