"""SOQL parsed and compiled, and its date literals."""

import contextlib
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.emulator.schema import Schema, standard_objects
from pipeline.emulator.soql.compile import Compiler
from pipeline.emulator.soql.dates import days_of
from pipeline.emulator.soql.parse import parse
from pipeline.emulator.soql.tree import Compare, Logic, Member, Path, Query, QueryError, Selected, Value

SCHEMA = Schema(standard_objects())
TODAY = date(2026, 11, 23)  # a Monday


def literal(text: str) -> Value:
    where = parse(f"SELECT Id FROM Lead WHERE Title = {text}").where
    assert isinstance(where, Compare)
    return where.right


# Parsing.


def test_a_statement_becomes_a_tree() -> None:
    query = parse(
        "select Id, c.Account.Name n, (SELECT Id FROM Contacts) from Account a where (Name like 'x%' or (NOT Id ="
        " null)) and Type in ('a', null) order by Name desc nulls last limit 5 offset 2"
    )
    assert isinstance(query, Query)
    assert (query.source, query.alias, query.limit, query.offset) == ("Account", "a", 5, 2)
    first, second, third = query.selected
    assert isinstance(first, Selected)
    assert first.expression == Path(("Id",), 7)
    assert isinstance(second, Selected)
    assert second.alias == "n"
    assert isinstance(third, Query)
    assert isinstance(query.where, Logic)
    either, member = query.where.parts
    assert isinstance(either, Logic)
    assert (query.where.operator, either.operator) == ("AND", "OR")
    assert isinstance(member, Member)
    assert isinstance(member.choices, tuple)
    assert [choice.value for choice in member.choices] == ["a", None]
    assert (query.order[0].descending, query.order[0].nulls_last) == (True, True)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("'x'", "string", "x"),
        ("''", "string", ""),
        (r"'a\'b\\c\n\u0041'", "string", "a'b\\c\nA"),
        ("5", "number", 5),
        ("-5", "number", -5),
        ("+.5", "number", 0.5),
        ("1e3", "number", 1000.0),
        ("TRUE", "boolean", True),
        ("false", "boolean", False),
        ("Null", "null", None),
        ("2026-11-23", "date", "2026-11-23"),
        ("2026-11-23T10:00:00Z", "datetime", "2026-11-23T10:00:00Z"),
        ("2026-11-23T10:00:00.5+01:00", "datetime", "2026-11-23T10:00:00.5+01:00"),
        ("last_n_days:7", "date_literal", "LAST_N_DAYS:7"),
    ],
)
def test_literals_have_a_kind_and_a_value(text: str, kind: str, value: object) -> None:
    found = literal(text)
    assert (found.kind, found.value) == (kind, value)


@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_survives_quoting(text: str) -> None:
    quoted = "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    assert literal(quoted).value == text
    member = parse(f"SELECT Id FROM Lead WHERE Title IN ({quoted}, 'x')").where
    assert isinstance(member, Member)
    assert isinstance(member.choices, tuple)
    assert member.choices[0].value == text


@given(text=st.text(max_size=80))
def test_no_text_makes_the_parser_fail_otherwise_than_by_refusing(text: str) -> None:
    for statement in (text, f"SELECT Id FROM Lead WHERE {text}"):
        with contextlib.suppress(QueryError):
            parse(statement)


def test_a_word_may_begin_with_a_keyword() -> None:
    query = parse("SELECT Industry, Ordering FROM Leads WHERE Inside = 'x' AND Android = 1")
    assert query.source == "Leads"


# Compiling.


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT Id FROM Nope", "INVALID_TYPE"),
        ("SELECT Nope FROM Lead", "INVALID_FIELD"),
        ("SELECT Id FROM Lead WHERE Title = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Lead OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
        ("SELECT ReportsTo.ReportsTo.ReportsTo.ReportsTo.ReportsTo.ReportsTo.Name FROM Contact", "INVALID_FIELD"),
    ],
)
def test_what_the_schema_has_not_is_refused(text: str, code: str) -> None:
    with pytest.raises(QueryError) as refused:
        Compiler(SCHEMA, TODAY, lambda *_: None).compile(parse(text))
    assert refused.value.code == code


