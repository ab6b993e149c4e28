"""One field held against what a rule wants of it: match on it, write it, read it, or put a certain value there."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pipeline.delivery.cast import Unfit, cast, is_writable_type
from pipeline.delivery.upsert import is_upsert_key
from pipeline.destination import Value
from pipeline.mapping.paths import parse_path
from pipeline.operation import Json
from pipeline.salesforce.describe import Field, ObjectDescribe

Verdict: TypeAlias = Literal["ok", "warning", "error"]

_TEXT: Final = frozenset(
    {"string", "textarea", "phone", "url", "combobox", "encryptedstring", "picklist", "multipicklist"}
)
_DATES: Final = frozenset({"date", "datetime"})
_LONG_TEXT: Final = 255
# What the keys of every event hold; what is below traits, properties and context only the events know.
_MOMENTS: Final = frozenset({"timestamp", "originalTimestamp", "sentAt", "receivedAt"})
_WORDS: Final = frozenset(
    {"type", "event", "name", "category", "userId", "anonymousId", "groupId", "previousId", "messageId"}
)
_OBJECTS: Final = frozenset({"traits", "properties", "context", "integrations"})
_SEE_FIELD: Final = "create the field, correct the API name, or show it to the user in field-level security"


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, what was found, and what to do about it."""

    verdict: Verdict
    found: str
    advice: str = ""

    def at(self, where: str, object_name: str, field: str) -> tuple[Verdict, str, str, str, str, str]:
        """Return it with its place, as the values of a Finding."""
        return self.verdict, where, object_name, field, self.found, self.advice


def match_of(name: str, describe: ObjectDescribe, *, is_upsert: bool, by_key: bool) -> Judged:
    """Judge a field that records are found by; `by_key` says that the rule upserts by it, if it is an external ID."""
    field = describe.find(name)
    if field is None:
        advice = _SEE_FIELD
        if name == "AccountNumber":
            advice = "put Account Number on the page layout and show it to the user in field-level security"
        return Judged("error", "the org has no such field, or this user may not see it", advice)
    if field.type == "id":
        return Judged("ok", "is the record's Id: no lookup is needed")
    if not field.filterable:
        return Judged("error", f"a field of type {field.type} like this cannot be searched", "match on another field")
    if is_upsert and not field.createable:
        found = "this user cannot write it on new records, so the next event would not find them and make others"
        return Judged("error", found, "allow the user to edit it, or match on another field")
    return _searchable(field, by_key=by_key)


def _searchable(field: Field, *, by_key: bool) -> Judged:
    if field.case_sensitive:
        found = "the org tells its values apart by case, and the pipeline does not"
        return Judged("warning", found, "make the field's uniqueness case-insensitive")
    if field.external_id:
        unique = ", and unique: the org itself refuses a second record" if field.unique else ", but not unique"
        if by_key and is_upsert_key(field):
            return Judged("ok", f"is an external ID: records are upserted by it, without a lookup{unique}")
        return Judged("ok", f"is an external ID: indexed, so that lookups stay cheap{unique}")
    return Judged("ok", "can be searched; it is no external ID, which is indexed and cheaper in a large org")


def write_of(name: str, describe: ObjectDescribe, *, creates: bool, updates: bool, by_default: bool = False) -> Judged:
    """Judge a field that is written. What the default mapping has no field for is left out, which may be meant."""
    severity: Verdict = "warning" if by_default else "error"
    field = describe.find(name)
    if field is None:
        advice = f"values for it are left out; {_SEE_FIELD}" if by_default else _SEE_FIELD
        return Judged(severity, "the org has no such field, or this user may not see it", advice)
    if not field.createable and not field.updateable:
        return Judged(severity, "this user cannot write it", _unwritable(field))
    if not is_writable_type(field):
        return Judged(severity, f"the pipeline does not write fields of type {field.type}", "map to another field")
    if creates and not field.createable:
        return Judged("warning", "it is left out of new records, where this user cannot write it", _unwritable(field))
    if updates and not field.updateable:
        found = "it is left out where the record exists already: it can only be set on new ones"
        return Judged("warning", found, "move it under on_create, if that is what you mean")
    size = f", up to {field.length} characters" if field.length else ""
    return Judged("ok", f"can be written ({field.type}{size})")


def read_of(name: str, describe: ObjectDescribe) -> Judged:
    """Judge a field that a read returns."""
    if describe.find(name) is None:
        return Judged("error", "the org has no such field, or this user may not see it", _SEE_FIELD)
    return Judged("ok", "can be read")


def reference_of(field: Field, value: Value, target: ObjectDescribe | None) -> Judged | None:
    """Judge a lookup: the field has to be a reference to its object, which has to be searchable by `by`."""
    if field.type != "reference":
        return Judged("error", f"is of type {field.type}; a lookup fills references", "map the value itself")
    if field.reference_to and value.lookup not in field.reference_to:
        told = " or ".join(field.reference_to)
        return Judged("error", f"points to {told}, not to {value.lookup}", f"look up {told}")
    if target is None:
        return None  # the object has a row of its own
    by = target.find(value.by or "Id")
    if by is None:
        return Judged("error", f"{target.name} has no field {value.by} to look it up by, for this user", _SEE_FIELD)
    if not by.filterable and by.type != "id":
        return Judged("error", f"{target.name} cannot be searched by {by.name}", "look it up by another field")
    return _constants(value, by)


def fit_of(value: Value, field: Field) -> Judged | None:
    """Judge whether what a value is known to be fits its field; None where only the events can tell, or all is well."""
    unfit = _constants(value, field)
    if unfit is not None:
        return unfit
    if value.template is not None and field.type not in _TEXT | {"email"}:
        found = f"a template gives text, and the field is of type {field.type}"
        return Judged("warning", found, "write the path itself, as {from: path}")
    for path in value.paths:
        steps = parse_path(path)
        judged = _whole_key(str(steps[0]), field) if len(steps) == 1 else None
        if judged is not None:
            return judged
    return None


def _constants(value: Value, field: Field) -> Judged | None:
    said: list[Json] = [one for one in (value.constant, value.default) if one is not None]
    for one in said:
        try:
            cast(one, field)
        except Unfit as unfit:
            advice = "write another value, or map it to another field"
            if field.restricted_picklist and field.picklist_values:
                advice = f"write one of {', '.join(sorted(field.picklist_values)[:8])}"
            return Judged("error", f"the value in the file does not fit a field of type {field.type}: {unfit}", advice)
    return None


def _whole_key(key: str, field: Field) -> Judged | None:
    if key in _MOMENTS and field.type not in _DATES | _TEXT:
        found = f"{key} is a date and time, and the field is of type {field.type}"
        return Judged("error", found, "map it to a date, a date and time, or text")
    if key in _WORDS and field.type not in _TEXT:
        found = f"{key} is text, and the field is of type {field.type}: what does not read as such is left out"
        return Judged("warning", found, "map it to text, if the values are not of that type")
    if key in _OBJECTS and not (field.type == "textarea" and field.length > _LONG_TEXT):
        found = f"{key} is an object, and the field is of type {field.type}"
        return Judged("error", found, f"write the path to one value, as {key}.plan, or map it to a long text area")
    return None


def _unwritable(field: Field) -> str:
    if field.calculated or field.auto_number:
        return "Salesforce fills it itself; map to another field"
    return "allow the user to edit it in field-level security, or map to another field"
