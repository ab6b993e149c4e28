"""sObject Collections, composite, batch and tree: many records in one call."""

from typing import Any

import pytest
import requests

from tests.integration.emulator.org_client import LEAD, VERSION, OrgClient, without_attributes

ROOT = f"/services/data/v{VERSION}"
UNKNOWN = "00QEm0000000zzzMAA"


def typed(name: str, **fields: Any) -> dict[str, Any]:
    return {"attributes": {"type": name}, **fields}


def lead(**fields: Any) -> dict[str, Any]:
    return typed("Lead", **{**LEAD, **fields})


def successes(reply: requests.Response) -> list[bool]:
    assert reply.status_code == 200, reply.text
    return [entry["success"] for entry in reply.json()]


def codes(reply: requests.Response) -> list[list[str]]:
    assert reply.status_code == 200, reply.text
    return [[error["statusCode"] for error in entry["errors"]] for entry in reply.json()]


# sObject Collections.


def test_results_come_in_the_order_of_the_records(org: OrgClient) -> None:
    reply = org.upload([lead(LastName="a"), {"LastName": "b"}, lead(LastName="c")])
    assert successes(reply) == [True, False, True]
    first, second, third = reply.json()
    assert set(first) == {"id", "success", "errors"}
    assert set(second) == {"success", "errors"}
    assert org.column("SELECT LastName FROM Lead ORDER BY LastName") == ["a", "c"]
    assert [org.read("Lead", one["id"], "LastName")["LastName"] for one in (first, third)] == ["a", "c"]


def test_two_hundred_records_fit_and_none_more(org: OrgClient) -> None:
    assert successes(org.upload([lead()] * 200)) == [True] * 200
    assert org.upload([lead()] * 201).json()[0]["errorCode"] == "EXCEEDED_ID_LIMIT"
    assert org.column("SELECT COUNT(Id) FROM Lead") == [200]


@pytest.mark.parametrize("all_or_none", [False, True])
def test_all_or_none_undoes_what_was_valid(org: OrgClient, all_or_none: bool) -> None:
    reply = org.upload([lead(), typed("Lead"), typed("Account", Name="x")], all_or_none=all_or_none)
    undone = ["ALL_OR_NONE_OPERATION_ROLLED_BACK"] if all_or_none else []
    assert codes(reply) == [undone, ["REQUIRED_FIELD_MISSING"], undone]
    assert ["id" in entry for entry in reply.json()] == [not all_or_none, False, not all_or_none]
    assert len(org.records("SELECT Id FROM Lead")) + len(org.records("SELECT Id FROM Account")) == (
        0 if all_or_none else 2
    )


def test_all_or_none_undoes_updates_and_deletes_as_well(org: OrgClient) -> None:
    kept = org.lead(Title="old")
    body = {"allOrNone": True, "records": [typed("Lead", id=kept, Title="new"), typed("Lead", id=UNKNOWN)]}
    assert codes(org.patch("composite/sobjects", body)) == [
        ["ALL_OR_NONE_OPERATION_ROLLED_BACK"],
        ["INVALID_CROSS_REFERENCE_KEY"],
    ]
    reply = org.delete(f"composite/sobjects?ids={kept},{UNKNOWN}&allOrNone=true")
    assert codes(reply) == [["ALL_OR_NONE_OPERATION_ROLLED_BACK"], ["INVALID_CROSS_REFERENCE_KEY"]]
    assert org.read("Lead", kept, "Title")["Title"] == "old"


def test_ids_that_a_rollback_gave_back_are_not_in_the_reply(org: OrgClient) -> None:
    org.upload([lead(), typed("Lead")], all_or_none=True)
    (again,) = org.upload([lead()]).json()
    assert org.column("SELECT Id FROM Lead") == [again["id"]]


