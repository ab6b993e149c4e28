"""Records, errors and describes as the partner API writes them (SOAP API guide; partner WSDL)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.emulator.errors import Json, RecordError
from pipeline.emulator.xml_form import Raw, element, elements

# Keys of a REST describe that the SOAP one has not, or has under other names.
_NOT_IN_SOAP = frozenset({"urls", "sobjectDescribeOption", "supportedScopes", "namedLayoutInfos", "actionOverrides"})
_XSD = {bool: "xsd:boolean", int: "xsd:int", float: "xsd:double"}


def error_elements(problems: Sequence[RecordError]) -> list[Json]:
    """Return the errors of a result."""
    return [{"fields": list(one.fields), "message": one.message, "statusCode": one.code} for one in problems]


def query_result(name: str, found: Json) -> Raw:
    """Return a QueryResult: a page of records, and where the next one is."""
    locator = found.get("nextRecordsUrl")
    shown: Json = {"done": found["done"], "queryLocator": locator.rpartition("/")[2] if locator else None}
    records = Raw("".join(record("records", one) for one in found["records"]))
    inside = Raw(elements(shown) + records + elements({"size": found["totalSize"]}))
    return Raw(element(name, inside, xsi__type="QueryResult"))


def record(name: str, told: Json) -> str:
    """Return an sObject: its type, its Id, and its fields, the Id among them once more when it was selected."""
    kind = told["attributes"]["type"]
    fields = [element("sf:type", kind), element("sf:Id", told.get("Id"))]
    for field, value in told.items():
        if field == "attributes":
            continue
        if isinstance(value, dict) and "records" in value:
            fields.append(query_result(f"sf:{field}", value))
        elif isinstance(value, dict) and "attributes" in value:
            fields.append(record(f"sf:{field}", value))
        elif isinstance(value, dict):
            fields.append(element(f"sf:{field}", value, xsi__type="address"))
        elif kind == "AggregateResult" and type(value) in _XSD:
            fields.append(element(f"sf:{field}", value, xsi__type=_XSD[type(value)]))
        else:
            fields.append(element(f"sf:{field}", _moment(value)))
    return element(name, Raw("".join(fields)), xsi__type="sf:sObject")


def _moment(value: Any) -> Any:
    """Return a value as XML Schema writes it: a time in UTC ends with Z."""
    return f"{value[:-5]}Z" if isinstance(value, str) and value.endswith("+0000") and "T" in value else value


def described(told: Json) -> str:
    """Return a DescribeSObjectResult from a REST describe."""
    shown = {key: value for key, value in told.items() if key not in _NOT_IN_SOAP}
    shown["fields"] = [_present(field) for field in told["fields"]]
    shown["recordTypeInfos"] = [
        {key: value for key, value in info.items() if key != "urls"} for info in told["recordTypeInfos"]
    ]
    shown["childRelationships"] = [_present(one) for one in told["childRelationships"]]
    shown["urlDetail"] = told["urls"]["uiDetailTemplate"]
    shown["urlEdit"] = told["urls"]["uiEditTemplate"]
    shown["urlNew"] = told["urls"]["uiNewRecord"]
    return element("result", _present(dict(sorted(shown.items()))))


def described_global(entries: Sequence[Json]) -> Raw:
    """Return a DescribeGlobalResult from REST entries."""
    objects = [_present({key: value for key, value in one.items() if key not in _NOT_IN_SOAP}) for one in entries]
    return elements({"result": {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects}})


def _present(told: Json) -> Json:
    """Return what has a value; SOAP leaves out the rest, and writes picklist values as elements of their own."""
    kept: Json = {}
    for key, value in told.items():
        if key == "picklistValues":
            kept[key] = [_present(one) for one in value]
        elif value is not None and value != []:
            kept[key] = value
    return kept
