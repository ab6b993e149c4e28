"""Objects and fields of the org: what the describe says, and what a write is checked against."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from importlib import resources
from typing import Any

from pipeline.emulator.options import OrgOptions

Json = dict[str, Any]

TEXT_TYPES = frozenset(
    {"string", "picklist", "multipicklist", "combobox", "textarea", "phone", "url", "email", "encryptedstring"}
)
NUMBER_TYPES = frozenset({"int", "double", "currency", "percent"})
ID_TYPES = frozenset({"id", "reference"})
COMPOUND_TYPES = frozenset({"address", "location"})
_GROUPABLE = frozenset({"string", "picklist", "phone", "url", "email", "id", "reference", "boolean", "date", "int"})
# A text area longer than this is a "long text area": it can be neither filtered, sorted nor grouped by.
_LONG_TEXT = 255
_SOAP = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "address": "urn:address",
}
_LENGTHS = {"id": 18, "reference": 18, "phone": 40, "email": 80, "url": 255, "picklist": 255, "combobox": 255}
_LENGTHS |= {"multipicklist": 4_099}


@dataclass(slots=True, eq=False)
class Field:
    """One field; the names of the describe are kept, in snake case."""

    name: str
    type: str
    label: str
    length: int
    precision: int
    scale: int
    digits: int
    nillable: bool
    createable: bool
    updateable: bool
    defaulted_on_create: bool
    external_id: bool
    unique: bool
    case_sensitive: bool
    id_lookup: bool
    restricted_picklist: bool
    picklist_values: tuple[str, ...]
    default_value: Any
    reference_to: tuple[str, ...]
    relationship_name: str | None
    child_relationship_name: str | None
    compound_field_name: str | None
    name_field: bool
    auto_number: bool
    calculated: bool
    custom: bool
    filterable: bool
    sortable: bool
    groupable: bool
    byte_length: int
    soap_type: str
    html_formatted: bool
    encrypted: bool
    picklist_labels: Mapping[str, str]
    # The picklist that decides which values are offered, and for each value the places of the deciding ones.
    controller_name: str | None
    valid_for: Mapping[str, Sequence[int]]

    @property
    def is_text(self) -> bool:
        """Whether values are compared without case."""
        return self.type in TEXT_TYPES

    @property
    def is_compound(self) -> bool:
        """Whether the value is put together from other fields and not stored."""
        return self.type in COMPOUND_TYPES

    @property
    def is_key(self) -> bool:
        """Whether an upsert may match on it: an external Id, or a field the describe marks idLookup."""
        return self.external_id or self.id_lookup

    @property
    def required(self) -> bool:
        """Whether a create must name it (Object Reference: createable, not nillable, not defaulted on create)."""
        return self.createable and not self.nillable and not self.defaulted_on_create


class SObject:
    """One object of the org: its fields by name in any case, and the lists that writes and reads need ready."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.name: str = definition["name"]
        self.label: str = definition["label"]
        self.label_plural: str = definition["labelPlural"]
        self.key_prefix: str = definition["keyPrefix"]
        self.custom: bool = definition.get("custom", False)
        self.createable: bool = definition.get("createable", True)
        self.updateable: bool = definition.get("updateable", True)
        self.deletable: bool = definition.get("deletable", True)
        self.undeletable: bool = definition.get("undeletable", True)
        self.queryable: bool = definition.get("queryable", True)
        self.searchable: bool = definition.get("searchable", True)
        self.retrieveable: bool = definition.get("retrieveable", True)
        self.mergeable: bool = definition.get("mergeable", False)
        self.fields: dict[str, Field] = {}
        # Required fields that only some records need, which the object's rules know.
        self.sometimes_required: frozenset[str] = frozenset()
        self.add_fields(field_of(one) for one in definition["fields"])

    def add_fields(self, fields: Iterable[Field]) -> None:
        """Add fields, or replace those of the same name."""
        for field in fields:
            self.fields[field.name] = field
        self._by_name = {name.lower(): field for name, field in self.fields.items()}
        self._by_relationship = {
            field.relationship_name.lower(): field for field in self.fields.values() if field.relationship_name
        }
        self.stored = [field for field in self.fields.values() if not field.is_compound]
        needed = (field.name for field in self.fields.values() if field.required)
        self.required = tuple(name for name in needed if name not in self.sometimes_required)
        self.unique = [field for field in self.fields.values() if field.unique]
        self.auto_numbers = [field for field in self.fields.values() if field.auto_number]
        self.references = {field.name: field for field in self.fields.values() if field.type == "reference"}
        self.defaults = {
            field.name: field.default_value
            for field in self.fields.values()
            if field.default_value not in {None, False} and not field.is_compound
        }
        self.has_deleted = "IsDeleted" in self.fields

    def field(self, name: str) -> Field | None:
        """Return the field of that name in any case, or None."""
        return self.fields.get(name) or self._by_name.get(name.lower())

    def relationship(self, name: str) -> Field | None:
        """Return the reference field whose relationship (``Account``, ``Owner``, ``Parent__r``) has that name."""
        return self._by_relationship.get(name.lower())

    @property
    def name_field(self) -> Field | None:
        """The field that names a record: Name, CaseNumber, Subject."""
        return next((field for field in self.fields.values() if field.name_field), None)


