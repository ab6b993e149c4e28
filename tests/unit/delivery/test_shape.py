"""Operations held against the describe: names, types, lengths, and what is left out."""

import json
from typing import Any

import pytest

from pipeline.delivery.shape import (
    Dropped,
    Shaped,
    createable,
    missing_required,
    shape,
    shape_match,
    traits_of,
    updateable,
)
from pipeline.operation import Operation
from pipeline.salesforce.describe import Field, ObjectDescribe


def describe(*fields: Field, name: str = "Lead", key_prefix: str = "00Q") -> ObjectDescribe:
    return ObjectDescribe(name=name, key_prefix=key_prefix, fields={one.name: one for one in fields})


def field(name: str = "F__c", kind: str = "string", **more: Any) -> Field:
    lengths = {"string": 40, "textarea": 255, "phone": 40, "url": 255, "email": 80, "picklist": 40, "combobox": 255}
    more = {"length": lengths.get(kind, 0), "nillable": True, "createable": True, "updateable": True} | more
    return Field(name=name, type=kind, filterable=True, **more)


def operation(**parts: Any) -> Operation:
    return Operation(id="m1#identify", object="Lead", verb="upsert", event_time_ms=0, **parts)


def shaped_value(value: Any, one: Field, **options: Any) -> Shaped:
    return shape(operation(fields={one.name: value}, options=options), describe(one))


@pytest.mark.parametrize(
    ("value", "one", "written"),
    [
        ("text", field(), "text"),
        ("  text \n", field(), "text"),
        ("x" * 50, field(length=40), "x" * 40),
        ("ab cd", field(length=3), "ab"),  # what is cut off may not leave a space, which Salesforce would trim
        (5, field(), "5"),
        (5.0, field(), "5"),
        (5.5, field(), "5.5"),
        (True, field(), "true"),
        (False, field(), "false"),
        ("two\nlines", field(), "two lines"),
        ("two\nlines", field(kind="textarea"), "two\nlines"),
        ("nul\x00 and \x1f", field(), "nul and"),
        ("lone \ud83d", field(), "lone \ufffd"),
        ("tab\there", field(kind="textarea"), "tab\there"),
        ("+44 1", field(kind="phone"), "+44 1"),
        ("https://a.example", field(kind="url"), "https://a.example"),
        ("anything", field(kind="combobox"), "anything"),
        ("a@b.example", field(kind="email"), "a@b.example"),
        (" A.B+c@b-c.example.org ", field(kind="email"), "A.B+c@b-c.example.org"),
        ({"a": [1, "ü"]}, field(kind="textarea", length=32000), '{"a":[1,"ü"]}'),
        (["a"], field(kind="textarea", length=32000), '["a"]'),
        ("5", field(kind="int", digits=8), 5),
        (" 5 ", field(kind="int", digits=8), 5),
        ("1,234", field(kind="int", digits=8), 1234),
        (5.0, field(kind="int", digits=8), 5),
        ("5e3", field(kind="int", digits=8), 5000),
        (99_999_999, field(kind="int", digits=8), 99_999_999),
        (0, field(kind="int", digits=8), 0),
        ("5.25", field(kind="double", precision=18, scale=2), 5.25),
        ("1,234,567.5", field(kind="currency", precision=18, scale=2), 1234567.5),
        (7, field(kind="percent", precision=3, scale=0), 7),
        ("-.5", field(kind="double", precision=18, scale=2), -0.5),
        (45.5, field("Latitude", kind="double", precision=18, scale=15), 45.5),
        (-180, field("Home__Longitude__s", kind="double", precision=18, scale=15), -180),
        (True, field(kind="boolean"), True),
        ("true", field(kind="boolean"), True),
        ("Yes", field(kind="boolean"), True),
        ("off", field(kind="boolean"), False),
        (0, field(kind="boolean"), False),
        ("2026-11-23", field(kind="date"), "2026-11-23"),
        ("2026-11-23T23:30:00-05:00", field(kind="date"), "2026-11-23"),  # the day that was written
        (1_795_000_000, field(kind="date"), "2026-11-18"),
        (1_795_000_000_000, field(kind="date"), "2026-11-18"),
        ("1795000000", field(kind="date"), "2026-11-18"),
        ("20261123", field(kind="date"), "2026-11-23"),
        ("2026-11-23", field(kind="datetime"), "2026-11-23T00:00:00.000Z"),
        ("2026-11-23T10:00:00+02:00", field(kind="datetime"), "2026-11-23T08:00:00.000Z"),
        ("2026-11-23T10:00:00.123456Z", field(kind="datetime"), "2026-11-23T10:00:00.123Z"),
        (1_795_000_000.5, field(kind="datetime"), "2026-11-18T11:06:40.500Z"),
        ("10:30", field(kind="time"), "10:30:00.000Z"),
        ("Hot", field(kind="picklist", picklist_values=frozenset({"Warm"})), "Hot"),
        ("Hot", field(kind="picklist", restricted_picklist=True, picklist_values=frozenset({"Hot"})), "Hot"),
        ("hot", field(kind="picklist", restricted_picklist=True, picklist_values=frozenset({"Hot"})), "Hot"),
        (["a", "b", "a"], field(kind="multipicklist", length=40), "a;b"),
        ("a; b", field(kind="multipicklist", length=40), "a;b"),
        (["aaaa", "bbbb", "cccc"], field(kind="multipicklist", length=9), "aaaa;bbbb"),
        (
            ["a", "x"],
            field(kind="multipicklist", length=40, restricted_picklist=True, picklist_values=frozenset({"a"})),
            "a",
        ),
        ("001D000000IqhSL", field(kind="reference", reference_to=("Account",)), "001D000000IqhSLIAZ"),
        ("001D000000IqhSLIAZ", field(kind="reference", reference_to=("Account", "Lead")), "001D000000IqhSLIAZ"),
        ("a00D000000IqhSL", field(kind="reference", reference_to=("Invoice__c",)), "a00D000000IqhSLIAZ"),
    ],
)
def test_a_value_is_cast_to_what_its_field_takes(value: Any, one: Field, written: Any) -> None:
    shaped = shaped_value(value, one)

    assert shaped.fields == {one.name: written}
    assert type(shaped.fields[one.name]) is type(written)
    assert shaped.dropped == ()


