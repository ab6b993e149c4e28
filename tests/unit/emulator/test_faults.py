"""Fault rules: what they accept, when they fire, and how long they make a request last."""

import statistics
from typing import Any

import pytest

from pipeline.emulator.faults import Faults, InvalidRule, Rule
from pipeline.emulator.schema import Schema, standard_objects

LEAD = Schema(standard_objects()).objects["Lead"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("x", "a rule is a JSON object"),
        ({}, "fault must be one of error, unavailable"),
        ({"fault": "nope"}, "fault must be one of"),
        ({"fault": "slow", "nope": 1}, "unknown key 'nope'; a rule has fault, method"),
        ({"fault": "slow", "ms": "long"}, "ms must be a number"),
        ({"fault": "slow", "ms": True}, "ms must be a number"),
        ({"fault": "slow", "ms": -1}, "ms must not be negative"),
        ({"fault": "slow", "distribution": "normal"}, "distribution must be one of fixed, uniform"),
        ({"fault": "slow", "probability": 1.5}, "probability must be between 0 and 1"),
        ({"fault": "row_lock", "record_probability": -1}, "record_probability must be between 0 and 1"),
        ({"fault": "quota", "next": 1.5}, "next must be a whole number"),
        ({"fault": "quota", "next": -1}, "next must not be negative"),
        ({"fault": "quota", "path": "("}, "path is no regular expression"),
        ({"fault": "quota", "match": {"Id": "x"}}, "match belongs to refuse and row_lock and poison, not to quota"),
        ({"fault": "quota", "object": "Lead"}, "object belongs to"),
        ({"fault": "quota", "ms": 5}, "ms belongs to slow, not to quota"),
        ({"fault": "poison"}, "poison needs match"),
        ({"fault": "poison", "match": ["x"]}, "match must be an object"),
        ({"fault": "refuse"}, "refuse needs code"),
        ({"fault": "refuse", "code": "X", "status": 500}, "status belongs to error, not to refuse"),
        ({"fault": "refuse", "code": "X", "fields": "Phone"}, "fields must be a list"),
        ({"fault": "error"}, "error needs code"),
        ({"fault": "error", "code": "X", "status": 200}, "status must be between 400 and 599"),
        ({"fault": "error", "code": "X", "html": "yes"}, "html must be true or false"),
    ],
)
def test_a_rule_that_makes_no_sense_says_why(rule: Any, message: str) -> None:
    with pytest.raises(InvalidRule) as refused:
        Rule.read(rule)
    assert str(refused.value).startswith(message)


def test_every_slow_rule_counts_and_the_first_of_the_others() -> None:
    faults = Faults()
    faults.set([{"fault": "slow"}, {"fault": "quota", "next": 1}, {"fault": "unavailable"}, {"fault": "slow"}])
    assert [rule.fault for rule in faults.of_request("GET", "/")] == ["slow", "quota", "slow"]
    assert [rule.fault for rule in faults.of_request("GET", "/")] == ["slow", "unavailable", "slow"]


def test_a_rule_for_the_next_requests_is_spent_by_those_it_hits() -> None:
    faults = Faults()
    faults.set({"fault": "quota", "method": "post", "path": "Lead$", "next": 2})
    asked = [("GET", "/Lead"), ("POST", "/Leads"), ("POST", "/Lead"), ("POST", "/x/Lead"), ("POST", "/Lead")]
    assert [bool(faults.of_request(*one)) for one in asked] == [False, False, True, True, False]


@pytest.mark.parametrize("fault", ["slow", "unavailable"])
def test_one_seed_gives_one_sequence(fault: str) -> None:
    given = {"fault": fault, "probability": 0.3, "seed": 5}
    first, second, other = Rule.read(given), Rule.read(given), Rule.read({**given, "seed": 6})
    drawn = [first.draws() for _ in range(50)]
    assert drawn == [second.draws() for _ in range(50)]
    assert drawn != [other.draws() for _ in range(50)]
    assert 5 <= drawn.count(True) <= 25


@pytest.mark.parametrize("distribution", ["fixed", "uniform", "exponential", "lognormal"])
def test_delays_spread_around_the_time_that_is_named(distribution: str) -> None:
    rule = Rule.read({"fault": "slow", "ms": 100, "distribution": distribution, "seed": 1})
    delays = [rule.delay_s() for _ in range(4_000)]
    middle = statistics.median(delays) if distribution == "lognormal" else statistics.mean(delays)
    assert middle == pytest.approx(0.1, rel=0.05)
    assert min(delays) >= 0
    assert (statistics.pstdev(delays) == pytest.approx(0)) == (distribution == "fixed")
    assert Rule.read({"fault": "slow", "distribution": distribution}).delay_s() == 0


def test_records_are_matched_without_case_by_object_and_fields() -> None:
    faults = Faults()
    faults.set(
        {
            "fault": "refuse",
            "code": "X",
            "message": "m",
            "fields": ["Email"],
            "object": "lead",
            "match": {"email": "A@B.co"},
        }
    )
    records = [{"Email": "a@b.co"}, {"Email": "b@b.co"}, {}]
    first, *rest = faults.of_records("POST", "/", LEAD, records)
    assert first is not None
    assert (first.code, first.message, first.fields) == ("X", "m", ("Email",))
    assert rest == [None, None]
    account = Schema(standard_objects()).objects["Account"]
    assert faults.of_records("POST", "/", account, records) == [None] * 3


def test_the_first_rule_that_hits_a_record_says_why() -> None:
    faults = Faults()
    faults.set([{"fault": "refuse", "code": "A"}, {"fault": "row_lock"}])
    (found,) = faults.of_records("POST", "/", LEAD, [{}])
    assert found is not None
    assert found.code == "A"