def test_an_equal_condition_tells_which_field_is_looked_up() -> None:
    told: list[str] = []
    compiler = Compiler(SCHEMA, TODAY, lambda one, known: told.append(f"{one.name}.{known.name}"))
    plan = compiler.compile(parse("SELECT Id FROM Lead WHERE Email IN ('a') AND Title != 'x' AND Owner.Name = 'y'"))
    assert told == ["Lead.Email"]
    assert plan.parameters == ["a", "x", "y"]


# Dates.


@pytest.mark.parametrize(
    ("literal", "first", "after"),
    [
        ("TODAY", "2026-11-23", "2026-11-24"),
        ("YESTERDAY", "2026-11-22", "2026-11-23"),
        ("TOMORROW", "2026-11-24", "2026-11-25"),
        ("LAST_WEEK", "2026-11-15", "2026-11-22"),
        ("THIS_WEEK", "2026-11-22", "2026-11-29"),
        ("NEXT_WEEK", "2026-11-29", "2026-12-06"),
        ("LAST_MONTH", "2026-10-01", "2026-11-01"),
        ("THIS_MONTH", "2026-11-01", "2026-12-01"),
        ("NEXT_MONTH", "2026-12-01", "2027-01-01"),
        ("LAST_90_DAYS", "2026-08-25", "2026-11-24"),
        ("NEXT_90_DAYS", "2026-11-24", "2027-02-22"),
        ("THIS_QUARTER", "2026-10-01", "2027-01-01"),
        ("LAST_QUARTER", "2026-07-01", "2026-10-01"),
        ("NEXT_FISCAL_QUARTER", "2027-01-01", "2027-04-01"),
        ("THIS_YEAR", "2026-01-01", "2027-01-01"),
        ("LAST_FISCAL_YEAR", "2025-01-01", "2026-01-01"),
        ("LAST_N_DAYS:7", "2026-11-16", "2026-11-24"),
        ("NEXT_N_DAYS:7", "2026-11-24", "2026-12-01"),
        ("N_DAYS_AGO:2", "2026-11-21", "2026-11-22"),
        ("LAST_N_WEEKS:2", "2026-11-08", "2026-11-22"),
        ("NEXT_N_WEEKS:2", "2026-11-29", "2026-12-13"),
        ("N_WEEKS_AGO:1", "2026-11-15", "2026-11-22"),
        ("LAST_N_MONTHS:2", "2026-09-01", "2026-11-01"),
        ("NEXT_N_MONTHS:2", "2026-12-01", "2027-02-01"),
        ("N_MONTHS_AGO:11", "2025-12-01", "2026-01-01"),
        ("LAST_N_QUARTERS:1", "2026-07-01", "2026-10-01"),
        ("N_QUARTERS_AGO:4", "2025-10-01", "2026-01-01"),
        ("LAST_N_YEARS:2", "2024-01-01", "2026-01-01"),
        ("NEXT_N_YEARS:1", "2027-01-01", "2028-01-01"),
        ("N_FISCAL_YEARS_AGO:1", "2025-01-01", "2026-01-01"),
    ],
)
def test_date_literals_are_ranges_of_days(literal: str, first: str, after: str) -> None:
    assert days_of(literal, TODAY) == (date.fromisoformat(first), date.fromisoformat(after))


@pytest.mark.parametrize(
    "word",
    ["SOMEDAY", "THIS_DAY", "THIS_FISCAL", "LAST_N_DAYS", "N_DAYS:5", "LAST_N_YEARS:99999", "NEXT_N_DAYS:99999999999"],
)
def test_other_words_are_no_dates(word: str) -> None:
    assert days_of(word, TODAY) is None


@given(today=st.dates(min_value=date(1900, 1, 1), max_value=date(2200, 1, 1)))
def test_neighbouring_ranges_meet(today: date) -> None:
    for unit in ("WEEK", "MONTH", "QUARTER", "YEAR", "FISCAL_QUARTER", "FISCAL_YEAR"):
        last, this, following = (days_of(f"{which}_{unit}", today) for which in ("LAST", "THIS", "NEXT"))
        assert last is not None
        assert this is not None
        assert following is not None
        assert last[1] == this[0] <= today < this[1] == following[0]
        assert days_of(f"LAST_N_{unit}S:1", today) == last
        assert days_of(f"NEXT_N_{unit}S:1", today) == following
    assert days_of("N_DAYS_AGO:3", today) == (today - timedelta(days=3), today - timedelta(days=2))
