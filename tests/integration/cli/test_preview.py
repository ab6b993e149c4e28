"""`pipeline preview` against an emulated org: its forecast, what delivery then does, and that it writes nothing."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main
from pipeline.local import free_port
from tests.integration.environment import Environment

OPTED_IN = {"Salesforce": True}


@pytest.fixture
def previewed(environment: Environment) -> Environment:
    return environment


def preview(one: Environment, *arguments: str, events: list[Any]) -> Result:
    lines = "\n".join(event if isinstance(event, str) else json.dumps(event) for event in events)
    return CliRunner().invoke(main, ["preview", *arguments, "-"], input=lines, env=one.environ)


def read(one: Environment, *arguments: str, events: list[Any]) -> dict[str, Any]:
    ran = preview(one, "--json", *arguments, events=events)
    assert ran.exit_code == 0, ran.output
    shown: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return shown


def identify(email: str, *, number: int = 1, **traits: Any) -> dict[str, Any]:
    return {
        "type": "identify",
        "userId": "u1",
        "messageId": f"m{number}-{email}",
        "timestamp": f"2026-11-23T10:00:{number:02d}Z",
        "traits": {"email": email, **traits},
        "integrations": OPTED_IN,
    }


def test_it_shows_what_each_event_would_write_and_why_others_would_not(previewed: Environment) -> None:
    events = [
        identify("ada@example.com", lastName="Lovelace", shoeSize=40, NumberOfEmployees="7"),
        {"type": "identify", "userId": "u1", "traits": {"email": "x@example.com"}},
        {"type": "identify", "traits": {"email": "y@example.com"}, "integrations": OPTED_IN},
        "not json",
        {"type": "track", "event": "Seen", "userId": "u", "integrations": OPTED_IN},
        identify("z@example.com") | {"integrations": {"salesforce": True}},
    ]
    near_miss = 'it says `"salesforce": true`, and only `"Salesforce": true` asks for it'
    shown = read(previewed, events=events)

    first, *others = shown["events"]
    assert first["operations"] == [
        {
            "operation": "upsert",
            "object": "Lead",
            "match": {"Email": "ada@example.com"},
            "fields": {"Email": "ada@example.com", "LastName": "Lovelace", "NumberOfEmployees": 7},
            "on_create": {"Company": "n/a"},
            "left_out": {"shoeSize": "had no field `shoeSize__c` on Lead"},
        }
    ]
    assert [(one["outcome"], one["reason"]) for one in others] == [
        ("skipped", "it does not ask to go to Salesforce"),
        ("rejected", "identify needs userId or anonymousId"),
        ("rejected", "an event is a JSON object, not text"),
        ("skipped", "no rule is for it"),
        ("skipped", f"it does not ask to go to Salesforce: {near_miss}"),
    ]
    assert (shown["accepted"], shown["skipped"], shown["rejected"]) == (1, 3, 2)
    assert shown["left_out"] == {"trait `shoeSize` had no field `shoeSize__c` on Lead": 1}
    assert shown["records"] == {"Lead": {"created": 1}}
    assert shown["api_calls"] == {"total": 2, "Lead": 2}

    told = preview(previewed, events=events).output
    assert 'upsert Lead where Email = "ada@example.com"' in told
    assert 'Company: "n/a"  (on a new record)' in told
    assert "left out: trait `shoeSize` had no field `shoeSize__c` on Lead: 1 times" in told
    assert "event 3 identify" in told
    assert "rejected, identify needs userId or anonymousId" in told


def test_it_writes_nothing_and_asks_the_org_for_its_describe_alone(previewed: Environment) -> None:
    read(previewed, events=[identify(f"p{number}@example.com", number=number) for number in range(50)])

    assert previewed.records("Lead") == []
    assert {name: count for name, count in previewed.calls().items() if name != "login"} == {"composite": 1}
    assert list(previewed.redis.scan_iter("*{Lead}*")) == list(previewed.redis.scan_iter("*{events}*")) == []
    read(previewed, events=[identify("a@example.com")])  # the describe is in the cache by now
    assert previewed.calls()["composite"] == 1


@pytest.fixture
def keyed(start_emulator: Callable[..., str], environment_of: Callable[[str], Environment]) -> Environment:
    fields = "{name: Key__c, type: string, length: 20, external_id: true}"
    one = environment_of(start_emulator(f"objects: [{{name: Contact, fields: [{fields}]}}]"))
    one.destination(
        "actions:\n- on: {type: identify}\n  operation: upsert\n  object: Contact\n  match: {userId: Key__c}\n"
        "  fields: {traits.lastName: LastName, traits.title: Title}\n"
        "identify: {default: false}\n"
    )
    return one


def test_upserts_by_an_external_id_are_shown_as_what_they_would_do(keyed: Environment) -> None:
    known = keyed.create("Contact", LastName="Lovelace", Key__c="ada", Title="Miss")
    twins = [keyed.create("Contact", LastName="Twin", Key__c="twin") for _ in range(2)]
    events = [
        {**identify("x@example.com", number=number, lastName="Lovelace", title="Countess"), "userId": who}
        for number, who in enumerate(("ADA", "new", "twin"))
    ]
    shown = read(keyed, "--diff", events=events)

    diffs = {one["id"]: one for one in shown["diff"]}
    assert {name: one["fate"] for name, one in diffs.items()} == {
        known: "updated",
        None: "created",
        twins[0]: "updated",
    }
    assert diffs[known]["fields"]["Title"] == ["Miss", "Countess"]
    assert shown["api_calls"]["total"] == 3  # the upsert; the lookup and the update of the one that has a twin
    assert keyed.deliver(*events) == 3
    assert read(keyed, events=events[:2])["records"] == {"Contact": {"created": 2}}
    assert read(keyed, events=events[:2])["api_calls"]["total"] == 1


def test_the_diff_is_against_the_records_as_they_are(previewed: Environment) -> None:
    ada = previewed.create("Lead", LastName="Lovelace", Company="Engines", Email="ada@example.com", Title="Miss")
    bob = previewed.create("Lead", LastName="Bob", Company="Bob's", Email="bob@example.com")
    events = [
        identify("ADA@example.com", number=2, title="Countess", phone="1"),
        identify("ada@example.com", number=1, title="Lady"),
        identify("bob@example.com", company="Bob's"),
        identify("new@example.com", lastName="New"),
    ]
    shown = read(previewed, "--diff", events=events)

    diffs = {one["id"]: one for one in shown["diff"]}
    assert diffs[ada]["fields"] == {
        "Title": ["Miss", "Countess"],
        "Phone": [None, "1"],
        "Email": ["ada@example.com", "ADA@example.com"],
    }
    assert (diffs[ada]["fate"], diffs[bob]["fate"], diffs[None]["fate"]) == ("updated", "unchanged", "created")
    assert diffs[None]["fields"]["Company"] == [None, "n/a"]
    assert shown["api_calls"]["total"] == 2
    assert shown["api_calls_spent"] == 1
    told = preview(previewed, "--diff", events=events).output
    assert '  - Title: "Miss"\n  + Title: "Countess"\n' in told
    assert [record["Title"] for record in previewed.records("Lead") if record["Id"] == ada] == ["Miss"]


MANY_RULES = """
identify: {placeholders: always}
actions:
  - on: {type: track, event: Bought}
    operation: upsert
    object: Contact
    match: {properties.email: Email}
    fields:
      AccountId: {lookup: Account, by: AccountNumber, from: properties.account}
      LastName: {value: Buyer}
  - on: {type: track, event: Left}
    operation: delete
    object: Lead
    match: {properties.email: Email}
  - on: {type: track, event: Asked}
    operation: create
    object: Case
    fields: {properties.subject: Subject}
  - on: {type: track, event: Renamed}
    operation: update
    object: Account
    match: {properties.id: Id}
    fields: {properties.name: Name}
