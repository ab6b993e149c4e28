"""What went wrong between us and Salesforce, told faithfully. What to do about it is decided in delivery/outcome.py.

Salesforce's messages quote the values they complain about, so `str()` and `repr()` of everything here show codes and
field names only; Salesforce's own words stand in an attribute, for the dead letter of the record they are about.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import ConfigurationError, PipelineError


class SalesforceError(PipelineError):
    """Base of everything that can happen to a request."""


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """One entry of Salesforce's error array (REST API guide, "Status Codes and Error Responses")."""

    code: str  # as INVALID_FIELD, the same in errorCode of a request and in statusCode of a record
    message: str = field(default="", repr=False)  # Salesforce's words, which may quote personal data
    fields: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()  # Ids of the records that a DUPLICATES_DETECTED names

    def __str__(self) -> str:
        """Show the code and the fields, never the message."""
        return f"{self.code} [{', '.join(self.fields)}]" if self.fields else self.code


def error_details(body: Any) -> tuple[ErrorDetail, ...]:
    """Read the errors in a refused request's body, or in `errors` of a record's result.

    Accepts the array of either shape (`errorCode` or `statusCode`); anything else holds no errors: `()`.
    """
    if not isinstance(body, list):
        return ()
    return tuple(_detail(entry) for entry in body if isinstance(entry, dict))


def _detail(entry: Mapping[str, Any]) -> ErrorDetail:
    return ErrorDetail(
        code=_text(entry.get("errorCode") or entry.get("statusCode") or "UNKNOWN"),
        message=_text(entry.get("message") or ""),
        fields=tuple(_text(name) for name in entry.get("fields") or ()),
        matches=tuple(_matches(entry)),
    )


def _text(value: Any) -> str:
    # Half a surrogate pair, as of a value that was cut, can be written neither to Redis nor to a terminal.
    return str(value).encode("utf-8", "replace").decode()


def _matches(entry: Mapping[str, Any]) -> list[str]:
    # API versions 51 to 56 were seen to misspell the key.
    result = entry.get("duplicateResult") or entry.get("duplicateResut")
    if not isinstance(result, dict):
        return []
    found = []
    for rule in result.get("matchResults") or ():
        for match in rule.get("matchRecords") or ():
            record = match.get("record") or {}
            if record.get("Id"):
                found.append(str(record["Id"]))
    return list(dict.fromkeys(found))


def _listed(errors: tuple[ErrorDetail, ...]) -> str:
    return "; ".join(dict.fromkeys(str(error) for error in errors))


class Refused(SalesforceError):  # noqa: N818  (Salesforce's answer, not a fault of the pipeline)
    """Salesforce refused a whole request and did nothing of it.

    `status` is the HTTP status, `errors` are Salesforce's reasons, empty where the body named none.
    """

    def __init__(self, status: int, errors: tuple[ErrorDetail, ...] = (), *, resource: str = "") -> None:
        self.status = status
        self.errors = errors
        self.resource = resource
        super().__init__(f"Salesforce refused {resource or 'the request'}: HTTP {status} {_listed(errors)}".rstrip())

    @property
    def codes(self) -> frozenset[str]:
        """The error codes, for membership tests."""
        return frozenset(error.code for error in self.errors)


class UnknownObject(Refused, ConfigurationError):  # noqa: N818  (as Refused)
    """The org has no object of this name, or the pipeline's user may not see it: the operator has to act."""

    def __init__(self, name: str, errors: tuple[ErrorDetail, ...] = ()) -> None:
        super().__init__(404, errors or (ErrorDetail("NOT_FOUND"),), resource=f"describe of {name}")
        self.name = name

    def __str__(self) -> str:
        """Say what the operator can check."""
        return (
            f"the org has no object {self.name}, or the pipeline's Salesforce user may not see it: "
            "check the API name (custom objects end in __c) in destination.yaml and the user's permissions"
        )


class NoAnswer(SalesforceError):  # noqa: N818  (what is missing is the answer)
    """The connection failed, broke, timed out or was cut short before a whole answer had arrived.

    `sent` False: nothing had left this machine, so it is certain that nothing happened.
    `sent` True: the request may have been carried out, in whole or not at all.
    """

    def __init__(self, *, sent: bool, why: str) -> None:
        self.sent = sent
        self.why = why
        certainty = "it may have been carried out" if sent else "nothing was sent"
        super().__init__(f"no answer from Salesforce ({why}): {certainty}")


class Unavailable(SalesforceError):  # noqa: N818  (the org's state, not a fault of the pipeline)
    """Salesforce or something in front of it answered that it cannot serve: HTTP 5xx, 420, a redirect, a web page.

    A write that was answered so may have been carried out, as a gateway gives up before the org does. `errors` are
    Salesforce's reasons where the body was JSON, `retry_after_s` what the header Retry-After asked for, if anything.
    """

    def __init__(
        self, status: int, errors: tuple[ErrorDetail, ...] = (), *, retry_after_s: float | None = None
    ) -> None:
        self.status = status
        self.errors = errors
        self.retry_after_s = retry_after_s
        super().__init__(f"Salesforce is unavailable: HTTP {status} {_listed(errors)}".rstrip())

    @property
    def codes(self) -> frozenset[str]:
        """The error codes, for membership tests."""
        return frozenset(error.code for error in self.errors)


class LoginRefused(SalesforceError):  # noqa: N818  (Salesforce's answer, not a fault of the pipeline)
    """Salesforce does not let the pipeline's user in. Trying again does not help and moves towards a lockout.

    `code` is Salesforce's, as INVALID_LOGIN or invalid_grant; `advice` tells the operator exactly what to do;
    `detail` is Salesforce's own text, which may name the user; `tried_again_in_s` is how long the pipeline leaves
    the login alone before it would try once more.
    """

    def __init__(self, code: str, advice: str, *, detail: str = "", tried_again_in_s: float = 0.0) -> None:
        self.code = code
        self.advice = advice
        self.detail = detail
        self.tried_again_in_s = tried_again_in_s
        super().__init__(f"Salesforce refused the login ({code}): {advice}")
