"""The environment and destination.yaml as values."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.destination import Bulk, Condition, Destination, Group, Identify, Quota, Salesforce, Value
from pipeline.errors import ConfigurationError
from pipeline.settings import (
    broker,
    broker_url,
    load_destination,
    load_settings,
    redis_address,
)
from pipeline.settings.address import Server
from pipeline.settings.file import parse_destination
from pipeline.settings.sentinels import Sentinels

DEFAULT = "redis://127.0.0.1:6379/0"


def read(text: str) -> Destination:
    return parse_destination(text, name="destination.yaml")


def test_an_empty_environment_gives_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    settings = load_settings({})

    assert (settings.redis, settings.broker.url, settings.endpoint_url) == (Server(), DEFAULT, None)
    assert settings.destination == Destination()
    assert settings.credentials.domain == "login"
    assert settings.credentials.username is None


def test_a_destination_yaml_in_the_working_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "destination.yaml").write_text("linger: 2")

    assert load_settings({}).destination.linger == 2


def test_the_environment_can_name_the_destination(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text("linger: 3", encoding="utf-8-sig")  # as editors on Windows write it

    assert load_destination({"PIPELINE_DESTINATION": str(file)}).linger == 3


def test_the_environment_gives_addresses_and_credentials() -> None:
    settings = load_settings(
        {
            "PIPELINE_REDIS_URL": "redis://state:6379/1",
            "PIPELINE_BROKER_URL": "redis://broker:6379/2",
            "PIPELINE_DESTINATION": "/dev/null",
            "SALESFORCE_USERNAME": " admin@example.com ",
            "SALESFORCE_PASSWORD": " a space at each end ",
            "SALESFORCE_SECURITY_TOKEN": "token",
            "SALESFORCE_DOMAIN": "acme.my",
            "SALESFORCE_CONSUMER_KEY": "key",
            "SALESFORCE_CONSUMER_SECRET": "secret",
            "SALESFORCE_PRIVATE_KEY_FILE": "/etc/key.pem",
            "SALESFORCE_ENDPOINT_URL": "http://127.0.0.1:8080/",
        }
    )

    assert settings.redis == Server(host="state", database=1)
    assert settings.broker.url == "redis://broker:6379/2"
    assert settings.endpoint_url == "http://127.0.0.1:8080"
    credentials = settings.credentials
    assert credentials.username == "admin@example.com"
    assert credentials.password == " a space at each end "
    assert credentials.security_token == "token"
    assert credentials.domain == "acme.my"
    assert (credentials.consumer_key, credentials.consumer_secret) == ("key", "secret")
    assert credentials.private_key_file == "/etc/key.pem"


@pytest.mark.parametrize(
    ("sandbox", "given", "username"),
    [
        ("false", "admin@acme.com", "admin@acme.com"),
        ("true", "admin@acme.com", "admin@acme.com"),
        ("dev", "admin@acme.com", "admin@acme.com.dev"),
        ("dev", "admin@acme.com.dev", "admin@acme.com.dev"),
        ("Dev", "admin@acme.com.dev", "admin@acme.com.dev"),
    ],
)
def test_a_sandbox_has_its_own_username_and_host(sandbox: str, given: str, username: str, tmp_path: Path) -> None:
    file = tmp_path / "destination.yaml"
    file.write_text(f"salesforce: {{sandbox: {sandbox}}}")
    environ = {"PIPELINE_DESTINATION": str(file), "SALESFORCE_USERNAME": given}

    credentials = load_settings(environ).credentials
    assert credentials.username == username
    assert credentials.domain == ("login" if sandbox == "false" else "test")
    named = load_settings(environ | {"SALESFORCE_DOMAIN": "acme--dev.sandbox.my"}).credentials
    assert named.domain == "acme--dev.sandbox.my"


def test_the_broker_is_the_state_store_unless_it_is_named() -> None:
    assert broker_url({"PIPELINE_REDIS_URL": "rediss://h:1/0"}) == "rediss://h:1/0"
    assert (
        broker_url({"PIPELINE_BROKER_URL": "redis://b:1/0", "PIPELINE_REDIS_URL": "redis://r:1/0"}) == "redis://b:1/0"
    )
    assert redis_address({"PIPELINE_REDIS_URL": "  "}).shown == DEFAULT


def test_one_variable_names_the_sentinels_of_state_and_queue() -> None:
    environ = {"PIPELINE_REDIS_URL": "sentinel://a:26379;sentinel://:p%40ss@b/2"}
    sentinels = Sentinels(nodes=(("a", 26379), ("b", 26379)), database=2, password="p@ss")

    assert load_settings(environ | {"PIPELINE_DESTINATION": "/dev/null"}).redis == sentinels
    assert redis_address(environ) == broker(environ).redis == sentinels
    # Each address says everything, whichever of them kombu is at.
    assert broker_url(environ) == "sentinel://:p%40ss@a:26379/2;sentinel://:p%40ss@b:26379/2"


def test_sentinels_may_know_the_master_by_another_name_and_want_credentials_of_their_own() -> None:
    environ = {
        "PIPELINE_REDIS_URL": "sentinel://user:secret@a:1",
        "PIPELINE_REDIS_MASTER": "ours",
        "PIPELINE_SENTINEL_USERNAME": "watcher",
        "PIPELINE_SENTINEL_PASSWORD": "other",
    }

    sentinels = redis_address(environ)
    assert isinstance(sentinels, Sentinels)
    assert (sentinels.nodes, sentinels.master, sentinels.database) == ((("a", 1),), "ours", 0)
    assert (sentinels.username, sentinels.password) == ("user", "secret")
    assert (sentinels.client_options["username"], sentinels.client_options["password"]) == ("watcher", "other")
    assert "secret" not in repr(sentinels)
    assert "other" not in repr(sentinels)


def test_the_queue_alone_may_be_behind_sentinels_or_the_state_alone() -> None:
    environ = {"PIPELINE_REDIS_URL": "redis://state:1/0", "PIPELINE_BROKER_URL": "sentinel://a:1/0"}
    assert redis_address(environ) == Server(host="state", port=1)
    assert broker(environ).redis == Sentinels(nodes=(("a", 1),))
    turned = {"PIPELINE_REDIS_URL": "sentinel://a:1/0", "PIPELINE_BROKER_URL": "amqp://rabbit//"}
    assert redis_address(turned) == Sentinels(nodes=(("a", 1),))
    assert (broker(turned).redis, broker_url(turned)) == (None, "amqp://rabbit//")


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://",
        "sentinel://:s3cret@/0",
        "sentinel://h:s3cret/0",
        "sentinel://h/s3cret",
        "sentinel://h/0;sentinel://s3cret/1",
        "sentinel://h/0;redis://s3cret/0",
        "sentinel://h/0?s3cret=1",
    ],
)
def test_a_wrong_list_of_sentinels_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"PIPELINE_REDIS_URL ") as refused:
        broker_url({"PIPELINE_REDIS_URL": url})

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"PIPELINE_REDIS_URL": "s3cret@host"}, "PIPELINE_REDIS_URL is no Redis address; write it as redis://"),
        ({"PIPELINE_BROKER_URL": "s3cret@host"}, "PIPELINE_BROKER_URL is no address; write it as redis://"),
        ({"SALESFORCE_ENDPOINT_URL": "s3cret:80"}, "SALESFORCE_ENDPOINT_URL is no web address; write it as http://"),
    ],
)
def test_a_wrong_address_is_refused_without_repeating_it(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_settings(environ | {"PIPELINE_DESTINATION": "/dev/null"})

    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_repr_shows_no_secret() -> None:
    secrets = {
        "PIPELINE_REDIS_URL": "redis://:s3cret@host/0",
        "SALESFORCE_PASSWORD": "s3cret",
        "SALESFORCE_SECURITY_TOKEN": "s3cret",
        "SALESFORCE_CONSUMER_KEY": "s3cret",
        "SALESFORCE_CONSUMER_SECRET": "s3cret",
    }

    assert "s3cret" not in repr(load_settings(secrets | {"PIPELINE_DESTINATION": "/dev/null"}))


def test_the_brokers_address_needs_neither_the_file_nor_heavy_libraries() -> None:
    code = (
        "import sys, pipeline.settings as s; s.broker_url({'PIPELINE_DESTINATION': '/nowhere'});"
        "print([m for m in ('marshmallow', 'simple_salesforce') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"


def test_every_key_of_the_file_is_read() -> None:
    text = """
