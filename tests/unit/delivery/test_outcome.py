"""The one table of what errors mean."""

import pytest

from pipeline.delivery.outcome import (
    MEANINGS,
    MOST_ATTEMPTS,
    Buried,
    LookAgain,
    Paused,
    RetryAt,
    Split,
    backoff_s,
    is_uncertain,
    of_failure,
    of_part,
    of_record,
    was_too_much,
)
from pipeline.errors import ConfigurationError
from pipeline.salesforce.errors import ErrorDetail, LoginRefused, NoAnswer, Refused, Unavailable

# Salesforce's codes (REST API guide, "Status Codes and Error Responses"; SOAP API guide, "Core Data Types"): what is
# decided about a record that was refused with it, and about a collection or query that was refused as a whole.
DECISIONS: dict[str, tuple[type, type]] = {
    "INVALID_SESSION_ID": (Paused, Paused),
    "REQUEST_LIMIT_EXCEEDED": (Paused, Paused),
    "SERVER_UNAVAILABLE": (Paused, Paused),
    "UNKNOWN_EXCEPTION": (RetryAt, RetryAt),
    "UNABLE_TO_LOCK_ROW": (RetryAt, RetryAt),
    "QUERY_TIMEOUT": (RetryAt, Split),
    "REQUEST_RUNNING_TOO_LONG": (RetryAt, Split),
    "API_CURRENTLY_DISABLED": (Paused, Paused),
    "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE": (Paused, Paused),
    "API_DISABLED_FOR_ORG": (Paused, Paused),
    "DUPLICATES_DETECTED": (Buried, Split),
    "DUPLICATE_VALUE": (RetryAt, Split),
    "DUPLICATE_EXTERNAL_ID": (Buried, Split),
    "REQUIRED_FIELD_MISSING": (Buried, Split),
    "STRING_TOO_LONG": (Buried, Split),
    "INVALID_FIELD": (Buried, Split),
    "INVALID_FIELD_FOR_INSERT_UPDATE": (Buried, Split),
    "INVALID_TYPE": (Buried, RetryAt),
    "INVALID_TYPE_ON_FIELD_IN_RECORD": (Buried, Split),
    "INVALID_EMAIL_ADDRESS": (Buried, Split),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": (Buried, Split),
    "NUMBER_OUTSIDE_VALID_RANGE": (Buried, Split),
    "JSON_PARSER_ERROR": (RetryAt, Split),
    "MALFORMED_QUERY": (Buried, Split),
    "INVALID_QUERY_FILTER_OPERATOR": (Buried, Split),
    "INVALID_QUERY_LOCATOR": (RetryAt, RetryAt),
    "QUERY_TOO_COMPLICATED": (RetryAt, Split),
    "OPERATION_TOO_LARGE": (RetryAt, Split),
    "MALFORMED_ID": (Buried, Split),
    "NOT_FOUND": (LookAgain, Split),
    "ENTITY_IS_DELETED": (LookAgain, Split),
    "INVALID_CROSS_REFERENCE_KEY": (LookAgain, Split),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": (Buried, Split),
    "INSUFFICIENT_ACCESS_OR_READONLY": (Buried, RetryAt),
    "INSUFFICIENT_ACCESS": (Buried, RetryAt),
    "CANNOT_UPDATE_CONVERTED_LEAD": (LookAgain, Split),
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": (Buried, Split),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": (Buried, Split),
    "CANNOT_EXECUTE_FLOW_TRIGGER": (Buried, Split),
    "FIELD_INTEGRITY_EXCEPTION": (Buried, Split),
    "INACTIVE_OWNER_OR_USER": (Buried, Split),
    "TRANSFER_REQUIRES_READ": (Buried, Split),
    "STORAGE_LIMIT_EXCEEDED": (Paused, Paused),
    "ENTITY_IS_LOCKED": (RetryAt, RetryAt),
    "DELETE_FAILED": (Buried, Split),
    "MISSING_ARGUMENT": (Buried, Split),
    "EXCEEDED_ID_LIMIT": (RetryAt, Split),
    "LIMIT_EXCEEDED": (RetryAt, Split),
    "EXCEEDED_MAX_SIZE_REQUEST": (RetryAt, Split),
    "METHOD_NOT_ALLOWED": (Buried, RetryAt),
    "UNSUPPORTED_MEDIA_TYPE": (Buried, RetryAt),
    "TXN_SECURITY_NO_ACCESS": (Buried, RetryAt),
    "TXN_SECURITY_METERING_ERROR": (RetryAt, RetryAt),
    "TXN_SECURITY_APEX_ERROR": (Buried, Split),
    "TXN_SECURITY_RUNTIME_ERROR": (Buried, Split),
    "INVALID_LOGIN": (Paused, Paused),
    "PASSWORD_LOCKOUT": (Paused, Paused),
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": (Paused, Paused),
    "GONE": (Paused, Paused),
    "UNSUPPORTED_API_VERSION": (Paused, Paused),
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": (RetryAt, RetryAt),
    "PROCESSING_HALTED": (RetryAt, RetryAt),
    "BATCH_PROCESSING_HALTED": (RetryAt, RetryAt),
}
WAITS_FOR_AN_OPERATOR = {
    "API_DISABLED_FOR_ORG",
    "STORAGE_LIMIT_EXCEEDED",
    "INVALID_LOGIN",
    "PASSWORD_LOCKOUT",
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD",
    "GONE",
    "UNSUPPORTED_API_VERSION",
}


