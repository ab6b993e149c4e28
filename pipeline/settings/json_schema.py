"""The JSON Schema of destination.yaml, generated from what reads it, so that editors complete and check the file.

`python -m pipeline.settings.json_schema` prints it; docs/destination.schema.json is what it printed last.
"""

import json
import sys
from typing import Any

from marshmallow import Schema, fields

from pipeline.settings.schema import DestinationSchema
from pipeline.settings.words import ConfigField


def json_schema() -> dict[str, Any]:
    """Return the schema of the whole file (JSON Schema, draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "destination.yaml",
        **_section(DestinationSchema()),
    }


def _section(schema: Schema) -> dict[str, Any]:
    """Describe a mapping. Every value may be left empty, which counts as not written."""
    properties = {one.data_key or name: _value(one) for name, one in schema.fields.items()}
    required = sorted(one.data_key or name for name, one in schema.fields.items() if one.required)
    described: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        described["required"] = required
    if schema.__doc__:
        described["description"] = schema.__doc__.strip()
    return described


def _value(one: fields.Field[Any]) -> dict[str, Any]:
    if isinstance(one, fields.Nested):
        described = _section(one.schema)
    elif isinstance(one, fields.List):
        described = {"type": "array", "items": _value(one.inner)}
    elif isinstance(one, ConfigField):
        described = one.json_schema()
    else:
        raise TypeError(f"a field of type {type(one).__name__} has no JSON Schema")
    if "description" in one.metadata:
        described["description"] = one.metadata["description"]
    return described if one.required else {"anyOf": [described, {"type": "null"}]}


def main() -> None:
    """Print the schema."""
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")


if __name__ == "__main__":
    main()
