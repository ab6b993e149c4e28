"""Statements of the SOQL and SOSL Reference: each is answered truly, or refused plainly."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.emulator.soql_world import World, coverage, groups

STATEMENTS = [statement for group in groups() for statement in group["statements"]]
ANSWERS = {"values", "rows", "size", "error", "beyond"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def plain(value: Any) -> Any:
    """Return an answer's data without attributes, and the records of children as a list."""
    if isinstance(value, dict):
        if value.keys() == {"totalSize", "done", "records"}:
            return plain(value["records"])
        return {name: plain(inner) for name, inner in value.items() if name != "attributes"}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def first(value: Any) -> Any:
    """Return the first field of a record, within its parents."""
    while isinstance(value, dict):
        value = next(iter(value.values()))
    return value


@pytest.mark.parametrize("statement", STATEMENTS, ids=[statement["q"][:90] for statement in STATEMENTS])
def test_a_statement_is_answered_truly_or_refused_plainly(world: World, statement: dict[str, Any]) -> None:
    assert len(ANSWERS & statement.keys()) == 1, "a statement has one kind of answer"
    status, body = world.ask(statement["q"], version=str(statement.get("version", "66.0")))
    if "error" in statement:
        assert (status, body[0]["errorCode"]) == (400, statement["error"]), body
        assert statement["says"] in body[0]["message"]
        return
    if "beyond" in statement:
        assert (status, body[0]["errorCode"]) == (400, "NOT_COVERED"), body
        assert body[0]["message"] == f"not part of this emulator: {statement['beyond']}"
        return
    assert status == 200, body
    if "size" in statement:
        assert (body["totalSize"], body["records"]) == (statement["size"], [])
        return
    records = body["records"] if "records" in body else body["searchRecords"]
    wanted = world.filled(json.loads(json.dumps(statement.get("values", statement.get("rows")), default=str)))
    found = [first(plain(record)) if "values" in statement else plain(record) for record in records]
    if statement.get("any_order"):
        found, wanted = sorted(found, key=str), sorted(wanted, key=str)
    assert found == wanted


def test_there_are_enough_statements() -> None:
    asked = [statement["q"] for statement in STATEMENTS]
    assert len(asked) == len(set(asked))
    assert len(asked) >= 200


def test_the_docs_say_what_is_covered() -> None:
    """On failure, put what `python -m tests.unit.emulator.soql_world` prints into the docs."""
    text = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")
    assert coverage() in text