def test_one_id_may_come_twelve_times_and_the_last_wins(org: OrgClient) -> None:
    one, other = org.lead(), org.lead()
    records = [typed("Lead", id=one, Title=f"t{number}") for number in range(13)]
    reply = org.patch("composite/sobjects", {"records": [*records, typed("Lead", id=other, Title="x")]})
    assert codes(reply) == [*[[]] * 12, ["DUPLICATE_VALUE"], []]
    assert org.read("Lead", one, "Title")["Title"] == "t11"


def test_one_key_twice_in_an_upsert_fails_every_row_that_has_it(org: OrgClient) -> None:
    records = [lead(Ext__c=key) for key in ("a", "b", "A")]
    reply = org.patch("composite/sobjects/Lead/Ext__c", {"records": records})
    assert codes(reply) == [["DUPLICATE_VALUE"], [], ["DUPLICATE_VALUE"]]
    assert [entry["errors"][0]["message"] for entry in reply.json() if entry["errors"]] == [
        "Duplicate external id specified: a",
        "Duplicate external id specified: A",
    ]


def test_a_unique_value_twice_in_one_insert_is_kept_once(org: OrgClient) -> None:
    assert codes(org.upload([lead(Ext__c="a"), lead(Ext__c="A")])) == [[], ["DUPLICATE_VALUE"]]


def test_one_person_joins_a_campaign_once_in_one_call_too(org: OrgClient) -> None:
    member = typed("CampaignMember", CampaignId=org.create("Campaign", Name="Spring"), LeadId=org.lead())
    assert codes(org.upload([member, member])) == [[], ["DUPLICATE_VALUE"]]


def test_ten_runs_of_types_fit_and_none_more(org: OrgClient) -> None:
    pair = [lead(), typed("Account", Name="x")]
    assert successes(org.upload(pair * 5)) == [True] * 10
    assert org.upload([*pair * 5, lead()]).json()[0]["errorCode"] == "LIMIT_EXCEEDED"
    assert successes(org.upload([lead()] * 20 + [typed("Account", Name="x")] * 20)) == [True] * 40


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (lead(Nope=1), "INVALID_FIELD"),
        (lead(Born__c="soon"), "JSON_PARSER_ERROR"),
        (lead(IsUnreadByOwner=None), "JSON_PARSER_ERROR"),
        (typed("Nothing__c"), "INVALID_TYPE"),
        ({"LastName": "x", "attributes": {}}, "INVALID_INPUT"),
    ],
)
def test_what_cannot_be_read_refuses_the_whole_request(org: OrgClient, record: dict[str, Any], code: str) -> None:
    reply = org.upload([lead(), record])
    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, code)
    assert org.records("SELECT Id FROM Lead") == []


def test_the_place_of_an_unreadable_value_is_in_the_second_record(org: OrgClient) -> None:
    body = '{"records":[\n{"attributes":{"type":"Lead"}},\n{"attributes":{"type":"Lead"}, "Born__c": "soon"}]}'
    reply = org.post("composite/sobjects", data=body, headers={"Content-Type": "application/json"})
    assert reply.json()[0]["message"].endswith("at [line:3, column:43]")


def test_an_upsert_creates_updates_and_tells_which(org: OrgClient) -> None:
    old = org.lead(Ext__c="old", IsConverted=False)
    records = [lead(Ext__c="old", Title="x"), lead(Ext__c="new"), lead()]
    reply = org.patch("composite/sobjects/Lead/Ext__c", {"records": records})
    assert [(entry["success"], entry.get("created")) for entry in reply.json()] == [
        (True, False),
        (True, True),
        (False, None),
    ]
    assert reply.json()[0]["id"] == old
    assert reply.json()[2]["errors"][0]["statusCode"] == "MISSING_ARGUMENT"