def test_the_table_holds_every_known_code_and_no_other() -> None:
    assert MEANINGS.keys() == DECISIONS.keys()


@pytest.mark.parametrize(("code", "decided"), DECISIONS.items())
def test_every_code_decides_about_a_record_and_about_a_request(code: str, decided: tuple[type, type]) -> None:
    errors = [ErrorDetail(code, "words")]
    of_one, of_all = of_record(errors, attempts=0, jitter=0.5), of_part(errors)
    assert (type(of_one), type(of_all)) == decided
    if isinstance(of_one, Paused):
        assert of_one == of_all
        assert of_one.needs_operator is (code in WAITS_FOR_AN_OPERATOR)


@pytest.mark.parametrize(
    "text",
    [
        "T: System.LimitException: Too many SOQL queries: 101",
        "T: System.LimitException: Apex CPU time limit exceeded",
        "We can't save this record because the process failed: Apex CPU time limit exceeded",
    ],
)
@pytest.mark.parametrize("code", ["CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CANNOT_EXECUTE_FLOW_TRIGGER"])
def test_a_governor_limit_says_that_the_records_were_too_many(code: str, text: str) -> None:
    assert was_too_much([ErrorDetail(code, text)])
    assert not was_too_much([ErrorDetail(code, "System.NullPointerException")])
    assert not was_too_much([ErrorDetail("FIELD_CUSTOM_VALIDATION_EXCEPTION", text)])


def test_a_code_that_is_not_in_the_table_is_buried_with_salesforces_words() -> None:
    decision = of_record([ErrorDetail("BRAND_NEW", "it says so", ("Title",))], attempts=0, jitter=0)
    assert decision == Buried("BRAND_NEW: it says so [Title]")


def test_one_error_that_stays_buries_a_record_that_also_met_one_that_passes() -> None:
    errors = [ErrorDetail("UNABLE_TO_LOCK_ROW"), ErrorDetail("STRING_TOO_LONG")]
    assert isinstance(of_record(errors, attempts=0, jitter=0), Buried)


@pytest.mark.parametrize(
    "text", ["UNABLE_TO_LOCK_ROW, unable to obtain", "System.LimitException: Too many SOQL queries: 101"]
)
def test_a_triggers_text_is_searched_for_a_fault_that_passes(text: str) -> None:
    error = ErrorDetail("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"T: execution of BeforeInsert caused by: {text}")
    assert isinstance(of_record([error], attempts=0, jitter=0), RetryAt)


def test_the_loser_of_a_race_tries_once_more_and_then_is_buried() -> None:
    error = [ErrorDetail("DUPLICATE_VALUE")]
    assert isinstance(of_record(error, attempts=0, jitter=0), RetryAt)
    assert isinstance(of_record(error, attempts=1, jitter=0), Buried)


def test_delays_double_with_jitter_up_to_a_bound() -> None:
    assert [backoff_s(attempts, 1.0) for attempts in (0, 1, 2, 3)] == [1, 2, 4, 8]
    assert backoff_s(3, 0.0) == 4
    assert backoff_s(500, 1.0) == 900


def test_what_was_tried_often_enough_is_buried() -> None:
    decision = of_record([ErrorDetail("UNABLE_TO_LOCK_ROW")], attempts=MOST_ATTEMPTS - 1, jitter=0)
    assert isinstance(decision, Buried)
    assert "gave up after 12 attempts" in decision.reason


def test_a_collection_refused_as_a_whole_is_halved() -> None:
    assert isinstance(of_part([ErrorDetail("INVALID_FIELD")]), Split)
    assert isinstance(of_part([ErrorDetail("REQUEST_LIMIT_EXCEEDED")]), Paused)


def test_faults_of_the_org_pause_and_spend_no_attempt() -> None:
    assert isinstance(of_failure(Unavailable(503)), Paused)
    assert isinstance(of_failure(NoAnswer(sent=False, why="refused")), Paused)
    assert of_failure(LoginRefused("INVALID_LOGIN", "do this")) == Paused(
        "Salesforce refused the login (INVALID_LOGIN)", "do this", needs_operator=True
    )
    assert isinstance(of_failure(ConfigurationError("no credentials")), Paused)
    assert isinstance(of_failure(Refused(403, (ErrorDetail("REQUEST_LIMIT_EXCEEDED"),))), Paused)


def test_a_lookup_without_an_answer_is_repeated_soon_and_without_blame() -> None:
    lost = NoAnswer(sent=True, why="timeout")
    decision = of_failure(lost)
    assert isinstance(decision, RetryAt)
    assert not decision.counts_attempt
    assert 0 < decision.delay_s < 60
    assert is_uncertain(lost)  # which is what a write without an answer is asked first


def test_a_server_error_counts_because_one_record_can_cause_it() -> None:
    decision = of_failure(Unavailable(500))
    assert isinstance(decision, RetryAt)
    assert decision.counts_attempt