def field_of(definition: Mapping[str, Any]) -> Field:
    """Build a field from a definition that names only what differs from its type's defaults."""
    get = definition.get
    kind = definition["type"]
    length = get("length", _LENGTHS.get(kind, 0))
    decimal = kind in {"double", "currency", "percent"}
    long_text = kind == "textarea" and length > _LONG_TEXT
    own = kind in {"boolean", "id"}
    writable = kind not in {"id", "address", "location"}
    # What is encrypted is stored so that it cannot be compared (Salesforce Help, "Shield Platform Encryption").
    encrypted = get("encrypted", False)
    long_text = long_text or encrypted
    return Field(
        name=definition["name"],
        type=kind,
        label=get("label", definition["name"]),
        length=length,
        precision=get("precision", 18 if decimal else 0),
        scale=get("scale", 0),
        digits=get("digits", 8 if kind == "int" else 0),
        nillable=get("nillable", not own),
        createable=get("createable", writable),
        updateable=get("updateable", writable),
        defaulted_on_create=get("defaultedOnCreate", own),
        external_id=get("externalId", False),
        unique=get("unique", False),
        case_sensitive=get("caseSensitive", False),
        id_lookup=get("idLookup", kind == "id"),
        restricted_picklist=get("restrictedPicklist", False),
        picklist_values=tuple(get("picklistValues", ())),
        default_value=get("defaultValue", False if kind == "boolean" else None),
        reference_to=tuple(get("referenceTo", ())),
        relationship_name=get("relationshipName"),
        child_relationship_name=get("childRelationshipName"),
        compound_field_name=get("compoundFieldName"),
        name_field=get("nameField", False),
        auto_number=get("autoNumber", False),
        calculated=get("calculated", False),
        custom=get("custom", False),
        filterable=get("filterable", not long_text),
        sortable=get("sortable", not long_text and kind not in {"address", "location", "multipicklist"}),
        groupable=get("groupable", not long_text and kind in _GROUPABLE | {"textarea"}),
        byte_length=get("byteLength", length if kind in ID_TYPES else 3 * length),
        soap_type=get("soapType", _SOAP.get(kind, "xsd:string")),
        html_formatted=get("htmlFormatted", False),
        encrypted=encrypted,
        picklist_labels=get("picklistLabels", {}),
        controller_name=get("controllerName"),
        valid_for=get("validFor", {}),
    )


def definition_of(field: Field) -> Json:
    """Return a field's whole definition, which ``field_of`` reads."""
    return {_camel(one.name): getattr(field, one.name) for one in dataclass_fields(field)}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


class Schema:
    """Every object of the org, by name in any case and by key prefix."""

    def __init__(self, objects: Iterable[SObject]) -> None:
        self.options = OrgOptions()
        self.objects: dict[str, SObject] = {}
        for one in objects:
            self.add(one)

    def add(self, one: SObject) -> None:
        """Add an object."""
        self.objects[one.name] = one
        self._by_name = {name.lower(): known for name, known in self.objects.items()}
        self._by_prefix = {known.key_prefix: known for known in self.objects.values()}

    def get(self, name: str) -> SObject | None:
        """Return the object of that name in any case, or None."""
        return self.objects.get(name) or self._by_name.get(name.lower())

    def by_id(self, record_id: str) -> SObject | None:
        """Return the object whose key prefix the Id has, or None."""
        return self._by_prefix.get(record_id[:3])

    def children(self, parent: str) -> list[tuple[SObject, Field]]:
        """Return the reference fields that point at an object, each with the object it stands on."""
        return [
            (child, field)
            for child in self.objects.values()
            for field in child.references.values()
            if parent in field.reference_to
        ]


def standard_objects() -> list[SObject]:
    """Read the standard objects that ship with the emulator (their describes, recorded or merged, condensed)."""
    folder = resources.files("pipeline.emulator") / "metadata"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return [SObject(json.loads(file.read_text(encoding="utf-8"))) for file in files]
