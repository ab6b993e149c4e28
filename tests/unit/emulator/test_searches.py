"""Searches: given as parameters, cut to their limits, and of users whose language or time zone the emulator has not."""

from typing import Any

import pytest

from pipeline.emulator.http import parse_query
from pipeline.emulator.soql.terms import finder, words_of
from tests.unit.emulator.soql_world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def own_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world that a test may change."""
    return World(tmp_path_factory.mktemp("world"))


def found(answer: tuple[int, Any]) -> list[dict[str, Any]]:
    status, body = answer
    assert status == 200, body
    return [{name: value for name, value in one.items() if name != "attributes"} for one in body["searchRecords"]]


def refused(answer: tuple[int, Any]) -> tuple[int, str, str]:
    status, body = answer
    return status, body[0]["errorCode"], body[0]["message"]


@pytest.mark.parametrize(
    ("query", "records"),
    [
        ("sobject=Lead&fields=LastName&Lead.orderBy=LastName&q=MyProspect", ["Baker", "Clark"]),
        ("sobject=Lead&Lead.fields=LastName&Lead.limit=1&Lead.orderBy=LastName DESC&q=MyProspect", ["Clark"]),
        ("sobject=Lead&Lead.fields=LastName&Lead.where=Rating='Cold'&q=MyProspect", ["Baker"]),
        ("sobject=Lead&fields=LastName&Lead.orderBy=Phone NULLS_LAST&defaultLimit=1&q=My*", ["Baker"]),
        ("sobject=Lead&fields=LastName&Lead.orderBy=LastName&offset=2&q=My*", ["Clark"]),
        ("sobject=Contact&sobject=Lead&fields=LastName,Title&in=NAME&q=Doe", ["Doe", "Doe"]),
        ("sobject=Contact,Lead&fields=LastName&Lead.fields=Title&overallLimit=2&q=Doe", ["Doe", "TEST"]),
        ("sobject=Lead&Lead.fields=toLabel(Status)&q=Doe", ["Closed - Not Converted"]),
        ("sobject=Lead&fields=LastName&spellCorrection=false&updateTracking=false&q=Doe", ["Doe"]),
    ],
)
def test_parameters_of_an_address_are_honoured(world: World, query: str, records: list[str]) -> None:
    answer = found(world.get("parameterizedSearch", parse_query(query)))
    assert [next(iter(record.values())) for record in answer] == records


def test_parameters_of_a_body_are_honoured(world: World) -> None:
    body = {
        "q": "my* OR acme",
        "fields": ["Name"],
        "sobjects": [
            {"name": "Account", "orderBy": "Name DESC NULLS_LAST"},
            {"name": "Lead", "fields": ["LastName", "Phone"], "where": "Phone != null", "limit": 5},
        ],
        "overallLimit": 10,
        "in": "ALL",
    }
    assert found(world.post("parameterizedSearch", body)) == [
        {"Name": "Acme"},
        {"LastName": "Baker", "Phone": "650 5550199"},
    ]
    assert len(found(world.post("parameterizedSearch", {"q": "Doe"}))) == 2


@pytest.mark.parametrize(
    ("query", "status", "code", "words"),
    [
        ("q=", 400, "MALFORMED_SEARCH", "search term is required"),
        ("q=Doe&in=TOES", 400, "MALFORMED_SEARCH", "unexpected token: 'TOES'"),
        ("q=Doe&colour=red", 400, "NOT_COVERED", "the query parameter colour of /parameterizedSearch"),
        ("q=Doe&sobject=Lead&Lead.colour=red", 400, "NOT_COVERED", "the query parameter Lead.colour of"),
        ("q=Doe&Lead.fields=Id", 400, "MALFORMED_SEARCH", "Lead.fields needs sobject=Lead"),
        ("q=Doe&fields=Id", 400, "MALFORMED_SEARCH", "fields needs an sobject"),
        ("q=Doe&defaultLimit=1", 400, "MALFORMED_SEARCH", "defaultLimit needs an sobject"),
        ("q=Doe&sobject=Lead&sobject=Contact&offset=1", 400, "MALFORMED_SEARCH", "only when one sobject is searched"),
        ("q=Doe&sobject=Lead&offset=2001", 400, "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOSL offset allowed is 2000"),
        ("q=Doe&sobject=Lead&Lead.limit=x", 400, "MALFORMED_SEARCH", "a whole number"),
        ("q=Doe&sobject=Nope", 400, "INVALID_TYPE", "sObject type 'Nope' is not supported"),
        ("q=Doe&sobject=Lead&fields=Nope", 400, "INVALID_FIELD", "No such column 'Nope' on entity 'Lead'"),
        ("q=Doe&sobject=Lead&Lead.where=Nope=1", 400, "INVALID_FIELD", "No such column 'Nope' on entity 'Lead'"),
        ("q=Doe&sobject=Lead&Lead.where=Id=null LIMIT 1", 400, "MALFORMED_QUERY", "unexpected token"),
        ("q=Doe&sobject=Lead&Lead.orderBy=Name LIMIT 1", 400, "MALFORMED_SEARCH", "a parameter holds another clause"),
        ("q=Doe&sobject=Lead&fields=Id FROM Lead l WHERE Id", 400, "MALFORMED_QUERY", "unexpected token"),
        ("q=Doe&metadata=LABELS", 400, "NOT_COVERED", "the query parameter metadata"),
        ("q=Doe&snippet=300", 400, "NOT_COVERED", "the query parameter snippet"),
        ("q=Doe&spellCorrection=true", 400, "NOT_COVERED", "the query parameter spellCorrection"),
        ("q=Doe&dataCategory=Location__c below America__c", 400, "NOT_COVERED", "the query parameter dataCategory"),
        ("q=Doe&sobject=Product2&pricebookId=x", 400, "NOT_COVERED", "the query parameter pricebookId"),
    ],
)
def test_other_parameters_are_refused(world: World, query: str, status: int, code: str, words: str) -> None:
    answer = refused(world.get("parameterizedSearch", parse_query(query)))
    assert answer[:2] == (status, code)
    assert words in answer[2]


def test_a_search_returns_so_many_records_of_an_object(own_world: World) -> None:
    for number in range(260):
        own_world.create("Campaign", {"Name": f"Bulk {number:03}"})
    assert len(found(own_world.ask("FIND {bulk} RETURNING Campaign"))) == 250
    assert len(found(own_world.ask("FIND {bulk} RETURNING Campaign(Id LIMIT 255)"))) == 250
    assert len(found(own_world.ask("FIND {bulk} RETURNING Campaign(Id ORDER BY Name)"))) == 260
    assert len(found(own_world.ask("FIND {bulk} RETURNING Campaign(Id WHERE Name LIKE 'B%')"))) == 260
    assert len(found(own_world.ask("FIND {bulk} RETURNING Campaign(Id ORDER BY Name), Lead"))) == 250
    assert len(found(own_world.ask("FIND {bulk} RETURNING Campaign(Id ORDER BY Name LIMIT 255 OFFSET 10)"))) == 250


def test_a_long_search_loses_its_operators_and_a_longer_one_finds_nothing() -> None:
    text = [words_of("only this")]
    assert not finder("this AND that")(text)
    assert finder("this AND that" + " AND that" * 500)(text)
    assert not finder("this OR that" + " OR that" * 2000)(text)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("ab*", ["ab", "abc", "abcc"]),
        ("a*c", ["abc", "aac", "abcc"]),
        ("a?c", ["abc", "aac"]),
        ("a*c?", ["abcc"]),
        ("a**b", ["ab"]),
        ("abc?", ["abcc"]),
        ("a*b*c*", ["abc", "abcc"]),
    ],
)
def test_wildcards_stand_for_letters(pattern: str, words: list[str]) -> None:
    known = ["ab", "abc", "aac", "abcc", "b", "bc"]
    assert [word for word in known if finder(pattern)([[word]])] == words


def test_many_wildcards_take_no_longer_than_few() -> None:
    assert not finder("aa" + "*a" * 40 + "b")([["a" * 2_000]])


def test_days_and_formats_of_other_users_are_refused(own_world: World) -> None:
    user = own_world.org.schema.objects["User"]
    today, made = "SELECT COUNT() FROM Lead WHERE CreatedDate = TODAY", "SELECT FORMAT(CreatedDate) f FROM Lead LIMIT 1"
    hour = "SELECT COUNT(Id) FROM Lead GROUP BY HOUR_IN_DAY(convertTimezone(CreatedDate))"
    inner = "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact WHERE CreatedDate = TODAY)"
    assert [own_world.ask(text)[0] for text in (today, made, hour, inner)] == [200] * 4
    own_world.org.store.update(user, [(own_world.user_id, {"TimeZoneSidKey": "America/Los_Angeles"})])
    for text in (today, made, hour, inner):
        assert refused(own_world.ask(text))[:2] == (400, "NOT_COVERED")
        assert "America/Los_Angeles" in refused(own_world.ask(text))[2]
    assert own_world.ask("SELECT COUNT() FROM Lead")[0] == 200
    own_world.org.store.update(user, [(own_world.user_id, {"TimeZoneSidKey": "GMT", "LocaleSidKey": "de_DE"})])
    assert refused(own_world.ask(made))[:2] == (400, "NOT_COVERED")
    assert own_world.ask(today)[0] == 200
