"""What Salesforce's answers mean for an operation: the one table, and the values that say what happens next.

Codes and texts: SOAP API guide "Core Data Types", REST API guide "Status Codes and Error Responses". Decisions go by
the code, never by the HTTP status alone: one status carries both faults that pass and faults that stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from pipeline.errors import ConfigurationError, PipelineError
from pipeline.salesforce.errors import ErrorDetail, LoginRefused, NoAnswer, Refused, Unavailable


@dataclass(frozen=True, slots=True)
class Committed:
    """Salesforce has it: the Id of the record, and whether this write created it."""

    record_id: str | None
    created: bool = False


@dataclass(frozen=True, slots=True)
class RetryAt:
    """It can succeed later: due again in `delay_s` seconds, the attempt counted if the operation is to blame."""

    delay_s: float
    reason: str
    counts_attempt: bool = True


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The record Id is no longer good (deleted, merged, converted): look the record up and write again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Split:
    """The request was refused as a whole because of something in it: halve it until the cause is alone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Buried:
    """It can never succeed as it is: a dead letter with the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Paused:
    """The org as a whole cannot be written: everything waits, and no operation is to blame."""

    reason: str
    advice: str
    needs_operator: bool  # True: nothing will change by itself, so probe rarely


Outcome: TypeAlias = Committed | RetryAt | LookAgain | Buried


class Meaning(Enum):
    """What an error code says about trying again."""

    BURY = "the record can never be written as it is"
    RETRY = "the same write can succeed later"
    RETRY_ONCE = "the next lookup can find what this write ran into"
    LOOK_AGAIN = "the Id is no longer that of a record to write"
    SPLIT = "the request was too much at once, or one part spoilt it"
    PAUSE = "the org refuses everybody for now"
    PAUSE_FOR_OPERATOR = "the org refuses us until somebody changes something"


# Every code that a writer can meet; one that is not here is buried, with Salesforce's own words.
MEANINGS: dict[str, Meaning] = {
    "UNABLE_TO_LOCK_ROW": Meaning.RETRY,
    "ENTITY_IS_LOCKED": Meaning.RETRY,
    "UNKNOWN_EXCEPTION": Meaning.RETRY,
    "DUPLICATE_VALUE": Meaning.RETRY_ONCE,  # the loser of a race on a unique field finds the winner's record next time
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": Meaning.RETRY,
    "PROCESSING_HALTED": Meaning.RETRY,
    "BATCH_PROCESSING_HALTED": Meaning.RETRY,
    "TXN_SECURITY_METERING_ERROR": Meaning.RETRY,
    "QUERY_TIMEOUT": Meaning.SPLIT,
    "REQUEST_RUNNING_TOO_LONG": Meaning.SPLIT,
    "QUERY_TOO_COMPLICATED": Meaning.SPLIT,
    "OPERATION_TOO_LARGE": Meaning.SPLIT,
    "EXCEEDED_ID_LIMIT": Meaning.SPLIT,
    "LIMIT_EXCEEDED": Meaning.SPLIT,
    "EXCEEDED_MAX_SIZE_REQUEST": Meaning.SPLIT,
    "JSON_PARSER_ERROR": Meaning.SPLIT,
    "ENTITY_IS_DELETED": Meaning.LOOK_AGAIN,
    "INVALID_CROSS_REFERENCE_KEY": Meaning.LOOK_AGAIN,
    "NOT_FOUND": Meaning.LOOK_AGAIN,
    "CANNOT_UPDATE_CONVERTED_LEAD": Meaning.LOOK_AGAIN,
    "REQUEST_LIMIT_EXCEEDED": Meaning.PAUSE,
    "SERVER_UNAVAILABLE": Meaning.PAUSE,
    "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE": Meaning.PAUSE,
    "API_CURRENTLY_DISABLED": Meaning.PAUSE,
    "API_DISABLED_FOR_ORG": Meaning.PAUSE_FOR_OPERATOR,
    "INVALID_SESSION_ID": Meaning.PAUSE,
    "INVALID_LOGIN": Meaning.PAUSE_FOR_OPERATOR,
    "PASSWORD_LOCKOUT": Meaning.PAUSE_FOR_OPERATOR,
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": Meaning.PAUSE_FOR_OPERATOR,
    "STORAGE_LIMIT_EXCEEDED": Meaning.PAUSE_FOR_OPERATOR,
    "GONE": Meaning.PAUSE_FOR_OPERATOR,
    "UNSUPPORTED_API_VERSION": Meaning.PAUSE_FOR_OPERATOR,
    "INSUFFICIENT_ACCESS": Meaning.BURY,
    "INSUFFICIENT_ACCESS_OR_READONLY": Meaning.BURY,
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": Meaning.BURY,
    "DUPLICATES_DETECTED": Meaning.BURY,
    "DUPLICATE_EXTERNAL_ID": Meaning.BURY,
    "REQUIRED_FIELD_MISSING": Meaning.BURY,
    "STRING_TOO_LONG": Meaning.BURY,
    "INVALID_FIELD": Meaning.BURY,
    "INVALID_FIELD_FOR_INSERT_UPDATE": Meaning.BURY,
    "INVALID_TYPE": Meaning.BURY,
    "INVALID_TYPE_ON_FIELD_IN_RECORD": Meaning.BURY,
    "INVALID_EMAIL_ADDRESS": Meaning.BURY,
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": Meaning.BURY,
    "NUMBER_OUTSIDE_VALID_RANGE": Meaning.BURY,
    "MALFORMED_QUERY": Meaning.BURY,
    "INVALID_QUERY_FILTER_OPERATOR": Meaning.BURY,
    "INVALID_QUERY_LOCATOR": Meaning.RETRY,
    "MALFORMED_ID": Meaning.BURY,
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": Meaning.BURY,
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": Meaning.BURY,
    "CANNOT_EXECUTE_FLOW_TRIGGER": Meaning.BURY,
    "FIELD_INTEGRITY_EXCEPTION": Meaning.BURY,
    "INACTIVE_OWNER_OR_USER": Meaning.BURY,
    "TRANSFER_REQUIRES_READ": Meaning.BURY,
    "DELETE_FAILED": Meaning.BURY,
    "MISSING_ARGUMENT": Meaning.BURY,
    "METHOD_NOT_ALLOWED": Meaning.BURY,
    "UNSUPPORTED_MEDIA_TYPE": Meaning.BURY,
    "TXN_SECURITY_NO_ACCESS": Meaning.BURY,
    "TXN_SECURITY_APEX_ERROR": Meaning.BURY,
    "TXN_SECURITY_RUNTIME_ERROR": Meaning.BURY,
}

# Refusing a whole request, these are about the object or the user and no record: halving it would only spend calls.
_OF_THE_WHOLE = frozenset(
    {
        "INVALID_TYPE",
        "INSUFFICIENT_ACCESS",
        "INSUFFICIENT_ACCESS_OR_READONLY",
        "METHOD_NOT_ALLOWED",
        "UNSUPPORTED_MEDIA_TYPE",
        "TXN_SECURITY_NO_ACCESS",
    }
)

# What to do about what does not pass by itself; `pipeline resume` then tries at once.
_ADVICE = {
    "API_DISABLED_FOR_ORG": "give the pipeline's Salesforce user the permission API Enabled; then `pipeline resume`",
    "STORAGE_LIMIT_EXCEEDED": "free or buy data storage (Setup > Storage Usage); then `pipeline resume`",
    "GONE": "raise salesforce.api_version in destination.yaml and restart the workers",
    "UNSUPPORTED_API_VERSION": "raise salesforce.api_version in destination.yaml and restart the workers",
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": "set a new password, SALESFORCE_PASSWORD, and restart the workers",
    "REQUEST_LIMIT_EXCEEDED": "the org's calls of the last 24 hours are used up; it goes on as they come back",
}

# A trigger or flow reports its own text; these parts of it say that it met something that passes.
_GOVERNOR_LIMITS = ("LimitException", "Too many ", "CPU time limit", "Maximum stack depth", "heap size")
_PASSING_IN_TRIGGERS = ("UNABLE_TO_LOCK_ROW", *_GOVERNOR_LIMITS)
_TRIGGERS = ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CANNOT_EXECUTE_FLOW_TRIGGER")

MOST_ATTEMPTS = 12  # with the delays below: about two hours of trying
_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 900.0
# A lookup whose answer was lost has changed nothing and can be repeated soon.
_LOST_LOOKUP_DELAY_S = 5.0
_SERVER_ERROR = 500
_GATEWAYS = frozenset({502, 504})


def backoff_s(attempts: int, jitter: float) -> float:
    """Seconds until the next try after `attempts` failed ones: doubled each time, spread by `jitter` from 0 to 1."""
    return min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(attempts, 20)) * (0.5 + jitter / 2)


def meaning_of(error: ErrorDetail) -> Meaning:
    """Look an error up in the table; the text of a trigger's error is searched for a fault that passes."""
    if error.code in _TRIGGERS and any(text in error.message for text in _PASSING_IN_TRIGGERS):
        return Meaning.RETRY
    return MEANINGS.get(error.code, Meaning.BURY)