def test_an_upsert_writes_what_its_create_or_update_may_write(org: OrgClient) -> None:
    lead_id = org.lead()
    old = org.create("Visit__c", Lead__c=lead_id, Ext__c="old")
    for field, when_updating in (("Locked__c", False), ("Later__c", True)):
        records = [
            typed("Visit__c", Ext__c="old", **{field: "x"}),
            typed("Visit__c", Ext__c=f"new {field}", Lead__c=lead_id, **{field: "x"}),
        ]
        reply = org.patch("composite/sobjects/Visit__c/Ext__c", {"records": records})
        assert successes(reply) == [when_updating, not when_updating]
        (refused,) = [entry for entry in reply.json() if entry["errors"]]
        assert refused["errors"][0]["statusCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
        assert refused["errors"][0]["fields"] == [field]
    assert org.read("Visit__c", old, "Later__c")["Later__c"] == "x"


def test_an_upsert_by_id_updates_those_that_have_one(org: OrgClient) -> None:
    old = org.lead()
    records = [typed("Lead", id=old, Title="x"), lead(Title="y")]
    reply = org.patch("composite/sobjects/Lead/Id", {"records": records})
    assert [entry["created"] for entry in reply.json()] == [False, True]


def test_records_are_deleted_by_ids_of_any_type(org: OrgClient) -> None:
    one, account = org.lead(), org.create("Account", Name="x")
    reply = org.delete(f"composite/sobjects?ids={one},{account},{one},{UNKNOWN},nonsense")
    assert codes(reply) == [[], [], ["ENTITY_IS_DELETED"], ["INVALID_CROSS_REFERENCE_KEY"], ["MALFORMED_ID"]]
    assert org.delete("composite/sobjects").status_code == 400


def test_records_are_read_in_the_order_of_their_ids(org: OrgClient) -> None:
    one, two = org.lead(LastName="one"), org.lead(LastName="two")
    body = {"ids": [two, UNKNOWN, one[:15], "nonsense"], "fields": ["LastName"]}
    wanted = [{"LastName": "two", "Id": two}, None, {"LastName": "one", "Id": one}, None]
    assert without_attributes(org.post("composite/sobjects/Lead", body).json()) == wanted
    query = {"ids": ",".join(body["ids"]), "fields": "LastName"}
    assert without_attributes(org.get("composite/sobjects/Lead", params=query).json()) == wanted
    refused = org.post("composite/sobjects/Lead", {"ids": [one], "fields": ["Nope"]})
    assert refused.json()[0]["errorCode"] == "INVALID_FIELD"
    assert org.post("composite/sobjects/Lead", {"ids": [one] * 2_001, "fields": ["Id"]}).status_code == 400


# Composite.


def part(method: str, path: str, reference: str, body: Any = None) -> dict[str, Any]:
    given = {"method": method, "url": f"{ROOT}/{path}", "referenceId": reference}
    return given if body is None else {**given, "body": body}


def composite(org: OrgClient, *parts: dict[str, Any], all_or_none: bool = False) -> requests.Response:
    return org.post("composite", {"allOrNone": all_or_none, "compositeRequest": list(parts)})


def test_later_subrequests_use_what_earlier_ones_answered(org: OrgClient) -> None:
    org.lead(Email="a@b.co")
    reply = composite(
        org,
        part("POST", "sobjects/Account", "account", {"Name": "Ng Ltd"}),
        part("GET", "query?q=SELECT+Id,Email+FROM+Lead", "found"),
        part("POST", "sobjects/Contact", "contact", {"LastName": "Ng", "AccountId": "@{account.id}"}),
        part("PATCH", "sobjects/Lead/@{found.records[0].Id}", "lead", {"Title": "for @{found.records[0].Email}"}),
    )
    answered = reply.json()["compositeResponse"]
    assert [one["httpStatusCode"] for one in answered] == [201, 200, 201, 204]
    assert [one["referenceId"] for one in answered] == ["account", "found", "contact", "lead"]
    assert set(answered[0]) == {"body", "httpHeaders", "httpStatusCode", "referenceId"}
    assert answered[0]["httpHeaders"]["Location"] == f"{ROOT}/sobjects/Account/{answered[0]['body']['id']}"
    assert answered[3]["body"] is None
    assert org.column("SELECT Account.Name FROM Contact") == [{"Name": "Ng Ltd"}]
    assert org.column("SELECT Title FROM Lead") == ["for a@b.co"]


def test_what_refers_to_a_refused_subrequest_is_halted(org: OrgClient) -> None:
    reply = composite(
        org,
        part("POST", "sobjects/Account", "account", {}),
        part("POST", "sobjects/Contact", "contact", {"LastName": "Ng", "AccountId": "@{account.id}"}),
        part("POST", "sobjects/Lead", "lead", LEAD),
        part("GET", "sobjects/Lead/@{nobody.id}", "lost"),
    )
    answered = reply.json()["compositeResponse"]
    assert [one["httpStatusCode"] for one in answered] == [400, 400, 201, 400]
    assert [one["body"][0]["errorCode"] for one in (answered[0], answered[1], answered[3])] == [
        "REQUIRED_FIELD_MISSING",
        "PROCESSING_HALTED",
        "PROCESSING_HALTED",
    ]


def test_an_all_or_none_composite_undoes_everything(org: OrgClient) -> None:
    reply = composite(
        org,
        part("POST", "sobjects/Lead", "a", LEAD),
        part("POST", "sobjects/Lead", "b", {}),
        part("POST", "sobjects/Lead", "c", LEAD),
        all_or_none=True,
    )
    answered = reply.json()["compositeResponse"]
    assert [one["body"][0]["errorCode"] for one in answered] == [
        "PROCESSING_HALTED",
        "REQUIRED_FIELD_MISSING",
        "PROCESSING_HALTED",
    ]
    assert org.records("SELECT Id FROM Lead") == []


def test_the_outer_all_or_none_rules_the_collections_inside(org: OrgClient) -> None:
    records = {"allOrNone": False, "records": [lead(), typed("Lead")]}
    parts = [part("POST", "sobjects/Lead", "a", LEAD), part("POST", "composite/sobjects", "b", records)]
    answered = composite(org, *parts, all_or_none=True).json()["compositeResponse"]
    assert answered[0]["body"][0]["errorCode"] == "PROCESSING_HALTED"
    assert org.records("SELECT Id FROM Lead") == []
    assert composite(org, *parts).json()["compositeResponse"][0]["httpStatusCode"] == 201
    assert len(org.records("SELECT Id FROM Lead")) == 2


def test_a_thousand_records_go_in_one_composite(org: OrgClient) -> None:
    parts = [part("POST", "composite/sobjects", f"c{n}", {"records": [lead()] * 200}) for n in range(5)]
    answered = composite(org, *parts).json()["compositeResponse"]
    assert [all(one["success"] for one in reply["body"]) for reply in answered] == [True] * 5
    assert org.calls()["total"] == 1


@pytest.mark.parametrize(
    "parts",
    [
        [part("GET", "sobjects/Lead", f"r{n}") for n in range(26)],
        [part("GET", "query?q=SELECT+Id+FROM+Lead", f"r{n}") for n in range(6)],
        [part("PATCH", "composite/sobjects", f"r{n}", {"records": []}) for n in range(6)],
        [part("GET", "sobjects/Lead", "r"), part("GET", "sobjects/Lead", "r")],
        [part("GET", "sobjects/Lead", "_r")],
        [part("GET", "sobjects/Lead", "r.1")],
        [part("POST", "composite", "r", {})],
        [{"method": "GET", "url": "/sobjects/Lead", "referenceId": "r"}],
        [{"url": f"{ROOT}/sobjects/Lead", "referenceId": "r"}],
        [],
    ],
)
def test_a_composite_that_breaks_a_rule_is_refused_as_a_whole(org: OrgClient, parts: list[dict[str, Any]]) -> None:
    assert composite(org, *parts).status_code == 400


def test_twenty_five_subrequests_of_which_five_are_heavy_fit(org: OrgClient) -> None:
    light = [part("GET", "sobjects/Lead", f"l{n}") for n in range(20)]
    heavy = [part("GET", "query?q=SELECT+Id+FROM+Lead", f"h{n}") for n in range(5)]
    answered = composite(org, *light, *heavy).json()["compositeResponse"]
    assert [one["httpStatusCode"] for one in answered] == [200] * 25


def test_a_subrequest_may_have_headers_of_its_own(org: OrgClient) -> None:
    org.control("duplicate_rules", [{"object": "Lead", "fields": ["Email"]}])
    org.lead(Email="a@b.co")
    again = part("POST", "sobjects/Lead", "again", {**LEAD, "Email": "a@b.co"})
    allowed = {**again, "httpHeaders": {"Sforce-Duplicate-Rule-Header": "allowSave=true"}, "referenceId": "allowed"}
    answered = composite(org, again, allowed).json()["compositeResponse"]
    assert [one["httpStatusCode"] for one in answered] == [400, 201]


# Batch and tree.


def test_a_batch_runs_and_keeps_each_subrequest(org: OrgClient) -> None:
    parts = [
        {"method": "POST", "url": "v66.0/sobjects/Lead", "richInput": LEAD},
        {"method": "POST", "url": "v66.0/sobjects/Lead", "richInput": {}},
        {"method": "GET", "url": "v66.0/limits"},
    ]
    body = org.post("composite/batch", {"batchRequests": parts}).json()
    assert body["hasErrors"] is True
    assert [one["statusCode"] for one in body["results"]] == [201, 400, 200]
    assert len(org.records("SELECT Id FROM Lead")) == 1


def test_a_batch_may_halt_at_the_first_error(org: OrgClient) -> None:
    parts = [{"method": "POST", "url": "v66.0/sobjects/Lead", "richInput": body} for body in (LEAD, {}, LEAD)]
    body = org.post("composite/batch", {"haltOnError": True, "batchRequests": parts}).json()
    assert [one["statusCode"] for one in body["results"]] == [201, 400, 412]
    assert body["results"][2]["result"][0]["errorCode"] == "BATCH_PROCESSING_HALTED"


def test_a_batch_holds_no_batch_and_at_most_twenty_five(org: OrgClient) -> None:
    inner = {"method": "POST", "url": "v66.0/composite/batch", "richInput": {"batchRequests": []}}
    assert org.post("composite/batch", {"batchRequests": [inner]}).json()["results"][0]["statusCode"] == 404
    many = [{"method": "GET", "url": "v66.0/limits"}] * 26
    assert org.post("composite/batch", {"batchRequests": many}).status_code == 400


def test_a_tree_plants_parents_and_children_or_nothing(org: OrgClient) -> None:
    def tree(last_name: str | None) -> dict[str, Any]:
        child = {"attributes": {"type": "Contact", "referenceId": "c1"}, "LastName": last_name}
        parent = {"attributes": {"type": "Account", "referenceId": "a1"}, "Name": "Ng Ltd"}
        return {"records": [{**parent, "Contacts": {"records": [child]}}]}

    good = org.post("composite/tree/Account", tree("Ng"))
    assert (good.status_code, good.json()["hasErrors"]) == (201, False)
    assert [one["referenceId"] for one in good.json()["results"]] == ["a1", "c1"]
    assert org.column("SELECT Account.Name FROM Contact") == [{"Name": "Ng Ltd"}]
    bad = org.post("composite/tree/Account", tree(None))
    assert (bad.status_code, bad.json()["hasErrors"]) == (400, True)
    (result,) = bad.json()["results"]
    assert (result["referenceId"], result["errors"][0]["statusCode"]) == ("c1", "REQUIRED_FIELD_MISSING")
    assert len(org.records("SELECT Id FROM Account")) == 1


def test_a_tree_has_at_most_two_hundred_records(org: OrgClient) -> None:
    records = [{"attributes": {"type": "Lead", "referenceId": f"r{n}"}, **LEAD} for n in range(201)]
    assert org.post("composite/tree/Lead", {"records": records[:200]}).status_code == 201
    assert org.post("composite/tree/Lead", {"records": records}).status_code == 400
    assert org.column("SELECT COUNT(Id) FROM Lead") == [200]
