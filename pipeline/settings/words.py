"""The kinds of values that destination.yaml is made of, each with what is said where something else stands."""

import difflib
import re
from collections.abc import Sequence
from typing import Any, Final, cast

from marshmallow import ValidationError, fields

from pipeline.record_id import long_id

API_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_LONGEST_SHOWN: Final = 60  # characters of a wrong value that an error repeats
_SANDBOX = re.compile(r"[A-Za-z0-9]{1,10}")
_OLDEST_VERSION: Final = 52  # the first with the duplicate rule header
# Objects that everybody has; Salesforce does not mind the case of a name, but queues and records are told apart by it.
_STANDARD_OBJECTS: Final = {
    name.lower(): name
    for name in (
        *("Account", "Asset", "Campaign", "CampaignMember", "Case", "Contact", "Contract", "Event", "Group"),
        *(
            "Individual",
            "Lead",
            "Opportunity",
            "OpportunityContactRole",
            "Order",
            "Product2",
            "RecordType",
            "Task",
            "User",
        ),
    )
}


def did_you_mean(written: str, known: Sequence[str]) -> str:
    """Return the known word that is closest to what was written, or all of them."""
    close = difflib.get_close_matches(written.lower(), [word.lower() for word in known], n=1, cutoff=0.7)
    if close:
        return f"did you mean {next(word for word in known if word.lower() == close[0])}?"
    return f"write one of {', '.join(known)}"


def shown(value: Any) -> str:
    """Return a value as an error message repeats it: in quotes, and not more than a line of it."""
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


class ConfigField(fields.Field[Any]):
    """A value that is read by `read`, which raises ValidationError; `json_schema` describes it to editors."""

    default_error_messages = {"required": "is missing"}  # noqa: RUF012  (marshmallow declares it)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_kwargs: Any) -> Any:  # noqa: ARG002  (marshmallow's signature)
        return self.read(value)

    def read(self, value: Any) -> Any:
        """Return the value that is meant. Raises ValidationError with what to write instead."""
        raise NotImplementedError

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        raise NotImplementedError


class Flag(ConfigField):
    """True or false."""

    def read(self, value: Any) -> bool:
        """Take the two words only: YAML 1.1's yes and no are words here."""
        if not isinstance(value, bool):
            raise ValidationError(f"{shown(value)} is neither true nor false; write true or false")
        return value

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        return {"type": "boolean"}


class Choice(ConfigField):
    """One of some words."""

    def __init__(self, choices: Sequence[str], **kwargs: Any) -> None:
        self.choices = choices
        super().__init__(error_messages={"required": f"is missing; write one of {', '.join(choices)}"}, **kwargs)

    def read(self, value: Any) -> str:
        """Take one of the choices as it is written."""
        if isinstance(value, str) and value in self.choices:
            return value
        raise ValidationError(f"{shown(value)} is not possible; {did_you_mean(str(value), self.choices)}")

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        return {"enum": list(self.choices)}


class Number(ConfigField):
    """A number within bounds."""

    def __init__(
        self,
        *,
        example: str,
        least: float | None = None,
        more_than: float | None = None,
        most: float | None = None,
        whole: bool = False,
        **kwargs: Any,
    ) -> None:
        self.example, self.least, self.more_than, self.most, self.whole = example, least, more_than, most, whole
        super().__init__(**kwargs)

    def read(self, value: Any) -> float:
        """Take a number within the bounds."""
        kind = "a whole number" if self.whole else "a number"
        is_number = isinstance(value, int) or (isinstance(value, float) and not self.whole)
        if not is_number or isinstance(value, bool):
            raise ValidationError(f"{shown(value)} is not {kind}; write one such as {self.example}")
        too_low = (self.least is not None and value < self.least) or (
            self.more_than is not None and value <= self.more_than
        )
        if too_low or (self.most is not None and value > self.most):
            raise ValidationError(f"{shown(value)} is out of bounds; write {kind} {self._bounds()}")
        return cast("float", value)

    def _bounds(self) -> str:
        low = f"above {self.more_than}" if self.more_than is not None else f"of at least {self.least}"
        return low if self.most is None else f"{low} and at most {self.most}"

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        bounds = {"minimum": self.least, "exclusiveMinimum": self.more_than, "maximum": self.most}
        return {"type": "integer" if self.whole else "number"} | {k: v for k, v in bounds.items() if v is not None}


