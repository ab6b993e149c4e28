"""The default mappings: which trait of an identify or group event lands in which field.

Known traits are found whatever their case and separators; what is not known travels under its own name and finds its
field at delivery, by the org's describe as it is then. Source: the documentation of the classic destination.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeline.mapping.values import is_blank, is_blank_text
from pipeline.operation import Json

PLACEHOLDER: Final = "n/a"  # what the classic destination writes where Salesforce requires a value

# Field → the traits that give it, the first that holds a value wins. Folded as `_folded` does; `company.` and
# `address.` stand for the keys of those objects, and a trailing `[]` for the first of a list.
_PERSON: Final[Mapping[str, tuple[str, ...]]] = {
    "FirstName": ("firstname",),
    "LastName": ("lastname",),
    "Email": ("email",),
    "Title": ("title", "position"),
    "Phone": ("phone", "phonenumber", "phones[]"),
    "MobilePhone": ("mobilephone",),
    "Fax": ("fax",),
    "Salutation": ("salutation",),
    "LeadSource": ("leadsource",),
    "Description": ("description",),
}
LEAD: Final[Mapping[str, tuple[str, ...]]] = {
    **_PERSON,
    "Company": ("company", "company.name"),
    "Website": ("website", "websites[]"),
    "Rating": ("rating",),
    "Industry": ("industry", "company.industry"),
    "AnnualRevenue": ("annualrevenue", "company.annualrevenue"),
    "NumberOfEmployees": ("employees", "company.employeecount", "company.employees"),
    "Street": ("address.street", "street"),
    "City": ("address.city", "city"),
    "State": ("address.state", "state"),
    "PostalCode": ("address.postalcode", "postalcode"),
    "Country": ("address.country", "country"),
}
CONTACT: Final[Mapping[str, tuple[str, ...]]] = {
    **_PERSON,
    "Department": ("department",),
    "Birthdate": ("birthdate", "birthday"),
    "HomePhone": ("homephone",),
    "MailingStreet": ("address.street", "street"),
    "MailingCity": ("address.city", "city"),
    "MailingState": ("address.state", "state"),
    "MailingPostalCode": ("address.postalcode", "postalcode"),
    "MailingCountry": ("address.country", "country"),
}
_ACCOUNT: Final[Mapping[str, tuple[str, ...]]] = {
    "Name": ("name",),
    "Phone": ("phone",),
    "Website": ("website",),
    "Description": ("description",),
    "NumberOfEmployees": ("employees",),
    "Industry": ("industry",),
    "AnnualRevenue": ("annualrevenue",),
    "Type": ("type",),
    "Fax": ("fax",),
    "Rating": ("rating",),
    "Site": ("site",),
    "TickerSymbol": ("tickersymbol",),
    "Ownership": ("ownership",),
    "Sic": ("sic",),
}
_ADDRESS_PARTS: Final = ("Street", "City", "State", "PostalCode", "Country")
_ADDRESSES: Final = {"billing": ("Billing",), "shipping": ("Shipping",), "both": ("Billing", "Shipping")}


def account_fields(address: str) -> dict[str, tuple[str, ...]]:
    """Return the table of Account with the address as `billing`, `shipping` or `both`."""
    table = dict(_ACCOUNT)
    for kind in _ADDRESSES[address]:
        table |= {f"{kind}{part}": (f"address.{part.lower()}", part.lower()) for part in _ADDRESS_PARTS}
    return table


@dataclass(frozen=True, slots=True)
class Mapped:
    """An event's traits: those with a field by API name, the others by their own names."""

    fields: dict[str, Json]
    traits: dict[str, Json]


@dataclass(frozen=True, slots=True)
class DefaultMapping:
    """One object's table, turned around for a single pass over the traits of an event."""

    table: Mapping[str, tuple[str, ...]]
    splits_name: bool = False  # a `name` supplies the first and last name
    keep_nulls: bool = False
    _objects: frozenset[str] = field(init=False)
    _known: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Note which names are known, and which of them may hold an object."""
        names = {name for names in self.table.values() for name in names} | ({"name"} if self.splits_name else set())
        object.__setattr__(self, "_known", frozenset(names))
        object.__setattr__(self, "_objects", frozenset(name.partition(".")[0] for name in names if "." in name))

    def map(self, traits: Mapping[str, Json]) -> Mapped:
        """Sort traits into fields and custom traits. Blank values and objects where a value belongs are missing."""
        known, custom = self._sort(traits)
        fields: dict[str, Json] = {}
        for name, sources in self.table.items():
            for source in sources:
                if source in known:
                    value = known[source]
                    if value is not None:
                        fields[name] = value
                        break
                    if self.keep_nulls:
                        fields[name] = None
        if self.splits_name:
            _split_name(known.get("name"), fields)
        return Mapped(fields, custom)

    def _sort(self, traits: Mapping[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
        known: dict[str, Json] = {}
        custom: dict[str, Json] = {}
        for name, value in traits.items():
            folded = _folded(name)
            if isinstance(value, dict) and folded in self._objects:
                self._note(known, ((f"{folded}.{_folded(key)}", part) for key, part in value.items()))
            elif isinstance(value, list) and (first := f"{folded}[]") in self._known:
                self._note(known, ((first, part) for part in value))
            elif folded in self._known:
                self._note(known, ((folded, value),))
            elif value is not None or self.keep_nulls:
                custom[name] = value
        return known, custom

    def _note(self, known: dict[str, Json], named: Iterable[tuple[str, Json]]) -> None:
        for name, value in named:
            if name in self._known and known.get(name) is None:
                kept = _scalar(value)
                if kept is not None or value is None:
                    known[name] = kept


def email_of(fields: Mapping[str, Json], user_id: Json) -> str | None:
    """Return the email an identify is about: its trait, or a userId that is one. Case is kept, spaces are not."""
    given = fields.get("Email")
    if isinstance(given, str):
        return given
    if isinstance(user_id, str) and _looks_like_email(user_id.strip()):
        return user_id.strip()
    return None


def _looks_like_email(text: str) -> bool:
    name, at, domain = text.partition("@")
    return bool(name and at) and "." in domain.strip(".") and "@" not in domain and not any(map(str.isspace, text))


def _split_name(name: Json, fields: dict[str, Json]) -> None:
    """Let `name` supply what is missing: its first word the first name, all the rest the last name."""
    if not isinstance(name, str):
        return
    first, *rest = name.split(None, 1)
    if fields.get("FirstName") is None:
        fields["FirstName"] = first
    if fields.get("LastName") is None and rest:
        fields["LastName"] = rest[0]


def _scalar(value: Json) -> Json:
    """Return a value that a field can hold, text trimmed; None for what counts as missing."""
    if isinstance(value, str):
        return None if is_blank_text(value) else value.strip()
    return None if isinstance(value, dict | list) or is_blank(value) else value


@functools.lru_cache(maxsize=4096)  # traits are few and repeat for ever; the bound is for a sender that invents names
def _folded(name: str) -> str:
    """Fold a trait's name: `firstName`, `first_name`, `First Name` and `first-name` are one."""
    if name.endswith("__c"):
        return name  # an API name, which belongs to a custom field whatever it resembles
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()
