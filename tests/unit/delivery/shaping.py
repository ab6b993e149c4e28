"""Objects, fields and operations to shape."""

from typing import Any

from pipeline.operation import Operation
from pipeline.salesforce.describe import Field, ObjectDescribe


def describe(*fields: Field, name: str = "Lead", key_prefix: str = "00Q") -> ObjectDescribe:
    return ObjectDescribe(name=name, key_prefix=key_prefix, fields={one.name: one for one in fields})


def field(name: str = "F__c", kind: str = "string", **more: Any) -> Field:
    lengths = {"string": 40, "textarea": 255, "phone": 40, "url": 255, "email": 80, "picklist": 40, "combobox": 255}
    more = {"length": lengths.get(kind, 0), "nillable": True, "createable": True, "updateable": True} | more
    return Field(name=name, type=kind, filterable=True, **more)


def operation(**parts: Any) -> Operation:
    return Operation(id="m1#identify", object="Lead", verb="upsert", event_time_ms=0, **parts)
