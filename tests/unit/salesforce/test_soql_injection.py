"""No value and no name becomes part of a statement. The judge is the emulator's parser, which shares no code."""

from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.emulator.soql.parse import parse
from pipeline.emulator.soql.tree import Compare, Logic, Member, Path, Query, Selected, Value
from pipeline.salesforce.soql import lookup_queries

# What ends a string, begins a comment or a bind variable, or means something to SOQL, SQL, LIKE, Apex or composite.
FRAGMENTS = [
    *("'", "\\", "\\'", "\\\\", '"', "`", "--", "/*", "*/", "//", "#", ";", "\n", "\r", "\t", "\x08", "\x0c"),
    *(":name", ":", "{0}", "@{reference.id}", "%", "_", "(", ")", ",", "\\u0027", "\\n", "&apos;", "%27"),
    *(" OR Name != null", " UNION SELECT Id FROM User", "' OR '' = '", "FIELDS(ALL)", " LIMIT 0", "null", "TODAY"),
    *("\u2019", "\u02bc", "\uff07", "\u00a0", "\u202e", "\U0001f600", "e\u0301", "\u0000", "\u0085", "\u2028"),
]
# Plain names that are words of SOQL (SOQL and SOSL Reference, "Reserved Keywords"), and literals.
WORDS = frozenset(
    [
        "and",
        "asc",
        "desc",
        "excludes",
        "first",
        "from",
        "group",
        "having",
        "in",
        "includes",
        "last",
        "like",
        "limit",
        "not",
        "null",
        "nulls",
        "or",
        "select",
        "true",
        "false",
        "using",
        "where",
        "with",
    ]
)
hostile = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)))
values = hostile.map("".join).filter(lambda text: text.strip())


def leaves(condition: Any) -> list[tuple[str, str, tuple[Value, ...]]]:
    """Return every comparison of a condition: the field, the operator and the literals."""
    if isinstance(condition, Logic):
        return [leaf for part in condition.parts for leaf in leaves(part)]
    assert isinstance(condition, Compare | Member)
    assert isinstance(condition.left, Path)
    if isinstance(condition, Compare):
        return [(".".join(condition.left.names), condition.operator, (condition.right,))]
    assert not isinstance(condition.choices, Query), "a query within the query"
    return [(".".join(condition.left.names), condition.operator, condition.choices)]


def judged(statement: str, fields: list[str]) -> list[tuple[str, str, tuple[Value, ...]]]:
    """Read a statement that selects `fields` of Lead and nothing else; returns its comparisons."""
    read = parse(statement)
    assert read.source == "Lead"
    assert read.selected == tuple(Selected(Path((name,), ANY)) for name in fields)
    assert read.limit is None
    return leaves(read.where)


@given(st.lists(values, min_size=1, max_size=10))
def test_whatever_stands_in_a_value_it_is_one_literal_and_the_same_text(given_values: list[str]) -> None:
    ((statement, _),) = lookup_queries("Lead", ["Email"], [{"Email": value} for value in given_values])
    ((field, _, literals),) = judged(statement, ["Id", "Email"])
    assert field == "Email"
    assert {literal.kind for literal in literals} == {"string"}
    assert [literal.value for literal in literals] == list(dict.fromkeys(given_values))


@given(st.lists(st.tuples(values, values), min_size=1, max_size=5))
def test_whatever_stands_in_a_combined_match_the_conditions_are_those_that_were_meant(
    pairs: list[tuple[str, str]],
) -> None:
    ((statement, _),) = lookup_queries("Lead", [], [{"Email": one, "Company": other} for one, other in pairs])
    found = judged(statement, ["Id"])
    meant = [
        (name, value) for pair in dict.fromkeys(pairs) for name, value in zip(("Email", "Company"), pair, strict=True)
    ]
    assert [(name, literals[0].value) for name, _, literals in found] == meant
    assert all(len(literals) == 1 and literals[0].kind == "string" for _, _, literals in found)


@given(st.one_of(values, st.sampled_from(["Email", "Id", "Lead", "x__c"]).flatmap(lambda n: values.map(n.__add__))))
def test_a_name_is_a_plain_name_or_refused(name: str) -> None:
    try:
        ((statement, _),) = lookup_queries("Lead", [name], [{"Email": "a@example.com"}])
    except ValueError:
        return
    assert name.isascii()
    assert name.replace("_", "").replace(".", "").isalnum()
    if name.lower() not in WORDS:  # a field cannot be called so: the org refuses the statement, which stays what it was
        assert len(parse(statement).selected) in {1, 2}


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_each_fragment_alone_within_a_value_comes_back(fragment: str) -> None:
    value = f"a{fragment}b"
    ((statement, _),) = lookup_queries("Lead", [], [{"Email": value}])
    ((_, _, (literal,)),) = judged(statement, ["Id"])
    assert literal.value == value
