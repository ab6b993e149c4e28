"""What actions do: for which events, and to which records."""

import pytest

from pipeline.errors import InvalidEvent
from pipeline.settings.file import parse_destination
from tests.unit.mapping.planning import event, plan


@pytest.mark.parametrize(
    ("on", "kind", "name", "applies"),
    [
        ("{type: track, event: Issue Submitted}", "track", "Issue Submitted", True),
        ("{type: track, event: Issue Submitted}", "track", "issue submitted", False),
        ("{type: track, event: [A, B]}", "track", "B", True),
        ("{type: track, event: [A, B]}", "track", "C", False),
        ("{type: track, event: Order *}", "track", "Order Completed", True),
        ("{type: track, event: Order *}", "track", "My Order Completed", False),
        ('{type: track, event: "Order ?"}', "track", "Order 7", True),
        ('{type: track, event: ["*(x)", B]}', "track", "a(x)", True),
        ('{type: track, event: "*"}', "track", "Anything\nelse", True),
        ("{type: track}", "track", "Anything", True),
        ("{type: track}", "page", None, False),
        ("{type: page}", "page", None, True),
        ("{type: screen}", "screen", None, True),
        ("{type: alias}", "alias", None, True),
    ],
)
def test_an_action_is_for_its_events(on: str, kind: str, name: str | None, applies: bool) -> None:
    text = f"actions: [{{on: {on}, operation: create, object: Case, fields: {{Origin: {{value: Web}}}}}}]"

    assert len(plan(text, event(kind, event=name))) == applies


@pytest.mark.parametrize(
    ("where", "applies"),
    [
        ("{properties.plan: pro}", True),
        ("{properties.plan: free}", False),
        ("{properties.plan: [free, pro]}", True),
        ("{properties.plan: {in: [free]}}", False),
        ("{properties.plan: {not_in: [free]}}", True),
        ("{properties.plan: {not: pro}}", False),
        ("{properties.plan: {is: pro}}", True),
        ("{properties.total: {gt: 99}}", True),
        ("{properties.total: {gte: 100, lt: 100}}", False),
        ("{properties.total: {gte: 100, lte: 100}}", True),
        ("{properties.text: {gt: 4}}", True),
        ("{properties.plan: {gt: 4}}", False),
        ("{properties.nothing: {lt: 4}}", False),
        ("{properties.plan: {exists: true}}", True),
        ("{properties.plan: {exists: false}}", False),
        ("{properties.blank: {exists: true}}", False),
        ("{properties.nothing: {exists: false}}", True),
        ('{properties.email: {matches: "*@example.com"}}', True),
        ('{properties.email: {matches: "*@example.org"}}', False),
        ("{properties.total: {matches: 1*}}", False),
        ("{properties.is_new: true}", True),
        ("{properties.is_new: 1}", False),
        ("{properties.one: true}", False),
        ("{properties.plan: pro, properties.total: 5}", False),
        ("[{properties.plan: free}, {properties.total: 100}]", True),
        ("[{properties.plan: free}, {properties.total: 1}]", False),
        ("{properties.nothing: {not: pro}}", True),
    ],
)
def test_conditions_narrow_an_action(where: str, applies: bool) -> None:
    text = (
        f"actions: [{{on: {{type: track, where: {where}}}, operation: create, object: Case,"
        " fields: {Origin: {value: Web}}}]"
    )
    properties = {
        "plan": "pro",
        "total": 100,
        "text": "5.5",
        "blank": " ",
        "email": "ada@example.com",
        "is_new": True,
        "one": 1,
    }

    assert len(plan(text, event(properties=properties))) == applies


def test_an_upsert_writes_what_it_matches_on() -> None:
    text = """
actions:
  - on: {type: identify}
    operation: upsert
    object: Contact
    match: {userId: UserId__c}
    fields: {traits.email: Email}
    on_create: {LastName: {from: traits.lastName, default: n/a}}
identify: {default: false}
"""
    (operation,) = plan(text, event("identify", userId="u1", traits={"email": "ada@example.com"}))

    assert operation.verb == "upsert"
    assert operation.match == {"UserId__c": "u1"}
    assert operation.fields == {"Email": "ada@example.com", "UserId__c": "u1"}
    assert operation.on_create == {"LastName": "n/a"}
    assert operation.key == "userid__c=u1"


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_an_update_or_delete_is_by_id_or_match_and_does_not_write_it(verb: str) -> None:
    written = "" if verb == "delete" else "    fields: {properties.status: Status}\n"
    text = (
        f"actions:\n  - on: {{type: track}}\n    operation: {verb}\n    object: Case\n"
        f"    match: {{properties.caseId: Id}}\n{written}"
    )

    (operation,) = plan(text, event(properties={"caseId": "500000000000001", "status": "Closed"}))

    assert operation.verb == verb
    assert operation.match == {"Id": "500000000000001AAA"}  # the long form, whose key tells its case apart
    assert operation.fields == ({} if verb == "delete" else {"Status": "Closed"})