@pytest.mark.parametrize(
    ("value", "one", "why"),
    [
        ({"a": 1}, field(), "an object does not fit a text field"),
        (["a"], field(kind="textarea"), "a list fits only a long text area"),
        ({"a": "x" * 300}, field(kind="textarea", length=256), "longer than the field as JSON"),
        ("no address", field(kind="email"), "not an email address"),
        ("a@b", field(kind="email"), "not an email address"),
        ("a b@c.example", field(kind="email"), "not an email address"),
        ("é@c.example", field(kind="email"), "not an email address"),
        ("a" * 80 + "@c.example", field(kind="email"), "no address when it is cut"),
        ("five", field(kind="int", digits=8), "it is no number"),
        (True, field(kind="int", digits=8), "a boolean is no number"),
        ([5], field(kind="double"), "a list is no number"),
        (5.5, field(kind="int", digits=8), "it is no whole number"),
        (100_000_000, field(kind="int", digits=8), "outside the range"),
        (2**31, field(kind="int", digits=0), "outside the range"),
        (10**16, field(kind="currency", precision=18, scale=2), "outside the range"),
        ("1e400", field(kind="double"), "outside the range"),
        ("1,23", field(kind="double"), "it is no number"),
        ("NaN", field(kind="double"), "it is no number"),
        (float("inf"), field(kind="double"), "it is no number"),
        (91.5, field("Latitude", kind="double", precision=18, scale=15), "outside the range"),
        (-181, field("Longitude", kind="double", precision=18, scale=15), "outside the range"),
        ("maybe", field(kind="boolean"), "neither true nor false"),
        (2, field(kind="boolean"), "neither true nor false"),
        ("23.11.2026", field(kind="date"), "no ISO 8601 date"),
        (True, field(kind="date"), "a boolean is no date"),
        ("0001-01-01", field(kind="date"), "outside the years"),
        (10**30, field(kind="datetime"), "outside the years"),
        (10**400, field(kind="datetime"), "outside the years"),
        ("25:00", field(kind="time"), "no ISO 8601 time"),
        (5, field(kind="time"), "no ISO 8601 time"),
        ("Hot", field(kind="picklist", restricted_picklist=True, picklist_values=frozenset({"Warm"})), "restricted"),
        (
            ["x"],
            field(kind="multipicklist", length=9, restricted_picklist=True, picklist_values=frozenset({"a"})),
            "none of its values",
        ),
        ("001D000000IqhSLIAA", field(kind="reference", reference_to=("Account",)), "no record Id"),
        ("acme", field(kind="reference", reference_to=("Account",)), "no record Id"),
        (5, field(kind="reference", reference_to=("Account",)), "no record Id"),
        ("003D000000IqhSL", field(kind="reference", reference_to=("Account",)), "not the Id of Account"),
        ("x", field(kind="base64"), "does not write fields of type base64"),
        (10**400, field(), "a number does not fit a text field"),
        ("x", field(createable=False, updateable=False), "cannot be written by this user"),
    ],
)
def test_a_value_that_does_not_fit_is_left_out_with_a_reason(value: Any, one: Field, why: str) -> None:
    shaped = shaped_value(value, one)

    assert shaped.fields == {}
    assert shaped.refusal is None
    ((name, reason),) = [(dropped.name, dropped.reason) for dropped in shaped.dropped]
    assert name == one.name
    assert why in reason


