"""Describes in the shape a server sends: every top-level key and every key of a field (REST API guide: describe)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from pipeline.emulator.schema import NUMBER_TYPES, Field, Schema, SObject
from pipeline.emulator.soql.functions import aggregates

Json = dict[str, Any]

MASTER_RECORD_TYPE = "012000000000000AAA"


def describe(schema: Schema, one: SObject, root: str, base_url: str) -> Json:
    """Return the full describe of an object; ``root`` begins with /services/data."""
    path = f"{root}/sobjects/{one.name}"
    return {
        "actionOverrides": [],
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "childRelationships": [
            {
                "cascadeDelete": not field.updateable and not field.nillable,
                "childSObject": child.name,
                "deprecatedAndHidden": False,
                "field": field.name,
                "junctionIdListNames": [],
                "junctionReferenceTo": [],
                "relationshipName": field.child_relationship_name,
                "restrictedDelete": False,
            }
            for child, field in schema.children(one.name)
        ],
        "compactLayoutable": True,
        "createable": one.createable,
        "custom": one.custom,
        "customSetting": False,
        "deepCloneable": False,
        "defaultImplementation": None,
        "deletable": one.deletable,
        "deprecatedAndHidden": False,
        "extendedBy": None,
        "extendsInterfaces": None,
        "feedEnabled": True,
        "fields": [describe_field(field) for field in one.fields.values()],
        "hasSubtypes": False,
        "implementedBy": None,
        "implementsInterfaces": None,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": one.key_prefix,
        "label": one.label,
        "labelPlural": one.label_plural,
        "layoutable": True,
        "listviewable": None,
        "lookupLayoutable": None,
        "mergeable": one.mergeable,
        "mruEnabled": True,
        "name": one.name,
        "namedLayoutInfos": [],
        "networkScopeFieldName": None,
        "queryable": one.queryable,
        "recordTypeInfos": [
            {**info, "urls": {"layout": f"{path}/describe/layouts/{info['recordTypeId']}"}}
            for info in record_type_infos(schema, one)
        ],
        "replicateable": True,
        "retrieveable": one.retrieveable,
        "searchLayoutable": True,
        "searchable": one.searchable,
        "sobjectDescribeOption": "FULL",
        "supportedScopes": [
            {"label": f"All {one.label_plural.lower()}", "name": "everything"},
            *([{"label": f"My {one.label_plural.lower()}", "name": "mine"}] if "OwnerId" in one.fields else []),
        ],
        "triggerable": True,
        "undeletable": one.undeletable,
        "updateable": one.updateable,
        "urls": {
            "compactLayouts": f"{path}/describe/compactLayouts",
            "rowTemplate": f"{path}/{{ID}}",
            "approvalLayouts": f"{path}/describe/approvalLayouts",
            "uiDetailTemplate": f"{base_url}/{{ID}}",
            "uiEditTemplate": f"{base_url}/{{ID}}/e",
            "listviews": f"{path}/listviews",
            "describe": f"{path}/describe",
            "uiNewRecord": f"{base_url}/{one.key_prefix}/e",
            "quickActions": f"{path}/quickActions",
            "layouts": f"{path}/describe/layouts",
            "sobject": path,
        },
    }


def record_type_infos(schema: Schema, one: SObject) -> list[Json]:
    """Return an object's record types as describes and layouts list them; the master one comes last."""
    own = schema.options.record_types_of(one.name)
    infos: list[Json] = [
        {
            "active": known.is_active,
            "available": known.is_active,
            "defaultRecordTypeMapping": known.is_default,
            "developerName": known.developer_name,
            "master": False,
            "name": known.name,
            "recordTypeId": known.record_id,
        }
        for known in own
    ]
    master = {"active": True, "available": True, "developerName": "Master", "master": True, "name": "Master"}
    has_default = any(known.is_default for known in own)
    return [*infos, {**master, "defaultRecordTypeMapping": not has_default, "recordTypeId": MASTER_RECORD_TYPE}]


