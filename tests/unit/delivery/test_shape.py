"""Operations held against the describe: names, matches and lookups, and what is left out."""

import json
from typing import Any

import pytest

from pipeline.delivery.shape import (
    Dropped,
    createable,
    missing_required,
    shape,
    shape_match,
    traits_of,
    updateable,
)
from pipeline.salesforce.describe import Field
from tests.unit.delivery.shaping import describe, field, operation

LEAD = describe(
    field("LastName", length=80, nillable=False),
    field("Company", length=255, nillable=False),
    field("Email", kind="email"),
    field("Name", createable=False, updateable=False),
    field("OwnerId", kind="reference", nillable=False, defaulted_on_create=True),
    field("NumberOfEmployees", kind="int", digits=8),
    field("plan__c"),
    field("Plan__c"),
    field("Login_Count__c", kind="double", precision=18, scale=0),
    field("favouriteColour__c"),
    field("Locked__c", createable=False, updateable=False),
    field("Once__c", updateable=False),
    field("Later__c", createable=False),
    field("Notes__c", kind="textarea", length=32000),
)


@pytest.mark.parametrize(
    ("trait", "found"),
    [
        ("NumberOfEmployees", "NumberOfEmployees"),  # the exact API name of a standard field
        ("numberofemployees", None),  # but no other spelling of it
        ("plan__c", "plan__c"),
        ("Plan__c", "Plan__c"),
        ("plan", "plan__c"),
        ("Plan", "Plan__c"),
        ("login_count", "Login_Count__c"),
        ("login_count__C", "Login_Count__c"),
        ("loginCount", "Login_Count__c"),
        ("LoginCount", "Login_Count__c"),
        ("login-count", "Login_Count__c"),
        ("favourite_colour", "favouriteColour__c"),
        ("FAVOURITECOLOUR", "favouriteColour__c"),
        ("Name", None),  # a standard field that cannot be written is none
        ("nothing", None),
        ("", None),
    ],
)
def test_a_trait_finds_its_field(trait: str, found: str | None) -> None:
    shaped = shape(operation(traits={trait: "5"}), LEAD)

    assert list(shaped.fields) == ([found] if found else [])
    if not found:
        name = trait if trait.endswith("__c") else f"{trait}__c"
        assert shaped.dropped == (Dropped(trait, f"had no field `{name}` on Lead", is_unknown=True),)
        assert shaped.dropped[0].told == f"trait `{trait}` had no field `{name}` on Lead"


def test_a_traits_field_is_looked_for_once_as_long_as_the_describe_is_the_same() -> None:
    traits = traits_of(LEAD)
    first = traits.field_of("loginCount")
    traits._by_loose_name.clear()

    assert traits_of(LEAD).field_of("loginCount") is first is LEAD.fields["Login_Count__c"]
    assert traits_of(describe(field("Login_Count__c"))).field_of("loginCount") is not first


@pytest.mark.parametrize(
    ("trait", "told"),
    [
        ("x" * 30_000, "trait `" + "x" * 59 + "…` had no field `" + "x" * 59 + "…__c` on Lead"),
        (
            "\x1b[31m`red`\n",
            r"trait `\u001b[31m\u0060red\u0060\u000a` had no field `\u001b[31m\u0060red\u0060\u000a__c` on Lead",
        ),
        ("lone \ud83d", r"trait `lone \ud83d` had no field `lone \ud83d__c` on Lead"),
        ("größe", "trait `größe` had no field `größe__c` on Lead"),
    ],
)
def test_what_is_told_of_a_trait_is_short_and_printable(trait: str, told: str) -> None:
    (dropped,) = shape(operation(traits={trait: 1}), LEAD).dropped

    assert dropped.told == told


def test_what_is_told_of_a_value_that_does_not_fit_names_the_trait_and_not_the_value() -> None:
    (dropped,) = shape(operation(traits={"loginCount": "secret"}), LEAD).dropped

    assert dropped.told == "`loginCount`: Login_Count__c is of type double: it is no number"


def test_a_read_names_the_fields_it_returns_as_the_org_does_and_leaves_out_what_is_none() -> None:
    shaped = shape(operation(match={"Email": "a@b.example"}, options={"read": ["email", "PLAN__C", "None__c"]}), LEAD)

    assert shaped.reads[0] == "Email"
    assert shaped.reads[1] in {"plan__c", "Plan__c"}
    assert shaped.dropped == (Dropped("None__c", "Lead has no field None__c"),)


def test_a_refreshed_describe_is_asked_anew() -> None:
    before = shape(operation(traits={"size": "XL"}), LEAD)
    grown = describe(*LEAD.fields.values(), field("size__c"))

    assert before.fields == {}
    assert shape(operation(traits={"size": "XL"}), grown).fields == {"size__c": "XL"}
    assert shape(operation(traits={"size": "XL"}), LEAD).fields == {}


def test_a_mapped_field_wins_over_a_trait_of_the_same_name() -> None:
    shaped = shape(operation(fields={"plan__c": "mapped"}, traits={"plan": "trait"}), LEAD)

    assert shaped.fields == {"plan__c": "mapped"}


def test_field_names_are_compared_without_case_and_written_as_the_org_has_them() -> None:
    shaped = shape(operation(match={"EMAIL": "a@b.example"}, fields={"email": "a@b.example", "lastname": "L"}), LEAD)

    assert shaped.match == {"Email": "a@b.example"}
    assert shaped.fields == {"Email": "a@b.example", "LastName": "L"}


def test_a_field_the_org_lacks_is_left_out() -> None:
    shaped = shape(operation(fields={"Gone__c": 1, "LastName": "L"}, on_create={"Away__c": 1}), LEAD)

    assert shaped.fields == {"LastName": "L"}
    assert shaped.dropped == (
        Dropped("Gone__c", "Lead has no field Gone__c"),
        Dropped("Away__c", "Lead has no field Away__c"),
    )