salesforce:
  sandbox: dev
  api_version: 66.0
  assignment_rules: 01Q000000000001
  duplicate_rules: allow_save
quota: {share: 1, reserve: 0, weights: {lead: 3, Invoice__c: 0.5}}
bulk: {threshold: 50}
linger: 0
always_enabled: true
identify:
  default: true
  object: Contact
  lookup_fields: [Email, Phone]
  join: or
  on_multiple: newest
  placeholders: always
  clear_nulls: true
  priority: high
  owner: sales@acme.example
  record_type: Partner
  fields: {userId: UserId__c}
  on_create: {LeadSource: {value: Web}}
group:
  default: false
  address: both
  lookup_fields: Name
"""
    destination = read(text)

    assert destination.salesforce == Salesforce(
        sandbox="dev", api_version="66.0", assignment_rules="01Q000000000001EAA", duplicate_rules="allow_save"
    )
    assert destination.quota == Quota(share=1, reserve=0, weights={"Lead": 3, "Invoice__c": 0.5})
    assert destination.bulk == Bulk(threshold=50)
    assert (destination.linger, destination.always_enabled) == (0, True)
    assert destination.identify == Identify(
        default=True,
        object="Contact",
        lookup_fields=("Email", "Phone"),
        join="or",
        on_multiple="newest",
        placeholders="always",
        clear_nulls=True,
        priority="high",
        owner="sales@acme.example",
        record_type="Partner",
        fields={"UserId__c": Value(paths=("userId",))},
        on_create={"LeadSource": Value(constant="Web")},
    )
    assert destination.group == Group(default=False, address="both", lookup_fields=("Name",))


def test_an_action_is_read_in_full() -> None:
    text = """
