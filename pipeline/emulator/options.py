"""What an org has switched on, and what that changes about its objects: fields that are there, and who may do what.

Sources: Salesforce Help, "State and Country/Territory Picklists", "Person Accounts", "Record Types"; Object Reference,
"Account" (person account fields); SOAP API guide, "AssignmentRuleHeader".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.emulator.schema import SObject

Json = dict[str, Any]

# Lengths of the code fields of the picklists (Object Reference: Lead, CountryCode and StateCode).
_CODE_LENGTH = 10
_CURRENCY_LENGTH = 3
_PERSON_ADDRESSES = ("PersonMailing", "PersonOther")


@dataclass(frozen=True, slots=True)
class Country:
    """A country of the org's picklist: its name and its states by code."""

    name: str
    states: Mapping[str, str]


@dataclass(slots=True)
class RecordType:
    """A record type; ``picklists`` has the values that it allows, by field."""

    record_id: str
    object: str
    name: str
    developer_name: str
    is_default: bool = False
    is_active: bool = True
    is_person: bool = False
    picklists: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(slots=True)
class AssignmentRule:
    """A rule that gives leads or cases to a user: those whose fields are as in ``match``, all when it is empty."""

    record_id: str
    object: str
    name: str
    owner: str
    is_active: bool = True
    match: Mapping[str, Any] = field(default_factory=dict)
    # Set when the org's users have their records.
    owner_id: str = ""


@dataclass(slots=True)
class OrgOptions:
    """Everything an org file switches on; nothing of it unless it says so."""

    countries: Mapping[str, Country] = field(default_factory=dict)
    person_accounts: bool = False
    edit_converted_leads: bool = False
    read_only: bool = False
    jwt_audiences: tuple[str, ...] | None = None
    record_types: list[RecordType] = field(default_factory=list)
    assignment_rules: list[AssignmentRule] = field(default_factory=list)

    def record_types_of(self, name: str) -> list[RecordType]:
        """Return an object's record types, in the order of the file."""
        return [one for one in self.record_types if one.object == name]


@cache
def known_countries() -> Mapping[str, Country]:
    """Return the countries that an org's picklist has unless its file names others; a part of Salesforce's own list."""
    text = (resources.files("pipeline.emulator") / "countries.json").read_text(encoding="utf-8")
    return {code: Country(told["name"], told["states"]) for code, told in json.loads(text).items()}


def standard_field(one: SObject, name: str, options: OrgOptions) -> Json | None:
    """Return the definition of a standard field that an org switches on; None when there is none of that name."""
    for suffix, make in (("CountryCode", _country_code), ("StateCode", _state_code)):
        prefix = name.removesuffix(suffix)
        if name.endswith(suffix) and f"{prefix}Country" in one.fields:
            return make(prefix, options.countries or known_countries())
    if one.name == "Account":
        person = next((told for told in person_fields(options) if told["name"] == name), None)
        if person is not None:
            return person
    known: dict[str, Json] = {
        "CurrencyIsoCode": {
            "type": "picklist",
            "label": "Currency ISO Code",
            "length": _CURRENCY_LENGTH,
            "restrictedPicklist": True,
            "defaultedOnCreate": True,
            "picklistValues": ["USD", "EUR", "GBP"],
            "defaultValue": "USD",
        },
        "RecordTypeId": {
            "type": "reference",
            "label": "Record Type ID",
            "referenceTo": ["RecordType"],
            "relationshipName": "RecordType",
        },
        "MiddleName": {"type": "string", "label": "Middle Name", "length": 40},
        "Suffix": {"type": "string", "label": "Suffix", "length": 40},
        "GenderIdentity": {"type": "picklist", "label": "Gender Identity", "length": 255},
        "Pronouns": {"type": "picklist", "label": "Pronouns", "length": 255},
    }
    told = known.get(name)
    people = {"MiddleName", "Suffix", "GenderIdentity", "Pronouns"}
    if told is None or (name in people and "LastName" not in one.fields):
        return None
    return {"name": name, **told}


def _country_code(prefix: str, countries: Mapping[str, Country]) -> Json:
    labels = {code: country.name for code, country in countries.items()}
    return _code(f"{prefix}CountryCode", "Country Code", prefix, labels)


