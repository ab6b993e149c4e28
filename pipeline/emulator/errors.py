"""What Salesforce answers when it refuses: status, errorCode, message and fields.

Codes and meanings follow the SOAP API guide (core data types, StatusCode and ExceptionCode) and the REST API guide
(status codes and error responses); message texts follow replies of real orgs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SEE_DESCRIBE = "Please reference your WSDL or the describe call for the appropriate names."
NOT_ON_ENTITY = (
    "No such column '{field}' on entity '{entity}'. If you are attempting to use a custom field, be sure to append the"
    " '__c' after the custom field name. " + SEE_DESCRIBE
)
ROLLED_BACK = "Record rolled back because not all records were valid and the request was using AllOrNone header"
HALTED = "The transaction was rolled back since another operation in the same transaction failed."


@dataclass(frozen=True, slots=True)
class RecordError:
    """One reason why one record was refused; REST calls ``code`` errorCode, collections call it statusCode."""

    code: str
    message: str
    fields: tuple[str, ...] = ()
    # Only DUPLICATES_DETECTED carries more than the three: the matches that were found.
    detail: Json | None = None

    def as_status(self) -> Json:
        """Return the form used inside collections, trees and upsert results."""
        shown: Json = {"statusCode": self.code, "message": self.message, "fields": list(self.fields)}
        return shown | (self.detail or {})

    def as_error(self) -> Json:
        """Return the form used in the error array of a single-record request."""
        shown: Json = {"message": self.message, "errorCode": self.code, "fields": list(self.fields)}
        return shown | (self.detail or {})


@dataclass
class ApiError(Exception):
    """A request that is refused as a whole: ``status`` is the HTTP status, ``body`` the JSON array of errors."""

    status: int
    body: list[Json]
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the status and the first error code, never the data."""
        return f"{self.status} {self.body[0]['errorCode']}"

    @property
    def code(self) -> str:
        """The first errorCode."""
        return str(self.body[0]["errorCode"])


def refuse(status: int, code: str, message: str, *, fields: tuple[str, ...] | None = None) -> ApiError:
    """Return an ApiError of one error; ``fields`` is sent only by errors about a record's content."""
    error: Json = {"message": message, "errorCode": code}
    if fields is not None:
        error["fields"] = list(fields)
    return ApiError(status, [error])


# Statuses of a single-record request other than 400, by errorCode.
_STATUS = {"ENTITY_IS_DELETED": 404, "NOT_FOUND": 404, "INSUFFICIENT_ACCESS_OR_READONLY": 403}


def refuse_record(errors: list[RecordError]) -> ApiError:
    """Return the reply to a single-record request whose record was refused."""
    return ApiError(_STATUS.get(errors[0].code, 400), [error.as_error() for error in errors])


def not_found(message: str = "The requested resource does not exist") -> ApiError:
    """Return 404 NOT_FOUND."""
    return refuse(404, "NOT_FOUND", message)


def not_covered(what: str) -> ApiError:
    """Return the refusal of what Salesforce would do and this emulator does not, so that no test passes by it."""
    return refuse(400, "NOT_COVERED", f"not part of this emulator: {what}")


def no_such_row(value: str) -> ApiError:
    """Return the 404 of a path whose Id or external Id names no record."""
    return not_found(f"Provided external ID field does not exist or is not accessible: {value}")


def session_invalid() -> ApiError:
    """Return the 401 of a session that expired, was killed or never was."""
    return refuse(401, "INVALID_SESSION_ID", "Session expired or invalid")


def header_invalid() -> ApiError:
    """Return the 401 of an Authorization header that names neither Bearer nor OAuth and a token."""
    return refuse(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")


def limit_exceeded(what: str = "TotalRequests") -> ApiError:
    """Return the 403 of the daily limit, or of the concurrent one."""
    return refuse(403, "REQUEST_LIMIT_EXCEEDED", f"{what} Limit exceeded.")


def method_not_allowed(method: str, allowed: list[str]) -> ApiError:
    """Return 405 with the methods that the resource has."""
    allows = ",".join(allowed)
    error = refuse(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{method}' not allowed. Allowed are {allows}")
    error.headers["Allow"] = allows
    return error


def json_invalid(message: str, line: int = 1, column: int = 1) -> ApiError:
    """Return 400 JSON_PARSER_ERROR; line and column count from 1."""
    return refuse(400, "JSON_PARSER_ERROR", f"{message} at [line:{line}, column:{column}]")


def only_keys(given: Json, known: set[str]) -> None:
    """Refuse a request's object that has a key which means nothing, as Salesforce's parser does."""
    unknown = min((str(key) for key in given if key not in known), default=None)
    if unknown is not None:
        raise json_invalid(f'Unrecognized field "{unknown}", not marked as ignorable')


def no_such_column(name: str, entity: str) -> ApiError:
    """Return the refusal of a write that names a field which the object has not; it fails the whole request."""
    return refuse(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {entity}", fields=())


def type_not_supported(name: str) -> ApiError:
    """Return the refusal of a body that names an object which the org has not."""
    return refuse(
        400,
        "INVALID_TYPE",
        f"sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to append the"
        f" '__c' after the entity name. {SEE_DESCRIBE}",
    )


def required_missing(fields: tuple[str, ...]) -> RecordError:
    """Return the refusal of a record without its required fields."""
    return RecordError("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(fields)}]", fields)


def read_only(fields: tuple[str, ...]) -> RecordError:
    """Return the refusal of fields that the user may not create or update."""
    return RecordError(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        f"Unable to create/update fields: {', '.join(fields)}. Please check the security settings of this field and"
        " verify that it is read/write for your profile or permission set.",
        fields,
    )


def not_in_picklist(label: str, name: str, value: str) -> RecordError:
    """Return the refusal of a value that a restricted picklist has not, or its record type does not allow."""
    message = f"{label}: bad value for restricted picklist field: {value}"
    return RecordError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, (name,))


def maintenance() -> RecordError:
    """Return what every write answers while the org can only be read (SOAP API guide: StatusCode)."""
    message = "Updates can't be made during maintenance. Please try again when maintenance is complete."
    return RecordError("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", message)


def deleted() -> RecordError:
    """Return the refusal of a record that is in the recycle bin."""
    return RecordError("ENTITY_IS_DELETED", "entity is deleted")


def no_such_reference(*fields: str) -> RecordError:
    """Return the refusal of a well-formed Id that names no record."""
    return RecordError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", fields)


def several_found(label: str, record_ids: Sequence[str]) -> RecordError:
    """Return the refusal of an external Id that several records have."""
    shown = ", ".join(record_ids)
    message = f"{label}: more than one record found for external id field: [{shown}]"
    return RecordError("DUPLICATE_EXTERNAL_ID", message)


def converted(*fields: str) -> RecordError:
    """Return the refusal of a converted lead."""
    return RecordError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", fields)


def lock_failed() -> RecordError:
    """Return what a record answers whose row another transaction holds."""
    return RecordError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")


def rolled_back() -> RecordError:
    """Return what the valid records of an all-or-none request answer when another one failed."""
    return RecordError("ALL_OR_NONE_OPERATION_ROLLED_BACK", ROLLED_BACK)
