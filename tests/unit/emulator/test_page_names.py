"""Which Host headers the emulator's page answers."""

import pytest

from pipeline.emulator.page import is_own_name


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost", "LocalHost:8080", "[::1]:8080", "10.0.0.7", "org:8080"]
)
def test_addresses_localhost_and_the_name_listened_on_are_the_machine_s_own(host: str) -> None:
    assert is_own_name(host, "org")


@pytest.mark.parametrize(
    "host", ["", "attacker.example", "org.attacker.example", "127.0.0.1.attacker.example", "[::1].attacker.example"]
)
def test_other_names_are_not_wherever_they_point(host: str) -> None:
    assert not is_own_name(host, "org")
