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
        ("object: []", "the file: unknown key 'object'; known are assignment_rules, connected_apps, duplicate_rules"),
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
        (
            "objects: [{name: Lead, fields: [{name: X__c, type: string, html_formatted: true}]}]",
            "objects[0].fields[0]: html_formatted needs the type textarea",
        ),
        (
            "objects: [{name: Lead, fields: [{name: X__c, type: string, encrypted: true, external_id: true}]}]",
            "objects[0].fields[0]: a field that is encrypted can be neither unique nor an external Id",
        ),
        (
            "objects: [{name: Task, fields: [{name: Pronouns}]}]",
            "objects[0].fields[0]: a custom field's name ends with",
        ),
        ("options: {person: true}", "options: unknown key 'person'"),
        ("options: {read_only: 1}", "options: read_only must be true or false"),
        ("options: {state_and_country_picklists: {US: {}}}", "options.state_and_country_picklists.US: name is missing"),
        ("record_types: [{object: Nope, name: x}]", "record_types[0]: the org has no object 'Nope'"),
        ("record_types: [{object: Lead, name: x, person: true}]", "record_types[0]: person needs the option"),
        (
            "record_types: [{object: Lead, name: x, picklists: {City: [a]}}]",
            "record_types[0].picklists: Lead has no picklist 'City'",
        ),
        (
            "record_types: [{object: Lead, name: x, picklists: {Rating: [a]}}]",
            "record_types[0].picklists.Rating: the field has no value 'a'",
        ),
        ("record_types: [{object: Lead, name: x, id: '00Q000000000001'}]", "record_types[0]: id must be a record Id"),
        ("assignment_rules: [{object: Task}]", "assignment_rules[0]: object must be Lead or Case"),
        ("assignment_rules: [{object: Lead, owner: x@y.co}]", "assignment_rules[0]: owner 'x@y.co' is no active user"),
        (
            "assignment_rules: [{object: Lead, owner: admin@example.com, match: {Nope: 1}}]",
            "assignment_rules[0].match: Lead has no field 'Nope'",
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


def test_an_org_may_name_its_own_countries(tmp_path: Path) -> None:
    text = "options: {state_and_country_picklists: {FR: {name: France, states: {75: Paris}}, DE: {name: Germany}}}"
    org = load(tmp_path, text)
    lead = org.schema.objects["Lead"]
    assert lead.fields["CountryCode"].picklist_values == ("FR", "DE")
    assert lead.fields["StateCode"].picklist_values == ("75",)
    assert org.schema.options.countries["FR"].states == {"75": "Paris"}


def test_a_field_that_is_there_keeps_what_the_file_does_not_name(tmp_path: Path) -> None:
    org = load(tmp_path, "objects: [{name: Lead, fields: [{name: Email, length: 70}]}]")
    email = org.schema.objects["Lead"].fields["Email"]
    assert (email.type, email.length, email.byte_length, email.id_lookup) == ("email", 70, 210, True)


def test_a_reference_that_is_there_may_be_named_with_what_it_leads_to(tmp_path: Path) -> None:
    field = "{name: ConvertedContactId, type: reference, to: Contact, createable: true}"
    org = load(tmp_path, f"objects: [{{name: Lead, fields: [{field}]}}]")
    known = org.schema.objects["Lead"].fields["ConvertedContactId"]
    assert (known.reference_to, known.createable, known.relationship_name) == (("Contact",), True, "ConvertedContact")
