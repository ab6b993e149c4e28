"""The schema of destination.yaml: what may be written, and what is said to who wrote something else."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, pre_load, validates_schema

from pipeline.destination import Action, Bulk, Destination, Group, Identify, Quota, Salesforce, Value
from pipeline.settings.sources import Sources, Where
from pipeline.settings.words import (
    ApiName,
    ApiNames,
    ApiVersion,
    AssignmentRules,
    Choice,
    Flag,
    Names,
    Number,
    Owner,
    Sandbox,
    Weights,
    did_you_mean,
)

EVENT_TYPES: Final = ("identify", "group", "track", "page", "screen", "alias")
_CREDENTIALS: Final = frozenset(
    {"username", "password", "security_token", "domain", "consumer_key", "consumer_secret", "private_key_file"}
)
# Fields that Salesforce fills itself: nothing can be matched on or written there by an upsert that creates.
_GENERATED: Final = frozenset(
    {"id", "isdeleted", "createddate", "createdbyid", "lastmodifieddate", "lastmodifiedbyid", "systemmodstamp"}
)
_ON_MULTIPLE: Final = ("oldest", "newest", "error")
_ON_CONVERTED: Final = ("contact", "skip", "create")


class Section(Schema):
    """A mapping of the file that becomes a dataclass; a key without a value counts as not written."""

    class Meta:
        """Unknown keys are reported here, with the key that may have been meant."""

        unknown = EXCLUDE

    error_messages = {"type": "write a mapping, with one `key: value` a line"}  # noqa: RUF012  (marshmallow's own name)
    builds: ClassVar[type]

    @pre_load
    def leave_out_empty(self, data: Any, **_: Any) -> Any:
        """Treat `key:` with nothing behind it as if the line were not there."""
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None}

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def refuse_unknown_keys(self, _data: Any, original: Any, **_: Any) -> None:
        """Name the keys that mean nothing, and what may have been meant."""
        if not isinstance(original, dict):
            return
        known = {one.data_key or name for name, one in self.fields.items()}
        unknown = {str(key): [self.unknown_key(str(key), sorted(known))] for key in original if key not in known}
        if unknown:
            raise ValidationError(unknown)

    def unknown_key(self, key: str, known: list[str]) -> str:
        """Return what to say about a key that is not known."""
        return f"there is no such key; {did_you_mean(key, known)}"

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Any:
        """Return the value that the section stands for."""
        return self.builds(**data)


class SalesforceSchema(Section):
    """Which org, and how it is asked to behave."""

    builds = Salesforce
    sandbox = Sandbox(metadata={"description": "false, true, or the sandbox's name, which is added to the username"})
    api_version = ApiVersion(metadata={"description": 'the REST API version, as "66.0"'})
    assignment_rules = AssignmentRules(
        metadata={"description": "run assignment rules on what is written: false, true, or the Id of one rule"}
    )
    duplicate_rules = Choice(
        ("enforce", "allow_save"),
        metadata={"description": "allow_save writes records for which a duplicate rule only alerts"},
    )
    timeout = Number(
        least=1,
        most=600,
        example="60",
        metadata={"description": "seconds to wait for an answer; a killed worker's records wait about twice as long"},
    )

    def unknown_key(self, key: str, known: list[str]) -> str:
        """Send who writes a password into a file to the environment."""
        if key in _CREDENTIALS:
            return f"credentials do not belong in a file; set the environment variable SALESFORCE_{key.upper()}"
        return super().unknown_key(key, known)


class QuotaSchema(Section):
    """How much of the org's daily API calls may be spent."""

    builds = Quota
    share = Number(
        more_than=0, most=1, example="0.8", metadata={"description": "the share of the daily calls to spend"}
    )
    reserve = Number(least=0, whole=True, example="1000", metadata={"description": "calls a day left to others"})
    weights = Weights(
        Number(more_than=0, most=1000, example="3"),
        metadata={"description": "object: weight, its part of the calls while they are scarce; 1 where not named"},
    )


class BulkSchema(Section):
    """When a backlog is written by bulk jobs."""

    builds = Bulk
    threshold = Number(
        least=0,
        whole=True,
        example="20000",
        metadata={"description": "records of an object that wait, from which on bulk jobs write them; 0 for never"},
    )


