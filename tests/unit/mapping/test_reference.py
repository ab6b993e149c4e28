"""Every example of docs/mapping.md, run: the destination before it, the event, and what is written."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.delivery.shape import missing_required, shape
from pipeline.destination import Destination
from pipeline.emulator.describe import describe_field
from pipeline.emulator.schema import field_of, standard_objects
from pipeline.errors import ConfigurationError
from pipeline.events.schemas import validate
from pipeline.mapping.defaults import CONTACT, LEAD, account_fields
from pipeline.mapping.plan import compile_plan
from pipeline.review.preview import Planned
from pipeline.salesforce.describe import ObjectDescribe
from pipeline.settings.file import parse_destination
from pipeline.settings.json_schema import json_schema

TEXT = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text(encoding="utf-8")
BLOCK = re.compile(r'^```(?:yaml|json) title="(destination|event|writes)"\n(.*?)^```', re.MULTILINE | re.DOTALL)
# What the examples expect of the org beyond its standard fields.
CUSTOM: list[dict[str, Any]] = [
    {"name": "plan__c", "type": "string", "length": 40},
    {"name": "Login_Count__c", "type": "double", "precision": 18},
    {"name": "UserId__c", "type": "string", "length": 80, "externalId": True},
    {"name": "MessageId__c", "type": "string", "length": 128, "externalId": True},
    {"name": "Unit_Price__c", "type": "currency", "precision": 18, "scale": 2},
    {"name": "RecordTypeId", "type": "reference", "referenceTo": ["RecordType"]},
]


@dataclass(frozen=True)
class Example:
    destination: str
    event: dict[str, Any]
    writes: list[dict[str, Any]]


def examples() -> list[Example]:
    found = []
    destination = event = ""
    for kind, text in BLOCK.findall(TEXT):
        if kind == "destination":
            destination = text
        elif kind == "event":
            event = text
        else:
            found.append(Example(destination, json.loads(event), json.loads(text)))
            destination = event = ""
    return found


@pytest.fixture(scope="module")
def describes() -> dict[str, ObjectDescribe]:
    found = {}
    for one in standard_objects():
        one.add_fields(field_of(custom) for custom in CUSTOM)
        fields = [describe_field(field) for field in one.fields.values()]
        found[one.name] = ObjectDescribe.read({"name": one.name, "keyPrefix": one.key_prefix, "fields": fields})
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.event["messageId"])
def test_an_example_of_the_reference_is_true(example: Example, describes: dict[str, ObjectDescribe]) -> None:
    planner = compile_plan(parse_destination(example.destination, name="destination.yaml"))
    written = []
    for operation in planner.plan(validate(example.event, received_ms=2_000_000_000_000)):
        shaped = shape(operation, describes[operation.object])
        written.append(Planned(operation, shaped).shown())
        if operation.verb == "create":
            new = {**shaped.on_create, **shaped.fields}
            assert missing_required(new, describes[operation.object]) == []

    assert written == example.writes


def test_the_reference_has_examples() -> None:
    assert len(examples()) == TEXT.count('```json title="event"') == TEXT.count('```json title="writes"') >= 12


def test_no_block_has_a_title_that_the_site_cannot_read() -> None:
    assert re.findall(r"^```\w+ +\w+$", TEXT, re.MULTILINE) == []  # it is title="event"


@pytest.mark.parametrize(("table", "column"), [(LEAD, 2), (CONTACT, 3)], ids=["Lead", "Contact"])
def test_the_table_of_people_is_the_one_that_is_run(table: dict[str, tuple[str, ...]], column: int) -> None:
    section = TEXT.partition("| trait | field of Lead |")[2].partition("\n\n")[0]
    fields = {row.split("|")[column].strip(): row.split("|")[1] for row in section.splitlines()[2:-1]}

    assert {name for name in fields if name} == set(table)
    for field, sources in table.items():
        for source in sources:
            loose = re.sub(r"[^a-z.]", "", fields[field].lower())
            assert source.removesuffix("[]") in loose or source == "company.name"


def test_the_table_of_companies_is_the_one_that_is_run() -> None:
    section = TEXT.partition("| trait | field of Account |")[2].partition("\n\n")[0]
    named = set(re.findall(r"\b[A-Z][A-Za-z]+\b", "|".join(row.split("|")[2] for row in section.splitlines()[2:-1])))

    assert named == set(account_fields("both")) | {"AccountNumber"}


def test_every_key_is_in_the_reference() -> None:
    def keys(schema: dict[str, Any]) -> set[str]:
        described = schema.get("anyOf", [schema])[0]
        inner = described.get("properties") or described.get("items", {}).get("properties", {})
        return set(inner) | {key for part in inner.values() for key in keys(part)} - {"from", "value", "template"}

    for key in keys(json_schema()):
        assert re.search(rf"[`.]{key}[`.]", TEXT), key


def test_the_errors_it_shows_are_told_so() -> None:
    broken = """identify: {default: true}
actions:
  - on:
      type: track
      event: Issue Submitted
    operation: upsrt
    object: Case
    fields:
      Priority: properties.priority
"""
    with pytest.raises(ConfigurationError) as refused:
        parse_destination(broken, name="destination.yaml")

    for told in str(refused.value).splitlines():
        assert told in TEXT


def test_the_defaults_it_names_are_those_of_an_empty_file() -> None:
    defaults = Destination()
    shown = {
        "salesforce.sandbox": defaults.salesforce.sandbox,
        "salesforce.api_version": f'"{defaults.salesforce.api_version}"',
        "salesforce.timeout": defaults.salesforce.timeout,
        "salesforce.assignment_rules": defaults.salesforce.assignment_rules,
        "salesforce.duplicate_rules": defaults.salesforce.duplicate_rules,
        "quota.share": defaults.quota.share,
        "quota.reserve": defaults.quota.reserve,
        "linger": defaults.linger,
        "always_enabled": defaults.always_enabled,
        "trace": defaults.trace,
        "identify.object": defaults.identify.object,
        "identify.placeholders": defaults.identify.placeholders,
        "group.address": defaults.group.address,
    }

    for key, value in shown.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        assert f"| `{key}` | `{text}` |" in TEXT
