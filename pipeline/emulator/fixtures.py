"""Fixtures of the pytest plugin ``pipeline.emulator.testing``, where their use is described."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.emulator.testing import Emulator, running_emulator

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce


@pytest.fixture(scope="session")
def salesforce_emulator_options() -> Mapping[str, Any]:
    """Return the arguments of running_emulator: override it to give the org a file, latency or another limit."""
    return {}


@pytest.fixture(scope="session")
def _salesforce_emulator(salesforce_emulator_options: Mapping[str, Any]) -> Iterator[Emulator]:
    with running_emulator(**salesforce_emulator_options) as emulator:
        yield emulator


@pytest.fixture
def salesforce_emulator(_salesforce_emulator: Emulator) -> Emulator:
    """Give an emulated org that holds nothing of the tests before."""
    _salesforce_emulator.reset()
    return _salesforce_emulator


@pytest.fixture
def salesforce(salesforce_emulator: Emulator) -> Iterator[Salesforce]:
    """Give a simple-salesforce client that is logged in to the emulated org."""
    client = salesforce_emulator.connect()
    yield client
    client.session.close()
