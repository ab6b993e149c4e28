"""`pipeline check` against emulated orgs with odd metadata: what it finds, and what it says to do."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result

from pipeline.cli import main
from pipeline.destination import Destination
from pipeline.review.check import check
from tests.integration.environment import Environment

ORG = """
objects:
  - name: Lead
    fields:
      - {name: Region__c, type: picklist, restricted: true, values: [EMEA, APAC], required: true}
      - {name: Score__c, type: double, precision: 5}
      - {name: Key__c, type: string, length: 40, external_id: true, unique: true}
      - {name: Cased__c, type: string, length: 40, external_id: true, unique: true, case_sensitive: true}
      - {name: Notes__c, type: textarea, length: 32000}
      - {name: Once__c, type: string, length: 40, updateable: false}
      - {name: Later__c, type: string, length: 40, createable: false}
      - {name: Frozen__c, type: string, length: 40, createable: false, updateable: false}
      - {name: Fax, type: phone, createable: false, updateable: false}
      - {name: Account__c, type: reference, to: Account}
  - name: Invoice__c
    fields:
      - {name: Number__c, type: string, length: 20, external_id: true}
      - {name: Total__c, type: currency, precision: 18, scale: 2, required: true}
"""

LEADS = "identify: {default: false}\nactions:\n- on: {type: track}\n  object: Lead\n"
CREATE = LEADS + "  operation: create\n  fields:\n    LastName: {value: x}\n    Company: {value: y}\n"


class Checked:
    """The environment of one operator, whose destination is checked."""

    def __init__(self, environment: Environment) -> None:
        self.environment, self.environ = environment, environment.environ

    def run(self, destination: str, *arguments: str) -> Result:
        self.environment.destination(destination)
        return CliRunner().invoke(main, ["check", *arguments], env={**self.environ, "COLUMNS": "200"})

    def read(self, destination: str) -> dict[str, Any]:
        ran = self.run(destination, "--json")
        shown: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        assert ran.exit_code == (1 if shown["errors"] else 0), ran.output
        assert shown["ok"] is not bool(shown["errors"])
        return shown

    def of(self, destination: str, field: str) -> dict[str, Any]:
        """Return what was found of one field: the gravest, where it stands in several rows."""
        rows = [one for one in self.read(destination)["findings"] if one["field"] == field]
        assert rows, field
        found: dict[str, Any] = min(rows, key=lambda row: ["error", "warning", "ok"].index(row["verdict"]))
        return found


@pytest.fixture
def checked(start_emulator: Callable[..., str], environment_of: Callable[[str], Environment]) -> Checked:
    return Checked(environment_of(start_emulator(ORG)))


REGION = "identify: {fields: {traits.region: Region__c}}\n"


def test_an_org_as_it_comes_passes(environment: Environment, emulator_url: str) -> None:
    checked = Checked(environment)
    shown = checked.read("{}")

    assert (shown["errors"], shown["warnings"]) == (0, 0)
    rows = [(one["verdict"], one["where"], one["object"], one["field"]) for one in shown["findings"]]
    assert rows == [
        ("ok", "identify", "Lead", ""),
        ("ok", "identify.on_converted", "Contact", ""),
        ("ok", "group", "Account", ""),
        ("ok", "identify.lookup_fields", "Lead", "Email"),
        ("ok", "identify", "Lead", ""),
        ("ok", "group.lookup_fields", "Account", "AccountNumber"),
        ("ok", "group", "Account", ""),
        ("ok", "quota", "", ""),
    ]
    by_resource = requests.get(f"{emulator_url}/_emulator/stats", timeout=10).json()["api_calls"]["by_resource"]
    assert {name: count for name, count in by_resource.items() if name != "login"} == {"composite": 1}
    told = checked.run("{}").output
    assert "8 ok, 0 warnings, 0 errors" in told
    assert "AccountNumber" in told


def test_a_required_field_that_nothing_is_mapped_to_is_an_error(checked: Checked) -> None:
    found = checked.of("{}", "Region__c")

    assert (found["verdict"], found["where"]) == ("error", "identify")
    assert "Salesforce refuses a new record without it" in found["found"]
    assert "write it under identify.on_create" in found["advice"]
    assert checked.read(REGION)["errors"] == 0
    assert checked.run("{}").exit_code == 1


def test_a_field_of_the_default_mapping_that_cannot_be_written_is_a_warning(checked: Checked) -> None:
    found = checked.of(REGION, "Fax")

    assert (found["verdict"], found["found"]) == ("warning", "this user cannot write it")


@pytest.mark.parametrize(
    ("destination", "field", "verdict", "found", "advice"),
    [
        (CREATE + "    a: Nothing__c", "Nothing__c", "error", "the org has no such field", "correct the API name"),
        (CREATE + "    a: Frozen__c", "Frozen__c", "error", "this user cannot write it", "field-level security"),
        (CREATE + "    a: Later__c", "Later__c", "warning", "left out of new records", "field-level security"),
        (CREATE + "    a: Once__c", "Once__c", "ok", "can be written (string, up to 40 characters)", ""),
        (CREATE + "    Score__c: {value: high}", "Score__c", "error", "it is no number", "write another value"),
        (CREATE + "    Score__c: {from: a, default: high}", "Score__c", "error", "it is no number", "another value"),
        (
            CREATE + '    Score__c: {template: "{a} points"}',
            "Score__c",
            "warning",
            "a template gives text",
            "{from: path}",
        ),
        (
            CREATE + "    Region__c: {value: Mars}",
            "Region__c",
            "error",
            "not a value of the",
            "write one of APAC, EMEA",
        ),
        (CREATE + "    timestamp: Score__c", "Score__c", "error", "timestamp is a date and time", "map it to a date"),
        (CREATE + "    timestamp: Key__c", "Key__c", "ok", "can be written", ""),
        (CREATE + "    userId: Score__c", "Score__c", "warning", "userId is text", "map it to text"),
        (CREATE + "    properties: Key__c", "Key__c", "error", "properties is an object", "properties.plan"),
        (CREATE + "    properties: Notes__c", "Notes__c", "ok", "can be written (textarea", ""),
        (CREATE + "    a: Address", "Address", "error", "this user cannot write it", ""),
        (
            CREATE + "    Account__c: {lookup: Account, by: Nothing__c, from: a}",
            "Account__c",
            "error",
            "Account has no field Nothing__c to look it up by",
            "correct the API name",
        ),
        (
            CREATE + "    Account__c: {lookup: Contact, by: Email, from: a}",
            "Account__c",
            "error",
            "points to Account, not to Contact",
            "look up Account",
        ),
        (
            CREATE + "    Key__c: {lookup: Account, by: Name, from: a}",
            "Key__c",
            "error",
            "a lookup fills references",
            "map the value itself",
        ),
        (
            CREATE + "    Account__c: {lookup: Account, by: AccountNumber, from: a}",
            "Account__c",
            "ok",
            "can be written (reference",
            "",
        ),
        (
            CREATE + "    Account__c: {lookup: Account, by: Description, from: a}",
            "Account__c",
            "error",
            "Account cannot be searched by Description",
            "another field",
        ),
        ("identify: {lookup_fields: [Nothing__c]}", "Nothing__c", "error", "the org has no such field", "security"),
        ("identify: {lookup_fields: [Notes__c]}", "Notes__c", "error", "cannot be searched", "match on another field"),
        ("identify: {lookup_fields: [Key__c]}", "Key__c", "ok", "is an external ID: indexed", ""),
        ("identify: {lookup_fields: [Cased__c]}", "Cased__c", "warning", "by case", "case-insensitive"),
        ("identify: {lookup_fields: [Later__c]}", "Later__c", "error", "would not find them", "match on another field"),
        ("identify: {fields: {traits.a: Once__c}}", "Once__c", "warning", "only be set on new ones", "under on_create"),
        ("identify: {on_create: {traits.a: Once__c}}", "Once__c", "ok", "can be written", ""),
        ("identify: {owner: a@b.example}", "OwnerId", "ok", "can be written", ""),
        (
            LEADS + "  operation: update\n  match: {properties.id: Id}\n  fields: {a: Later__c}",
            "Later__c",
            "ok",
            "can be written",
            "",
        ),
        (
            LEADS + "  operation: update\n  match: {properties.id: Id}\n  fields: {a: Later__c}",
            "Id",
            "ok",
            "no lookup is needed",
            "",
        ),
        (
            LEADS + "  operation: read\n  match: {properties.id: Id}\n  fields: [Frozen__c]",
            "Frozen__c",
            "ok",
            "can be read",
            "",
        ),
        (
            LEADS + "  operation: read\n  match: {properties.id: Id}\n  fields: [Nothing__c]",
            "Nothing__c",
            "error",
            "the org has no such field",
            "security",
        ),
        (
            "actions: [{on: {type: track}, operation: upsert, object: Invoice__c, match: {a: Number__c}}]",
            "Total__c",
            "error",
            "nothing is mapped to it",
            "actions[0].on_create",
        ),
        (
            "actions: [{on: {type: track}, operation: upsert, object: Invoice__c, match: {a: Number__c}}]",
            "Number__c",
            "ok",
            "without a lookup, but not unique",
            "",
        ),
        (
            LEADS.replace("Lead", "Invoice__c")
            + "  operation: upsert\n  match: {a: Number__c}\n  on_create: {Total__c: {value: 0}}",
            "Number__c",
            "ok",
            "lookups stay cheap, but not unique",
            "",
        ),
        (
            "actions: [{on: {type: track}, operation: delete, object: Invoce__c, match: {a: Id}}]",
            "",
            "error",
            "the org has no such object",
            "custom objects end in __c",
        ),
    ],
)
def test_what_does_not_fit_the_org_is_told_with_what_to_do(  # noqa: PLR0917  (the columns of the table)
    checked: Checked, destination: str, field: str, verdict: str, found: str, advice: str
) -> None:
    told = checked.of(destination, field)

    assert (told["verdict"], told["field"]) == (verdict, field)
    assert found in told["found"]
    assert advice in told["advice"]


def test_an_account_number_that_is_hidden_says_where_to_show_it(checked: Checked) -> None:
    checked.run("{}")
    runtime = checked.environment.runtime
    account = runtime.describes.get("Account").condensed()
    account["fields"] = [one for one in account["fields"] if one["name"] != "AccountNumber"]
    account["createable"] = False
    hidden = type(runtime.describes.get("Account")).from_condensed(account)
    described = {"Lead": runtime.describes.get("Lead"), "Contact": None, "Account": hidden}
    errors = [one for one in check(Destination(), described) if one.verdict == "error"]

    assert [(one.where, one.object, one.field) for one in errors if one.object != "Lead"] == [
        ("identify.on_converted", "Contact", ""),
        ("group", "Account", ""),
        ("group.lookup_fields", "Account", "AccountNumber"),
    ]
    assert "this user may not create records of it" in errors[1].found
    assert "page layout" in errors[-1].advice


def test_a_quota_that_is_used_up_is_told(checked: Checked) -> None:
    checked.read(REGION)
    tight = REGION + "quota: {share: 0.0001, reserve: 1000}"
    ran = checked.run(tight)

    assert ran.exit_code == 1
    assert "no API call can be spared now" in ran.output
    assert "raise quota.share or lower quota.reserve" in ran.output


def test_a_check_refreshes_the_describes_that_workers_use(checked: Checked) -> None:
    checked.read("{}")
    runtime = checked.environment.runtime
    assert runtime.describes.missing(["Lead", "Account", "Contact"]) == []
    assert runtime.gate.status().in_flight == 0
