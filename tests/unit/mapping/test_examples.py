"""The documented examples of the classic destination, from the event to the exact fields that are written."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.delivery.shape import missing_required, shape
from pipeline.emulator.describe import describe_field
from pipeline.emulator.schema import field_of, standard_objects
from pipeline.events.schemas import opted_in, validate
from pipeline.mapping.plan import compile_plan
from pipeline.salesforce.describe import ObjectDescribe
from pipeline.settings.file import parse_destination

EXAMPLES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "data" / "mapping_examples.json").read_text(encoding="utf-8")
)
# What the examples expect of the org beyond its standard fields.
CUSTOM = {
    "Case": [{"name": "Product__c", "type": "string", "length": 80, "custom": True}],
    "Contact": [{"name": "UserId__c", "type": "string", "length": 80, "custom": True, "externalId": True}],
}


@pytest.fixture(scope="module")
def describes() -> dict[str, ObjectDescribe]:
    found = {}
    for one in standard_objects():
        one.add_fields(field_of(custom) for custom in CUSTOM.get(one.name, []))
        fields = [describe_field(field) for field in one.fields.values()]
        found[one.name] = ObjectDescribe.read({"name": one.name, "keyPrefix": one.key_prefix, "fields": fields})
    return found


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["name"])
def test_a_documented_example_lands_as_documented(
    example: dict[str, Any], describes: dict[str, ObjectDescribe]
) -> None:
    written = {"actions": [example["action"]]} if "action" in example else {}
    planner = compile_plan(parse_destination(yaml.safe_dump(written), name="destination.yaml"))
    event = validate(example["event"], received_ms=1_800_000_000_000)

    (operation,) = [one for one in planner.plan(event) if one.object == example["object"]]
    shaped = shape(operation, describes[example["object"]])

    assert opted_in(event)
    assert operation.fields == example["fields"]
    assert operation.match == (example["match"] or {})
    assert shaped.fields == example["fields"]
    assert shaped.match == (example["match"] or {})
    assert shaped.refusal is None
    assert shaped.dropped == ()
    assert operation.id == f"{event.message_id}#{'actions[0]' if 'action' in example else event.type}"
    if example["object"] != "Contact":  # whose LastName the example leaves to an existing record
        assert missing_required({**shaped.on_create, **shaped.fields}, describes[example["object"]]) == []
