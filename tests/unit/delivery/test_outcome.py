"""The one table of what errors mean."""

import pytest

from pipeline.delivery.outcome import (
    MEANINGS,
    MOST_ATTEMPTS,
    Buried,
    LookAgain,
    Meaning,
    Paused,
    RetryAt,
    Split,
    backoff_s,
    of_failure,
    of_part,
    of_record,
)
from pipeline.errors import ConfigurationError
from pipeline.salesforce.errors import ErrorDetail, LoginRefused, NoAnswer, Refused, Unavailable

OF_RECORD = {
    Meaning.BURY: Buried,
    Meaning.RETRY: RetryAt,
    Meaning.RETRY_ONCE: RetryAt,
    Meaning.LOOK_AGAIN: LookAgain,
    Meaning.PAUSE: Paused,
    Meaning.PAUSE_FOR_OPERATOR: Paused,
    Meaning.SPLIT: RetryAt,
}


@pytest.mark.parametrize(("code", "meaning"), MEANINGS.items())
def test_every_code_of_the_table_decides_about_a_record(code: str, meaning: Meaning) -> None:
    decision = of_record([ErrorDetail(code, "words")], attempts=0, jitter=0.5)
    assert type(decision) is OF_RECORD[meaning]
    if isinstance(decision, Paused):
        assert decision.needs_operator is (meaning is Meaning.PAUSE_FOR_OPERATOR)


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


def test_a_request_without_an_answer_is_tried_again_without_blame_once_it_must_have_ended() -> None:
    decision = of_failure(NoAnswer(sent=True, why="timeout"))
    assert isinstance(decision, RetryAt)
    assert not decision.counts_attempt
    assert decision.delay_s >= 60


def test_a_server_error_counts_because_one_record_can_cause_it() -> None:
    decision = of_failure(Unavailable(500))
    assert isinstance(decision, RetryAt)
    assert decision.counts_attempt