def _state_code(prefix: str, countries: Mapping[str, Country]) -> Json:
    labels: dict[str, str] = {}
    for country in countries.values():
        for code, name in country.states.items():
            labels.setdefault(code, name)
    return _code(f"{prefix}StateCode", "State/Province Code", prefix, labels) | {
        "controllerName": f"{prefix}CountryCode",
        "validFor": {code: [at for at, one in enumerate(countries.values()) if code in one.states] for code in labels},
    }


def _code(name: str, label: str, prefix: str, labels: Mapping[str, str]) -> Json:
    # "BillingCountryCode" is labelled "Billing Country Code".
    shown = f"{prefix} {label}".strip()
    return {
        "name": name,
        "type": "picklist",
        "label": shown,
        "length": _CODE_LENGTH,
        "restrictedPicklist": True,
        "picklistValues": list(labels),
        "picklistLabels": dict(labels),
        "compoundFieldName": f"{prefix}Address",
    }


def address_prefixes(one: SObject) -> list[str]:
    """Return the prefixes of an object's addresses: empty for Lead, Mailing and Other for Contact."""
    return [known.name.removesuffix("Address") for known in one.fields.values() if known.type == "address"]


def person_fields(options: OrgOptions) -> list[Json]:
    """Return the fields that person accounts add to Account."""
    fields: list[Json] = [
        {"name": "IsPersonAccount", "type": "boolean", "label": "Is Person Account", "createable": False},
        {"name": "FirstName", "type": "string", "label": "First Name", "length": 40},
        {"name": "LastName", "type": "string", "label": "Last Name", "length": 80},
        {"name": "Salutation", "type": "picklist", "label": "Salutation", "length": 40},
        {"name": "PersonEmail", "type": "email", "label": "Email", "length": 80, "idLookup": True},
        {"name": "PersonTitle", "type": "string", "label": "Title", "length": 80},
        {"name": "PersonDepartment", "type": "string", "label": "Department", "length": 80},
        {"name": "PersonMobilePhone", "type": "phone", "label": "Mobile", "length": 40},
        {"name": "PersonHomePhone", "type": "phone", "label": "Home Phone", "length": 40},
        {"name": "PersonOtherPhone", "type": "phone", "label": "Other Phone", "length": 40},
        {"name": "PersonAssistantPhone", "type": "phone", "label": "Asst. Phone", "length": 40},
        {"name": "PersonAssistantName", "type": "string", "label": "Assistant", "length": 40},
        {"name": "PersonBirthdate", "type": "date", "label": "Birthdate"},
        {"name": "PersonLeadSource", "type": "picklist", "label": "Lead Source", "length": 255},
        {"name": "PersonHasOptedOutOfEmail", "type": "boolean", "label": "Email Opt Out"},
        {"name": "PersonHasOptedOutOfFax", "type": "boolean", "label": "Fax Opt Out"},
        {"name": "PersonDoNotCall", "type": "boolean", "label": "Do Not Call"},
    ]
    fields[0]["updateable"] = False
    for prefix in _PERSON_ADDRESSES:
        label = prefix.removeprefix("Person")
        fields += [
            {"name": f"{prefix}Street", "type": "textarea", "label": f"{label} Street", "length": 255},
            {"name": f"{prefix}City", "type": "string", "label": f"{label} City", "length": 40},
            {"name": f"{prefix}State", "type": "string", "label": f"{label} State/Province", "length": 80},
            {"name": f"{prefix}PostalCode", "type": "string", "label": f"{label} Zip/Postal Code", "length": 20},
            {"name": f"{prefix}Country", "type": "string", "label": f"{label} Country", "length": 80},
        ]
        if options.countries:
            fields += [_country_code(prefix, options.countries), _state_code(prefix, options.countries)]
        for place in ("Latitude", "Longitude"):
            fields.append({"name": f"{prefix}{place}", "type": "double", "label": place, "precision": 18, "scale": 15})
        accuracy = {"type": "picklist", "label": "Geocode Accuracy", "length": 40}
        fields.append({"name": f"{prefix}GeocodeAccuracy", **accuracy})
        for told in fields[-(10 if options.countries else 8) :]:
            told["compoundFieldName"] = f"{prefix}Address"
        address = {"type": "address", "label": f"{label} Address", "createable": False, "updateable": False}
        fields.append({"name": f"{prefix}Address", **address})
    return fields