class RuleSection(Section):
    """What every rule may say."""

    fields_ = Sources(
        data_key="fields",
        attribute="fields",
        metadata={"description": "path: field, or field: {from: path}"},
    )
    on_create = Sources(metadata={"description": "as fields, but written only on new records"})
    owner = Owner(metadata={"description": "the owner of new records: a user's or queue's Id, or a username"})
    record_type = ApiName(metadata={"description": "the record type of new records, by developer name"})
    join = Choice(("and", "or"), metadata={"description": "whether all fields matched on have to fit, or any"})
    on_multiple = Choice(_ON_MULTIPLE, metadata={"description": "which of several matching records is written"})
    on_converted = Choice(_ON_CONVERTED, metadata={"description": "what to do with a match that is a converted lead"})
    clear_nulls = Flag(metadata={"description": "whether null in an event clears the field"})
    priority = Choice(
        ("normal", "high"), metadata={"description": "high is delivered first while API calls are scarce"}
    )


class IdentifySchema(RuleSection):
    """The default mapping of identify events."""

    builds = Identify
    default = Flag(metadata={"description": "whether the default mapping runs"})
    object = Choice(("Lead", "Contact"), metadata={"description": "the object that people become"})
    lookup_fields = ApiNames(metadata={"description": "further fields, besides Email, by which the record is found"})
    placeholders = Choice(
        ("on_create", "always"),
        metadata={"description": "whether n/a for a missing LastName or Company is for new records only"},
    )

    @validates_schema
    def fits_the_object(self, data: Mapping[str, Any], **_: Any) -> None:
        """Refuse what makes no sense for contacts."""
        if data.get("object") == "Contact" and "on_converted" in data:
            raise ValidationError({"on_converted": ["only leads are converted; remove it, or write object: Lead"]})


class GroupSchema(RuleSection):
    """The default mapping of group events."""

    builds = Group
    default = Flag(metadata={"description": "whether the default mapping runs"})
    address = Choice(
        ("billing", "shipping", "both"), metadata={"description": "which of the account's addresses is written"}
    )
    lookup_fields = ApiNames(metadata={"description": "further fields, besides AccountNumber, to find the record by"})

    @validates_schema
    def fits_the_object(self, data: Mapping[str, Any], **_: Any) -> None:
        """Refuse what makes no sense for accounts."""
        if "on_converted" in data:
            raise ValidationError({"on_converted": ["only leads are converted; remove it here"]})


class OnSchema(Section):
    """For which events an action is."""

    builds = dict
    error_messages = {  # noqa: RUF012  (as above)
        "type": "write which events it is for, as {type: track, event: Signed Up}"
    }

    type = Choice(EVENT_TYPES, required=True, metadata={"description": "the type of event"})
    event = Names(metadata={"description": "names of track events; * and ? are wildcards"})
    where = Where(metadata={"description": "conditions: path of the event → value, list of values, or comparisons"})

    @validates_schema
    def names_only_tracks(self, data: Mapping[str, Any], **_: Any) -> None:
        """Refuse the name of an event for types that have none."""
        if data.get("event") and data.get("type") != "track":
            raise ValidationError(
                {"event": ["only track events have names; remove it, or narrow the events with `where`"]}
            )


