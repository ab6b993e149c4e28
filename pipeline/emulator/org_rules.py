"""What an org's own settings do to a write: picklists of states, person accounts, record types, assignment rules.

Sources: Salesforce Help, "State and Country/Territory Picklists and the API" (a state needs a country, a name gives its
code and a code its name); Object Reference, "Account" (the fields of a person account, of which Name is none); SOAP API
guide, "AssignmentRuleHeader". Messages are those of replies of real orgs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.emulator import errors
from pipeline.emulator.errors import RecordError
from pipeline.emulator.options import AssignmentRule, Country, OrgOptions, RecordType, address_prefixes, person_fields
from pipeline.emulator.references import MASTER_RECORD_TYPE
from pipeline.emulator.rules import Change, Rules, rules_of
from pipeline.emulator.schema import Schema, SObject
from pipeline.emulator.store import Store, fold
from pipeline.emulator.values import Stored

_COUNTRY_PROBLEM = (
    "There's a problem with this country, even though it may appear correct. Please select a country/territory from the"
    " list of valid countries.: {label}"
)
_STATE_PROBLEM = (
    "There's a problem with this state, even though it may appear correct. Please select a state from the list of valid"
    " states.: {label}"
)
_NO_COUNTRY = "A country/territory must be specified before specifying a state value for field: {label}"


class Several(Rules):
    """The rules of an object, and then those of the org."""

    def __init__(self, parts: Sequence[Rules]) -> None:
        self._parts = parts
        self.needs = tuple(dict.fromkeys(name for part in parts for name in part.needs))

    def check(self, change: Change, store: Store, taken: set[tuple[Stored, ...]]) -> list[RecordError]:
        """Return what any of them finds wrong."""
        return [problem for part in self._parts for problem in part.check(change, store, taken)]

    def derive(self, change: Change, store: Store) -> None:
        """Let each set its fields."""
        for part in self._parts:
            part.derive(change, store)


def rules_for(schema: Schema, one: SObject) -> Rules:
    """Return the rules of an object in an org."""
    own, options = rules_of(one.name), schema.options
    parts: list[Rules] = []
    if options.countries:
        parts += [AddressRules(one, prefix, options.countries) for prefix in address_prefixes(one)]
    if options.person_accounts and one.name == "Account":
        parts.append(PersonAccountRules(options))
    record_types = options.record_types_of(one.name)
    if record_types:
        parts.append(RecordTypeRules(one, record_types))
    assignment = [rule for rule in options.assignment_rules if rule.object == one.name]
    if assignment:
        parts.append(AssignmentRules(assignment))
    return Several([own, *parts]) if parts else own


class AddressRules(Rules):
    """One address with picklists of countries and states."""

    def __init__(self, one: SObject, prefix: str, countries: Mapping[str, Country]) -> None:
        self._countries = countries
        self._names = [f"{prefix}{part}" for part in ("Country", "CountryCode", "State", "StateCode")]
        self._labels = [one.fields[name].label for name in self._names]
        self._codes = {fold(country.name): code for code, country in countries.items()}
        self.needs = tuple(self._names)

    def check(self, change: Change, store: Store, taken: set[tuple[Stored, ...]]) -> list[RecordError]:
        """Refuse a country or a state that the picklists have not, and a state without its country."""
        del store, taken
        return self._resolve(change)[1]

    def derive(self, change: Change, store: Store) -> None:
        """Set the names that belong to codes and the codes that belong to names."""
        del store
        change.values.update(self._resolve(change)[0])

    def _resolve(self, change: Change) -> tuple[dict[str, Stored], list[RecordError]]:
        """Return the four values as they are to be stored, or what is wrong with them."""
        country, country_code, state, state_code = self._names
        if not change.touches(*self._names):
            return {}, []
        code, wrong = self._code(change, country, country_code, self._codes)
        if wrong or (code is not None and code not in self._countries):
            return {}, [self._problem(_COUNTRY_PROBLEM, 0)]
        chosen = self._countries[code] if code is not None else None
        states = chosen.states if chosen is not None else {}
        own, wrong = self._code(change, state, state_code, {fold(name): key for key, name in states.items()})
        if (own is not None or wrong) and chosen is None:
            return {}, [self._problem(_NO_COUNTRY, 2)]
        if wrong or (own is not None and own not in states):
            return {}, [self._problem(_STATE_PROBLEM, 2)]
        names: dict[str, Stored] = {country: chosen.name if chosen else None, country_code: code}
        return {**names, state: states[own] if own else None, state_code: own}, []

    @staticmethod
    def _code(change: Change, name: str, code: str, codes: Mapping[str, str]) -> tuple[str | None, bool]:
        """Return the code that a name or a code stands for, and whether they cannot be made out or do not agree."""
        written, named = change.values.get(code), change.values.get(name)
        if change.touches(code) and (written is not None or not change.touches(name)):
            found = str(written) if written is not None else None
            return found, named is not None and codes.get(fold(named)) != found
        if change.touches(name):
            return (codes.get(fold(named)), fold(named) not in codes) if named is not None else (None, False)
        kept = change.old.get(code)
        return (str(kept) if kept is not None else None), False

    def _problem(self, message: str, at: int) -> RecordError:
        return RecordError("FIELD_INTEGRITY_EXCEPTION", message.format(label=self._labels[at]), (self._names[at],))


class PersonAccountRules(Rules):
    """Account in an org with person accounts: a person has a last name and no Name to write, a business the reverse."""

    needs = ("IsPersonAccount", "FirstName", "LastName", "RecordTypeId")

    def __init__(self, options: OrgOptions) -> None:
        own = options.record_types_of("Account")
        self._people = {known.record_id for known in own if known.is_person}
        self._person_type = next(known.record_id for known in own if known.is_person)
        self._fields = [told["name"] for told in person_fields(options) if told["name"] != "IsPersonAccount"]

    def _is_person(self, change: Change) -> bool:
        """Whether a new record is a person: its record type says so, or without one its last name."""
        if not change.creating:
            return bool(change.old.get("IsPersonAccount"))
        record_type = change.values.get("RecordTypeId")
        if record_type is None:
            return change.values.get("LastName") is not None
        return record_type in self._people

    def check(self, change: Change, store: Store, taken: set[tuple[Stored, ...]]) -> list[RecordError]:
        """Refuse the fields of the other kind, and a record without its name."""
        del store, taken
        person = self._is_person(change)
        record_type = change.values.get("RecordTypeId")
        if not change.creating and record_type is not None and (record_type in self._people) != person:
            message = "not part of this emulator: an account that becomes a person account, or ceases to be one"
            return [RecordError("NOT_COVERED", message, ("RecordTypeId",))]
        foreign = ["Name"] if person else self._fields
        wrong = [name for name in foreign if change.values.get(name) not in {None, 0}]
        if wrong:
            message = f"Account: bad field names on insert/update call: {', '.join(wrong)}"
            return [RecordError("INVALID_FIELD_FOR_INSERT_UPDATE", message, tuple(wrong))]
        needed = "LastName" if person else "Name"
        missing = change.get(needed) is None if change.creating or change.touches(needed) else False
        return [errors.required_missing((needed,))] if missing else []

    def derive(self, change: Change, store: Store) -> None:
        """Set IsPersonAccount, a person's Name and record type."""
        del store
        person = self._is_person(change)
        if change.creating:
            change.values["IsPersonAccount"] = int(person)
            if person and change.values.get("RecordTypeId") is None:
                change.values["RecordTypeId"] = self._person_type
        if person and change.touches("FirstName", "LastName"):
            change.values["Name"] = " ".join(filter(None, (change.text("FirstName"), change.text("LastName"))))


