"""simple-salesforce against an org that has what it needs; tests say which of its methods they exercise."""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from simple_salesforce.api import Salesforce, SFType
from simple_salesforce.bulk2 import SFBulk2Type

CLASSES: dict[str, type] = {one.__name__: one for one in (Salesforce, SFType, SFBulk2Type)}
ORG = Path(__file__).resolve().parents[1] / "org.yaml"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "exercises(*methods): methods of simple-salesforce that the test must call")


@pytest.fixture(scope="session")
def salesforce_emulator_options() -> Mapping[str, Any]:
    return {"org": ORG}


@pytest.fixture(autouse=True)
def _methods_are_called(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that claims to exercise a method and never calls it."""
    claimed = {name for marker in request.node.iter_markers("exercises") for name in marker.args}
    called: set[str] = set()
    for qualified in claimed:
        owner, name = qualified.split(".")
        _watch(monkeypatch, CLASSES[owner], name, called)
    yield
    assert claimed == called


def _watch(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, called: set[str]) -> None:
    method = getattr(owner, name)

    @functools.wraps(method)
    def watched(*args: Any, **kwargs: Any) -> Any:
        called.add(f"{owner.__name__}.{name}")
        return method(*args, **kwargs)

    is_static = isinstance(vars(owner)[name], staticmethod)
    monkeypatch.setattr(owner, name, staticmethod(watched) if is_static else watched)
