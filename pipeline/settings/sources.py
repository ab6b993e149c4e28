"""Where values come from and which events are meant: the parts of destination.yaml that point into an event."""

import difflib
from collections.abc import Mapping
from typing import Any, Final, cast

from marshmallow import ValidationError

from pipeline.destination import Condition, Value
from pipeline.mapping.paths import parse_path
from pipeline.mapping.values import compile_template
from pipeline.operation import Json
from pipeline.settings.words import API_NAME, ApiName, ConfigField, did_you_mean, field_name, shown

_EVENT_KEYS: Final = (
    *("type", "event", "name", "category", "userId", "anonymousId", "groupId", "previousId", "messageId"),
    *("timestamp", "originalTimestamp", "sentAt", "receivedAt", "traits", "properties", "context", "integrations"),
)
_SOURCES: Final = ("from", "value", "template")
_SOURCE_KEYS: Final = (*_SOURCES, "default", "lookup", "by")
_COMPARISONS: Final = ("is", "not", "in", "not_in", "exists", "gt", "gte", "lt", "lte", "matches")


class Sources(ConfigField):
    """Fields and where their values come from, as `path: Field` or as `Field: {from: path}`; for a read, a list."""

    def read(self, value: Any) -> dict[str, Value]:
        """Return field → value. Errors stand under the key that is wrong."""
        if isinstance(value, list):
            return {field_name(name): Value() for name in value}
        if not isinstance(value, dict):
            raise ValidationError(f"{shown(value)} is no mapping; write a `path: Field` a line, as traits.email: Email")
        found: dict[str, Value] = {}
        errors: dict[str, list[str]] = {}
        for key, said in value.items():
            try:
                read = _read_source(key, said)
            except ValidationError as refused:
                errors[key] = cast("list[str]", refused.messages)
                continue
            for name, source in read:
                if name.lower() in (known.lower() for known in found):
                    errors[key] = [f"{name} is given twice; keep one, or write {name}: {{from: [path, path]}}"]
                found[name] = source
        if errors:
            raise ValidationError(cast("Any", errors))
        return found

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        path = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
        keys = {"from": path, "template": {"type": "string"}, "value": {}, "default": {}}
        names = {"lookup": ApiName().json_schema(), "by": ApiName().json_schema()}
        source = {"type": "object", "properties": keys | names, "additionalProperties": False}
        return {"type": ["object", "array"], "additionalProperties": {"anyOf": [*path["anyOf"], source]}}


class Where(ConfigField):
    """Conditions: all of a mapping's, any of a list's."""

    def read(self, value: Any) -> tuple[tuple[Condition, ...], ...]:
        """Return alternatives, each of conditions that all have to hold."""
        alternatives = value if isinstance(value, list) else [value]
        if not alternatives or not all(isinstance(one, dict) and one for one in alternatives):
            raise ValidationError("write conditions as path: value, for instance {properties.plan: pro}")
        return tuple(tuple(_conditions(one)) for one in alternatives)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what may be written."""
        conditions = {"type": "object", "minProperties": 1}
        return {"anyOf": [conditions, {"type": "array", "items": conditions, "minItems": 1}]}


def _path(text: Any) -> str:
    if not isinstance(text, str):
        raise ValidationError(f"{shown(text)} is no path; write one such as traits.email")
    try:
        first = parse_path(text)[0]
    except ValueError as wrong:
        raise ValidationError(str(wrong)) from None
    if first not in _EVENT_KEYS:
        close = difflib.get_close_matches(str(first), _EVENT_KEYS, n=1, cutoff=0.8)
        if close:
            raise ValidationError(f"{shown(text)} begins with {first}; did you mean {close[0]}?")
    return text


def _read_source(key: str, said: Any) -> list[tuple[str, Value]]:
    if isinstance(said, dict):
        return [(field_name(key), _value(said))]
    names = said if isinstance(said, list) else [said]
    if not names or not all(isinstance(name, str) for name in names):
        raise ValidationError(f"{shown(said)} is no field; write {key}: Field, or Field: {{value: {shown(said)}}}")
    for name in names:
        if not API_NAME.fullmatch(name):
            swapped = API_NAME.fullmatch(key) and "." in name
            fix = f"the path comes first: {name}: {key}" if swapped else "write one such as Email or Plan__c"
            raise ValidationError(f"{shown(name)} is not the API name of a field; {fix}")
    return [(name, Value(paths=(_path(key),))) for name in names]


def _value(said: Mapping[Any, Any]) -> Value:
    for key in said:
        if key not in _SOURCE_KEYS:
            raise ValidationError(f"{shown(key)} says nothing about a value; {did_you_mean(str(key), _SOURCE_KEYS)}")
    given = [key for key in _SOURCES if said.get(key) is not None]
    if len(given) != 1:
        problem = f"{' and '.join(given)} exclude each other" if given else "there is no value"
        raise ValidationError(f"{problem}; write one of from, value or template")
    if ("lookup" in said) is not ("by" in said):
        raise ValidationError("lookup and by go together; write {lookup: Account, by: AccountNumber, from: groupId}")
    paths = said.get("from", ())
    template = said.get("template")
    if template is not None:
        _check_template(template)
    return Value(
        paths=tuple(_path(path) for path in (paths if isinstance(paths, list | tuple) else [paths])),
        template=template,
        constant=said.get("value"),
        default=_scalar(said.get("default")),
        lookup=ApiName().read(said["lookup"]) if "lookup" in said else None,
        by=field_name(said["by"]) if "by" in said else None,
    )


def _check_template(template: Any) -> None:
    if not isinstance(template, str):
        raise ValidationError(f'{shown(template)} is no template; write one such as "Order {{properties.id}}"')
    try:
        compile_template(template)
    except ValueError as wrong:
        raise ValidationError(str(wrong)) from None


def _conditions(said: Mapping[Any, Any]) -> list[Condition]:
    conditions: list[Condition] = []
    for key, operand in said.items():
        path = _path(key)
        if isinstance(operand, dict):
            conditions += [_comparison(path, str(name), bound) for name, bound in operand.items()]
        elif isinstance(operand, list):
            conditions.append(_comparison(path, "in", operand))
        else:
            conditions.append(_comparison(path, "is", operand))
    return conditions


def _comparison(path: str, name: str, operand: Any) -> Condition:
    if name not in _COMPARISONS:
        raise ValidationError(f"{path}: there is no comparison {name}; {did_you_mean(name, _COMPARISONS)}")
    wanted = {
        "exists": (isinstance(operand, bool), "true or false"),
        "matches": (isinstance(operand, str), "text with * or ?, as *@example.com"),
        "in": (isinstance(operand, list), "a list, as [pro, team]"),
        "not_in": (isinstance(operand, list), "a list, as [pro, team]"),
        "is": (not isinstance(operand, dict | list), "one value"),
        "not": (not isinstance(operand, dict | list), "one value"),
    }
    is_number = isinstance(operand, int | float) and not isinstance(operand, bool)
    fits, example = wanted.get(name, (is_number, "a number"))
    if not fits:
        raise ValidationError(f"{path}: {name} cannot be {shown(operand)}; write {example}")
    return Condition(path=path, comparison=cast("Any", name), operand=cast("Json", operand))


def _scalar(value: Any) -> Json:
    if isinstance(value, dict | list):
        raise ValidationError("a default is one value; write text, a number, or true or false")
    return cast("Json", value)
