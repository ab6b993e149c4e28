"""What a query would return and how it would be run: ``query?columns=true`` and ``query?explain=``.

``columns`` is what the Salesforce CLI asks to draw its table; it is in no guide, and its form is that of the replies
recorded in the CLI's own tests (plugin-data, queryFields test). ``explain`` is described in the REST API guide, "Query
Performance Feedback": one plan for each way to run a query, the cheapest first.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.emulator import errors
from pipeline.emulator.errors import Json
from pipeline.emulator.schema import NUMBER_TYPES, Field, SObject
from pipeline.emulator.soql.parse import parse
from pipeline.emulator.soql.plan import Choice, Leaf, Node, Plan
from pipeline.emulator.soql.tree import Function, Path, Query, Selected, Value

_APEX_TYPES = {"id": "Id", "reference": "Id", "boolean": "Boolean", "int": "Integer", "date": "Date"}
_APEX_TYPES |= {"datetime": "Datetime", "address": "Address", "location": "Location"}
# A filter on an index is worth it below this share of the records (Salesforce Help, "Make SOQL Query Selective").
_STANDARD_SHARE, _CUSTOM_SHARE = 0.3, 0.1
_STANDARD_INDEXES = frozenset({"Id", "Name", "OwnerId", "CreatedDate", "SystemModstamp", "RecordTypeId", "Email"})
# What reading a whole table costs in the same measure; above 1 an index is never used.
_SCAN_COST = 2.8


def columns(plan: Plan, text: str) -> Json:
    """Return the columns of a query's result."""
    if plan.node is not None:
        shown = _of_node(plan.node)
        shown += [_column(child.key, joined=_of_node(child.plan.node), aggregate=True) for child in plan.children]
    else:
        shown = _of_groups(plan, parse(text))
    return {
        "columnMetadata": shown,
        "entityName": plan.one.name,
        "groupBy": bool(parse(text).group),
        "idSelected": any(column["columnName"] == "Id" for column in shown),
        "keyPrefix": plan.one.key_prefix,
    }


def _of_node(node: Node | None) -> list[Json]:
    assert node is not None
    shown = []
    for entry in node.entries:
        if isinstance(entry, Leaf):
            shown.append(_column(entry.key, entry.field))
        elif isinstance(entry, Choice):
            raise errors.not_covered("columns of a query with TYPEOF")
        else:
            shown.append(_column(entry[0], joined=_of_node(entry[1])))
    return shown


def _of_groups(plan: Plan, query: Query) -> list[Json]:
    if plan.counts:
        return [_column("expr0", display="count()", aggregate=True, number=True)]
    shown = []
    expressions = [item.expression for item in query.selected if isinstance(item, Selected)]
    for group, expression in zip(plan.groups, expressions, strict=True):
        if isinstance(expression, Function):
            is_number = group.field.type in NUMBER_TYPES
            shown.append(_column(group.key, display=_written(expression), aggregate=True, number=is_number))
        else:
            shown.append(_column(group.key, group.field))
    return shown


def _written(expression: Path | Function | Value) -> str:
    if isinstance(expression, Function):
        return f"{expression.name.lower()}({', '.join(map(_written, expression.arguments))})"
    return str(expression)


def _column(
    name: str,
    field: Field | None = None,
    *,
    display: str = "",
    joined: Sequence[Json] = (),
    aggregate: bool = False,
    number: bool = False,
) -> Json:
    kind = field.type if field else ""
    apex = _APEX_TYPES.get(kind, "Double" if kind in NUMBER_TYPES else "String") if field else None
    return {
        "aggregate": aggregate,
        "apexType": apex,
        "booleanType": kind == "boolean",
        "columnName": name,
        "custom": bool(field and field.custom),
        "displayName": display or name,
        "foreignKeyName": None,
        "insertable": bool(field and field.createable),
        "joinColumns": list(joined),
        "numberType": number or kind in NUMBER_TYPES,
        "textType": apex == "String",
        "updatable": bool(field and field.updateable),
    }


def plans(one: SObject, text: str, looked_up: Sequence[Field], found: int, total: int) -> Json:
    """Return the ways to run a query that filters on ``looked_up``, which finds ``found`` of ``total`` records."""
    ways = [
        _way(one, "TableScan", [], found, total, _SCAN_COST, "Table of records is read from one end to the other"),
    ]
    for field in looked_up:
        if field.name in _STANDARD_INDEXES or field.external_id or field.unique or field.type == "reference":
            share = _STANDARD_SHARE if field.name in _STANDARD_INDEXES else _CUSTOM_SHARE
            cost = round(found / max(total * share, 1.0), 4)
            ways.append(_way(one, "Index", [field.name], found, total, cost, ""))
    return {"plans": sorted(ways, key=lambda way: float(way["relativeCost"])), "sourceQuery": text}


def _way(  # noqa: PLR0917  (the parts of a plan, in its own order)
    one: SObject, operation: str, fields: list[str], found: int, total: int, cost: float, note: str
) -> Json:
    notes = [{"description": note, "fields": [], "tableEnumOrId": one.name}] if note else []
    return {
        "cardinality": found,
        "fields": fields,
        "leadingOperationType": operation,
        "notes": notes,
        "relativeCost": cost,
        "sobjectCardinality": total,
        "sobjectType": one.name,
    }