def test_a_delete_is_never_one_of_several_nor_a_contact_that_a_lead_became() -> None:
    text = "actions: [{on: {type: track}, operation: delete, object: Lead, match: {properties.email: Email}}]"

    (operation,) = plan(text, event(properties={"email": "ada@example.com"}))

    assert operation.options == {"on_multiple": "error", "on_converted": "skip"}


def test_a_read_returns_fields_and_writes_none() -> None:
    text = (
        "actions: [{on: {type: track}, operation: read, object: Contact, match: {userId: UserId__c},"
        " fields: [Name, Email]}]"
    )

    (operation,) = plan(text, event(userId="u1"))

    assert operation.verb == "read"
    assert operation.fields == {}
    assert operation.options == {"read": ["Name", "Email"]}


MATCH = """
actions:
  - on: {{type: track}}
    operation: upsert
    object: Contact
    match: {{properties.email: Email, properties.phone: Phone}}
    join: {join}
"""


def test_all_of_several_rules_have_to_match() -> None:
    (operation,) = plan(MATCH.format(join="and"), event(properties={"email": "e", "phone": "p"}))

    assert operation.match == {"Email": "e", "Phone": "p"}
    assert operation.options == {}
    with pytest.raises(InvalidEvent, match=r"actions\[0\] finds no value .* to match Email, Phone of Contact"):
        plan(MATCH.format(join="and"), event(properties={"email": "e"}))


def test_an_object_or_a_list_selects_no_record() -> None:
    with pytest.raises(InvalidEvent, match="finds no value"):
        plan(MATCH.format(join="or"), event(properties={"email": ["a@b.example"], "phone": {"object": 1, "match": 2}}))


def test_any_of_several_rules_can_match_on_request() -> None:
    (operation,) = plan(MATCH.format(join="or"), event(properties={"phone": "p"}))

    assert operation.match == {"Phone": "p"}
    assert operation.options == {"join": "or"}
    with pytest.raises(InvalidEvent, match="to match any of Email, Phone of Contact"):
        plan(MATCH.format(join="or"), event(properties={}))


def test_a_match_can_be_the_record_that_a_lookup_finds() -> None:
    text = """
actions:
  - on: {type: track}
    operation: upsert
    object: CampaignMember
    match:
      CampaignId: {value: 701000000000001AAA}
      LeadId: {lookup: Lead, by: Email, from: properties.email}
    fields: {Status: {value: Responded}}
"""
    (operation,) = plan(text, event(properties={"email": "ada@example.com"}))

    lead = {"object": "Lead", "match": {"Email": "ada@example.com"}}
    assert operation.match == {"CampaignId": "701000000000001AAA", "LeadId": lead}
    assert operation.fields == {"Status": "Responded", "CampaignId": "701000000000001AAA"}
    assert operation.options == {"lookups": {"LeadId": lead}}


TWO_RULES = """
actions:
  - on: {type: identify}
    operation: upsert
    object: Contact
    match: {userId: UserId__c}
"""


def test_an_action_on_another_object_adds_to_the_default_mapping() -> None:
    operations = plan(TWO_RULES, event("identify", userId="u1", traits={"email": "ada@example.com"}))

    assert [(one.id, one.object) for one in operations] == [("m1#identify", "Lead"), ("m1#actions[0]", "Contact")]


def test_a_rule_that_cannot_be_mapped_does_not_stop_the_others() -> None:
    lead, contact = plan(TWO_RULES, event("identify", anonymousId="a1", traits={"email": "ada@example.com"}))

    assert lead.match == {"Email": "ada@example.com"}
    assert contact.id == "m1#actions[0]"
    assert contact.options == {
        "refusal": "actions[0] finds no value in the event to match UserId__c of Contact by",
    }

    lead, contact = plan(TWO_RULES, event("identify", userId="u1", traits={}))
    assert str(lead.options["refusal"]).startswith("identify has no email trait")
    assert contact.match == {"UserId__c": "u1"}


