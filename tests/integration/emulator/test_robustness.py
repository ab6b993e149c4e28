"""Nothing that a client sends makes the emulated org fail in a way of its own."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.emulator.org_client import OrgClient

NAMES = ["Id", "attributes", "LastName", "Email", "Score__c", "Price__c", "Born__c", "Seen__c", "OwnerId", "Owner"]
NAMES += ["IsConverted", "Address", "Topics__c", "Ext__c", "type", "records", "allOrNone", "ids", "fields", "url"]
NAMES += [
    "method",
    "referenceId",
    "body",
    "compositeRequest",
    "batchRequests",
    "richInput",
    "operation",
    "object",
    "query",
]
NAMES += [
    "q",
    "in",
    "sobjects",
    "name",
    "where",
    "limit",
    "externalIdFieldName",
    "columnDelimiter",
    "state",
    "httpHeaders",
]
WORDS = ["Lead", "POST", "GET", "v66.0/limits", "/services/data/v66.0/sobjects/Lead", "@{a.id}", "a", "insert", "true"]
WORDS += ["2026-01-01", "00QEm0000000001MAA", "SELECT Id FROM Lead", "\x00", "x" * 300, "é", "'", "%"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text()
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=6),
    max_leaves=25,
)
REQUESTS = [
    ("POST", "sobjects/Lead"),
    ("PATCH", "sobjects/Lead/Ext__c/x"),
    ("POST", "composite/sobjects"),
    ("PATCH", "composite/sobjects"),
    ("PATCH", "composite/sobjects/Lead/Ext__c"),
    ("POST", "composite/sobjects/Lead"),
    ("POST", "composite"),
    ("POST", "composite/batch"),
    ("POST", "composite/tree/Account"),
    ("POST", "parameterizedSearch"),
    ("POST", "jobs/ingest"),
    ("POST", "jobs/query"),
]
# The key under which a request has its list of parts, so that what is sent gets past the first check.
LISTS = {"composite": "compositeRequest", "composite/batch": "batchRequests", "parameterizedSearch": "sobjects"}


@pytest.mark.parametrize(("method", "path"), REQUESTS, ids=[f"{method} {path}" for method, path in REQUESTS])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON, parts=st.lists(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6), max_size=3))
def test_no_body_makes_the_org_fail(org: OrgClient, method: str, path: str, body: Any, parts: list[Any]) -> None:
    wrapped: dict[str, Any] = {LISTS.get(path, "records"): parts}
    if path == "parameterizedSearch":
        wrapped["q"] = "x"
    if path == "composite":
        wrapped["compositeRequest"] = [{"referenceId": f"r{n}", **part} for n, part in enumerate(parts)]
    if path in {"composite/sobjects", "composite/tree/Account"}:
        named = {"type": "Lead", "referenceId": "r"}
        wrapped["records"] = [{"attributes": named, **part} for part in parts]
    for sent in (body, wrapped):
        reply = org.call(method, path, sent)
        assert reply.status_code < 500, reply.text
        assert reply.headers["Content-Type"].startswith("application/json")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.lists(
        st.sampled_from(["sobjects", "Lead", "query", "jobs", "ingest", "limits", "x", "%FF", "é", ".."]), max_size=5
    ),
    names=st.dictionaries(
        st.sampled_from(["q", "ids", "fields", "start", "end", "limit", "sObjects"]), st.text(), max_size=3
    ),
    method=st.sampled_from(["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"]),
)
def test_no_address_makes_the_org_fail(org: OrgClient, path: list[str], names: dict[str, str], method: str) -> None:
    reply = org.call(method, "/".join(path), params=names)
    assert reply.status_code < 500, reply.text


SELECTED = ["Id", "COUNT()", "COUNT(Id)", "Owner.Name", "Address", "FIELDS(ALL)", "Title, MAX(CreatedDate)"]
SELECTED += ["MIN(Address)", "SUM(Score__c)", "MIN(Status)", "FORMAT(CreatedDate) f", "toLabel(Status) s", "Id x"]
SELECTED += ["TYPEOF Owner WHEN User THEN Username ELSE Name END", "Title, GROUPING(Title)", "(SELECT Id FROM Tasks)"]
SELECTED += ["DAY_ONLY(Seen__c)", "FORMAT(MAX(Seen__c))", "DISTANCE(Address, GEOLOCATION(1, 2), 'km') d"]
FILTERED = ["Id", "Title", "Score__c", "Born__c", "Seen__c", "IsConverted", "Topics__c", "Owner.Name", "Owner.Type"]
FILTERED += ["COUNT(Id)", "MAX(Title)", "CALENDAR_YEAR(Seen__c)", "Address", "toLabel(Status)", "DAY_ONLY(Seen__c)"]
FILTERED += ["DISTANCE(Address, GEOLOCATION(1, 2), 'mi')", "Status", "Owner.IsActive", "FORMAT(Seen__c)"]
OPERATORS = ["=", "!=", "<", ">=", "LIKE", "IN", "NOT IN", "INCLUDES"]
LITERALS = ["'x'", "''", "null", "5", "1.5", "TRUE", "2026-01-01", "2026-01-01T00:00:00Z", "TODAY", "LAST_N_DAYS:3"]
LITERALS += [
    "USD5",
    "(TODAY)",
    "(SELECT OwnerId FROM Account)",
    "(SELECT Id FROM User LIMIT 1)",
    "(SELECT Id FROM Lead)",
    "('x', null)",
    "(5, 1.5)",
    "(null)",
    "99999999999999999999",
]
TAILS = ["", "ORDER BY Title", "ORDER BY Owner.Name DESC NULLS LAST", "GROUP BY Title", "LIMIT 5", "ORDER BY Address"]
TAILS += ["ORDER BY COUNT(Id)", "GROUP BY Title HAVING COUNT(Id) > 0", "GROUP BY ROLLUP(Title, Status)", "FOR VIEW"]
TAILS += ["GROUP BY CUBE(Title, DAY_ONLY(Seen__c)) HAVING GROUPING(Title) = 1 ORDER BY Title", "ORDER BY Status DESC"]
TAILS += ["GROUP BY Title, Status HAVING MIN(Status) = 'x' ORDER BY MAX(Title)", "WITH USER_MODE", "OFFSET 3"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    selected=st.sampled_from(SELECTED),
    condition=st.tuples(*map(st.sampled_from, (FILTERED, OPERATORS, LITERALS))).map(" ".join),
    tail=st.sampled_from(TAILS),
)
def test_no_query_makes_the_org_fail(org: OrgClient, selected: str, condition: str, tail: str) -> None:
    reply = org.soql(f"SELECT {selected} FROM Lead WHERE {condition} {tail}")
    assert reply.status_code in {200, 400}, reply.text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(
        st.sampled_from(
            ["ann", "b*", "c?d", '"e f"', "AND", "OR", "NOT", "(", ")", "\\-", "-", "'", '"', "\\", "é", "x y"]
        ),
        max_size=6,
    ),
    tail=st.sampled_from(
        ["", "IN NAME FIELDS", "RETURNING Lead(Id LIMIT 1), Contact LIMIT 3", "RETURNING Lead(x)", "}"]
    ),
)
def test_no_search_makes_the_org_fail(org: OrgClient, words: list[str], tail: str) -> None:
    reply = org.get("search", params={"q": f"FIND {{{' '.join(words)}}} {tail}"})
    assert reply.status_code in {200, 400}, reply.text
