"""The JSON Schema that editors complete destination.yaml by."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.settings.json_schema import json_schema

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Check a value by the keywords of JSON Schema that ours uses."""
    if "anyOf" in schema and not any(fits(value, one) for one in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(
        isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds
    ):
        return False
    return _parts_fit(value, schema) if isinstance(value, dict | list) else _bounds_fit(value, schema)


def _parts_fit(value: dict[str, Any] | list[Any], schema: dict[str, Any]) -> bool:
    if isinstance(value, list):
        return all(fits(part, schema.get("items", {})) for part in value) and len(value) >= schema.get("minItems", 0)
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    if more is False and value.keys() - known.keys():
        return False
    rest = more if isinstance(more, dict) else {}
    return value.keys() >= set(schema.get("required", [])) and all(
        fits(part, known.get(name, rest)) for name, part in value.items()
    )


def _bounds_fit(value: Any, schema: dict[str, Any]) -> bool:
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, int | float) and not isinstance(value, bool):
        least, most, above = (schema.get(key) for key in ("minimum", "maximum", "exclusiveMinimum"))
        return not (
            (least is not None and value < least)
            or (most is not None and value > most)
            or (above is not None and value <= above)
        )
    return True


def test_the_published_schema_is_the_generated_one(repository: Path) -> None:
    published = json.loads((repository / "docs" / "destination.schema.json").read_text())

    assert published == json_schema(), "run: python -m pipeline.settings.json_schema > docs/destination.schema.json"


def test_the_projects_own_destination_fits(repository: Path) -> None:
    # PyYAML's own loader takes `on` for true, as editors that follow YAML 1.2 do not.
    text = (repository / "destination.yaml").read_text().replace("- on:", "- 'on':")

    assert fits(yaml.safe_load(text), json_schema())


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"identify": None},
        {"quota": {"share": 0.5}},
        {"quota": {"weights": {"Lead": 3, "Invoice__c": 0.5}}},
        {"identify": {"priority": "high"}},
        {"salesforce": {"sandbox": "dev", "api_version": 66.0}},
        {"actions": [{"on": {"type": "page"}, "operation": "read", "object": "Case", "fields": ["Name"]}]},
        {"identify": {"fields": {"userId": "A__c", "B__c": {"from": ["a", "b"], "default": 1}}}},
    ],
)
def test_what_may_be_written_fits(written: dict[str, Any]) -> None:
    assert fits(written, json_schema())


@pytest.mark.parametrize(
    "written",
    [
        {"identfy": {}},
        {"quota": {"share": 2}},
        {"quota": {"weights": {"Lead": 0}}},
        {"group": {"priority": "low"}},
        {"quota": {"reserve": -1}},
        {"quota": {"reserve": 1.5}},
        {"salesforce": {"sandbox": "my sandbox"}},
        {"identify": {"object": "Person"}},
        {"identify": {"default": "yes"}},
        {"identify": {"fields": {"A__c": {"form": "a"}}}},
        {"actions": {}},
        {"actions": [{"operation": "create", "object": "Case"}]},
        {"actions": [{"on": {"type": "tracks"}, "operation": "create", "object": "Case"}]},
        {"actions": [{"on": {"type": "page"}, "operation": "create", "object": "Support Case"}]},
    ],
)
def test_what_may_not_be_written_does_not_fit(written: dict[str, Any]) -> None:
    assert not fits(written, json_schema())


def test_every_key_is_described_to_who_writes_it() -> None:
    rules = json_schema()["properties"]["identify"]["anyOf"][0]["properties"]

    assert all("description" in rule["anyOf"][0] for rule in rules.values())