def _bits(places: Sequence[int]) -> str:
    """Return which controlling values a value is valid for: a bit for each, the first one highest, in base64."""
    field = bytearray(max(places, default=0) // 8 + 1)
    for place in places:
        field[place // 8] |= 0x80 >> place % 8
    return base64.b64encode(field).decode()


def describe_field(field: Field) -> Json:
    """Return the describe of a field, with every key a server sends."""
    several = len(field.reference_to) > 1
    return {
        "aggregatable": bool(aggregates(field)),
        "aiPredictionField": False,
        "autoNumber": field.auto_number,
        "byteLength": field.byte_length,
        "calculated": field.calculated,
        "calculatedFormula": None,
        "cascadeDelete": False,
        "caseSensitive": field.case_sensitive,
        "compoundFieldName": field.compound_field_name,
        "controllerName": field.controller_name,
        "createable": field.createable,
        "custom": field.custom,
        "defaultValue": field.default_value,
        "defaultValueFormula": None,
        "defaultedOnCreate": field.defaulted_on_create,
        "dependentPicklist": field.controller_name is not None,
        "deprecatedAndHidden": False,
        "digits": field.digits,
        "displayLocationInDecimal": False,
        "encrypted": field.encrypted,
        "externalId": field.external_id,
        "extraTypeInfo": "richtextarea" if field.html_formatted and field.type == "textarea" else None,
        "filterable": field.filterable,
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "groupable": field.groupable,
        "highScaleNumber": False,
        "htmlFormatted": field.html_formatted,
        "idLookup": field.id_lookup,
        "inlineHelpText": None,
        "label": field.label,
        "length": 0 if field.type in NUMBER_TYPES else field.length,
        "mask": None,
        "maskType": None,
        "name": field.name,
        "nameField": field.name_field,
        "namePointing": several,
        "nillable": field.nillable,
        "permissionable": field.nillable and field.type != "id",
        "picklistValues": [
            {
                "active": True,
                "defaultValue": value == field.default_value,
                "label": field.picklist_labels.get(value, value),
                "validFor": _bits(field.valid_for[value]) if value in field.valid_for else None,
                "value": value,
            }
            for value in field.picklist_values
        ],
        "polymorphicForeignKey": several,
        "precision": field.precision,
        "queryByDistance": field.is_compound,
        "referenceTargetField": None,
        "referenceTo": list(field.reference_to),
        "relationshipName": field.relationship_name,
        "relationshipOrder": None,
        "restrictedDelete": False,
        "restrictedPicklist": field.restricted_picklist,
        "scale": field.scale,
        "searchPrefilterable": field.type == "reference",
        "soapType": field.soap_type,
        "sortable": field.sortable,
        "type": field.type,
        "unique": field.unique,
        "updateable": field.updateable,
        "writeRequiresMasterRead": False,
    }


def brief(one: SObject, root: str) -> Json:
    """Return an object's entry in the describe of all objects."""
    path = f"{root}/sobjects/{one.name}"
    return {
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "createable": one.createable,
        "custom": one.custom,
        "customSetting": False,
        "deepCloneable": False,
        "deletable": one.deletable,
        "deprecatedAndHidden": False,
        "feedEnabled": True,
        "hasSubtypes": False,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": one.key_prefix,
        "label": one.label,
        "labelPlural": one.label_plural,
        "layoutable": True,
        "mergeable": one.mergeable,
        "mruEnabled": True,
        "name": one.name,
        "queryable": one.queryable,
        "replicateable": True,
        "retrieveable": one.retrieveable,
        "searchable": one.searchable,
        "triggerable": True,
        "undeletable": one.undeletable,
        "updateable": one.updateable,
        "urls": {
            "compactLayouts": f"{path}/describe/compactLayouts",
            "rowTemplate": f"{path}/{{ID}}",
            "approvalLayouts": f"{path}/describe/approvalLayouts",
            "listviews": f"{path}/listviews",
            "describe": f"{path}/describe",
            "quickActions": f"{path}/quickActions",
            "layouts": f"{path}/describe/layouts",
            "sobject": path,
        },
    }
