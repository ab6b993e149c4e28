"""What an org file switches on: options, record types and assignment rules, and the fields that come with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.emulator import ids
from pipeline.emulator.options import (
    AssignmentRule,
    Country,
    OrgOptions,
    RecordType,
    address_prefixes,
    known_countries,
    person_fields,
    standard_field,
)
from pipeline.emulator.org_parts import InvalidSeed, Mapped, listed, mapping, only, plain, switch, text
from pipeline.emulator.schema import Schema, SObject, field_of

_OPTIONS = {"state_and_country_picklists", "person_accounts", "edit_converted_leads", "jwt_audiences", "read_only"}
# Objects whose records assignment rules may give away (SOAP API guide: AssignmentRuleHeader); accounts are not covered.
_ASSIGNED = ("Lead", "Case")


def read_options(given: Any, schema: Schema) -> None:
    """Read ``options`` and add the fields that they bring."""
    told = mapping(given or {}, "options")
    only(told, _OPTIONS, "options")
    options = schema.options
    options.countries = _countries(told.get("state_and_country_picklists"))
    options.person_accounts = switch(told, "person_accounts", "options")
    options.edit_converted_leads = switch(told, "edit_converted_leads", "options")
    options.read_only = switch(told, "read_only", "options")
    if "jwt_audiences" in told:
        options.jwt_audiences = tuple(map(str, listed(told["jwt_audiences"], "options.jwt_audiences")))
    if options.countries:
        for one in schema.objects.values():
            names = [f"{prefix}{code}" for prefix in address_prefixes(one) for code in ("CountryCode", "StateCode")]
            for name in names:
                add_standard(one, name, options)
    if options.person_accounts:
        account = schema.objects["Account"]
        # A person has no Name to write; what either kind needs is checked with the record as a whole.
        account.sometimes_required = frozenset({"Name"})
        account.add_fields(field_of(told) for told in person_fields(options))


def add_standard(one: SObject, name: str, options: OrgOptions) -> bool:
    """Add a standard field that an org switches on, and say whether there is one of that name."""
    told = standard_field(one, name, options)
    if told is not None:
        one.add_fields([field_of(told)])
    return told is not None


def _countries(given: Any) -> Mapping[str, Country]:
    place = "options.state_and_country_picklists"
    if given is None or given is False:
        return {}
    if given is True:
        return known_countries()
    countries: dict[str, Country] = {}
    for code, told in mapping(given, place).items():
        country = mapping(told, f"{place}.{code}")
        only(country, {"name", "states"}, f"{place}.{code}")
        states = mapping(country.get("states") or {}, f"{place}.{code}.states")
        named = {str(key): str(value) for key, value in states.items()}
        countries[str(code)] = Country(text(country, "name", f"{place}.{code}"), named)
    return countries


def read_record_types(given: Any, schema: Schema) -> None:
    """Read ``record_types``; an object that has some gets RecordTypeId."""
    fresh = ids.IdSequence("012")
    options = schema.options
    for number, told in enumerate(listed(given, "record_types")):
        options.record_types.append(_record_type(told, f"record_types[{number}]", schema, fresh))
    if options.person_accounts and not any(known.is_person for known in options.record_types_of("Account")):
        has_default = any(known.is_default for known in options.record_types_of("Account"))
        business = RecordType(fresh.take(), "Account", "Business Account", "Business_Account", not has_default)
        person = RecordType(fresh.take(), "Account", "Person Account", "PersonAccount", is_person=True)
        options.record_types += [business, person]
    for name in {known.object for known in options.record_types}:
        add_standard(schema.objects[name], "RecordTypeId", options)


def _record_type(given: Any, place: str, schema: Schema, fresh: ids.IdSequence) -> RecordType:
    told = mapping(given, place)
    only(told, {"object", "name", "developer_name", "id", "default", "active", "person", "picklists"}, place)
    one = schema.get(text(told, "object", place))
    if one is None:
        raise InvalidSeed(f"{place}: the org has no object {told['object']!r}")
    is_person = switch(told, "person", place)
    if is_person and not (schema.options.person_accounts and one.name == "Account"):
        raise InvalidSeed(f"{place}: person needs the option person_accounts and the object Account")
    name = text(told, "name", place)
    picklists: dict[str, list[str]] = {}
    for field_name, values in mapping(told.get("picklists") or {}, f"{place}.picklists").items():
        field = one.field(str(field_name))
        if field is None or field.type not in {"picklist", "multipicklist"}:
            raise InvalidSeed(f"{place}.picklists: {one.name} has no picklist {field_name!r}")
        allowed = list(map(str, listed(values, f"{place}.picklists.{field_name}")))
        unknown = [value for value in allowed if value not in field.picklist_values]
        if unknown:
            raise InvalidSeed(f"{place}.picklists.{field_name}: the field has no value {unknown[0]!r}")
        picklists[field.name] = allowed
    return RecordType(
        _id(told, "012", place) or fresh.take(),
        one.name,
        name,
        str(told.get("developer_name", name.replace(" ", "_"))),
        switch(told, "default", place),
        switch(told, "active", place, default=True),
        is_person,
        picklists,
    )


def read_assignment_rules(given: Any, schema: Schema, usernames: set[str]) -> None:
    """Read ``assignment_rules``; ``usernames`` are those of the org, in lower case."""
    fresh = ids.IdSequence("01Q")
    for number, rule in enumerate(listed(given, "assignment_rules")):
        place = f"assignment_rules[{number}]"
        told = mapping(rule, place)
        only(told, {"object", "name", "id", "owner", "active", "match"}, place)
        one = schema.get(text(told, "object", place))
        if one is None or one.name not in _ASSIGNED:
            raise InvalidSeed(f"{place}: object must be {' or '.join(_ASSIGNED)}")
        owner = text(told, "owner", place)
        if owner.lower() not in usernames:
            raise InvalidSeed(f"{place}: owner {owner!r} is no active user of the org")
        match = dict(_matched(told.get("match"), one, place))
        name = str(told.get("name", "Standard"))
        record_id = _id(told, "01Q", place) or fresh.take()
        active = switch(told, "active", place, default=True)
        schema.options.assignment_rules.append(AssignmentRule(record_id, one.name, name, owner, active, match))


def _matched(given: Any, one: SObject, place: str) -> Iterator[tuple[str, Any]]:
    for name, value in mapping(given or {}, f"{place}.match").items():
        field = one.field(str(name))
        if field is None or field.is_compound:
            raise InvalidSeed(f"{place}.match: {one.name} has no field {name!r}")
        yield field.name, plain(value)


def _id(told: Mapped, prefix: str, place: str) -> str | None:
    if "id" not in told:
        return None
    try:
        record_id = ids.canonical(told["id"])
    except ids.NotAnId:
        record_id = ""
    if not record_id.startswith(prefix):
        raise InvalidSeed(f"{place}: id must be a record Id that begins with {prefix}")
    return record_id
