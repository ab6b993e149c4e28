"""What an object's describe leads to: layouts, and lists that are empty here (REST API guide: sObject Layouts)."""

from __future__ import annotations

from pipeline.emulator import errors
from pipeline.emulator.describe import MASTER_RECORD_TYPE, describe_field, record_type_infos
from pipeline.emulator.errors import Json
from pipeline.emulator.http import Call, Reply
from pipeline.emulator.ids import IdSequence
from pipeline.emulator.options import RecordType
from pipeline.emulator.rest_rows import Rows
from pipeline.emulator.router import Router
from pipeline.emulator.schema import Field, SObject

_LAYOUT_ID = IdSequence("00h").take()
_COLUMNS = 2


class Layouts:
    """Answers about layouts: every object has one, with its writable fields in the describe's order."""

    def __init__(self, rows: Rows, router: Router) -> None:
        self.rows = rows
        for what, answer in (
            ("layouts", self.layouts),
            ("compactLayouts", self.compact_layouts),
            ("approvalLayouts", self.approval_layouts),
        ):
            router.add("GET", f"sobjects/{{object}}/describe/{what}", "describe", answer)
        router.add("GET", "sobjects/{object}/describe/layouts/{record_type}", "describe", self.layout)
        router.add("GET", "sobjects/{object}/listviews", "describe", self.list_views)
        router.add("GET", "sobjects/{object}/quickActions", "describe", self.quick_actions)

    def layouts(self, call: Call, name: str) -> Reply:
        """List the object's layouts and which record type has which."""
        one = self.rows.object(name)
        schema = self.rows.org.schema
        known = {known.record_id: known for known in schema.options.record_types_of(one.name)}
        mappings = [
            {
                **info,
                "layoutId": _LAYOUT_ID,
                "picklistsForRecordType": _picklists(one, known.get(info["recordTypeId"])),
                "urls": {"layout": f"{call.root}/sobjects/{one.name}/describe/layouts/{info['recordTypeId']}"},
            }
            for info in record_type_infos(schema, one)
        ]
        body = {"layouts": [_layout(one)], "recordTypeMappings": mappings, "recordTypeSelectorRequired": [False]}
        return Reply(200, body)

    def layout(self, call: Call, name: str, record_type: str) -> Reply:
        """Show a record type's layout; all have the same one."""
        del call
        one = self.rows.object(name)
        infos = record_type_infos(self.rows.org.schema, one)
        if record_type not in {info["recordTypeId"][:size] for info in infos for size in (15, 18)}:
            raise errors.not_found()
        return Reply(200, _layout(one))

    def compact_layouts(self, call: Call, name: str) -> Reply:
        """Show the system's compact layout, which holds the name."""
        del call
        one = self.rows.object(name)
        items = [_item(one.name_field)] if one.name_field else []
        layout = {
            "actions": [],
            "fieldItems": items,
            "id": None,
            "imageItems": [],
            "label": "System Default",
            "name": "SYSTEM",
            "objectType": one.name,
        }
        mapping = {
            "available": True,
            "compactLayoutId": None,
            "compactLayoutName": "SYSTEM",
            "recordTypeId": MASTER_RECORD_TYPE,
            "recordTypeName": "Master",
        }
        body = {
            "compactLayouts": [layout],
            "defaultCompactLayoutId": None,
            "recordTypeCompactLayoutMappings": [mapping],
        }
        return Reply(200, body)

    def approval_layouts(self, call: Call, name: str) -> Reply:
        """List approval layouts: none."""
        del call
        self.rows.object(name)
        return Reply(200, {"approvalLayouts": []})

    def list_views(self, call: Call, name: str) -> Reply:
        """List list views: none."""
        del call
        one = self.rows.object(name)
        return Reply(200, {"done": True, "listviews": [], "nextRecordsUrl": None, "size": 0, "sobjectType": one.name})

    def quick_actions(self, call: Call, name: str) -> Reply:
        """List quick actions: none."""
        del call
        self.rows.object(name)
        return Reply(200, [])


def _picklists(one: SObject, record_type: RecordType | None) -> list[Json]:
    """Return the picklists of a record type with the values that it allows."""
    if record_type is None:
        return []
    found = []
    for name, allowed in record_type.picklists.items():
        values = describe_field(one.fields[name])["picklistValues"]
        found.append({"picklistName": name, "picklistValues": [one for one in values if one["value"] in allowed]})
    return found


def _item(field: Field) -> Json:
    component = {"displayLines": 1, "tabOrder": 1, "type": "Field", "value": field.name}
    return {
        "editableForNew": field.createable,
        "editableForUpdate": field.updateable,
        "label": field.label,
        "layoutComponents": [component],
        "placeholder": False,
        "required": field.createable and not field.nillable and not field.defaulted_on_create,
    }


def _layout(one: SObject) -> Json:
    items = [_item(field) for field in one.fields.values() if field.createable or field.updateable]
    rows = [
        {"layoutItems": items[start : start + _COLUMNS], "numItems": _COLUMNS}
        for start in range(0, len(items), _COLUMNS)
    ]
    section = {
        "collapsed": False,
        "columns": _COLUMNS,
        "heading": f"{one.label} Information",
        "layoutRows": rows,
        "parentLayoutId": _LAYOUT_ID,
        "rows": len(rows),
        "tabOrder": "LeftToRight",
        "useCollapsibleSection": False,
        "useHeading": True,
    }
    return {
        "buttonLayoutSection": {"detailButtons": []},
        "detailLayoutSections": [section],
        "editLayoutSections": [section],
        "feedView": None,
        "highlightsPanelLayoutItems": None,
        "id": _LAYOUT_ID,
        "multirowEditLayoutSections": [],
        "offlineLinks": [],
        "quickActionList": {"quickActionListItems": []},
        "relatedContent": None,
        "relatedLists": [],
        "saveOptions": [],
    }
