"""A value held against its field: what is written, and what is left out."""

from typing import Any

import pytest

from pipeline.delivery.shape import Shaped, shape
from pipeline.salesforce.describe import Field
from tests.unit.delivery.shaping import describe, field, operation


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
