"""Looking for the records of a bulk job: which keys may be in one, and when all records are read at once."""

from typing import Any

import pytest

from pipeline.delivery.bulk_lookup import Lookups, is_query_cheaper, lookup_of, query_of
from pipeline.inbox.claims import Claim
from pipeline.operation import Operation
from pipeline.salesforce.describe import Field, ObjectDescribe

LEAD = ObjectDescribe(
    name="Lead",
    label="Lead",
    key_prefix="00Q",
    fields={
        one.name: one
        for one in (
            Field(name="Email", type="email", filterable=True),
            Field(name="Phone", type="phone", filterable=True),
            Field(name="Description", type="textarea"),
            Field(name="UserId__c", type="string", filterable=True, external_id=True, createable=True, updateable=True),
            Field(name="Score__c", type="double", filterable=True),
            Field(name="IsConverted", type="boolean", filterable=True),
        )
    },
)


def claim(*operations: Operation, **more: Any) -> Claim:
    return Claim("key", operations, positions=tuple(range(len(operations))), **more)


def operation(verb: Any = "upsert", **more: Any) -> Operation:
    return Operation(
        **{"id": "m#r", "object": "Lead", "verb": verb, "match": {"email": "a@b.c"}, "event_time_ms": 1} | more
    )


def test_a_key_of_upserts_and_updates_is_looked_up_by_the_names_of_the_org() -> None:
    assert lookup_of(claim(operation(), operation("update")), LEAD) == Lookups(("Email",), "and")
    both = operation(match={"Phone": "1", "email": "a"}, options={"join": "or"})
    assert lookup_of(claim(both), LEAD) == Lookups(("Email", "Phone"), "or")


@pytest.mark.parametrize(
    "unfit",
    [
        claim(),
        claim(operation(), attempts=1),
        claim(operation(), unreadable=(1,)),
        claim(operation("create", match={})),
        claim(operation(), operation("delete")),
        claim(operation("read")),
        claim(operation(match={"Email": {"object": "Contact", "match": {"Email": "x"}}})),
        claim(operation(match={"Nothing__c": "x"})),
        claim(operation(match={"Description": "x"})),
        claim(operation(match={"Score__c": 1})),
        claim(operation(options={"refusal": "no"})),
        claim(operation(options={"priority": "high"})),
        claim(operation(match={"UserId__c": "u1"})),
        claim(operation(), operation(options={"join": "or"})),
    ],
)
def test_other_keys_are_delivered_the_usual_way(unfit: Claim) -> None:
    assert lookup_of(unfit, LEAD) is None


@pytest.mark.parametrize(
    ("records", "keys", "is_cheaper"),
    [
        (0, 100_000, True),
        (1_000_000, 100_000, True),
        (2_000_001, 100_000, False),  # cheaper in calls, but twenty rows to read for each that is wanted
        (None, 100_000, False),
        (0, 4_000, False),
        (0, 6_000, True),
        (300_000, 10_000, False),
    ],
)
def test_all_records_are_read_where_that_costs_fewer_calls(records: int | None, keys: int, *, is_cheaper: bool) -> None:
    assert is_query_cheaper(records, keys) is is_cheaper


def test_the_query_asks_for_what_tells_records_apart() -> None:
    assert query_of(LEAD, ["Email"], "and") == (
        "SELECT Id, Email, CreatedDate, IsConverted FROM Lead WHERE Email != null"
    )
    assert query_of(LEAD, ["Email", "Phone"], "or").endswith(" WHERE Email != null OR Phone != null")
