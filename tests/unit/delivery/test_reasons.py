"""Reasons as labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.delivery.outcome import MEANINGS, retry
from pipeline.delivery.reasons import LABELS, label_of


@pytest.mark.parametrize("code", sorted(MEANINGS))
def test_a_code_of_the_table_is_its_own_label(code: str) -> None:
    assert label_of(f"{code}: Email: ada@example.com is wrong [Email]") == code
    assert label_of(code) == code
    assert label_of(f"gave up after 12 attempts; the last: {code}: told; OTHER_THING: more") == code


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("MADE_UP_CODE: ada@example.com", "OTHER"),
        ("no answer to a write that was sent", "no_answer"),
        ("a new Lead needs LastName, Company, which the event lacks", "missing_field"),
        ("no record matches, and an update creates none", "no_match"),
        ("the bulk job did not get to it", "not_in_bulk_job"),
        ("the record it points to is on its way", "waits_for_reference"),
        ("the next batch has room for it", "next_batch"),
        ("quota", "no_call_left"),
        ("Salesforce is unavailable: HTTP 500 UNKNOWN_EXCEPTION", "unavailable"),
        ("Email: ada@example.com is no email address", "pipeline"),
        ("", "pipeline"),
    ],
)
def test_another_reason_is_a_word_of_ours(reason: str, label: str) -> None:
    assert label_of(reason) == label


def test_what_was_tried_too_often_is_counted_under_its_last_reason() -> None:
    buried = retry("UNABLE_TO_LOCK_ROW: x", attempts=11, jitter=0)
    assert label_of(buried.reason) == "UNABLE_TO_LOCK_ROW"


@given(st.text())
def test_labels_are_bounded_whatever_the_reason(reason: str) -> None:
    assert label_of(reason) in LABELS
