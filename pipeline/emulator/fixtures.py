"""Fixtures of the pytest plugin, whose use ``pipeline.emulator.testing`` describes.

pytest loads this module wherever the package is installed, so it imports what a fixture needs when one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce

    from pipeline.emulator.testing import Emulator


@pytest.fixture(scope="session")
def salesforce_emulator_options() -> Mapping[str, Any]:
    """Return the arguments of running_emulator: override it to give the org a file, latency or another limit."""
    return {}


@pytest.fixture(scope="session")
def _salesforce_emulator(salesforce_emulator_options: Mapping[str, Any]) -> Iterator[Emulator]:
    from pipeline.emulator.testing import running_emulator

    with running_emulator(**salesforce_emulator_options) as emulator:
        yield emulator


@pytest.fixture
def salesforce_emulator(_salesforce_emulator: Emulator) -> Emulator:
    """Give an emulated org that holds nothing of the tests before; one server serves the session."""
    _salesforce_emulator.reset()
    return _salesforce_emulator


@pytest.fixture
def salesforce(salesforce_emulator: Emulator) -> Iterator[Salesforce]:
    """Give a simple-salesforce client that is logged in to the emulated org."""
    client = salesforce_emulator.connect()
    yield client
    client.session.close()