class RecordTypeRules(Rules):
    """An object with record types: one of its own, and of restricted picklists the values that it allows."""

    def __init__(self, one: SObject, record_types: Sequence[RecordType]) -> None:
        self._one = one
        self._known = {known.record_id: known for known in record_types}
        self._default = next((known.record_id for known in record_types if known.is_default), None)
        self.needs = ("RecordTypeId",)

    def check(self, change: Change, store: Store, taken: set[tuple[Stored, ...]]) -> list[RecordError]:
        """Refuse a record type of another object or an inactive one, and values that the record type lacks."""
        del store, taken
        given = change.values.get("RecordTypeId")
        known = self._known.get(str(given))
        if given is not None and given != MASTER_RECORD_TYPE and (known is None or not known.is_active):
            message = f"Record Type ID: this ID value isn't valid for the user: {given}"
            return [RecordError("INVALID_CROSS_REFERENCE_KEY", message, ("RecordTypeId",))]
        record_type = self._known.get(str(change.get("RecordTypeId") or (self._default if change.creating else None)))
        if record_type is None:
            return []
        return [
            errors.not_in_picklist(field.label, field.name, value)
            for name, allowed in record_type.picklists.items()
            if (field := self._one.fields[name]).restricted_picklist and change.values.get(name) is not None
            for value in str(change.values[name]).split(";" if field.type == "multipicklist" else "\0")
            if value not in allowed
        ]

    def derive(self, change: Change, store: Store) -> None:
        """Give a new record the default record type."""
        del store
        if change.creating and change.values.get("RecordTypeId") is None:
            change.values["RecordTypeId"] = self._default


class AssignmentRules(Rules):
    """An object whose records are given to users by rules, on each write that does not say otherwise."""

    def __init__(self, known: Sequence[AssignmentRule]) -> None:
        self._known = known
        self.needs = tuple(dict.fromkeys(name for rule in known for name in rule.match))

    def derive(self, change: Change, store: Store) -> None:
        """Give the record to the owner of the first rule that it fits."""
        del store
        asked = change.assignment
        if asked.upper() == "FALSE":
            return
        for rule in self._known:
            chosen = rule.is_active if asked.upper() == "TRUE" else rule.record_id.startswith(asked[:15])
            if chosen and all(fold(change.get(name)) == fold(wanted) for name, wanted in rule.match.items()):
                change.values["OwnerId"] = rule.owner_id
                return
