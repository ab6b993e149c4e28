"""Queries that are refused: code, words and place."""

import pytest

from tests.integration.emulator.org_client import OrgClient


def error(org: OrgClient, text: str) -> tuple[str, str]:
    reply = org.soql(text)
    assert reply.status_code == 400, reply.text
    (found,) = reply.json()
    return found["errorCode"], found["message"]


def test_an_error_shows_the_place(org: OrgClient) -> None:
    code, message = error(org, "SELECT Id, Nope FROM Lead")
    assert code == "INVALID_FIELD"
    assert message.startswith(
        "\nSELECT Id, Nope FROM Lead\n           ^\nERROR at Row:1:Column:12\nNo such column 'Nope'"
    )
    code, message = error(org, "SELECT Id\nFROM Lead\nWHERE Nope = 1")
    assert message.startswith("\nWHERE Nope = 1\n      ^\nERROR at Row:3:Column:7\n")
    assert error(org, "SELECT Id FROM Nope")[1].startswith("\nSELECT Id FROM Nope\n               ^\nERROR at Row:1")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "MALFORMED_QUERY", "A query string has to be specified"),
        ("SELECT", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT Id", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT FROM Lead", "MALFORMED_QUERY", "unexpected token: 'FROM'"),
        ("SELECT Id Lead", "MALFORMED_QUERY", ""),
        ("SELECT Id FROM Lead WHERE", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Lead WHERE Id IN ()", "MALFORMED_QUERY", "unexpected token: ')'"),
        ("SELECT Id FROM Lead WHERE Title = 'x", "MALFORMED_QUERY", "no viable alternative at character '''"),
        ('SELECT Id FROM Lead WHERE Title = "x"', "MALFORMED_QUERY", "no viable alternative at character '\"'"),
        ("SELECT Id FROM Lead WHERE Title = cook", "MALFORMED_QUERY", "unexpected token: 'COOK'"),
        (
            "SELECT Id FROM Lead WHERE Title = 'a' AND Title = 'b' OR Id = null",
            "MALFORMED_QUERY",
            "unexpected token: 'OR'",
        ),
        ("SELECT Id FROM Lead LIMIT x", "MALFORMED_QUERY", "unexpected token: 'x'"),
        ("SELECT Id FROM Lead LIMIT -1", "MALFORMED_QUERY", "unexpected token: '-1'"),
        ("SELECT COUNT(), Id FROM Lead", "MALFORMED_QUERY", "COUNT()"),
        ("SELECT Title, COUNT(Id) FROM Lead", "MALFORMED_QUERY", "Field must be grouped or aggregated: Title"),
        ("SELECT SUM(Title) FROM Lead", "MALFORMED_QUERY", "does not support aggregate operator SUM"),
        ("SELECT Nope(Id) FROM Lead", "MALFORMED_QUERY", "unexpected token: 'NOPE'"),
        ("SELECT Id FROM Lead OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"),
        ("SELECT Id, id FROM Lead", "INVALID_FIELD", "duplicate field selected: id"),
        ("SELECT Account.Name FROM Lead", "INVALID_FIELD", "Didn't understand relationship 'Account' in field path"),
        ("SELECT Owner.Nope FROM Lead", "INVALID_FIELD", "No such column 'Nope' on entity 'Name'"),
        ("SELECT Id, (SELECT Id FROM Nopes) FROM Lead", "INVALID_TYPE", "Didn't understand relationship 'Nopes'"),
        (
            "SELECT Id FROM Lead WHERE NumberOfEmployees = '5'",
            "INVALID_FIELD",
            "field 'NumberOfEmployees' must be of type int and should not be enclosed in quotes",
        ),
        ("SELECT Id FROM Lead WHERE IsConverted = 'true'", "INVALID_FIELD", "must be of type boolean and should not"),
        ("SELECT Id FROM Lead WHERE AnnualRevenue = 'x'", "INVALID_FIELD", "must be of type double and should not"),
        ("SELECT Id FROM Lead WHERE Born__c = 'x'", "INVALID_FIELD", "must be of type date and should not"),
        (
            "SELECT Id FROM Lead WHERE CreatedDate = 2026-01-01",
            "INVALID_FIELD",
            "must be of type dateTime and should not",
        ),
        (
            "SELECT Id FROM Lead WHERE Title = 5",
            "INVALID_FIELD",
            "must be of type string and should be enclosed in quotes",
        ),
        ("SELECT Id FROM Lead WHERE Born__c = 2026-02-30", "MALFORMED_QUERY", "2026-02-30"),
        ("SELECT Id FROM Lead WHERE Born__c = LAST_N_YEARS:99999", "MALFORMED_QUERY", "LAST_N_YEARS:99999"),
        ("SELECT Id FROM Lead WHERE Born__c = NEXT_N_DAYS:99999999999", "MALFORMED_QUERY", "NEXT_N_DAYS:99999999999"),
        ("SELECT Id FROM Lead WHERE Id = 'abc'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: abc"),
        ("SELECT Id FROM Lead WHERE Title INCLUDES ('a')", "INVALID_QUERY_FILTER_OPERATOR", "multi picklist"),
        ("SELECT Id FROM Lead WHERE NumberOfEmployees LIKE '5'", "INVALID_QUERY_FILTER_OPERATOR", "invalid operator"),
        ("SELECT Id FROM Lead WHERE Description = 'x'", "INVALID_FIELD", "can not be filtered in a query call"),
        ("SELECT Id FROM Lead ORDER BY Notes__c", "MALFORMED_QUERY", "can not be sorted in a query call"),
        ("SELECT Id FROM Lead WHERE OwnerId IN (SELECT Id, Name FROM User)", "MALFORMED_QUERY", "exactly one field"),
    ],
)
def test_a_wrong_query_is_refused_in_salesforce_s_words(org: OrgClient, text: str, code: str, words: str) -> None:
    found, message = error(org, text)
    assert found == code
    assert words in message


def test_a_query_has_at_most_100000_characters(org: OrgClient) -> None:
    url = "/services/data/v66.0/query?q=SELECT+Id+FROM+Lead" + "+" * 100_000
    body = {"compositeRequest": [{"method": "GET", "url": url, "referenceId": "r"}]}
    (answered,) = org.post("composite", body).json()["compositeResponse"]
    assert answered["body"][0]["errorCode"] == "MALFORMED_QUERY"
    assert org.get("query").json()[0]["errorCode"] == "MALFORMED_QUERY"
