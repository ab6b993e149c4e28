"""Which changes need no lookup: those that say the same to a record that exists and to one that does not."""

from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.delivery.merge import Change, Part
from pipeline.delivery.upsert import is_upsert_key, upsert_key
from pipeline.operation import Json
from pipeline.salesforce.describe import Field, ObjectDescribe


def field(name: str, **more: Any) -> Field:
    return Field(name=name, **{"type": "string", "createable": True, "updateable": True, "nillable": True, **more})


DESCRIBE = ObjectDescribe(
    name="Contact",
    fields={
        one.name: one
        for one in (
            field("Key__c", external_id=True),
            field("Number__c", type="double", external_id=True),
            field("Auto__c", external_id=True, createable=False, updateable=False),
            field("Once__c", external_id=True, updateable=False),
            field("When__c", type="datetime", external_id=True),
            field("Parent__c", type="reference"),
            field("Plain__c"),
            field("LastName", nillable=False),
            field("OnlyCreated", updateable=False),
            field("OnlyUpdated", createable=False),
        )
    },
)


def part(*, match: Mapping[str, Json] | None = None, verb: Any = "upsert", **more: Any) -> Part:
    match = {"Key__c": "k"} if match is None else match
    fields = {**match, "LastName": "x", **more.pop("fields", {})}
    return Part(position=0, time_ms=1, verb=verb, match=match, fields=fields, **more)


@pytest.mark.parametrize(
    "parts",
    [
        [part()],
        [part(match={"Number__c": 7})],
        [part(fields={"Plain__c": None}, options={"clear_nulls": True})],
        [part(), part(fields={"Plain__c": "later"}), part(verb="update")],
        [part(), part(on_create={"Plain__c": "the record exists by then"})],
        [part(), Part(position=1, time_ms=2, verb="update", match={"Key__c": "K"}, fields={"Plain__c": "x"})],
    ],
)
def test_a_change_that_says_the_same_to_new_and_to_known_records_needs_no_lookup(parts: list[Part]) -> None:
    assert upsert_key(Change(tuple(parts)), DESCRIBE) == next(iter(parts[0].match))


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([part(verb="update")], "it makes no record"),
        ([part(verb="delete")], "it names its record by Id"),
        ([part(verb="read")], "it looks"),
        ([part(match={"Key__c": "k", "Plain__c": "p"})], "two fields select the record"),
        ([part(match={"Plain__c": "p"})], "no external ID"),
        ([part(match={"Auto__c": "1"})], "cannot be written on the new record"),
        ([part(match={"Once__c": "1"})], "cannot be written on a known one"),
        ([part(match={"When__c": "2026-11-23T10:00:00Z"})], "of a type that cannot be upserted by"),
        ([part(match={"Key__c": {"object": "Lead", "match": {"Email": "a"}}})], "the value has to be looked up"),
        ([part(on_create={"Plain__c": "new"})], "for new records only"),
        ([part(fields={"OnlyCreated": "new"})], "left out of known records"),
        ([part(), part(fields={"OnlyUpdated": "new"})], "left out of new records"),
        ([part(options={"on_multiple": "newest"})], "a choice among several"),
        ([part(options={"on_multiple": "error"})], "a choice among several"),
        ([part(options={"on_converted": "skip"})], "a choice by what is found"),
        ([part(options={"join": "or"})], "a choice among several"),
        ([part(fields={"LastName": None}), part()], "refused by itself, the first would not make the record"),
        ([part(), part(fields={"Key__c": "K"})], "the last spelling wins, and an upsert does not write it"),
        ([Part(position=0, time_ms=1, verb="upsert", match={"Key__c": "k"}, fields={"LastName": "x"})], "overtaken"),
    ],
)
def test_what_depends_on_the_record_is_looked_up(parts: list[Part], why: str) -> None:
    assert upsert_key(Change(tuple(parts)), DESCRIBE) is None, why


def test_fields_that_can_be_upserted_by_are_writable_external_ids() -> None:
    assert [name for name, one in DESCRIBE.fields.items() if is_upsert_key(one)] == ["Key__c", "Number__c"]
