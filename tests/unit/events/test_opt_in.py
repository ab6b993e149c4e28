"""Why an event is skipped: near misses of the opt-in are counted by spelling, and nothing a sender invents is."""

from typing import Any

import fakeredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events.opt_in import in_words, opted_in, why_not
from pipeline.inbox.dead_letters import Receipt, receive, received, skipped_by_reason


@pytest.mark.parametrize(
    ("integrations", "why"),
    [
        (None, "not_opted_in"),
        ({}, "not_opted_in"),
        ({"Mixpanel": True}, "not_opted_in"),
        ({"Salesforce Marketing Cloud": True}, "not_opted_in"),  # another product
        ({"Salesforce": None}, "not_opted_in"),
        ({"Salesforce": "false"}, "not_opted_in"),
        ({"salesforce": False}, "not_opted_in"),
        ({"Salesforce": False}, "opted_out"),
        ({"All": False}, "opted_out"),
        ({"All": True, "Salesforce": False}, "opted_out"),
        ({"All": True}, "all_is_true"),
        ({"All": True, "Mixpanel": False}, "all_is_true"),
        ({"salesforce": True}, 'near miss: "salesforce": true'),
        ({"SalesForce": True}, 'near miss: "SalesForce": true'),
        ({"SALESFORCE": {"object": "Lead"}}, 'near miss: "SALESFORCE": {}'),
        ({"Salesforce (Actions)": True}, 'near miss: "Salesforce (Actions)": true'),
        ({"All": True, "Salesforce (Classic)": True}, 'near miss: "Salesforce (Classic)": true'),
        ({"sales_force": True}, 'near miss: "sales_force": true'),
        ({"SFDC": True}, 'near miss: "SFDC": true'),
        ({"SALESFORCE_OAUTH": True}, 'near miss: "SALESFORCE_OAUTH": true'),
        ({"sAlEsFoRcE": True}, "near miss: another spelling of Salesforce: true"),
        ({"Salesforce": "true"}, 'near miss: "Salesforce": "true"'),
        ({"Salesforce": " True "}, 'near miss: "Salesforce": "true"'),
        ({"Salesforce": "yes"}, 'near miss: "Salesforce": "yes"'),
        ({"Salesforce": 1}, 'near miss: "Salesforce": 1'),
        ({"Salesforce": 1.0}, 'near miss: "Salesforce": 1'),
        ({"Salesforce": 7}, 'near miss: "Salesforce": another value'),
        ({"Salesforce": ["Lead"]}, 'near miss: "Salesforce": another value'),
        ({"Salesforce": "ada@example.com"}, 'near miss: "Salesforce": another text'),
    ],
)
def test_the_reason_tells_what_comes_close(integrations: Any, why: str) -> None:
    for body in ({"integrations": integrations}, {"context": {"integrations": integrations}}):
        assert not opted_in(body)
        assert why_not(body) == why
        assert "alesforce" in in_words(why)


def test_an_empty_list_of_options_opts_in_as_php_writes_it() -> None:
    assert opted_in({"integrations": {"Salesforce": []}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)
names = st.text(max_size=12) | st.text("sSaAlLeEfFoOrRcC _-.()", max_size=24) | st.sampled_from(["Salesforce", "All"])


def test_reasons_are_a_closed_list_whatever_a_sender_invents() -> None:
    reasons: set[str] = set()

    @given(st.dictionaries(names, json_values, max_size=4))
    def collect(integrations: dict[str, Any]) -> None:
        body = {"integrations": integrations}
        if not opted_in(body):
            reasons.add(why_not(body))

    collect()
    assert all(len(one) < 80 and one.isascii() for one in reasons)
    assert why_not({"integrations": {"Sales-Force " * 9: True}}) == "not_opted_in"


def test_messages_that_are_skipped_are_counted_once_by_reason() -> None:
    redis = fakeredis.FakeRedis()
    near = 'near miss: "salesforce": true'
    receive(
        redis, [Receipt(f"m{number}", "skipped", near) for number in (1, 2)] + [Receipt("m3", "skipped", "no_rule")]
    )
    receive(redis, [Receipt("m1", "skipped", near), Receipt("m4", "accepted")])

    assert skipped_by_reason(redis) == {near: 2, "no_rule": 1}
    assert sum(skipped_by_reason(redis).values()) == received(redis)["skipped"]
