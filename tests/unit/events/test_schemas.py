"""Which events are accepted, and when they happened."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InvalidEvent
from pipeline.events.ids import message_id
from pipeline.events.schemas import Event, opted_in, validate

RECEIVED_MS = 1_795_000_000_000  # 2026-11-18T11:06:40Z
SAMPLE = Path(__file__).parents[3] / "pipeline" / "data" / "sdk_events.jsonl"


def accepted(**event: Any) -> Event:
    return validate({"messageId": "m1", **event}, received_ms=RECEIVED_MS)


def reason(event: Any) -> str:
    with pytest.raises(InvalidEvent) as refused:
        validate(event, received_ms=RECEIVED_MS)
    return str(refused.value)


def test_every_event_of_a_real_sdk_is_accepted() -> None:
    events = [json.loads(line) for line in SAMPLE.read_text().splitlines()]

    assert len(events) == 2000
    for event in events:
        valid = validate(event, received_ms=2_000_000_000_000)
        assert valid.message_id == event["messageId"]
        assert valid.body == event
        assert valid.time_ms == datetime.fromisoformat(event["timestamp"]).timestamp() * 1000


@pytest.mark.parametrize(
    "event",
    [
        {"type": "identify", "userId": "u1"},
        {"type": "identify", "anonymousId": "a1", "userId": None, "traits": None},
        {"type": "group", "groupId": "g1"},
        {"type": "track", "event": "Signed Up", "userId": "u1", "properties": {}},
        {"type": "page", "anonymousId": "a1", "name": None},
        {"type": "screen", "anonymousId": "a1", "name": "Home"},
        {"type": "alias", "userId": "u1", "previousId": "a1"},
    ],
    ids=lambda event: event["type"],
)
def test_every_type_of_the_spec_is_accepted(event: dict[str, Any]) -> None:
    assert accepted(**event).type == event["type"]


def test_unknown_keys_are_kept() -> None:
    event = accepted(type="page", anonymousId="a1", channel="server", _metadata={"bundled": ["x"]})

    assert event.body["channel"] == "server"
    assert event.body["_metadata"] == {"bundled": ["x"]}


def test_whole_numbers_as_ids_become_text() -> None:
    event = accepted(type="group", groupId=813, userId=7, anonymousId=8)

    assert (event.body["groupId"], event.body["userId"], event.body["anonymousId"]) == ("813", "7", "8")


def test_an_id_that_is_written_with_a_fraction_of_nothing_is_the_same_id() -> None:
    event = accepted(type="alias", userId=42.0, previousId=4.2e1, anonymousId=-0.0)

    assert (event.body["userId"], event.body["previousId"], event.body["anonymousId"]) == ("42", "42", "0")


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        *(("identify", key) for key in ("traits", "context", "integrations")),
        *(("group", key) for key in ("traits", "context", "integrations")),
        *(("track", key) for key in ("properties", "context", "integrations")),
        *(("page", key) for key in ("properties", "context", "integrations")),
        *(("screen", key) for key in ("properties", "context", "integrations")),
        *(("alias", key) for key in ("context", "integrations")),
    ],
)
def test_an_empty_list_is_an_empty_object_as_php_writes_it(kind: str, key: str) -> None:
    needed = {"userId": "u1", "groupId": "g1", "event": "e"}

    assert accepted(type=kind, **needed, **{key: []}).body[key] == {}
    assert accepted(type=kind, **needed, **{key: " "}).body[key] is None


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (None, "an event is a JSON object, not null"),
        ([{"type": "page"}], "an event is a JSON object, not a list"),
        ("identify", "an event is a JSON object, not text"),
        ({}, "type is missing or unknown; it is one of identify, group, track, page, screen, alias"),
        ({"type": "Identify"}, "type is missing or unknown"),
        ({"type": ["identify"]}, "type is missing or unknown"),
        ({"type": "identify"}, "identify needs userId or anonymousId"),
        ({"type": "identify", "userId": " ", "anonymousId": None}, "identify needs userId or anonymousId"),
        ({"type": "group", "userId": "u1"}, "group needs groupId"),
        ({"type": "group", "groupId": ""}, "group needs groupId"),
        ({"type": "track", "userId": "u1"}, "track needs event, the name of what happened"),
        ({"type": "track", "event": ""}, "track needs event"),
        ({"type": "track", "event": 5}, "track has a wrong event: it must be text"),
        ({"type": "group", "groupId": True}, "group has a wrong groupId: it must be text or a whole number"),
        ({"type": "identify", "userId": {}}, "identify has a wrong userId: it must be text or a whole number"),
        ({"type": "identify", "userId": 1.5}, "identify has a wrong userId"),
        ({"type": "identify", "userId": 2.0**53}, "identify has a wrong userId"),  # stands for two ids
        ({"type": "identify", "userId": []}, "identify needs userId or anonymousId"),
        ({"type": "identify", "userId": "u1", "traits": ["a"]}, "identify has a wrong traits: it must be an object"),
        ({"type": "track", "event": "e", "properties": "x"}, "track has a wrong properties: it must be an object"),
        ({"type": "page", "integrations": "all"}, "page has a wrong integrations: it must be an object"),
        ({"type": "page", "context": 1}, "page has a wrong context: it must be an object"),
        ({"type": "page", "name": 1}, "page has a wrong name: it must be text"),
        (
            {"type": "page", "timestamp": "yesterday"},
            "page has a wrong timestamp: it must be an ISO 8601 date and time",
        ),
        ({"type": "page", "timestamp": True}, "page has a wrong timestamp"),
        ({"type": "page", "timestamp": 1e300}, "page has a wrong timestamp"),
        ({"type": "page", "originalTimestamp": "2026-13-01"}, "page has a wrong originalTimestamp"),
        ({"batch": [{"type": "page"}], "sentAt": "x"}, "the body of a request with 1 events"),
        ({"type": "page", "properties": {"x": float("nan")}}, "properties holds NaN or an infinite number"),
        ({"type": "page", "context": {"x": [float("-inf")]}}, "context holds NaN or an infinite number"),
        ({"type": "page", "properties": {"x": {1: "a"}}}, "properties holds an object with a key that is not text"),
        ({"type": "page", "properties": {"x": b"raw"}}, "properties holds a bytes, which JSON does not have"),
        ({"type": "page", 5: "a"}, "a key of the event is not text"),
        ({"type": "page", "properties": {"x": 10**5000}}, "a whole number of thousands of digits"),
        ({"type": "page", "properties": {"x": "a" * 33_000}}, "bytes of JSON; at most 32,768 are taken"),
    ],
)
def test_what_breaks_the_spec_is_refused_with_the_field_and_the_reason(event: Any, said: str) -> None:
    assert said in reason(event)


def test_all_reasons_are_given_at_once() -> None:
    said = reason({"type": "identify", "userId": {}, "traits": 5, "timestamp": "5"})

    assert "userId" in said
    assert "traits" in said
    assert "timestamp" in said


def test_a_reason_never_repeats_a_value_or_an_unknown_key() -> None:
    secret = "ada@example.com"

    for event in (
        {"type": secret},
        {"type": "identify", "userId": [secret]},
        {"type": "page", "timestamp": secret},
        {"type": "page", secret: float("nan")},
        {"type": "page", "properties": {secret: float("inf")}},
    ):
        assert secret not in reason(event)


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels - 1):
        inner = {"a": inner}
    return inner


def test_nesting_is_bounded() -> None:
    assert accepted(type="page", properties=nested(31)).type == "page"
    assert "properties is nested deeper than 32 levels" in reason({"type": "page", "properties": nested(32)})
    assert "nested deeper" in reason({"type": "page", "properties": nested(5000)})


def test_size_counts_bytes_of_utf8_and_not_escapes() -> None:
    # 10,000 snowmen are 30,000 bytes, though JSON escapes them to 60,000.
    assert accepted(type="page", properties={"x": "☃" * 10_000}).type == "page"
    assert "32,768" in reason({"type": "page", "properties": {"x": "☃" * 11_000}})


class TestEventTime:
    def test_it_is_the_timestamp(self) -> None:
        assert accepted(type="page", timestamp="2026-01-01T01:00:00.250+01:00").time_ms == 1_767_225_600_250

    def test_without_an_offset_it_is_utc(self) -> None:
        assert accepted(type="page", timestamp="2026-01-01T00:00:00").time_ms == 1_767_225_600_000

    @pytest.mark.parametrize("timestamp", [None, "", " "])
    def test_without_a_timestamp_it_is_when_the_event_came(self, timestamp: str | None) -> None:
        assert accepted(type="page", timestamp=timestamp).time_ms == RECEIVED_MS

    def test_a_senders_wrong_clock_is_corrected(self) -> None:
        # The sender's clock is a year ahead; the event happened ten seconds before it was sent.
        event = accepted(
            type="page",
            originalTimestamp="2027-01-01T00:00:00Z",
            sentAt="2027-01-01T00:00:10Z",
            receivedAt="2026-01-01T00:00:11Z",
        )

        assert event.time_ms == 1_767_225_601_000

    def test_a_timestamp_that_the_sender_set_is_not_corrected(self) -> None:
        event = accepted(
            type="page",
            timestamp="2024-03-10T02:30:00Z",  # a value of then, imported now
            originalTimestamp="2026-11-01T00:00:00Z",
            sentAt="2026-11-01T00:00:00Z",
            receivedAt="2026-11-01T00:00:01Z",
        )

        assert event.time_ms == 1_710_037_800_000

    def test_times_that_only_correct_refuse_nothing_and_stay_as_they_came(self) -> None:
        event = accepted(type="page", timestamp="2024-03-10T02:30:00Z", sentAt="yesterday", receivedAt=["x"])

        assert event.time_ms == 1_710_037_800_000
        assert (event.body["sentAt"], event.body["receivedAt"]) == ("yesterday", ["x"])

    def test_a_number_stays_a_number(self) -> None:
        event = accepted(type="page", timestamp=1_710_037_800)

        assert (event.time_ms, event.body["timestamp"]) == (1_710_037_800_000, 1_710_037_800)

    def test_nothing_happens_after_it_was_received(self) -> None:
        assert accepted(type="page", timestamp="2099-01-01T00:00:00Z").time_ms == RECEIVED_MS


class TestOptIn:
    @pytest.mark.parametrize("wish", [True, {}, {"object": "Lead"}])
    def test_true_or_options_opt_in(self, wish: Any) -> None:
        assert opted_in(accepted(type="page", integrations={"Salesforce": wish}))
        assert opted_in(accepted(type="page", context={"integrations": {"Salesforce": wish}}))

    @pytest.mark.parametrize(
        "integrations", [None, {}, {"All": True}, {"salesforce": True}, {"Salesforce": "true"}, {"Salesforce": 1}]
    )
    def test_nothing_else_does(self, integrations: Any) -> None:
        assert not opted_in(accepted(type="page", integrations=integrations))
        assert not opted_in(accepted(type="page", context={"integrations": integrations}))

    def test_always_opts_every_event_in(self) -> None:
        assert opted_in(accepted(type="page"), always=True)
        assert opted_in(accepted(type="page", integrations={"All": True}), always=True)

    def test_no_beats_always(self) -> None:
        assert not opted_in(accepted(type="page", integrations={"Salesforce": False}), always=True)
        assert not opted_in(accepted(type="page", context={"integrations": {"Salesforce": False}}), always=True)
        assert not opted_in(accepted(type="page", integrations={"All": False}), always=True)

    def test_no_beats_yes(self) -> None:
        event = accepted(
            type="page", integrations={"Salesforce": True}, context={"integrations": {"Salesforce": False}}
        )

        assert not opted_in(event)

    def test_yes_to_salesforce_beats_no_to_all(self) -> None:
        assert opted_in(accepted(type="page", integrations={"All": False, "Salesforce": True}))


def test_half_a_surrogate_pair_is_replaced_wherever_it_stands() -> None:
    event = accepted(
        type="group", groupId="\ud800g", traits={"na\ude00me": ["cut \ud83d"], "whole": "\U0001f600 é"}, **{"\udfff": 1}
    )
    assert event.body["groupId"] == "\ufffdg"
    assert event.body["traits"] == {"na\ufffdme": ["cut \ufffd"], "whole": "\U0001f600 é"}
    assert event.body["\ufffd"] == 1


class TestMessageId:
    def test_it_is_the_events_own(self) -> None:
        assert message_id({"messageId": " m-1 "}) == "m-1"
        assert message_id({"messageId": 7}) == "7"

    @pytest.mark.parametrize("strange", ["a b", "ключ", "x" * 129, "line\nbreak", "\ud83d", 10**200])
    def test_a_long_or_strange_one_is_hashed_whatever_the_event_says(self, strange: Any) -> None:
        assert message_id({"messageId": strange}).startswith("sha256-")
        assert message_id({"messageId": strange}) == message_id({"messageId": f" {strange} ", "type": "page"})

    @pytest.mark.parametrize("unusable", [None, "", " ", True, {"a": 1}, ["x"]])
    def test_an_unusable_one_gives_way_to_a_hash_of_the_content(self, unusable: Any) -> None:
        event = {"type": "page", "messageId": unusable, "properties": {"a": 1, "b": 2}}
        again = {"properties": {"b": 2, "a": 1}, "messageId": unusable, "type": "page"}

        assert message_id(event).startswith("sha256-")
        assert message_id(event) == message_id(again)
        assert message_id(event) != message_id({**event, "properties": {"a": 1, "b": 3}})

    def test_times_of_sending_do_not_matter(self) -> None:
        event = {"type": "page", "sentAt": "2026-01-01T00:00:00Z"}

        assert message_id(event) == message_id({"type": "page", "sentAt": "2026-01-01T00:00:09Z", "receivedAt": "x"})

    def test_two_strange_ids_are_two_messages(self) -> None:
        assert message_id({"messageId": "a b"}) != message_id({"messageId": "a c"})

    @pytest.mark.parametrize("no_event", [None, "text", [1], {"x": float("nan")}, {"x": b"raw"}, {1: 2, "a": 3}])
    def test_what_is_no_event_has_one_too(self, no_event: Any) -> None:
        assert message_id(no_event)


def test_a_repr_shows_no_personal_data() -> None:
    assert "ada@example.com" not in repr(accepted(type="identify", userId="ada@example.com"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(["type", "userId", "traits", "timestamp", "messageId", "event", "groupId", "context"])
types = st.fixed_dictionaries({"type": st.sampled_from(["identify", "group", "track", "page", "alias"])})


@given(types, st.dictionaries(keys | st.text(max_size=8), json_values, max_size=6))
def test_any_json_is_accepted_or_refused_with_a_reason(base: dict[str, Any], more: dict[str, Any]) -> None:
    try:
        event = validate(base | more, received_ms=RECEIVED_MS)
    except InvalidEvent:
        pass
    else:
        assert event.time_ms <= RECEIVED_MS
        assert event.message_id
        assert opted_in(event, always=True) in {True, False}
        json.dumps(event.body, allow_nan=False)
