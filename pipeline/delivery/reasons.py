"""Reasons as labels: why an operation waits or was buried, in one of a bounded number of words and nobody's data."""

import re
from typing import Final

from pipeline.delivery.outcome import MEANINGS

OTHER_CODE: Final = "OTHER"  # a code of Salesforce's that is not in our table
OURS: Final = "pipeline"  # in our own words, and none of those below

# How our own sentences begin, or what they hold: sentence → label. The others name fields and are one kind.
_OWN: Final = {
    "no answer to a": "no_answer",
    "it was sent and no answer came": "no_answer",
    "Salesforce is unavailable": "unavailable",
    "quota": "no_call_left",
    "this worker ends": "worker_ends",
    "the delivery was cut short": "worker_ends",
    "the record it points to is on its way": "waits_for_reference",
    "more to do than one batch may": "too_much_for_a_batch",
    "the next batch has room for it": "next_batch",
    "the pipeline failed on it": "pipeline_fault",
    "the bulk job did not get to it": "not_in_bulk_job",
    "no record matches": "no_match",
    "not an operation of a known format": "unreadable",
}
_REQUIRED = re.compile(r"a new \w+ needs ")
_GAVE_UP = re.compile(r"gave up after \d+ attempts; the last: ")
_CODE = re.compile(r"([A-Z][A-Z0-9_]{2,})(?=: | \[|; |$)")

LABELS: Final = frozenset({*MEANINGS, OTHER_CODE, OURS, "missing_field", "paused", *_OWN.values()})


def label_of(reason: str) -> str:
    """Return the label of a reason: the first of Salesforce's codes in it, or a word for one of ours. One of LABELS."""
    said = _GAVE_UP.sub("", reason, count=1)
    code = _CODE.match(said)
    if code is not None:
        return code[1] if code[1] in MEANINGS else OTHER_CODE
    if _REQUIRED.match(said):
        return "missing_field"
    return next((label for beginning, label in _OWN.items() if said.startswith(beginning)), OURS)
