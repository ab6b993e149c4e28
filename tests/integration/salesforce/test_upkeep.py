"""Upkeep by beat: what was done lately is not done again, however many of its messages have waited for a worker."""

import pytest

from pipeline.tasks import upkeep
from tests.integration.environment import Environment


def test_a_session_and_describes_that_are_new_are_left_as_they_are(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = environment.runtime
    monkeypatch.setattr(upkeep, "_runtime", lambda: held)

    def spent() -> tuple[int, int]:
        calls = environment.calls()
        return calls.get("login", 0), calls.get("composite", 0)

    for _ in range(3):
        upkeep.renew_session.run()
        upkeep.refresh_describe.run()
    assert spent() == (1, 1)
    monkeypatch.setattr(upkeep, "_RENEW_AFTER_S", 0.0)
    upkeep.renew_session.run()
    upkeep.refresh_describe.run()
    assert spent() == (2, 2)