@pytest.mark.parametrize(
    ("match", "options", "refusal"),
    [
        ({"Gone__c": "x"}, {}, "Lead has no field Gone__c to match on"),
        ({"LastName": "x" * 81}, {}, "the value to match LastName by does not fit: it is longer than 80 characters"),
        ({"LastName": ""}, {}, "the value to match LastName by does not fit: it is blank"),
        ({"LastName": "a\x00b"}, {}, "it holds characters that Salesforce does not store"),
        ({"LastName": "a\nb"}, {}, "it holds characters that Salesforce does not store"),
        ({"LastName": "a\ud83d"}, {}, "it holds characters that Salesforce does not store"),
        ({"LastName": {"a": 1}}, {}, "an object or a list selects no record"),
        ({"LastName": ["a"]}, {}, "an object or a list selects no record"),
        ({"Email": "no address"}, {}, "the value to match Email by does not fit: it is not an email address"),
        ({"NumberOfEmployees": "many"}, {}, "the value to match NumberOfEmployees by does not fit: it is no number"),
        ({"Gone__c": "x", "LastName": "L"}, {}, "Lead has no field Gone__c to match on"),
        ({"Gone__c": "x"}, {"join": "or"}, "Lead has no field Gone__c to match on"),
        ({"LastName": "L"}, {"refusal": "no email"}, "no email"),
    ],
)
def test_what_can_never_be_found_is_refused(match: dict[str, Any], options: dict[str, Any], refusal: str) -> None:
    shaped = shape(operation(match=match, fields={"Company": "C"}, options=options), LEAD)

    assert shaped.refusal is not None
    assert refusal in shaped.refusal
    assert shaped.fields == {}


def test_a_match_on_a_long_text_area_is_refused() -> None:
    org = describe(Field(name="Notes__c", type="textarea", length=32000, createable=True, filterable=False))

    assert "cannot be matched on" in str(shape(operation(match={"Notes__c": "x"}), org).refusal)


def test_a_match_value_is_cast_like_any_other() -> None:
    match = {"NumberOfEmployees": "5", "LastName": 813, "Email": "A@B.example "}

    assert shape(operation(match=match), LEAD).match == {
        "NumberOfEmployees": 5,
        "LastName": "813",
        "Email": "A@B.example",
    }


def test_the_match_of_a_lookup_is_cast_by_the_object_it_looks_in() -> None:
    assert shape_match({"lastname": 813}, LEAD) == ({"LastName": "813"}, None)
    assert shape_match({"LastName": "x" * 81}, LEAD)[0] == {}


def test_with_any_match_one_that_fits_is_enough() -> None:
    shaped = shape(operation(match={"Gone__c": "x", "LastName": "L"}, options={"join": "or"}), LEAD)

    assert shaped.match == {"LastName": "L"}
    assert shaped.refusal is None


def test_an_id_of_another_object_matches_nothing() -> None:
    org = describe(Field(name="Id", type="id", length=18, filterable=True))

    assert shape(operation(match={"Id": "00Q000000000001"}), org).match == {"Id": "00Q000000000001EAA"}
    assert "not the Id of a record of Lead" in str(shape(operation(match={"Id": "003000000000001"}), org).refusal)


def test_a_lookup_in_a_match_waits_for_its_record() -> None:
    org = describe(field("Lead__c", kind="reference", reference_to=("Lead",)))
    lead = {"object": "Lead", "match": {"Email": "a@b.example"}}

    shaped = shape(operation(match={"Lead__c": lead}, options={"lookups": {"lead__c": lead}}), org)

    assert shaped.match == {"Lead__c": lead}
    assert shaped.lookups == {"Lead__c": lead}


def test_lookups_are_for_references_that_can_be_written() -> None:
    lookup = {"object": "User", "match": {"Username": "u"}}
    lookups = {"OwnerId": lookup, "plan__c": lookup, "Locked__c": lookup, "Gone__c": lookup}

    shaped = shape(operation(options={"lookups": lookups}), LEAD)

    assert shaped.lookups == {"OwnerId": lookup}
    assert shaped.dropped == (
        Dropped("plan__c", "plan__c is of type string, not a reference to a record"),
        Dropped("Locked__c", "Locked__c cannot be written by this user"),
        Dropped("Gone__c", "Lead has no field Gone__c"),
    )


def test_each_write_takes_the_fields_that_it_can() -> None:
    fields = {"LastName": "L", "Once__c": "o", "Later__c": "l"}
    shaped = shape(operation(fields=fields, on_create={"Company": "n/a", "LastName": "n/a"}), LEAD)

    assert createable({**shaped.on_create, **shaped.fields}, LEAD) == {
        "LastName": "L",
        "Company": "n/a",
        "Once__c": "o",
    }
    assert updateable(shaped.fields, LEAD) == {"LastName": "L", "Later__c": "l"}


def test_what_a_new_record_lacks_is_named() -> None:
    assert missing_required({"LastName": "L"}, LEAD) == ["Company"]
    assert missing_required({"LastName": "L", "Company": None}, LEAD) == ["Company"]
    assert missing_required({"LastName": "L", "Company": "C"}, LEAD) == []


def test_what_is_shaped_is_json() -> None:
    shaped = shape(operation(fields={"LastName": "ü😀\ud800"}, traits={"Notes": {"a": ["\udfff"]}}), LEAD)

    json.dumps(shaped.fields, ensure_ascii=False).encode("utf-8")
    assert shaped.fields["Notes__c"] == '{"a":["\ufffd"]}'
