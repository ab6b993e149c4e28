"""Merging operations of one key, held against applying them one by one."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.delivery.merge import EVERYTHING, Part, advance, fresh, is_stale, merge
from pipeline.salesforce.describe import Field, ObjectDescribe

NAMES = ("LastName", "Title", "Phone", "OnlyCreated", "OnlyUpdated")

DESCRIBE = ObjectDescribe(
    name="Lead",
    fields={
        name: Field(name=name, type="string", createable=name != "OnlyUpdated", updateable=name != "OnlyCreated")
        for name in NAMES
    },
)


def part(position: int, time_ms: int, verb: Any = "upsert", **values: Any) -> Part:
    return Part(position=position, time_ms=time_ms, verb=verb, **values)


def test_upserts_of_one_key_are_one_change_and_later_values_win() -> None:
    (change,) = merge([part(1, 10, fields={"Title": "old", "Phone": "1"}), part(0, 20, fields={"Title": "new"})], {})
    assert change.positions == (1, 0)
    assert change.to_update(DESCRIBE) == {"Title": "new", "Phone": "1"}


def test_late_event_does_not_overwrite_a_newer_value() -> None:
    (change,) = merge([part(0, 10, fields={"Title": "late", "Phone": "first"})], {"Title": 20})
    assert change.to_update(DESCRIBE) == {"Phone": "first"}


def test_an_event_of_the_same_time_wins_by_arriving_later() -> None:
    assert fresh(part(0, 20, fields={"Title": "same"}), {"Title": 20}).fields == {"Title": "same"}


def test_what_is_older_than_a_delete_does_not_bring_the_record_back() -> None:
    clock = advance({}, merge([part(0, 20, "delete")], {})[0])
    assert clock == {EVERYTHING: 20}
    assert is_stale(part(0, 10, fields={"Title": "late"}), clock)
    assert not is_stale(part(0, 30, fields={"Title": "new"}), clock)


def test_deletes_and_recreations_stay_apart_and_in_order() -> None:
    verbs = [change.verb for change in merge([part(0, 1), part(1, 2, "delete"), part(2, 3), part(3, 4, "update")], {})]
    assert verbs == ["upsert", "delete", "upsert"]


def test_an_update_that_comes_first_is_not_merged_into_an_upsert() -> None:
    assert [change.verb for change in merge([part(0, 1, "update"), part(1, 2)], {})] == ["update", "upsert"]


def test_what_differs_in_priority_alone_is_merged() -> None:
    assert len(merge([part(0, 1), part(1, 2, options={"priority": "high"})], {})) == 1


def test_rules_that_ask_for_different_delivery_are_not_merged() -> None:
    assert len(merge([part(0, 1), part(1, 2, options={"on_multiple": "error"})], {})) == 2


def test_the_clock_remembers_the_event_time_of_the_value_that_won() -> None:
    changes = merge(
        [part(0, 10, fields={"Title": "a", "Phone": "1"}), part(1, 20, fields={"Title": "b"})], {"Phone": 5}
    )
    assert advance({"Phone": 5, "LastName": 3}, changes[0]) == {"Title": 20, "Phone": 10, "LastName": 3}


def apply(record: dict[str, Any] | None, one: Part) -> dict[str, Any] | None:
    """Do one operation as Salesforce would, alone."""
    if one.verb == "delete":
        return None
    if record is None:
        if one.verb == "update":
            return None
        new = {**one.on_create, **one.fields}
        return {name: value for name, value in new.items() if name != "OnlyUpdated"}
    return {**record, **{name: value for name, value in one.fields.items() if name != "OnlyCreated"}}


def apply_merged(record: dict[str, Any] | None, parts: list[Part]) -> dict[str, Any] | None:
    for change in merge(parts, {}):
        if change.verb == "delete":
            record = None
        elif record is not None:
            record = {**record, **change.to_update(DESCRIBE)}
        elif change.verb == "upsert":
            created, after = change.to_create(DESCRIBE)
            record = {**created, **after}
    return record


VALUES = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 5), max_size=4)
PARTS = st.lists(
    st.builds(
        lambda verb, fields, on_create: (verb, fields, on_create),
        st.sampled_from(["upsert", "upsert", "update", "delete"]),
        VALUES,
        st.dictionaries(st.sampled_from(["LastName"]), st.just("n/a")),
    ),
    max_size=8,
)


@given(PARTS, st.none() | VALUES)
def test_a_merged_batch_leaves_the_record_as_its_operations_one_at_a_time_would(
    given_parts: list[tuple[Any, Mapping[str, Any], Mapping[str, Any]]], start: dict[str, Any] | None
) -> None:
    parts = [
        part(position, position, verb, fields=fields, on_create=on_create)
        for position, (verb, fields, on_create) in enumerate(given_parts)
    ]
    one_by_one = start
    for one in parts:
        one_by_one = apply(one_by_one, one)
    assert apply_merged(start, parts) == one_by_one
