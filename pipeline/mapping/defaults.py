"""The default mappings: which trait of an identify or group event lands in which field.

Known traits are found whatever their case and separators; what is not known, or of a kind that no field holds, travels
under its own name and finds its field at delivery, by the org's describe as it is then, or is counted there as left
out. Source: the documentation of the classic destination.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeline.mapping.values import is_blank, is_blank_text
from pipeline.operation import Json

PLACEHOLDER: Final = "n/a"  # what the classic destination writes where Salesforce requires a value

# Field → the traits that give it, the first that holds a value wins. Folded as `_folded` does; `company.` and
# `address.` stand for the keys of those objects, and a trailing `[]` for the first of a list.
_POSTAL_CODE: Final = ("address.postalcode", "address.zip", "address.postcode")
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
    "PostalCode": (*_POSTAL_CODE, "postalcode"),
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
    "MailingPostalCode": (*_POSTAL_CODE, "postalcode"),
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
_INNER: Final = ("value", "number", "url")
_NAMES_A_RECORD: Final = frozenset({"company.id"})  # for lookups and matches: nothing that a field is to hold
_ADDRESS_PARTS: Final = ("Street", "City", "State", "PostalCode", "Country")
_ADDRESSES: Final = {"billing": ("Billing",), "shipping": ("Shipping",), "both": ("Billing", "Shipping")}


def account_fields(address: str) -> dict[str, tuple[str, ...]]:
    """Return the table of Account with the address as `billing`, `shipping` or `both`."""
    table = dict(_ACCOUNT)
    for kind in _ADDRESSES[address]:
        table |= {f"{kind}{part}": (f"address.{part.lower()}", part.lower()) for part in _ADDRESS_PARTS}
        table[f"{kind}PostalCode"] = (*_POSTAL_CODE, "postalcode")
    return table


def traits_of(event: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the traits of an identify: its own, and where these lack one, that of `context.traits`.

    RudderStack's SDKs keep the traits of an identify there. Of a group event `context.traits` are the person's, and not
    the company's, so they are not asked.
    """
    own, context = event.get("traits"), event.get("context")
    own = own if isinstance(own, dict) else {}
    others = context.get("traits") if isinstance(context, dict) else None
    if not isinstance(others, dict):
        return own
    lacking = {name: value for name, value in others.items() if is_blank(own.get(name))}
    return {**own, **lacking} if lacking else own


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
    _heads: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Note which names are known, and which of them may hold an object or a list."""
        names = {name for names in self.table.values() for name in names} | ({"name"} if self.splits_name else set())
        heads = frozenset(name.partition(".")[0].removesuffix("[]") for name in names)
        object.__setattr__(self, "_known", frozenset(names))
        object.__setattr__(self, "_heads", heads)
        object.__setattr__(self, "_objects", frozenset(name.partition(".")[0] for name in names if "." in name))

    def map(self, traits: Mapping[str, Json]) -> Mapped:
        """Sort traits into fields and custom traits. Blank values and objects where a value belongs are missing."""
        sorted_ = _Sorted()
        for name, value in traits.items():
            folded = _folded(name)
            if isinstance(value, dict | list) and folded in self._heads:
                self._take_apart(name, value, sorted_)
            elif folded in self._known:
                sorted_.note(folded, value)
            elif value is not None or self.keep_nulls:
                sorted_.custom[name] = value
        known, fields = sorted_.known, self._fields(sorted_.known)
        if self.splits_name:
            _split_name(known.get("name"), fields)
        for name, (source, value) in sorted_.unfit.items():
            if not any(source in sources and fields.get(field) is not None for field, sources in self.table.items()):
                sorted_.custom[name] = value
        return Mapped(fields, sorted_.custom)

    def _fields(self, known: Mapping[str, Json]) -> dict[str, Json]:
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
        return fields

    def _take_apart(self, name: str, value: dict[str, Json] | list[Json], sorted_: "_Sorted") -> None:
        """Take what the table names of an object or a list; parts it does not name are custom, as `address.region`."""
        folded = _folded(name)
        if isinstance(value, list) and (first := f"{folded}[]") in self._known:
            sorted_.note_first(name, first, value)
            return
        only = _only(value, folded)
        if not isinstance(only, dict) or folded not in self._objects:
            if folded in self._known or isinstance(only, dict | list):
                sorted_.note_as(name, folded, only, value)
            else:  # a text where an object or a list belongs
                sorted_.custom[name] = value
            return
        for key, part in only.items():
            of = f"{folded}.{_folded(key)}"
            if of in self._known:
                sorted_.note_as(f"{name}.{key}", of, _only(part, of), part)
            elif of not in _NAMES_A_RECORD and not _is_empty(part):
                sorted_.custom[f"{name}.{key}"] = part


@dataclass(slots=True)
class _Sorted:
    """The traits of an event: those with a place in the table by their folded names, the others by their own.

    `unfit` are those with a place that are of a kind which no field holds: name → folded name and value.
    """

    known: dict[str, Json] = field(default_factory=dict)
    custom: dict[str, Json] = field(default_factory=dict)
    unfit: dict[str, tuple[str, Json]] = field(default_factory=dict)

    def note(self, folded: str, value: Json) -> None:
        """Take the value of a known trait, unless it has one."""
        if self.known.get(folded) is None:
            kept = _scalar(value)
            if kept is not None or value is None:
                self.known[folded] = kept

    def note_as(self, name: str, folded: str, only: Json, given: Json) -> None:
        """Take a value out of what was given, or all of it as unfit."""
        if not isinstance(only, dict | list):
            self.note(folded, only)
        elif only:
            self.unfit[name] = folded, given

    def note_first(self, name: str, folded: str, entries: list[Json]) -> None:
        """Take the first entry that holds a value."""
        found = next((one for entry in entries if (one := _scalar(_inner(entry))) is not None), None)
        if found is not None:
            self.note(folded, found)
        elif not all(map(_is_empty, entries)):
            self.unfit[name] = folded, entries


def _only(value: Json, folded: str) -> Json:
    """Return the element of a list of one, and anything else as it is, an email too: it says whose record it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 and folded != "email" else value


def _inner(entry: Json) -> Json:
    """Return the value of an entry of a list, which may be an object around it, as in SCIM and Google's contacts."""
    return next((entry[key] for key in _INNER if key in entry), entry) if isinstance(entry, dict) else entry


def _is_empty(value: Json) -> bool:
    return is_blank(value) or value in ([], {})


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
