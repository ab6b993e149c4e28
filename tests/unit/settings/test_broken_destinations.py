"""Broken configurations: each gives a message that names the line and what to write instead."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.settings import load_settings
from pipeline.settings.file import parse_destination

ACTION = "actions:\n- on: {type: track}\n  operation: create\n  object: Case\n"
UPSERT = "actions:\n- on: {type: identify}\n  operation: upsert\n  object: Contact\n"
AB = "  fields: {a: B}"
FIELDS = ACTION + "  fields:\n    "

# The file, the line that is wrong, and the fix that the message has to name.
BROKEN = [
    ("quota: {share: 80%}", 1, "write one such as 0.8"),
    ("quota:\n  share: 80", 2, "write a number above 0 and at most 1"),
    ("quota:\n  share: 0", 2, "write a number above 0"),
    ("quota: {weights: 3}", 1, "is no mapping; write one such as {Lead: 3}"),
    ("quota: {weights: {Lead: 0}}", 1, "write a number above 0"),
    ("quota: {weights: {'Big Lead': 2}}", 1, "is no API name"),
    ("identify:\n  priority: urgent", 2, "write one of normal, high"),
    ("quota:\n  reserve: -1", 2, "write a whole number of at least 0"),
    ("quota:\n  reserve: 1.5", 2, "is not a whole number; write one such as 1000"),
    ("bulk:\n  threshold: -1", 2, "write a whole number of at least 0"),
    ("quota:\n  reserve: many", 2, "write one such as 1000"),
    ("quota: 0.8", 1, "write a mapping, with one `key: value` a line"),
    ("linger: 61", 1, "at least 0 and at most 60"),
    ("linger: half a second", 1, "write one such as 0.5"),
    ("linger: true", 1, "write one such as 0.5"),
    ("always_enabled: yes", 1, "write true or false"),
    ("\nidentfy:\n  default: true", 2, "did you mean identify?"),
    ("salesforce:\n  sandbox: my sandbox", 2, "write false, true, or its name"),
    ("salesforce:\n  api_version: latest", 2, 'write one such as "66.0"'),
    ("salesforce:\n  api_version: 41.0", 2, 'write "52.0" or later'),
    ("salesforce:\n  assignment_rules: round robin", 2, "write false, true, or the Id of a rule"),
    ("salesforce:\n  duplicate_rules: allow", 2, "write one of enforce, allow_save"),
    ("salesforce:\n  password: hunter2", 2, "set the environment variable SALESFORCE_PASSWORD"),
    ("salesforce:\n  consumer_secret: s3", 2, "set the environment variable SALESFORCE_CONSUMER_SECRET"),
    ("identify:\n  default: on", 2, "write true or false"),
    ("identify:\n  object: Person", 2, "write one of Lead, Contact"),
    ("identify:\n  lookup_fields: []", 2, "write one such as [Email, Phone]"),
    ("identify:\n  lookup_fields: [traits.email]", 2, "write one such as Email or Plan__c"),
    ("identify:\n  placeholders: never", 2, "write one of on_create, always"),
    ("identify:\n  on_multiple: latest", 2, "write one of oldest, newest, error"),
    ("identify:\n  object: Contact\n  on_converted: skip", 3, "remove it, or write object: Lead"),
    ("identify:\n  lookup_field: [Email]", 2, "did you mean lookup_fields?"),
    ("identify:\n  owner: Sales Team", 2, "write the Id of a user or queue, or a username"),
    ("identify:\n  join: xor", 2, "did you mean or?"),
    ("group:\n  address: biling", 2, "did you mean billing?"),
    ("group:\n  on_converted: skip", 2, "only leads are converted; remove it"),
    ("group:\n  record_type: Key Account", 2, "is no API name; write one such as"),
    ("actions:\n  on: {type: track}", 1, "write a list: each action begins with a dash"),
    ("actions:\n- Case", 2, "write a mapping"),
    ("actions:\n- operation: create\n  object: Case\n  fields: {a: B}", 2, "write which events it is for"),
    ("actions:\n- on: track\n  operation: create\n  object: Case\n  fields: {a: B}", 2, "as {type: track, event:"),
    (ACTION.replace("track", "tracks") + AB, 2, "did you mean track?"),
    (ACTION.replace("track", "page, event: Home") + AB, 2, "`where`"),
    (ACTION.replace("track", "track, event: []") + AB, 2, "its name"),
    (UPSERT + "  match: {userId: B}\n  idempotency_field: C", 6, "only a create can happen twice"),
    (UPSERT + "  match: {userId: B}\n  on_uncertain: retry", 6, "only a create can happen twice"),
    (ACTION + AB + "\n  idempotency_field: b", 6, "takes the messageId"),
    (ACTION + AB + "\n  idempotency_field: C\n  on_uncertain: retry", 7, "can be looked up by C"),
    (ACTION + AB + "\n  on_uncertain: bury", 6, "write one of retry, dead_letter"),
    (
        "actions:\n- on: {type: track, events: A}\n  operation: create\n  object: Case\n  fields: {a: B}",
        2,
        "mean event?",
    ),
    (ACTION.replace("  operation: create\n", "") + AB, 2, "write one of create, read, update"),
    (ACTION.replace("create", "insert") + AB, 3, "write one of create"),
    (
        "actions:\n- on: {type: track}\n  operation: create\n  fields: {a: B}",
        2,
        "the API name of the object, such as Case",
    ),
    (ACTION.replace("Case", "Support Case") + AB, 4, "such as Case"),
    (ACTION, 2, "as fields: {properties.priority: Priority}"),
    (ACTION + "  fields: {a: B}\n  match: {userId: UserId__c}", 6, "remove it, or write operation: upsert"),
    (ACTION + "  fields: {a: B}\n  join: or", 6, "write two fields under match, or remove it"),
    (ACTION + "  fields: {a: B}\n  on_converted: skip", 6, "only leads are converted; remove it"),
    (FIELDS + "Priority: properties.priority", 6, "the path comes first: properties.priority: Priority"),
    (FIELDS + "properties.priority: Priority Level", 6, "write one such as Email or Plan__c"),
    (FIELDS + "properties.priority: 5", 6, "properties.priority: Field"),
    (FIELDS + "propertys.priority: Priority", 6, "did you mean properties?"),
    (FIELDS + "properties..priority: Priority", 6, "write keys joined with dots"),
    (FIELDS + "properties[x]: Priority", 6, "write keys joined with dots"),
    (FIELDS + "Priority: {form: properties.priority}", 6, "did you mean from?"),
    (FIELDS + "Priority: {from: a, value: b}", 6, "write one of from, value or template"),
    (FIELDS + "Priority: {default: Low}", 6, "write one of from, value or template"),
    (FIELDS + "Priority: {from: a, default: [Low]}", 6, "write text, a number, or true or false"),
    (FIELDS + "Priority: {from: 5}", 6, "write one such as traits.email"),
    (FIELDS + 'Subject: {template: "Order {properties.id"}', 6, "write {{ for the character itself"),
    (FIELDS + 'Subject: {template: "Order {}"}', 6, "write keys joined with dots"),
    (FIELDS + "Subject: {template: 5}", 6, 'write one such as "Order {properties.id}"'),
    (FIELDS + "AccountId: {lookup: Account, from: groupId}", 6, "by: AccountNumber, from: groupId}"),
    (FIELDS + "AccountId: {lookup: My Account, by: Name, from: groupId}", 6, "write one such as Case or Invoice__c"),
    (FIELDS + "a: Priority\n    b: priority", 7, "keep one, or write priority: {from: [path, path]}"),
    (FIELDS + "a: Id", 5, "remove it, or write it under match"),
    (ACTION + "  fields: Priority", 5, "write a `path: Field` a line"),
    (UPSERT + "  fields: {a: B}", 2, "as match: {traits.email: Email}"),
    (UPSERT + "  match: {traits.id: Id}", 5, "match on a field of your own"),
    (UPSERT + "  match: {traits.at: CreatedDate}", 5, "match on a field of your own"),
    (
        "actions:\n- on: {type: track}\n  operation: update\n  object: Case\n  fields: {a: B}",
        2,
        "match: {properties.id: Id}",
    ),
    (ACTION.replace("create", "delete") + "  match: {a: B__c}\n  on_multiple: oldest", 6, "or on none; remove it"),
    (ACTION.replace("create", "delete"), 2, "match: {properties.id: Id}"),
    (
        ACTION.replace("create", "delete") + "  match: {a: Id}\n" + AB,
        6,
        "a delete writes nothing; remove them",
    ),
    (
        ACTION.replace("create", "update") + AB + "\n  match: {a: Id}\n  on_create: {a: C}",
        7,
        "update creates nothing; remove it",
    ),
    (
        ACTION.replace("create", "read") + "  match: {a: Id}",
        2,
        "as fields: [Name, Industry]",
    ),
    (
        ACTION.replace("create", "read") + "  match: {a: Id}\n  fields: [First Name]",
        6,
        "write one such as Email or Plan__c",
    ),
    (ACTION.replace("track}", "track, where: {properties.x: {above: 5}}}"), 2, "write one of is, not, in"),
    (ACTION.replace("track}", "track, where: {properties.x: {gt: five}}}"), 2, "write a number"),
    (ACTION.replace("track}", "track, where: {properties.x: {exists: 1}}}"), 2, "write true or false"),
    (ACTION.replace("track}", "track, where: {properties.x: {in: 5}}}"), 2, "write a list"),
    (ACTION.replace("track}", "track, where: {properties.x: {is: [5]}}}"), 2, "write one value"),
    (ACTION.replace("track}", "track, where: properties.x}"), 2, "write conditions as path: value"),
    (ACTION.replace("track}", "track, where: []}"), 2, "write conditions as path: value"),
    ("identify:\n\tdefault: true", 2, "write spaces"),
    ("identify: {default: true", 1, "check quotes, brackets and indentation"),
    ('identify:\n  owner: "a', 2, "check quotes, brackets and indentation"),
    ("identify: default: true", 1, "check the indentation, or put the text in quotes"),
    ("linger: 1\nquota: {}\nlinger: 2", 3, "keep one of the two"),
    ("linger: 1\n---\nlinger: 2", 2, "write everything in one, without ---"),
    ("identify: *defaults", 1, "write the anchor (&name) before the alias (*name)"),
    ("identify: &i {fields: *i}", 1, "write the values out"),
    ("[a, b]: c", 1, "write it as one word, or in quotes"),
    ("- identify", 1, "write a mapping of sections"),
    ("just text", 1, "write a mapping of sections"),
    ("linger: \x07", 1, "save it as plain text"),
    ("linger: !!python/object:os.system 1", 1, "check quotes, brackets and indentation"),
]


@pytest.mark.parametrize(("text", "line", "fix"), BROKEN, ids=[f"{text[-40:]!r}" for text, _, _ in BROKEN])
def test_a_broken_file_is_refused_with_the_line_and_the_fix(text: str, line: int, fix: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_destination(text, name="destination.yaml")

    told = [message for message in str(refused.value).splitlines() if fix in message]
    assert told, str(refused.value)
    assert told[0].startswith(f"destination.yaml, line {line}: ")


def test_fifty_and_more_broken_files_are_tried() -> None:
    assert len({text for text, _, _ in BROKEN}) >= 50


def test_all_errors_of_a_file_are_told_at_once_in_its_order() -> None:
    text = "linger: soon\nquota:\n  share: 2\nidentify:\n  object: Person\n"

    with pytest.raises(ConfigurationError) as refused:
        parse_destination(text, name="d.yaml")

    told = str(refused.value).splitlines()
    assert [message.split(":")[0] for message in told] == ["d.yaml, line 1", "d.yaml, line 3", "d.yaml, line 5"]


def test_a_secret_in_the_file_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_destination("salesforce: {password: hunter2}", name="d.yaml")

    assert "hunter2" not in str(refused.value)


def test_a_file_of_aliases_that_would_fill_the_memory_is_refused() -> None:
    lines = ["x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 9)]

    with pytest.raises(ConfigurationError, match="aliases make the file too large"):
        parse_destination("\n".join(lines), name="d.yaml")


def test_a_file_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        parse_destination("a: " + "[" * 5000 + "]" * 5000, name="d.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.yaml"

    with pytest.raises(ConfigurationError, match=f"{missing}: cannot be read .*; set PIPELINE_DESTINATION"):
        load_settings({"PIPELINE_DESTINATION": str(missing)})


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "destination.yaml"
    file.write_bytes(b"identify: \xff")

    with pytest.raises(ConfigurationError, match="save it as UTF-8"):
        load_settings({"PIPELINE_DESTINATION": str(file)})