def test_a_reason_never_repeats_the_value() -> None:
    secret = "ada-lovelace"
    kinds = ["email", "int", "double", "boolean", "date", "datetime", "time", "reference", "picklist"]

    for kind in kinds:
        shaped = shaped_value(secret, field(kind=kind, restricted_picklist=True))
        assert shaped.dropped
        assert secret not in shaped.dropped[0].reason
    refusal = shape(operation(match={"F__c": secret * 9}), describe(field())).refusal
    assert refusal
    assert secret not in refusal


@pytest.mark.parametrize("blank", ["", "  ", "\x00\x01", "\u2028"])
@pytest.mark.parametrize("kind", ["string", "textarea", "email", "picklist"])
def test_text_without_a_visible_character_counts_as_missing(blank: str, kind: str) -> None:
    assert shaped_value(blank, field(kind=kind)) == Shaped()


@pytest.mark.parametrize("kind", ["int", "double", "boolean", "date", "datetime", "time", "reference", "multipicklist"])
def test_blank_text_counts_as_missing_for_every_type(kind: str) -> None:
    assert shaped_value(" ", field(kind=kind)) == Shaped()


def test_a_null_is_left_out() -> None:
    assert shaped_value(None, field()) == Shaped()


def test_a_null_clears_the_field_on_request() -> None:
    assert shaped_value(None, field(), clear_nulls=True).fields == {"F__c": None}


def test_a_null_never_clears_a_field_that_cannot_be_empty() -> None:
    assert shaped_value(None, field("LastName", nillable=False), clear_nulls=True) == Shaped()


class TestCutting:
    @pytest.mark.parametrize(
        ("text", "length", "cut"),
        [
            ("abc", 3, "abc"),
            ("abcd", 3, "abc"),
            ("😀😀", 4, "😀😀"),  # an emoji is two UTF-16 units, which is what Salesforce counts
            ("😀😀", 3, "😀"),
            ("e\u0301e\u0301", 3, "e\u0301"),
            ("e\u0301e\u0301", 2, "e\u0301"),
            ("ae\u0301", 2, "a"),
            ("a👍🏽", 3, "a"),  # a thumb without its skin tone is another thumb
            ("a👩\u200d👧", 4, "a"),
            ("🇫🇷🇩🇪", 6, "🇫🇷"),
            ("a\r\nb", 2, "a"),
        ],
    )
    def test_no_character_is_split(self, text: str, length: int, cut: str) -> None:
        assert shaped_value(text, field(kind="textarea", length=length)).fields == {"F__c": cut}

    def test_one_endless_character_is_cut_after_all(self) -> None:
        assert shaped_value("e" + "\u0301" * 99, field(length=10)).fields == {"F__c": "e" + "\u0301" * 9}


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