def test_an_event_that_no_rule_can_map_is_refused_with_every_reason() -> None:
    with pytest.raises(InvalidEvent, match=r"no email trait.*; actions\[0\] finds no value"):
        plan(TWO_RULES, event("identify", anonymousId="a1", traits={}))


ON_LEAD = """
identify: {{{default}}}
actions:
  - on: {{type: identify, where: {{traits.vip: true}}}}
    operation: {operation}
    object: lead
    match: {{traits.email: Email}}
    {fields}
"""


@pytest.mark.parametrize(
    ("default", "operation", "is_vip", "planned"),
    [
        ("", "upsert", True, ["actions[0]"]),
        ("", "upsert", False, ["identify"]),
        ("", "update", True, ["actions[0]"]),
        ("", "delete", True, ["identify", "actions[0]"]),
        ("default: true", "upsert", True, ["identify", "actions[0]"]),
        ("default: false", "upsert", True, ["actions[0]"]),
        ("default: false", "upsert", False, []),
        ("object: Contact", "upsert", True, ["identify", "actions[0]"]),
    ],
)
def test_an_action_on_the_same_object_takes_the_place_of_the_default_mapping(
    default: str, operation: str, is_vip: bool, planned: list[str]
) -> None:
    fields = "" if operation == "delete" else "fields: {traits.plan: Plan__c}"
    text = ON_LEAD.format(default=default, operation=operation, fields=fields)

    operations = plan(text, event("identify", traits={"email": "ada@example.com", "vip": is_vip, "plan": "pro"}))

    assert [one.id.removeprefix("m1#") for one in operations] == planned


def test_a_group_action_on_account_takes_the_place_of_the_default_mapping() -> None:
    text = "actions: [{on: {type: group}, operation: upsert, object: Account, match: {groupId: Number__c}}]"

    (operation,) = plan(text, event("group", groupId="g1", traits={"name": "Acme"}))

    assert operation.id == "m1#actions[0]"
    assert operation.fields == {"Number__c": "g1"}


def test_several_actions_run_in_the_order_of_the_file() -> None:
    text = """
actions:
  - {on: {type: track}, operation: create, object: Case, fields: {Origin: {value: Web}}}
  - {on: {type: page}, operation: create, object: Case, fields: {Origin: {value: Web}}}
  - {on: {type: track}, operation: create, object: Task, fields: {Subject: {value: Call}}}
"""
    operations = plan(text, event())

    assert [one.id for one in operations] == ["m1#actions[0]", "m1#actions[2]"]
    assert [one.key for one in operations] == ["operation=m1#actions[0]", "operation=m1#actions[2]"]


def test_options_travel_only_where_they_differ_from_the_default() -> None:
    text = """
actions:
  - on: {type: track}
    operation: upsert
    object: Lead
    match: {properties.email: Email}
    on_multiple: error
    on_converted: create
    record_type: Partner
    owner: 00G000000000001
"""
    (operation,) = plan(text, event(properties={"email": "ada@example.com"}))

    assert operation.on_create == {"OwnerId": "00G000000000001EAA"}
    assert operation.options == {
        "on_multiple": "error",
        "on_converted": "create",
        "lookups": {
            "RecordTypeId": {
                "object": "RecordType",
                "match": {"DeveloperName": "Partner", "SobjectType": "Lead"},
                "on_create": True,
            }
        },
    }


def test_the_objects_of_a_destination_are_all_that_a_delivery_may_touch() -> None:
    text = """
identify: {on_converted: skip, owner: sales@acme.example}
group: {default: false}
actions:
  - on: {type: track}
    operation: create
    object: case
    fields: {AccountId: {lookup: Account, by: AccountNumber, from: context.groupId}}
    record_type: Support
  - {on: {type: page}, operation: upsert, object: Visit__c, match: {Lead__c: {lookup: Lead, by: Email, from: userId}}}
"""
    objects = parse_destination(text, name="destination.yaml").objects

    assert objects == ("Account", "Case", "Lead", "RecordType", "User", "Visit__c")
    assert parse_destination("", name="destination.yaml").objects == ("Account", "Contact", "Lead")