def of_record(errors: Sequence[ErrorDetail], *, attempts: int, jitter: float) -> RetryAt | LookAgain | Buried | Paused:
    """Decide about one record that Salesforce refused. The gravest of several errors decides."""
    meanings = [meaning_of(error) for error in errors]
    reason = in_words(errors)
    if Meaning.PAUSE_FOR_OPERATOR in meanings or Meaning.PAUSE in meanings:
        return _paused(errors)
    if not errors or Meaning.BURY in meanings:
        return Buried(reason)
    if Meaning.RETRY_ONCE in meanings and attempts > 0:
        return Buried(reason)
    if Meaning.LOOK_AGAIN in meanings:
        return LookAgain(reason)
    return retry(reason, attempts=attempts, jitter=jitter)


def retry(reason: str, *, attempts: int, jitter: float) -> RetryAt | Buried:
    """Retry with backoff, or bury what has been tried often enough."""
    if attempts + 1 >= MOST_ATTEMPTS:
        return Buried(f"gave up after {attempts + 1} attempts; the last: {reason}")
    return RetryAt(backoff_s(attempts, jitter), reason)


def may_be_anothers_fault(errors: Sequence[ErrorDetail]) -> bool:
    """Tell whether a record may have been refused for what another one in its collection did.

    A trigger or flow runs once for up to 200 records, and an exception in it fails all of them.
    """
    return any(error.code in _TRIGGERS for error in errors)