actions:
  - on:
      type: track
      event: [A, B*]
      where:
        - {properties.x: 1, properties.y: {gte: 2, lt: 3}}
        - {properties.z: [a, b]}
    operation: upsert
    object: case
    match: {properties.id: External__c}
    fields:
      properties.a: [A__c, B__c]
      Subject: {template: "{userId}", default: none}
      AccountId: {lookup: account, by: AccountNumber, from: [groupId, context.groupId]}
"""
    (action,) = read(text).actions

    assert (action.type, action.events) == ("track", ("A", "B*"))
    assert action.where == (
        (
            Condition(path="properties.x", comparison="is", operand=1),
            Condition(path="properties.y", comparison="gte", operand=2),
            Condition(path="properties.y", comparison="lt", operand=3),
        ),
        (Condition(path="properties.z", comparison="in", operand=["a", "b"]),),
    )
    assert (action.operation, action.object) == ("upsert", "Case")
    assert action.match == {"External__c": Value(paths=("properties.id",))}
    assert action.fields == {
        "A__c": Value(paths=("properties.a",)),
        "B__c": Value(paths=("properties.a",)),
        "Subject": Value(template="{userId}", default="none"),
        "AccountId": Value(paths=("groupId", "context.groupId"), lookup="Account", by="AccountNumber"),
    }


@pytest.mark.parametrize("text", ["", "# only a comment", "identify:\nactions:\n", "quota: {share: }", "actions: []"])
def test_what_is_left_empty_keeps_its_default(text: str) -> None:
    assert read(text) == Destination()


def test_words_that_yaml_of_old_took_for_booleans_are_words() -> None:
    text = "actions: [{on: {type: track, event: Off}, operation: create, object: Case, fields: {x: No__c, a: 'Y'}}]"

    (action,) = read(text).actions
    assert action.events == ("Off",)
    assert set(action.fields) == {"No__c", "Y"}


def test_dates_and_octal_numbers_are_text() -> None:
    text = (
        "actions: [{on: {type: track}, operation: create, object: Case,"
        " fields: {A: {value: 2026-01-01}, B: {value: 007}, C: {value: 12:30}, D: {value: 1_000}}}]"
    )

    (action,) = read(text).actions
    assert [value.constant for value in action.fields.values()] == ["2026-01-01", "007", "12:30", "1_000"]


def test_anchors_and_merges_share_what_is_common() -> None:
    text = """
actions:
  - &case
    on: {type: track, event: A}
    operation: create
    object: Case
    fields: {properties.priority: Priority}
  - <<: *case
    on: {type: track, event: B}
"""
    first, second = read(text).actions

    assert (first.events, second.events) == (("A",), ("B",))
    assert first.fields == second.fields


def test_the_projects_own_destination_is_valid(repository: Path) -> None:
    destination = load_destination({"PIPELINE_DESTINATION": str(repository / "destination.yaml")})

    (action,) = destination.actions
    assert (action.object, action.operation, action.events) == ("Case", "create", ("Issue Submitted",))
    assert destination.objects == ("Account", "Case", "Contact", "Lead")