class ActionSchema(RuleSection):
    """One configured operation."""

    builds = Action
    on = fields.Nested(
        OnSchema,
        required=True,
        error_messages={
            "required": "is missing; write which events it is for, as on: {{type: track, event: Signed Up}}"
        },
    )
    operation = Choice(("create", "read", "update", "upsert", "delete"), required=True)
    object = ApiName(
        required=True,
        error_messages={"required": "is missing; write the API name of the object, such as Case"},
        metadata={"description": "the API name of the object"},
    )
    match = Sources(metadata={"description": "path of the event: field, all of which select the record"})
    idempotency_field = ApiName(
        metadata={"description": "an external ID field that takes the messageId, so that a create happens once"}
    )
    on_uncertain = Choice(
        ("retry", "dead_letter"),
        metadata={"description": "what becomes of a create whose answer was lost, where it has no idempotency_field"},
    )

    @validates_schema
    def has_what_it_needs(self, data: Mapping[str, Any], **_: Any) -> None:
        """Hold the parts of an action against each other."""
        operation = data["operation"]
        match: Mapping[str, Value] = data.get("match", {})
        written: Mapping[str, Value] = data.get("fields", {})
        errors = {"match": _match_problem(operation, match), "fields": _fields_problem(operation, written)}
        if "join" in data and len(match) <= 1:
            errors["join"] = "there is nothing to join; write two fields under match, or remove it"
        if "on_create" in data and operation not in ("create", "upsert"):
            errors["on_create"] = f"{operation} creates nothing; remove it"
        if "on_converted" in data and data["object"] != "Lead":
            errors["on_converted"] = "only leads are converted; remove it"
        errors |= _idempotency_problems(data, written)
        errors |= {
            key: "a delete is done on one record that matches or on none; remove it"
            for key in ("on_multiple", "on_converted")
            if key in data and operation == "delete"
        }
        told = {key: [problem] for key, problem in errors.items() if problem}
        if told:
            raise ValidationError(told)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Any:
        """Return the action; of a read only the names of its fields are of interest."""
        on = data.pop("on")
        if data["operation"] == "read":
            data["read"] = tuple(data.pop("fields"))
        return Action(type=on["type"], events=on.get("event", ()), where=on.get("where", ()), **data)


def _idempotency_problems(data: Mapping[str, Any], written: Mapping[str, Value]) -> dict[str, str | None]:
    field = data.get("idempotency_field")
    errors: dict[str, str | None] = {
        key: f"only a create can happen twice, and this is one of {data['operation']}; remove it"
        for key in ("idempotency_field", "on_uncertain")
        if key in data and data["operation"] != "create"
    }
    if errors or field is None:
        return errors
    if field.lower() in (name.lower() for name in (*written, *data.get("on_create", {}))):
        errors["idempotency_field"] = f"{field} takes the messageId; remove it under fields"
    if "on_uncertain" in data:
        errors["on_uncertain"] = f"nothing is uncertain where the record can be looked up by {field}; remove it"
    return errors


def _match_problem(operation: str, match: Mapping[str, Value]) -> str | None:
    if operation == "create":
        return "a create makes a new record every time; remove it, or write operation: upsert" if match else None
    if not match:
        example = "{traits.email: Email}" if operation == "upsert" else "{properties.id: Id}"
        return f"is missing; {operation} needs to know which record, as match: {example}"
    generated = [name for name in match if name.lower() in _GENERATED]
    if operation == "upsert" and generated:
        return f"Salesforce fills {generated[0]} itself, so an upsert cannot match on it; match on a field of your own"
    return None


def _fields_problem(operation: str, written: Mapping[str, Value]) -> str | None:
    if operation == "delete":
        return "a delete writes nothing; remove them" if written else None
    if not written and operation == "read":
        return "is missing; write the fields to return, as fields: [Name, Industry]"
    if not written and operation != "upsert":
        return f"is missing; {operation} needs something to write, as fields: {{properties.priority: Priority}}"
    generated = [name for name in written if name.lower() in _GENERATED]
    if generated and operation != "read":
        return f"Salesforce fills {generated[0]} itself; remove it, or write it under match"
    return None


class DestinationSchema(Section):
    """The whole file."""

    builds = Destination
    salesforce = fields.Nested(SalesforceSchema)
    quota = fields.Nested(QuotaSchema)
    bulk = fields.Nested(BulkSchema)
    linger = Number(
        least=0,
        most=60,
        example="0.5",
        metadata={"description": "seconds that a record waits for company"},
    )
    always_enabled = Flag(metadata={"description": "whether events go to Salesforce without asking for it"})
    trace = Flag(metadata={"description": "whether `pipeline trace` can tell for a day where an event is"})
    identify = fields.Nested(IdentifySchema)
    group = fields.Nested(GroupSchema)
    actions = fields.List(
        fields.Nested(ActionSchema), error_messages={"invalid": "write a list: each action begins with a dash"}
    )

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Any:
        """Return the destination."""
        if "actions" in data:
            data["actions"] = tuple(data["actions"])
        return Destination(**data)