"""


def test_what_is_forecast_is_what_delivery_then_does(previewed: Environment) -> None:
    previewed.destination(MANY_RULES)
    gone = previewed.create("Lead", LastName="x", Company="y", Email="gone@example.com")
    renamed = previewed.create("Account", Name="Old", AccountNumber="1")
    numbers = iter(range(1_000))

    def event(kind: str, **body: Any) -> dict[str, Any]:
        return {"type": kind, "userId": "u", "messageId": f"e{next(numbers)}", "integrations": OPTED_IN, **body}

    events = [
        *(identify(f"p{number}@example.com", number=number % 60, title=str(number)) for number in range(300)),
        *(identify(f"p{number}@example.com", number=number % 60 + 1, company="C") for number in range(0, 300, 3)),
        event("group", groupId="813", traits={"name": "Acme"}),
        event("track", event="Bought", properties={"email": "c@example.com", "account": "813"}),
        event("track", event="Left", properties={"email": "gone@example.com"}),
        event("track", event="Left", properties={"email": "nobody@example.com"}),
        event("track", event="Asked", properties={"subject": "Why?"}),
        event("track", event="Renamed", properties={"id": renamed, "name": "New"}),
        event("track", event="Renamed", properties={"id": "001000000000000AAA", "name": "None"}),
    ]
    events += events[-3:-2]  # a message that comes twice is applied once
    shown = read(previewed, "--diff", events=events)

    assert shown["records"] == {
        "Account": {"created": 1, "updated": 1, "not there": 1},
        "Case": {"created": 1},
        "Contact": {"created": 1},
        "Lead": {"created": 300, "deleted": 1},
    }
    by_id = {one["id"]: (one["fate"], one["fields"]) for one in shown["diff"]}
    assert by_id[renamed] == ("updated", {"Name": ["Old", "New"]})
    assert by_id[gone] == ("deleted", {})
    assert by_id["001000000000000AAA"][0] == "not there"
    assert len(previewed.records("Lead")) == 1

    calls = previewed.deliver(*events)
    while previewed.runtime.inbox("Contact").waiting().backlog:
        calls += previewed.deliver()
    assert calls <= shown["api_calls"]["total"] + 2
    assert calls >= shown["api_calls"]["total"] - 2
    written = {name: len(previewed.records(name)) for name in ("Lead", "Account", "Contact", "Case")}
    assert written == {"Lead": 300, "Account": 2, "Contact": 1, "Case": 1}
    after = read(previewed, "--diff", events=[one for one in events if one["type"] == "identify"])
    assert after["records"] == {"Lead": {"unchanged": 300}}


def test_without_a_look_at_the_org_upserts_count_as_new_and_the_rest_as_there(previewed: Environment) -> None:
    previewed.destination(MANY_RULES)
    body: Mapping[str, Any] = {"type": "track", "userId": "u", "integrations": OPTED_IN}
    events = [
        {**body, "event": "Left", "messageId": "a", "properties": {"email": "a@example.com"}},
        {**body, "event": "Bought", "messageId": "b", "properties": {"email": "a@example.com", "account": "813"}},
    ]
    shown = read(previewed, events=events)

    assert shown["records"] == {"Contact": {"created": 1}, "Lead": {"deleted": 1}}
    assert shown["api_calls"] == {"total": 5, "Contact": 3, "Lead": 2}
    assert "the Account where AccountNumber" in preview(previewed, events=events).output


def test_a_long_file_is_forecast_in_the_batches_of_delivery(previewed: Environment) -> None:
    previewed.runtime.describes.refresh(["Lead", "Account", "Contact"])
    shown = read(previewed, events=[identify(f"p{number}@example.com") for number in range(2_500)])

    assert shown["records"] == {"Lead": {"created": 2_500}}
    assert shown["api_calls"]["total"] == 6


def test_the_gate_is_asked_before_a_look(previewed: Environment) -> None:
    previewed.runtime.describes.refresh(["Lead", "Account", "Contact"])
    previewed.redis.hset("pipeline:{quota}:usage", mapping={"used": 90_000, "limit": 100_000})
    before = previewed.calls()
    ran = preview(previewed, "--diff", events=[identify("a@example.com")])

    assert ran.exit_code == 1
    assert "no API call can be spared now: 90000 of the org's 100000 calls a day are used" in ran.output
    assert previewed.calls() == before
    assert preview(previewed, events=[identify("a@example.com")]).exit_code == 0


@pytest.mark.parametrize("command", [["check"], ["preview", "-"]])
def test_an_org_that_cannot_be_reached_is_one_clear_message(previewed: Environment, command: list[str]) -> None:
    environ = {**previewed.environ, "SALESFORCE_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    ran = CliRunner().invoke(main, command, env=environ, input="{}")

    assert ran.exit_code == 1
    assert "the org cannot be reached" in ran.output
    assert "SALESFORCE_ENDPOINT_URL is http://127.0.0.1:" in ran.output
    assert "Traceback" not in ran.output


@pytest.mark.parametrize("command", [["check"], ["preview", "-"]])
def test_a_redis_that_cannot_be_reached_is_one_clear_message(previewed: Environment, command: list[str]) -> None:
    environ = {**previewed.environ, "PIPELINE_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    ran = CliRunner().invoke(main, command, env=environ, input="{}")

    assert ran.exit_code == 1
    assert "Redis does not answer" in ran.output


@pytest.mark.parametrize("command", [["check"], ["preview", "-"]])
def test_a_wrong_password_says_what_to_do(previewed: Environment, command: list[str]) -> None:
    ran = CliRunner().invoke(main, command, env={**previewed.environ, "SALESFORCE_CONSUMER_SECRET": "no"}, input="{}")

    assert ran.exit_code == 1
    assert "Salesforce refused the login" in ran.output


@pytest.mark.parametrize("command", [["check"], ["preview", "-"]])
def test_missing_credentials_are_named(previewed: Environment, command: list[str]) -> None:
    environ = {**previewed.environ, "SALESFORCE_CONSUMER_KEY": "", "SALESFORCE_CONSUMER_SECRET": ""}
    ran = CliRunner().invoke(main, command, env=environ, input="{}")

    assert ran.exit_code == 2
    assert "SALESFORCE_" in ran.output


def test_an_object_that_the_org_lacks_is_a_dead_letter_to_be(previewed: Environment) -> None:
    previewed.destination(
        "actions: [{on: {type: track}, operation: create, object: Nothing__c, fields: {properties.a: A__c}}]"
    )
    shown = read(
        previewed,
        events=[{"type": "track", "event": "x", "userId": "u", "properties": {"a": 1}, "integrations": OPTED_IN}],
    )

    assert "the org has no object Nothing__c" in shown["events"][0]["operations"][0]["refusal"]
    assert len(shown["dead_letters"]) == 1
    assert shown["api_calls"] == {"total": 0}


def test_text_of_events_is_no_markup(previewed: Environment, start_emulator: Callable[..., str]) -> None:
    told = preview(previewed, events=[identify("a@example.com", lastName="[red]x[/red]", **{"[b]": 1})]).output

    assert 'LastName: "[red]x[/red]"' in told
    assert "left out: [b]:" in told


def test_an_event_meets_what_an_event_before_it_would_have_written(
    start_emulator: Callable[..., str], environment_of: Callable[[str], Environment]
) -> None:
    fields = "{name: Number__c, type: double, precision: 9}, {name: Key__c, type: string, length: 40}"
    one = environment_of(start_emulator(f"objects: [{{name: Visit__c, fields: [{fields}]}}]"))
    one.destination(
        "actions:\n- on: {type: track}\n  operation: upsert\n  object: Visit__c\n"
        "  match: {properties.number: Number__c, properties.key: Key__c}\n"
        "- on: {type: track}\n  operation: upsert\n  object: Visit__c\n  match: {properties.number: Number__c}\n"
        "- on: {type: track}\n  operation: upsert\n  object: Visit__c\n  match: {properties.key: Key__c}\n"
    )
    body = {"type": "track", "event": "x", "userId": "u", "integrations": OPTED_IN}
    properties = {"number": 7, "key": "it's (1,2) = \\ 'x'"}
    shown = read(one, "--diff", events=[{**body, "messageId": "a", "properties": properties}])

    # Three keys of one batch are looked up together; each would make a record of its own, as delivery does.
    assert shown["records"] == {"Visit__c": {"created": 3}}
    again = [{**body, "messageId": f"m{number}", "properties": properties} for number in range(250)]
    assert read(one, "--diff", events=again)["records"] == {"Visit__c": {"created": 3}}
