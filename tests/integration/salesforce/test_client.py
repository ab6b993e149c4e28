"""One `send` is one API call, and what comes back is told apart: this subrequest, this request, this session."""

import contextlib
import json
import math
import time

import pytest

from pipeline.errors import ConfigurationError
from pipeline.salesforce.client import (
    LONGEST_URL,
    START_WITHIN_S,
    Org,
    Subrequest,
    create,
    delete,
    describe,
    query,
    update,
    upsert,
)
from pipeline.salesforce.composite import REFERENCE_IN_VALUE, mentions_a_reference
from pipeline.salesforce.errors import NoAnswer, Refused, Unavailable
from pipeline.salesforce.session import SessionStore
from tests.integration.salesforce.scripted_org import Answer, ScriptedOrg

LEAD = {"LastName": "Curie", "Email": "marie@example.com"}
CREATED = [{"id": "00Q000000000001AAA", "success": True, "errors": []}]
EXPIRED = Answer(401, [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}])


def composite(*parts: object, status: int = 200) -> Answer:
    return Answer(
        body={
            "compositeResponse": [
                {"body": part, "httpHeaders": {}, "httpStatusCode": status, "referenceId": f"r{position}"}
                for position, part in enumerate(parts)
            ]
        }
    )


def test_a_single_subrequest_goes_straight_to_its_resource(scripted_org: ScriptedOrg, org: Org) -> None:
    scripted_org.answers.append(Answer(body=CREATED))
    answer = org.send([create("Lead", [LEAD])])[0]
    (seen,) = scripted_org.seen
    assert (seen.method, seen.path) == ("POST", "/services/data/v66.0/composite/sobjects")
    assert seen.json == {"allOrNone": False, "records": [{"attributes": {"type": "Lead"}, **LEAD}]}
    assert seen.headers["Sforce-Auto-Assign"] == "FALSE"
    assert seen.headers["Sforce-Duplicate-Rule-Header"] == "allowSave=false"
    assert seen.headers["Sforce-Mru"] == "updateMru=false"
    assert "X-PrettyPrint" not in seen.headers
    (result,) = answer.results()
    assert (result.success, result.id, result.created) == (True, "00Q000000000001AAA", None)
    assert org.calls == {"composite/sobjects": 1}


def test_several_subrequests_are_one_call_and_come_back_in_order(scripted_org: ScriptedOrg, org: Org) -> None:
    reply = composite({"records": []}, CREATED)
    reply.body["compositeResponse"].reverse()
    scripted_org.answers.append(reply)
    first, second = org.send([query("SELECT Id FROM Lead"), update("Lead", [{"Id": "00Q000000000001AAA"}])])
    assert first.body == {"records": []}
    assert second.body == CREATED
    (seen,) = scripted_org.seen
    assert seen.path == "/services/data/v66.0/composite"
    assert seen.json["allOrNone"] is False
    assert seen.json["collateSubrequests"] is False
    assert org.calls == {"composite": 1}


def test_each_write_of_a_composite_carries_its_own_headers(scripted_org: ScriptedOrg, org: Org) -> None:
    scripted_org.answers.append(composite([], [], []))
    org.send(
        [query("SELECT Id FROM Lead"), create("Lead", [LEAD]), delete(["00Q000000000001AAA"])],
        headers={"Sforce-Auto-Assign": "TRUE"},
    )
    looked_up, created, deleted = scripted_org.seen[0].json["compositeRequest"]
    assert "httpHeaders" not in looked_up
    for write in (created, deleted):
        # Sforce-Mru is not documented for collections, and Accept, Authorization, Content-Type refuse the request.
        assert set(write["httpHeaders"]) == {"Sforce-Auto-Assign", "Sforce-Duplicate-Rule-Header"}
        assert write["httpHeaders"]["Sforce-Auto-Assign"] == "TRUE"


def test_a_query_too_long_for_an_address_travels_in_a_body(scripted_org: ScriptedOrg, org: Org) -> None:
    long_query = query(f"SELECT Id FROM Lead WHERE Email = '{'x' * LONGEST_URL}'")
    scripted_org.answers.append(composite({"done": True, "records": []}))
    assert org.send([long_query])[0].body == {"done": True, "records": []}
    assert scripted_org.seen[0].path == "/services/data/v66.0/composite"
    assert scripted_org.seen[0].json["compositeRequest"][0]["url"] == f"/services/data/v66.0/{long_query.path}"


def test_the_next_page_is_asked_for_by_its_locator(scripted_org: ScriptedOrg, org: Org) -> None:
    org.query_rest("/services/data/v66.0/query/0r8xx00000000001AAA-2000")
    assert scripted_org.seen[0].path == "/services/data/v66.0/query/0r8xx00000000001AAA-2000"
    assert org.calls == {"query": 1}


