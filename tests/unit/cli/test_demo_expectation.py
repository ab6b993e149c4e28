from typing import Any

import pytest

from pipeline.cli.demo_expectation import Expectation, expect, judge, messages

SENT = {"Salesforce": True}


def identify(email: Any = "a@example.com", **more: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": "u1", "traits": {"email": email}, "integrations": SENT, **more}


def group(group_id: Any = "g1", **more: Any) -> dict[str, Any]:
    return {"type": "group", "groupId": group_id, "traits": {"name": "A"}, "integrations": SENT, **more}


def issue(**more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Issue Submitted", "userId": "u1", "integrations": SENT, **more}


def test_emails_that_salesforce_compares_alike_are_one_lead() -> None:
    expected = expect([identify("A@x.com"), identify("a@x.com "), identify("b@x.com")], dead=[])
    assert expected.keys["Lead"] == {"a@x.com", "b@x.com"}
    assert expected.writes == 3


def test_a_user_id_that_is_an_email_counts_where_there_is_no_email_trait() -> None:
    assert expect([identify(None, userId="c@x.com")], dead=[]).keys["Lead"] == {"c@x.com"}


@pytest.mark.parametrize(
    "integrations", [{}, {"All": True}, {"Salesforce": False}, {"Salesforce": "true"}, None, {"Salesforce": 1}]
)
def test_an_event_that_does_not_opt_in_asks_for_nothing(integrations: Any) -> None:
    expected = expect([identify(integrations=integrations), group(integrations=integrations)], dead=[])
    assert not any(expected.possible.values())


def test_options_and_the_context_opt_in_as_well() -> None:
    events = [identify("a@x.com", integrations={"Salesforce": {}})]
    events.append(identify("b@x.com", integrations=None, context={"integrations": SENT}))
    assert expect(events, dead=[]).keys["Lead"] == {"a@x.com", "b@x.com"}


def test_a_message_sent_twice_opens_one_case() -> None:
    expected = expect([issue(messageId="m1"), issue(messageId="m1"), issue(messageId="m2"), issue()], dead=[])
    assert len(expected.keys["Case"]) == 3


def test_a_dead_letter_is_possible_but_not_expected_whatever_the_producer_stamped_on_it() -> None:
    stamped = identify("a@x.com") | {"messageId": "m", "timestamp": "2026-11-23T19:06:21Z"}
    expected = expect([identify("a@x.com"), identify("b@x.com"), "no event"], dead=[stamped, "no event"])
    assert (expected.keys["Lead"], expected.possible["Lead"]) == (
        frozenset({"b@x.com"}),
        frozenset({"a@x.com", "b@x.com"}),
    )


def test_messages_are_told_apart_by_their_id_or_by_what_they_say() -> None:
    repeated = [identify(messageId="m1"), identify("b@x.com", messageId="m1")]
    garbage = ["no event", "no event", "another"]
    unstamped = [identify(), identify()]
    assert messages([*repeated, *garbage, *unstamped]) == 1 + 2 + 2


def expectation(**keys: set[str]) -> Expectation:
    by_object = {name: frozenset(keys.get(name, set())) for name in ("Lead", "Account", "Case")}
    return Expectation(by_object, by_object, 0)


def test_an_org_with_every_record_once_is_clean() -> None:
    org: dict[str, list[dict[str, str]]] = {
        "Lead": [{"Email": "A@x.com"}],
        "Account": [{"AccountNumber": "g1"}],
        "Case": [{}, {}],
    }
    verdict = judge(expectation(Lead={"a@x.com"}, Account={"g1"}, Case={"m1", "m2"}), org)
    assert verdict.is_clean
    assert verdict.records == {"Lead": 1, "Account": 1, "Case": 2}


def test_duplicates_lost_and_unexpected_records_are_counted() -> None:
    org: dict[str, list[dict[str, str]]] = {
        "Lead": [{"Email": "A@x.com"}, {"Email": "a@x.com"}, {"Email": "z@x.com"}],
        "Account": [],
        "Case": [{}] * 3,
    }
    verdict = judge(expectation(Lead={"a@x.com"}, Account={"g1"}, Case={"m1"}), org)
    assert (verdict.duplicates, verdict.lost, verdict.unexpected) == (1 + 2, 1, 1)
    assert not verdict.is_clean