class Weights(ConfigField):
    """Numbers by the API names of objects."""

    def __init__(self, number: Number, **kwargs: Any) -> None:
        self.number = number
        super().__init__(**kwargs)

    def read(self, value: Any) -> dict[str, float]:
        """Take a mapping; standard objects get the case they have in Salesforce."""
        if not isinstance(value, dict):
            raise ValidationError(f"{shown(value)} is no mapping; write one such as {{Lead: {self.number.example}}}")
        return {ApiName().read(name): self.number.read(weight) for name, weight in value.items()}

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        return {"type": "object", "additionalProperties": self.number.json_schema()}


class Sandbox(ConfigField):
    """Whether the org is a sandbox, and which."""

    def read(self, value: Any) -> bool | str:
        """Take true, false or a sandbox's name."""
        if isinstance(value, bool) or (isinstance(value, str) and _SANDBOX.fullmatch(value)):
            return value
        raise ValidationError(f"{shown(value)} is no sandbox; write false, true, or its name (letters and digits)")

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        return {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": f"^{_SANDBOX.pattern}$"}]}


class ApiVersion(ConfigField):
    """A version of the REST API."""

    def read(self, value: Any) -> str:
        """Take 66.0 in quotes or not, or 66."""
        text = f"{value:.1f}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
        if not re.fullmatch(r"\d{2,3}\.0", text):
            raise ValidationError(f'{shown(value)} is no API version; write one such as "66.0"')
        if float(text) < _OLDEST_VERSION:
            raise ValidationError(f'{shown(value)} is too old an API version; write "{_OLDEST_VERSION}.0" or later')
        return text

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        return {"anyOf": [{"type": "string", "pattern": r"^\d{2,3}\.0$"}, {"type": "number"}]}


class AssignmentRules(ConfigField):
    """Whether assignment rules run."""

    def read(self, value: Any) -> bool | str:
        """Take true, false or the Id of a rule."""
        if isinstance(value, bool):
            return value
        rule = long_id(value) if isinstance(value, str) else None
        if rule is None:
            raise ValidationError(f"{shown(value)} is no assignment rule; write false, true, or the Id of a rule")
        return rule

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        return {"anyOf": [{"type": "boolean"}, {"type": "string", "minLength": 15, "maxLength": 18}]}


class ApiName(ConfigField):
    """The API name of an object, a field or a record type."""

    def read(self, value: Any) -> str:
        """Take a name as Salesforce forms them; standard objects get the case they have there."""
        if not isinstance(value, str) or not API_NAME.fullmatch(value):
            raise ValidationError(f"{shown(value)} is no API name; write one such as Case or Invoice__c")
        return _STANDARD_OBJECTS.get(value.lower(), value)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        return {"type": "string", "pattern": f"^{API_NAME.pattern}$"}


class ApiNames(ConfigField):
    """A list of API names."""

    def read(self, value: Any) -> tuple[str, ...]:
        """Take a list, also of one name that stands alone."""
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names:
            raise ValidationError(f"{shown(value)} is no list of fields; write one such as [Email, Phone]")
        return tuple(field_name(name) for name in names)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        return {"type": "array", "items": ApiName().json_schema(), "minItems": 1}


class Names(ConfigField):
    """One name of an event or a list of them."""

    def read(self, value: Any) -> tuple[str, ...]:
        """Take text or a list of texts; numbers that YAML saw are text again."""
        names = value if isinstance(value, list) else [value]
        if not names or not all(isinstance(name, str) and name.strip() for name in names):
            raise ValidationError(f"{shown(value)} names no event; write its name, or a list of names")
        return tuple(names)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


class Owner(ConfigField):
    """Who owns new records."""

    def read(self, value: Any) -> str:
        """Take an Id or a username."""
        if isinstance(value, str) and "@" in value:
            return value
        found = long_id(value) if isinstance(value, str) else None
        if found is None:
            raise ValidationError(f"{shown(value)} is no owner; write the Id of a user or queue, or a username")
        return found

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        return {"type": "string"}


def field_name(value: Any) -> str:
    """Return the API name of a field as it is written. Raises ValidationError for what is none."""
    if isinstance(value, str) and API_NAME.fullmatch(value):
        return value
    raise ValidationError(f"{shown(value)} is not the API name of a field; write one such as Email or Plan__c")
