"""When a batch lets delivery go on that had to wait."""

from typing import Any

import pytest

from pipeline.delivery.outcome import Paused
from pipeline.salesforce.pause import Pause
from pipeline.tasks.deliver import deliver_due
from pipeline.tasks.ingest import ingest
from tests.integration.environment import Environment


def identify(email: str) -> dict[str, Any]:
    return {"type": "identify", "userId": "u", "traits": {"email": email}, "integrations": {"Salesforce": True}}


@pytest.mark.parametrize(("email", "calls", "is_cleared"), [("a@example.com", 2, True), ("no address", 0, False)])
def test_a_circuit_is_closed_until_the_org_has_been_called(
    environment: Environment, email: str, calls: int, is_cleared: bool
) -> None:
    environment.destination("linger: 0\n")
    runtime = environment.runtime
    runtime.describes.get("Lead")
    ingest([identify(email)], runtime)
    pause = Pause(environment.redis)
    pause.close(Paused("Salesforce refused the login (INVALID_LOGIN)", "", needs_operator=True))
    pause.probe_soon()
    assert deliver_due("Lead", "t", runtime).calls == calls
    assert (pause.why() is None) is is_cleared
    assert len(environment.dead("Lead")) == (0 if is_cleared else 1)