def was_too_much(errors: Sequence[ErrorDetail]) -> bool:
    """Tell whether the org gave up for the number of records it had to work on at once.

    A governor limit counts what all triggers and flows do for one collection, so fewer records stay within it.
    """
    return any(
        error.code in {"REQUEST_RUNNING_TOO_LONG", "OPERATION_TOO_LARGE"}
        or (error.code in _TRIGGERS and any(text in error.message for text in _GOVERNOR_LIMITS))
        for error in errors
    )


def of_part(errors: Sequence[ErrorDetail]) -> Split | RetryAt | Paused:
    """Decide about one collection or query refused as a whole: nothing in it was done, so it can be halved."""
    meanings = [meaning_of(error) for error in errors]
    if Meaning.PAUSE_FOR_OPERATOR in meanings or Meaning.PAUSE in meanings:
        return _paused(errors)
    if (errors and all(meaning is Meaning.RETRY for meaning in meanings)) or {
        one.code for one in errors
    } & _OF_THE_WHOLE:
        return RetryAt(_FIRST_DELAY_S, in_words(errors))
    return Split(in_words(errors))


def _paused(errors: Sequence[ErrorDetail]) -> Paused:
    advice = "; ".join(dict.fromkeys(_ADVICE[error.code] for error in errors if error.code in _ADVICE))
    needs_operator = any(meaning_of(error) is Meaning.PAUSE_FOR_OPERATOR for error in errors)
    return Paused("Salesforce answers " + ", ".join(error.code for error in errors), advice, needs_operator)


def is_uncertain(error: PipelineError) -> bool:
    """Tell whether a write that failed so may have been carried out, or may still be.

    A gateway gives up before the org does; 503 and 420 are said by who never passed the request on.
    """
    if isinstance(error, NoAnswer):
        return error.sent
    return isinstance(error, Unavailable) and error.status in _GATEWAYS


def of_failure(error: PipelineError) -> RetryAt | Split | Paused:
    """Decide about a request that got no answer, or was refused as a whole; for a write ask `is_uncertain` first."""
    if isinstance(error, NoAnswer) and error.sent:
        return RetryAt(_LOST_LOOKUP_DELAY_S, "no answer to a request that was sent", counts_attempt=False)
    if isinstance(error, Unavailable) and error.status == _SERVER_ERROR:
        return RetryAt(_FIRST_DELAY_S, str(error))  # one record can cause it, so the attempt counts
    if isinstance(error, NoAnswer | Unavailable):
        return Paused(str(error), "", needs_operator=False)
    if isinstance(error, LoginRefused):
        return Paused(f"Salesforce refused the login ({error.code})", error.advice, needs_operator=True)
    if isinstance(error, Refused):
        return of_part(error.errors)
    if isinstance(error, ConfigurationError):
        return Paused(str(error), "", needs_operator=True)
    raise error


def in_words(errors: Sequence[ErrorDetail]) -> str:
    """Say what Salesforce said, for a dead letter; it may quote the record, so it must not reach a log."""
    return "; ".join(
        f"{error.code}: {error.message}" + (f" [{', '.join(error.fields)}]" if error.fields else "") for error in errors
    )