def test_an_expired_session_is_renewed_once_and_the_call_repeated(scripted_org: ScriptedOrg, org: Org) -> None:
    scripted_org.answers.extend([EXPIRED, Answer(body=CREATED)])
    assert org.send([create("Lead", [LEAD])])[0].ok
    assert [seen.headers["Authorization"] for seen in scripted_org.seen] == ["Bearer token-1", "Bearer token-2"]
    assert scripted_org.seen[0].body == scripted_org.seen[1].body
    assert len(scripted_org.logins) == 2


def test_a_session_refused_twice_is_not_renewed_again(scripted_org: ScriptedOrg, org: Org) -> None:
    scripted_org.answers.extend([EXPIRED, EXPIRED])
    with pytest.raises(Refused) as refused:
        org.send([create("Lead", [LEAD])])
    assert refused.value.status == 401
    assert len(scripted_org.logins) == 2


def test_no_request_starts_when_its_time_is_over(scripted_org: ScriptedOrg, org: Org) -> None:
    org.send([create("Lead", [LEAD])], by=time.monotonic() + 60)
    with pytest.raises(NoAnswer) as late:
        org.send([create("Lead", [LEAD])], by=time.monotonic() - 0.001)
    assert not late.value.sent
    assert len(scripted_org.seen) == 1


def test_a_call_is_not_repeated_when_the_renewal_took_too_long(
    scripted_org: ScriptedOrg, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.send([create("Lead", [LEAD])])
    scripted_org.answers.append(EXPIRED)
    clock = time.monotonic

    def later() -> float:
        return clock() + (START_WITHIN_S + 1 if len(scripted_org.logins) > 1 else 0)

    monkeypatch.setattr(time, "monotonic", later)
    with pytest.raises(NoAnswer) as late:
        org.send([create("Lead", [LEAD])])
    assert not late.value.sent
    assert len(scripted_org.seen) == 2
    assert org.slowest_send_s == START_WITHIN_S + org._transport.slowest_request_s


def test_a_401_that_is_not_about_the_session_does_not_renew_it(scripted_org: ScriptedOrg, org: Org) -> None:
    scripted_org.answers.append(Answer(401, {"error": "not a list"}))
    with pytest.raises(Refused):
        org.send([create("Lead", [LEAD])])
    assert len(scripted_org.logins) == 1


@pytest.mark.parametrize("status", [300, 400, 404])
def test_a_refusal_of_one_subrequest_is_its_answer_alone_or_in_company(
    scripted_org: ScriptedOrg, org: Org, status: int
) -> None:
    errors = [{"errorCode": "INVALID_FIELD", "message": "No such column 'X'", "fields": ["X"]}]
    scripted_org.answers.extend([Answer(status, errors), composite(errors, errors, status=status)])
    alone = org.send([create("Lead", [LEAD])])[0]
    in_company = org.send([create("Lead", [LEAD]), create("Lead", [LEAD])])[0]
    assert (alone.status, alone.errors, alone.ok) == (in_company.status, in_company.errors, in_company.ok)
    assert [error.code for error in alone.errors] == ["INVALID_FIELD"]
    with pytest.raises(NoAnswer):
        alone.results()


@pytest.mark.parametrize("status", [400, 403, 404, 405, 410, 414, 415])
def test_a_refusal_of_a_whole_composite_raises(scripted_org: ScriptedOrg, org: Org, status: int) -> None:
    scripted_org.answers.append(Answer(status, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "m"}]))
    with pytest.raises(Refused) as refused:
        org.send([create("Lead", [LEAD]), create("Lead", [LEAD])])
    assert refused.value.status == status
    assert refused.value.codes == {"REQUEST_LIMIT_EXCEEDED"}


@pytest.mark.parametrize("status", [200, 400, 403, 404, 500, 503])
def test_the_usage_is_passed_on_whatever_the_answer_says(
    scripted_org: ScriptedOrg, org: Org, usages: list[tuple[int, int]], status: int
) -> None:
    header = "api-usage=17/15000; per-app-api-usage=3/250(appName=pipeline)"
    scripted_org.answers.append(Answer(status, [], {"Sforce-Limit-Info": header}))
    with contextlib.suppress(Refused, Unavailable):
        org.send([create("Lead", [LEAD])])
    assert usages == [(17, 15000)]


def test_the_usage_of_an_answer_that_was_cut_short_is_passed_on(
    scripted_org: ScriptedOrg, org: Org, usages: list[tuple[int, int]]
) -> None:
    header = {"Sforce-Limit-Info": "api-bursts=1/750; api-usage=18/15000"}
    scripted_org.answers.append(Answer(body=CREATED, headers=header, fault="truncated"))
    with pytest.raises(NoAnswer):
        org.send([create("Lead", [LEAD])])
    assert usages == [(18, 15000)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"compositeResponse": []},
        {"compositeResponse": [{"referenceId": "r0"}]},
        {"compositeResponse": [3]},
    ],
)
def test_a_composite_answer_with_a_part_missing_is_no_answer(scripted_org: ScriptedOrg, org: Org, body: object) -> None:
    scripted_org.answers.append(Answer(body=body))
    with pytest.raises(NoAnswer) as lost:
        org.send([create("Lead", [LEAD]), create("Lead", [LEAD])])
    assert lost.value.sent


