"""Salesforce's words are kept, and kept out of logs."""

import pytest

from pipeline.errors import ConfigurationError, PipelineError
from pipeline.salesforce.errors import (
    ErrorDetail,
    LoginRefused,
    NoAnswer,
    Refused,
    SalesforceError,
    Unavailable,
    UnknownObject,
    error_details,
)


def test_a_request_s_and_a_record_s_errors_are_read_alike() -> None:
    of_request = [{"errorCode": "INVALID_FIELD", "message": "No such column", "fields": ["X__c"]}]
    of_record = [{"statusCode": "INVALID_FIELD", "message": "No such column", "fields": ["X__c"]}]
    assert error_details(of_request) == error_details(of_record)
    assert error_details(of_request) == (ErrorDetail("INVALID_FIELD", "No such column", ("X__c",)),)


@pytest.mark.parametrize("body", [None, {}, "text", 3, [], ["/services/data/v66.0/sobjects/Lead/1"]])
def test_what_holds_no_errors_has_none(body: object) -> None:
    assert error_details(body) == ()


def test_half_a_surrogate_pair_in_salesforce_s_words_is_replaced() -> None:
    (error,) = error_details([{"statusCode": "STRING_TOO_LONG", "message": "cut \ud83d é", "fields": ["X\ude00"]}])
    assert error == ErrorDetail("STRING_TOO_LONG", "cut ? é", ("X?",))


def test_an_error_without_a_code_is_still_one() -> None:
    assert error_details([{"message": None, "fields": None}]) == (ErrorDetail("UNKNOWN"),)


@pytest.mark.parametrize("key", ["duplicateResult", "duplicateResut"])
def test_the_records_that_a_duplicate_rule_found_are_named(key: str) -> None:
    by_email = {"matchRecords": [{"record": {"Id": "00Q1"}}, {"record": {"Id": "00Q2"}}]}
    by_name = {"matchRecords": [{"record": {"Id": "00Q1"}}, {"record": None}]}
    found = {"matchResults": [by_email, {}, by_name]}
    (error,) = error_details([{"errorCode": "DUPLICATES_DETECTED", "message": "Use one of these?", key: found}])
    assert error.matches == ("00Q1", "00Q2")


def test_no_error_shows_what_salesforce_quotes() -> None:
    detail = (ErrorDetail("STRING_TOO_LONG", "City: data value too large: 12 Rue Cuvier, Paris", ("City",)),)
    shown = [
        form(error)
        for error in (
            Refused(400, detail, resource="composite"),
            Unavailable(503, detail),
            LoginRefused("INVALID_LOGIN", "check the password", detail="marie@example.com is locked"),
        )
        for form in (str, repr)
    ] + [repr(detail), str(detail[0])]
    for text in shown:
        assert "Cuvier" not in text
        assert "marie" not in text
    assert "STRING_TOO_LONG [City]" in shown[0]


def test_every_error_is_one_of_the_pipeline_s() -> None:
    errors = (Refused(400), Unavailable(503), NoAnswer(sent=True, why="x"), LoginRefused("c", "a"), UnknownObject("X"))
    for error in errors:
        assert isinstance(error, SalesforceError)
        assert isinstance(error, PipelineError)


def test_an_unknown_object_is_for_the_operator_to_mend() -> None:
    error = UnknownObject("Gadget__c")
    assert isinstance(error, ConfigurationError)
    assert error.codes == {"NOT_FOUND"}
    assert "Gadget__c" in str(error)
    assert "destination.yaml" in str(error)


def test_an_answer_that_did_not_come_says_how_sure_that_is() -> None:
    assert "nothing was sent" in str(NoAnswer(sent=False, why="could not connect"))
    assert "may have been carried out" in str(NoAnswer(sent=True, why="ReadTimeout"))
