"""Any statement of a part of SOQL is answered as plain Python answers it over the same rows, or refused with it."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.emulator.soql_reference import (
    FIELDS,
    OPERATORS,
    RATINGS,
    aggregate,
    folded,
    holds,
    in_order,
    is_legal,
    text_of,
)
from tests.unit.emulator.soql_world import World

TITLES = ["Cook", "cook", "COOK a", "a_b", "axb", "50%", "it's", "Über", "über", None]
ROWS: list[dict[str, Any]] = [
    {
        "Key": number,
        "Title": TITLES[number % 10],
        "NumberOfEmployees": [0, 5, 10, None][number % 4],
        "HasOptedOutOfEmail": number % 3 == 0,
        "Born__c": [date(2026, 1, 31), date(2026, 2, 1), None][number % 3],
        "Rating": [None, *RATINGS][number % 7 % 4],
        "Topics__c": [None, "Tea", "Tea;Rice", "Tea;Rice;Salt", "Salt"][number % 5],
    }
    for number in range(60)
]
TEXTS = st.sampled_from(["cook", "COOK", "c%", "_%", "a_b", "%'s", "50%", "üb%", "", "x", "Hot", "warm"])
VALUES = {
    "string": TEXTS,
    "picklist": st.sampled_from(["Hot", "cold", "w%", "", "x"]),
    "multipicklist": st.sampled_from(["Tea", "tea;rice", "Tea;Rice", "Salt", "x"]),
    "int": st.integers(-1, 11),
    "boolean": st.booleans(),
    "date": st.dates(date(2026, 1, 30), date(2026, 2, 2)),
}
LISTS = {"IN", "NOT IN", "INCLUDES", "EXCLUDES"}


def comparisons(*, legal: bool) -> st.SearchStrategy[tuple[Any, ...]]:
    """Return comparisons: those that SOQL allows, or any."""

    @st.composite
    def one(draw: st.DrawFn) -> tuple[Any, ...]:
        field = draw(st.sampled_from(sorted(FIELDS)))
        kind = FIELDS[field]
        operator = draw(st.sampled_from(sorted(OPERATORS[kind] if legal else OPERATORS["string"] | LISTS)))
        values = VALUES[kind] if legal else st.one_of(*VALUES.values())
        if operator in LISTS:
            null = st.none() if operator in {"IN", "NOT IN"} else values
            return "compare", field, operator, draw(st.lists(values | null, min_size=1, max_size=3))
        nulls = st.none() if operator in {"=", "!="} or not legal else values
        return "compare", field, operator, draw(values | nulls)

    return one()


def conditions(*, legal: bool) -> st.SearchStrategy[tuple[Any, ...]]:
    def larger(inner: st.SearchStrategy[tuple[Any, ...]]) -> st.SearchStrategy[tuple[Any, ...]]:
        several = st.lists(inner, min_size=2, max_size=3)
        return st.one_of(
            st.tuples(st.just("not"), inner),
            several.map(lambda parts: ("and", *parts)),
            several.map(lambda parts: ("or", *parts)),
        )

    return st.recursive(comparisons(legal=legal), larger, max_leaves=5)


ORDERS = st.lists(
    st.tuples(st.sampled_from(["Title", "NumberOfEmployees", "Born__c", "Rating"]), st.booleans(), st.booleans()),
    max_size=2,
    unique_by=lambda order: order[0],
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"))
    made.org.reset()
    for row in ROWS:
        fields = {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
        key = fields.pop("Key")
        made.create("Lead", {**fields, "LastName": "Row", "Company": f"{key:03}"})
    return made


@settings(max_examples=150, deadline=None)
@given(condition=conditions(legal=True), orders=ORDERS, limit=st.none() | st.integers(0, 20), offset=st.integers(0, 9))
def test_records_are_those_that_the_reference_finds(
    world: World, condition: tuple[Any, ...], orders: list[tuple[str, bool, bool]], limit: int | None, offset: int
) -> None:
    order = "".join(
        f"{field} {'DESC' if down else 'ASC'} NULLS {'LAST' if last else 'FIRST'}, " for field, down, last in orders
    )
    text = f"SELECT Company FROM Lead WHERE {text_of(condition)} ORDER BY {order}Company"
    text += (f" LIMIT {limit}" if limit is not None else "") + (f" OFFSET {offset}" if offset else "")
    status, body = world.ask(text)
    assert status == 200, (text, body)
    rows = in_order([row for row in ROWS if holds(condition, row)], orders)[offset:]
    rows = rows if limit is None else rows[:limit]
    assert [int(record["Company"]) for record in body["records"]] == [row["Key"] for row in rows], text


@settings(max_examples=150, deadline=None)
@given(condition=conditions(legal=False))
def test_what_the_reference_refuses_is_refused(world: World, condition: tuple[Any, ...]) -> None:
    status, body = world.ask(f"SELECT COUNT() FROM Lead WHERE {text_of(condition)}")
    if is_legal(condition):
        assert status == 200, (text_of(condition), body)
        assert body["totalSize"] == sum(holds(condition, row) for row in ROWS)
    else:
        assert status == 400, text_of(condition)
        assert body[0]["errorCode"] in {"INVALID_FIELD", "INVALID_QUERY_FILTER_OPERATOR"}


@settings(max_examples=80, deadline=None)
@given(
    condition=conditions(legal=True),
    keys=st.lists(st.sampled_from(["Rating", "HasOptedOutOfEmail", "Title"]), max_size=2, unique=True),
    asked=st.lists(
        st.sampled_from(
            [
                ("COUNT", "Id"),
                ("COUNT", "Born__c"),
                ("COUNT_DISTINCT", "Born__c"),
                ("MIN", "Born__c"),
                ("MAX", "Born__c"),
            ]
            + [(name, "NumberOfEmployees") for name in ("SUM", "AVG", "MIN", "MAX", "COUNT_DISTINCT")]
        ),
        min_size=1,
        max_size=3,
        unique=True,
    ),
    least=st.none() | st.integers(1, 8),
)
def test_groups_are_those_that_the_reference_finds(
    world: World, condition: tuple[Any, ...], keys: list[str], asked: list[tuple[str, str]], least: int | None
) -> None:
    selected = ", ".join([*keys, *(f"{name}({field}) a{number}" for number, (name, field) in enumerate(asked))])
    text = f"SELECT {selected} FROM Lead WHERE {text_of(condition)}"
    text += f" GROUP BY {', '.join(keys)}" if keys else ""
    text += f" HAVING COUNT(Id) >= {least}" if keys and least else ""
    status, body = world.ask(text)
    assert status == 200, (text, body)
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {} if keys else {(): []}
    for row in ROWS:
        if holds(condition, row):
            groups.setdefault(tuple(folded(row[key]) for key in keys), []).append(row)
    wanted = {
        (*key, *(str(aggregate(name, field, rows)) for name, field in asked))
        for key, rows in groups.items()
        if not keys or least is None or len(rows) >= least
    }
    found = {
        (*(folded(record[key]) for key in keys), *(_plain(record[f"a{number}"]) for number in range(len(asked))))
        for record in body["records"]
    }
    assert found == {(*group[: len(keys)], *map(_plain, group[len(keys) :])) for group in wanted}, text


def _plain(value: Any) -> str:
    """Return a value so that 5 and 5.0 are the same."""
    try:
        return str(round(float(value), 6))
    except (TypeError, ValueError):
        return str(value)