def test_an_empty_answer_has_no_body(scripted_org: ScriptedOrg, org: Org) -> None:
    scripted_org.answers.append(Answer(204, b""))
    answer = org.send([Subrequest("PATCH", "sobjects/Lead/00Q000000000001AAA", {"City": "Paris"})])[0]
    assert (answer.status, answer.body, answer.ok) == (204, None, True)
    assert org.calls == {"sobjects/Lead": 1}


def test_numbers_that_json_does_not_have_are_never_sent(scripted_org: ScriptedOrg, org: Org) -> None:
    for number in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            org.send([create("Lead", [{**LEAD, "AnnualRevenue": number}])])
    assert not scripted_org.seen


def test_what_looks_like_a_reference_travels_alone_or_not_at_all(scripted_org: ScriptedOrg, org: Org) -> None:
    suspicious = {**LEAD, "Description": "see @{r0.id}"}
    assert mentions_a_reference(dict(suspicious))
    assert not mentions_a_reference({"a": ["@", {"b": "{"}]})
    with pytest.raises(Refused) as refused:
        org.send([create("Lead", [LEAD]), create("Lead", [suspicious])])
    assert refused.value.codes == {REFERENCE_IN_VALUE}
    assert not scripted_org.seen
    org.send([create("Lead", [suspicious])])
    assert scripted_org.seen[0].json["records"][0]["Description"] == "see @{r0.id}"


def test_what_salesforce_would_not_accept_is_refused_before_it_costs_a_call(
    scripted_org: ScriptedOrg, org: Org
) -> None:
    for subrequests in ([], [describe("Lead")] * 26, [query("SELECT Id FROM Lead")] * 6, [create("Lead", [LEAD])] * 6):
        with pytest.raises(ValueError, match="holds"):
            org.send(subrequests)
    for members in (0, 201):
        with pytest.raises(ValueError, match="1 to 200"):
            create("Lead", [LEAD] * members)
        with pytest.raises(ValueError, match="1 to 200"):
            delete(["00Q000000000001AAA"] * members)
    assert not scripted_org.seen


def test_an_upsert_names_its_object_and_field(scripted_org: ScriptedOrg, org: Org) -> None:
    scripted_org.answers.append(Answer(body=[{"id": "1", "success": True, "created": True, "errors": []}]))
    answer = org.send([upsert("Lead", "UserId__c", [{"UserId__c": "u1"}])])[0]
    assert scripted_org.seen[0].method == "PATCH"
    assert scripted_org.seen[0].path == "/services/data/v66.0/composite/sobjects/Lead/UserId__c"
    assert answer.results()[0].created is True


def test_the_limits_resource_tells_the_quota(scripted_org: ScriptedOrg, org: Org) -> None:
    body = {"DailyApiRequests": {"Max": 15000, "Remaining": 14990}}
    scripted_org.answers.extend(
        [Answer(body=body), Answer(body=body, headers={"Sforce-Limit-Info": "api-usage=12/15000"})]
    )
    assert org.limits() == (10, 15000)
    assert org.limits() == (12, 15000)
    scripted_org.answers.append(Answer(403, [{"errorCode": "INSUFFICIENT_ACCESS", "message": "m"}]))
    with pytest.raises(Refused):
        org.limits()


@pytest.mark.parametrize("version", ["66", "v66.0", "latest", ""])
def test_an_api_version_that_is_none_is_a_mistake_in_the_configuration(store: SessionStore, version: str) -> None:
    with pytest.raises(ConfigurationError, match="api_version"):
        Org(store, api_version=version)


def test_old_api_versions_are_not_sent_a_header_they_do_not_know(
    scripted_org: ScriptedOrg, store: SessionStore
) -> None:
    Org(store, api_version="51.0").send([create("Lead", [LEAD])])
    assert "Sforce-Duplicate-Rule-Header" not in scripted_org.seen[0].headers


def test_no_representation_shows_personal_data(scripted_org: ScriptedOrg, org: Org) -> None:
    body = [{"errorCode": "INVALID_EMAIL_ADDRESS", "message": "invalid: marie@example.com", "fields": ["Email"]}]
    scripted_org.answers.append(Answer(400, body))
    subrequests = [create("Lead", [LEAD]), query("SELECT Id FROM Lead WHERE Email = 'marie@example.com'")]
    answer = org.send([subrequests[0]])[0]
    shown = json.dumps([repr(subrequests), repr(answer), repr(answer.errors), str(answer.errors[0])])
    assert "marie" not in shown
    assert "INVALID_EMAIL_ADDRESS [Email]" in shown
    assert answer.errors[0].message == "invalid: marie@example.com"
