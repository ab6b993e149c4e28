"""What an org says about its objects and fields, as values, and the cache that all workers share."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field as the describe of its object gives it (REST API guide, "sObject Describe").

    A field that field-level security hides from the pipeline's user is absent from the describe.
    """

    name: str
    label: str = ""
    type: str  # id, string, boolean, int, double, currency, percent, date, datetime, email, picklist, reference, ...
    length: int = 0  # characters, of text; 0 for other types
    digits: int = 0  # of type int
    precision: int = 0  # digits in all, of double, currency and percent
    scale: int = 0  # digits after the point
    nillable: bool = False
    createable: bool = False
    updateable: bool = False
    defaulted_on_create: bool = False
    external_id: bool = False
    unique: bool = False
    id_lookup: bool = False  # can be named in an upsert, as Lead.Email; says nothing about uniqueness
    restricted_picklist: bool = False  # refuses values outside picklist_values; others accept any text
    picklist_values: frozenset[str] = frozenset()  # the active ones
    reference_to: tuple[str, ...] = ()  # objects whose Ids a reference takes
    filterable: bool = False  # may stand in WHERE; long text areas may not
    case_sensitive: bool = False
    auto_number: bool = False
    calculated: bool = False

    @property
    def required_on_create(self) -> bool:
        """Whether Salesforce refuses a new record without this field (Object Reference, "Required fields")."""
        return self.createable and not self.nillable and not self.defaulted_on_create

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Self:
        """Read one entry of `fields` in a describe. Raises KeyError without a name or a type."""
        values = {ours: described[theirs] for ours, theirs in _KEYS if described.get(theirs) is not None}
        values["picklist_values"] = frozenset(
            choice["value"] for choice in described.get("picklistValues") or () if choice.get("active", True)
        )
        values["reference_to"] = tuple(described.get("referenceTo") or ())
        return cls(name=values.pop("name"), type=values.pop("type"), **values)


# Our attribute and the describe's key, for what is copied as it is.
_KEYS: tuple[tuple[str, str], ...] = (
    ("name", "name"),
    ("label", "label"),
    ("type", "type"),
    ("length", "length"),
    ("digits", "digits"),
    ("precision", "precision"),
    ("scale", "scale"),
    ("nillable", "nillable"),
    ("createable", "createable"),
    ("updateable", "updateable"),
    ("defaulted_on_create", "defaultedOnCreate"),
    ("external_id", "externalId"),
    ("unique", "unique"),
    ("id_lookup", "idLookup"),
    ("restricted_picklist", "restrictedPicklist"),
    ("filterable", "filterable"),
    ("case_sensitive", "caseSensitive"),
    ("auto_number", "autoNumber"),
    ("calculated", "calculated"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDescribe:
    """One object: its names, and its fields by API name as Salesforce spells them."""

    name: str
    label: str = ""
    key_prefix: str | None = None  # the first three characters of its Ids
    fields: Mapping[str, Field]
    _by_folded_name: Mapping[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the fields by name without case, as Salesforce compares names."""
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))
        folded = {name.lower(): described for name, described in self.fields.items()}
        object.__setattr__(self, "_by_folded_name", folded)

    def find(self, name: str) -> Field | None:
        """Return the field of this name, compared without case, or None where the org has none."""
        return self._by_folded_name.get(name.lower())

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Self:
        """Read the answer to GET /sobjects/<Object>/describe. Raises KeyError where it is not one."""
        read = (Field.read(entry) for entry in described["fields"])
        return cls(
            name=described["name"],
            label=described.get("label") or "",
            key_prefix=described.get("keyPrefix"),
            fields={one.name: one for one in read},
        )

    def condensed(self) -> dict[str, Any]:
        """Return what the cache stores: of each field only what differs from the defaults of `Field`."""
        return {
            "name": self.name,
            "label": self.label,
            "key_prefix": self.key_prefix,
            "fields": [_condensed(one) for one in self.fields.values()],
        }

    @classmethod
    def from_condensed(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `condensed` returned. Raises KeyError or TypeError for anything else."""
        read = [
            Field(
                **{
                    **entry,
                    "picklist_values": frozenset(entry.get("picklist_values", ())),
                    "reference_to": tuple(entry.get("reference_to", ())),
                }
            )
            for entry in stored["fields"]
        ]
        return cls(
            name=stored["name"],
            label=stored["label"],
            key_prefix=stored["key_prefix"],
            fields={one.name: one for one in read},
        )


def _condensed(described: Field) -> dict[str, Any]:
    values = {one.name: getattr(described, one.name) for one in fields(Field)}
    values["picklist_values"] = sorted(described.picklist_values)
    return {name: value for name, value in values.items() if value or name in {"name", "type"}}
