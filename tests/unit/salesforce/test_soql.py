"""Lookups are sound SOQL, whatever the values: an independent reader of SOQL finds the same values again."""

import math
import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.salesforce.soql import MOST_STATEMENT_CHARACTERS, MOST_STRING_CHARACTERS, lookup_queries

# SOQL reference, "Quoted String Escape Sequences": a quoted string is anything but a bare quote or a bare backslash.
STRING = re.compile(r"'((?:[^'\\]|\\[nrtbf\"'\\])*)'")
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(lambda text: text.strip())
nasty = st.sampled_from(
    ["o'brien@example.com", "\\", "\\'", "' OR Name LIKE '%", "a\nb", '"', "{0}", "{}", "@{r.id}", "é"]
)


def strings_in(statement: str) -> list[str]:
    return [re.sub(r"\\(.)", lambda escape: ESCAPES[escape[1]], found) for found in STRING.findall(statement)]


def test_one_match_field_makes_a_list() -> None:
    soql = "SELECT Id, Email, IsConverted FROM Lead WHERE Email IN ('a@x.com','o\\'b@x.com') ORDER BY CreatedDate, Id"
    matches = [{"Email": "a@x.com"}, {"Email": "o'b@x.com"}]
    assert lookup_queries("Lead", ["Email", "IsConverted"], matches) == [(soql, slice(0, 2))]


def test_several_match_fields_select_together_or_each() -> None:
    matches = [{"Name": "A", "Phone": "1"}, {"Name": "B", "Phone": "2"}]
    ((together, _),) = lookup_queries("Account", ["Name"], matches)
    assert "WHERE (Name = 'A' AND Phone = '1') OR (Name = 'B' AND Phone = '2') ORDER BY" in together
    ((each, _),) = lookup_queries("Account", ["Name"], matches, join="or")
    assert "WHERE Name IN ('A','B') OR Phone IN ('1','2') ORDER BY" in each


def test_numbers_booleans_and_dates_are_not_quoted() -> None:
    values = {"A__c": 1, "B__c": True, "C__c": 2.0, "D__c": 2.5, "E__c": date(2026, 11, 23)}
    ((statement, _),) = lookup_queries("X__c", [], [values])
    assert "A__c = 1 AND B__c = true AND C__c = 2 AND D__c = 2.5 AND E__c = 2026-11-23" in statement
    ((statement, _),) = lookup_queries("X__c", [], [{"F__c": datetime(2026, 11, 23, 10, tzinfo=UTC)}])
    assert "F__c IN (2026-11-23T10:00:00+00:00)" in statement


@given(st.lists(st.one_of(texts, nasty), min_size=1, max_size=30))
def test_no_value_leaves_its_quotes(values: list[str]) -> None:
    ((statement, _),) = lookup_queries("Lead", ["Email"], [{"Email": value} for value in values])
    assert strings_in(statement) == list(dict.fromkeys(values))
    outside = STRING.sub("?", statement)
    assert re.fullmatch(r"SELECT Id, Email FROM Lead WHERE Email IN \(\?(,\?)*\) ORDER BY CreatedDate, Id", outside)


@given(st.lists(st.tuples(st.one_of(texts, nasty), st.one_of(texts, nasty)), min_size=1, max_size=20))
def test_no_value_leaves_its_quotes_in_a_combined_match(pairs: list[tuple[str, str]]) -> None:
    ((statement, _),) = lookup_queries("Lead", [], [{"Email": one, "Company": other} for one, other in pairs])
    outside = STRING.sub("?", statement)
    term = r"\(Email = \? AND Company = \?\)"
    assert re.fullmatch(rf"SELECT Id FROM Lead WHERE {term}( OR {term})* ORDER BY CreatedDate, Id", outside)


@settings(deadline=None)  # up to 700 matches, on a machine that does other things too
@given(st.integers(1, 700), st.integers(1, 3000), st.integers(1, 250))
def test_every_match_is_asked_for_once_within_the_limits(count: int, length: int, per_query: int) -> None:
    matches = [{"Email": f"{number}".ljust(length, "x")} for number in range(count)]
    statements = lookup_queries("Lead", ["Email"], matches, per_query=per_query)
    assert [value for one, _ in statements for value in strings_in(one)] == [match["Email"] for match in matches]
    for statement, part in statements:
        assert strings_in(statement) == [match["Email"] for match in matches[part]]
        assert len(statement) <= MOST_STATEMENT_CHARACTERS
        assert len(strings_in(statement)) <= per_query


def test_a_thousand_keys_are_five_queries() -> None:
    matches = [{"Email": f"somebody.{number}@example.com"} for number in range(1000)]
    assert len(lookup_queries("Lead", ["Email"], matches)) == 5


def test_a_field_is_selected_once_however_it_is_spelled() -> None:
    ((statement, _),) = lookup_queries("Lead", ["id", "EMAIL", "Email", "Owner.Name"], [{"Email": "a"}])
    assert statement.startswith("SELECT Id, EMAIL, Owner.Name FROM Lead ")


@pytest.mark.parametrize(
    "value",
    [None, "", "  \n", [], {}, ["a"], math.nan, math.inf, "x" * MOST_STRING_CHARACTERS, "'" * 2500, "\ud800"],
)
def test_a_value_that_would_select_everything_or_nothing_is_refused_without_showing_it(value: object) -> None:
    with pytest.raises(ValueError, match="Email") as refused:
        lookup_queries("Lead", [], [{"Email": value}])
    assert "xxx" not in str(refused.value)


def test_a_match_without_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="every record"):
        lookup_queries("Lead", [], [{}])


def test_a_match_longer_than_a_statement_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        lookup_queries("Lead", [], [{f"F{number}__c": "x" * 3990 for number in range(26)}])


@pytest.mark.parametrize(
    "name", ["", "1a", "Email FROM Lead", "a'b", "a.", ".a", "Ema\u0131l", "a\n", "a-b", "a.b.c.d.e.f.g", "(SELECT"]
)
def test_names_cannot_carry_soql(name: str) -> None:
    with pytest.raises(ValueError, match="API name"):
        lookup_queries("Lead", [name], [{"Email": "a"}])
    with pytest.raises(ValueError, match="API name"):
        lookup_queries("Lead", [], [{name: "a"}])
    with pytest.raises(ValueError, match="API name"):
        lookup_queries(name, [], [{"Email": "a"}])


def test_nothing_to_look_up_is_no_query() -> None:
    assert lookup_queries("Lead", ["Email"], []) == []
    with pytest.raises(ValueError, match="at least 1"):
        lookup_queries("Lead", [], [{"Email": "a"}], per_query=0)
