"""The values that actions write: from where in the event, and the records that references point to."""

from typing import Any

import pytest

from tests.unit.mapping.planning import case_action, event, plan


def case_fields(entry: str, **body: Any) -> dict[str, Any]:
    """Return what a create of a Case with one entry under `fields` plans for an event."""
    (operation,) = plan(case_action(f"    fields:\n      Origin: {{value: Web}}\n      {entry}\n"), event(**body))
    fields = dict(operation.fields)
    assert fields.pop("Origin") == "Web"
    return fields


@pytest.mark.parametrize(
    ("entry", "body", "fields"),
    [
        ("properties.priority: Priority", {"properties": {"priority": "High"}}, {"Priority": "High"}),
        ("properties.priority: [Priority, Other__c]", {"properties": {"priority": 1}}, {"Priority": 1, "Other__c": 1}),
        ("properties.priority: Priority", {"properties": {}}, {}),
        ("properties.priority: Priority", {"properties": {"priority": None}}, {}),
        ("properties.priority: Priority", {"properties": {"priority": "  "}}, {}),
        ("properties.priority: Priority", {"properties": {"priority": False}}, {"Priority": False}),
        (r"properties.unit\.price: Price__c", {"properties": {"unit.price": 2}}, {"Price__c": 2}),
        ("properties.items[0].sku: Sku__c", {"properties": {"items": [{"sku": "s"}]}}, {"Sku__c": "s"}),
        ("Priority: {from: properties.priority}", {"properties": {"priority": "High"}}, {"Priority": "High"}),
        ("Priority: {from: [properties.a, properties.b]}", {"properties": {"b": "B"}}, {"Priority": "B"}),
        ("Priority: {from: [properties.a, properties.b]}", {"properties": {"a": "", "b": "B"}}, {"Priority": "B"}),
        ("Priority: {from: [properties.a, properties.b]}", {"properties": {"a": 0, "b": "B"}}, {"Priority": 0}),
        ("Priority: {from: [properties.a, properties.b], default: Low}", {"properties": {}}, {"Priority": "Low"}),
        ("Priority: {from: properties.a, default: Low}", {"properties": {"a": None}}, {"Priority": "Low"}),
        ("Priority: {from: properties.a, default: 0}", {"properties": {}}, {"Priority": 0}),
        ("Priority: {value: High}", {}, {"Priority": "High"}),
        ("IsEscalated: {value: false}", {}, {"IsEscalated": False}),
        (
            'Subject: {template: "Order {properties.id} of {userId}"}',
            {"userId": "u1", "properties": {"id": 7}},
            {"Subject": "Order 7 of u1"},
        ),
        ('Subject: {template: "{{{properties.id}}}"}', {"properties": {"id": 7}}, {"Subject": "{7}"}),
        ('Subject: {template: "is {properties.id}"}', {"properties": {"id": True}}, {"Subject": "is true"}),
        ('Subject: {template: "Order {properties.id}"}', {"properties": {}}, {}),
        ('Subject: {template: "Order {properties.id}"}', {"properties": {"id": {"a": 1}}}, {}),
        ('Subject: {template: "Order {properties.id}", default: New}', {"properties": {}}, {"Subject": "New"}),
        ('Subject: {template: "no place"}', {}, {"Subject": "no place"}),
        ("properties.prefs: Prefs__c", {"properties": {"prefs": {"a": [1]}}}, {"Prefs__c": {"a": [1]}}),
    ],
)
def test_values_come_from_where_the_field_says(entry: str, body: dict[str, Any], fields: dict[str, Any]) -> None:
    assert case_fields(entry, **body) == fields


def test_nulls_clear_fields_on_request() -> None:
    text = case_action(
        "    clear_nulls: true\n    priority: high\n"
        "    fields: {properties.a: A__c, properties.b: B__c, properties.c: C__c}\n"
    )

    (operation,) = plan(text, event(properties={"a": None, "b": "x"}))

    assert operation.fields == {"A__c": None, "B__c": "x"}
    assert operation.options == {"clear_nulls": True, "priority": "high"}


def test_a_lookup_names_the_record_that_a_reference_points_to() -> None:
    lines = (
        "    fields:\n      AccountId: {lookup: account, by: AccountNumber, from: context.groupId}\n"
        "      ContactId: {lookup: Contact, by: Email, from: [properties.email, traits.email]}\n"
        "    on_create:\n      OwnerId: {lookup: User, by: Username, value: help@acme.example}\n"
    )

    (operation,) = plan(case_action(lines), event(context={"groupId": "813"}, properties={}))

    assert operation.fields == {}
    assert operation.options["lookups"] == {
        "AccountId": {"object": "Account", "match": {"AccountNumber": "813"}},
        "OwnerId": {"object": "User", "match": {"Username": "help@acme.example"}, "on_create": True},
    }


def test_a_lookup_by_an_object_or_a_list_names_no_record() -> None:
    assert case_fields("AccountId: {lookup: Account, by: Name, from: properties.a}", properties={"a": [1]}) == {}
