"""The org file: what it may say, and errors that name the place."""

from pathlib import Path

import pytest

from pipeline.emulator import org_file
from pipeline.emulator.org import InvalidSeed, Org
from pipeline.emulator.schema import Schema, standard_objects


def load(tmp_path: Path, text: str) -> Org:
    path = tmp_path / "org.yaml"
    path.write_text(text, encoding="utf-8")
    schema = Schema(standard_objects())
    return Org(schema=schema, seed=org_file.load(path, schema))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- x", "the file must be a mapping"),
        ("object: []", "the file: unknown key 'object'; known are connected_apps, duplicate_rules, objects"),
        ("objects: {}", "objects must be a list"),
        ("objects: [x]", "objects[0] must be a mapping"),
        ("objects: [{}]", "objects[0]: name is missing"),
        ("objects: [{name: Shop}]", "objects[0]: a custom object's name ends with __c, Shop does not"),
        ("objects: [{name: S__c, key_prefix: '001'}]", "objects[0]: key_prefix '001' must be three letters or digits"),
        ("objects: [{name: S__c, key_prefix: 'a-'}]", "objects[0]: key_prefix 'a-' must be three letters or digits"),
        ("objects: [{name: Lead, fields: [{name: X__c}]}]", "objects[0].fields[0]: type is missing"),
        ("objects: [{name: Lead, fields: [{name: X__c, type: blob}]}]", "objects[0].fields[0]: type 'blob' is none of"),
        ("objects: [{name: Lead, fields: [{name: X, type: int}]}]", "objects[0].fields[0]: a custom field's name ends"),
        (
            "objects: [{name: Lead, fields: [{name: X__c, type: int, size: 1}]}]",
            "objects[0].fields[0]: unknown key 'size'",
        ),
        (
            "objects: [{name: Lead, fields: [{name: X__c, type: string, length: long}]}]",
            "objects[0].fields[0]: length must be a whole number",
        ),
        (
            "objects: [{name: Lead, fields: [{name: X__c, type: string, unique: 'yes'}]}]",
            "objects[0].fields[0]: unique must be true or false",
        ),
        (
            "objects: [{name: Lead, fields: [{name: X__c, type: picklist, values: A}]}]",
            "objects[0].fields[0]: values must be a list",
        ),
        (
            "objects: [{name: Lead, fields: [{name: X__c, type: reference, to: Nope}]}]",
            "objects[0].fields[0]: to names no object of the org: 'Nope'",
        ),
        ("users: [{password: x}]", "users[0]: username is missing"),
        ("users: [{username: a@b.co, password: x, admin: true}]", "users[0]: unknown key 'admin'"),
        ("connected_apps: [{}]", "connected_apps[0]: consumer_key is missing"),
        ("duplicate_rules: [{object: Nope}]", "duplicate_rules[0]: the org has no object 'Nope'"),
        ("duplicate_rules: [{object: Lead, fields: [Nope]}]", "duplicate_rules[0]: fields must name fields of Lead"),
        ("records: {Nope: []}", "records: the org has no object 'Nope'"),
        ("records: {Lead: [{Nope: 1}]}", "records.Lead[0]: Lead has no field 'Nope'"),
        ("a: [", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidSeed) as refused:
        load(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'org.yaml'}: {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("records: {Lead: [{LastName: a, Company: x}, {LastName: b}]}", "records.Lead[1]: REQUIRED_FIELD_MISSING"),
        ("records: {Lead: [{LastName: a, Company: x, Email: b}]}", "records.Lead[0]: INVALID_EMAIL_ADDRESS"),
        ("records: {Lead: [{LastName: [a], Company: x}]}", "records.Lead[0]: Cannot deserialize instance of string"),
    ],
)
def test_a_record_that_the_org_refuses_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidSeed) as refused:
        load(tmp_path, text)
    assert str(refused.value).startswith(message)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSeed):
        org_file.load(tmp_path / "none.yaml", Schema(standard_objects()))


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    org = load(tmp_path, "")
    assert set(org.schema.objects) == {one.name for one in standard_objects()}
    org.close()


def test_custom_objects_get_prefixes_and_their_usual_fields(tmp_path: Path) -> None:
    org = load(tmp_path, "objects: [{name: A__c}, {name: B_b__c, key_prefix: a07}, {name: C__c}]")
    prefixes = [org.schema.objects[name].key_prefix for name in ("A__c", "B_b__c", "C__c")]
    assert prefixes == ["a00", "a07", "a01"]
    assert org.schema.objects["B_b__c"].label == "B b"
    assert {"Id", "OwnerId", "Name", "IsDeleted", "CreatedDate", "LastModifiedById"} <= set(
        org.schema.objects["A__c"].fields
    )
    org.close()


def test_two_orgs_of_one_file_share_nothing(tmp_path: Path) -> None:
    path = tmp_path / "org.yaml"
    path.write_text("users: [{username: a@b.co, password: x}]\nduplicate_rules: [{object: Lead, fields: [Email]}]")
    schema = Schema(standard_objects())
    seed = org_file.load(path, schema)
    one, other = Org(schema=schema, seed=seed), Org(schema=schema, seed=seed)
    one.duplicates.rules.clear()
    one.auth.users["a@b.co"].is_active = False
    assert other.auth.users["a@b.co"].is_active
    assert len(other.duplicates.rules) == 1
    one.reset()
    assert len(one.duplicates.rules) == 1
    one.close()
    other.close()
