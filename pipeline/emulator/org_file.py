"""The org file: YAML that adds objects, fields, users, connected apps, duplicate rules and records to an org."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.emulator.auth import ConnectedApp, User
from pipeline.emulator.duplicates import DuplicateRule
from pipeline.emulator.ids import ALPHABET
from pipeline.emulator.org import DEFAULT_USER, InvalidSeed, Seed
from pipeline.emulator.schema import Field, Schema, SObject, field_of

Mapped = Mapping[str, Any]

# Words of the file and the describe's names for them, where they differ.
_FIELD_KEYS = {
    "name": "name",
    "type": "type",
    "label": "label",
    "length": "length",
    "precision": "precision",
    "scale": "scale",
    "digits": "digits",
    "unique": "unique",
    "external_id": "externalId",
    "case_sensitive": "caseSensitive",
    "default": "defaultValue",
    "restricted": "restrictedPicklist",
    "values": "picklistValues",
    "to": "referenceTo",
    "relationship": "relationshipName",
    "children": "childRelationshipName",
    "createable": "createable",
    "updateable": "updateable",
    "required": "required",
}
# Values that a field's keys must have; the others are checked where they are used.
_FIELD_VALUES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("length", "precision", "scale", "digits"), (int,)),
    **dict.fromkeys(("unique", "external_id", "case_sensitive", "restricted"), (bool,)),
    **dict.fromkeys(("createable", "updateable", "required"), (bool,)),
    **dict.fromkeys(("label", "relationship", "children"), (str,)),
    "values": (list,),
    "to": (str, list),
}
_VALUE_NAMES = {int: "a whole number", bool: "true or false", str: "a text", list: "a list"}
_FIELD_TYPES = frozenset(
    {"string", "textarea", "boolean", "int", "double", "currency", "percent", "date", "datetime", "email", "phone"}
    | {"url", "picklist", "multipicklist", "reference"}
)
_LENGTHS = {"string": 255, "textarea": 255}
_PREFIX_LENGTH = 3
_STAMPS = ("CreatedDate", "LastModifiedDate", "SystemModstamp")


def load(path: str | Path, schema: Schema) -> Seed:
    """Read an org file, add its objects and fields to the schema, and return what else it holds.

    Raises InvalidSeed naming the file and the place in it.
    """
    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise InvalidSeed(f"{path}: {problem}") from None
    try:
        return _Reader(schema).read(given)
    except InvalidSeed as problem:
        raise InvalidSeed(f"{path}: {problem}") from None


class _Reader:
    """Reads the parts of the file in an order in which each can refer to those before."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._prefixes = _free_prefixes(schema)

    def read(self, given: Any) -> Seed:
        file = _mapping(given, "the file")
        _only(file, {"objects", "users", "connected_apps", "duplicate_rules", "records"}, "the file")
        objects = _list(file.get("objects"), "objects")
        for number, one in enumerate(objects):
            self._object(one, f"objects[{number}]")
        for number, one in enumerate(objects):
            self._fields(one, f"objects[{number}]")
        users = [self._user(one, f"users[{n}]") for n, one in enumerate(_list(file.get("users"), "users"))]
        apps = [
            self._app(one, f"connected_apps[{n}]")
            for n, one in enumerate(_list(file.get("connected_apps"), "connected_apps"))
        ]
        rules = [
            self._rule(one, f"duplicate_rules[{n}]")
            for n, one in enumerate(_list(file.get("duplicate_rules"), "duplicate_rules"))
        ]
        return Seed(users, apps, list(self._records(file.get("records"))), rules)

    def _object(self, given: Any, place: str) -> None:
        """Add an object with the fields that every custom object has; an existing one is only extended."""
        one = _mapping(given, place)
        _only(one, {"name", "label", "plural", "key_prefix", "fields", "name_field"}, place)
        name = _text(one, "name", place)
        if self._schema.get(name) is not None:
            return
        if not name.endswith("__c"):
            raise InvalidSeed(f"{place}: a custom object's name ends with __c, {name} does not")
        prefix = str(one.get("key_prefix") or next(self._prefixes))
        taken = self._schema.by_id(prefix)
        if len(prefix) != _PREFIX_LENGTH or not set(prefix) <= set(ALPHABET) or taken is not None:
            raise InvalidSeed(f"{place}: key_prefix {prefix!r} must be three letters or digits that no object has")
        label = str(one.get("label", name.removesuffix("__c").replace("_", " ")))
        self._schema.add(
            SObject(
                {
                    "name": name,
                    "label": label,
                    "labelPlural": one.get("plural", f"{label}s"),
                    "keyPrefix": prefix,
                    "custom": True,
                    "fields": _own_fields(label, auto_number=one.get("name_field") == "autonumber"),
                }
            )
        )

    def _fields(self, given: Any, place: str) -> None:
        one = self._schema.get(str(given["name"]))
        assert one is not None
        fields = _list(given.get("fields"), f"{place}.fields")
        one.add_fields([self._field(field, one, f"{place}.fields[{n}]") for n, field in enumerate(fields)])
        # The name may be found by now where it was not before.
        self._schema.add(one)

    def _field(self, given: Any, one: SObject, place: str) -> Field:
        field = _mapping(given, place)
        _only(field, set(_FIELD_KEYS), place)
        name, kind = _text(field, "name", place), _text(field, "type", place)
        if kind not in _FIELD_TYPES:
            raise InvalidSeed(f"{place}: type {kind!r} is none of {', '.join(sorted(_FIELD_TYPES))}")
        known = one.field(name)
        if not name.endswith("__c") and known is None:
            raise InvalidSeed(f"{place}: a custom field's name ends with __c, {name} does not")
        told = {_FIELD_KEYS[key]: value for key, value in field.items() if key != "required"}
        told["custom"] = name.endswith("__c")
        for key, kinds in _FIELD_VALUES.items():
            if key in field and (
                not isinstance(field[key], kinds) or (isinstance(field[key], bool) and bool not in kinds)
            ):
                raise InvalidSeed(f"{place}: {key} must be {' or '.join(_VALUE_NAMES[one_kind] for one_kind in kinds)}")
        told.setdefault("label", known.label if known else name.removesuffix("__c").replace("_", " "))
        told.setdefault("length", _LENGTHS.get(kind, told.get("length")))
        if told["length"] is None:
            del told["length"]
        # A describe marks every external Id idLookup as well.
        told["idLookup"] = bool(told.get("externalId"))
        told["nillable"] = not field.get("required", False) and kind != "boolean"
        if kind == "reference":
            targets = [told.get("referenceTo")] if isinstance(told.get("referenceTo"), str) else told.get("referenceTo")
            unknown = [target for target in targets or [""] if self._schema.get(str(target)) is None]
            if unknown:
                raise InvalidSeed(f"{place}: to names no object of the org: {unknown[0]!r}")
            told["referenceTo"] = targets
            told.setdefault("relationshipName", name.removesuffix("__c") + "__r")
        return field_of(told)

    def _user(self, given: Any, place: str) -> User:
        user = _mapping(given, place)
        allowed = {"username", "password", "security_token", "active", "password_expired", "needs_token"}
        _only(user, allowed, place)
        return User(
            _text(user, "username", place),
            _text(user, "password", place),
            str(user.get("security_token", "")),
            is_active=user.get("active", True) is True,
            password_expired=user.get("password_expired", False) is True,
            needs_token=user.get("needs_token", True) is True,
        )

    def _app(self, given: Any, place: str) -> ConnectedApp:
        app = _mapping(given, place)
        _only(app, {"consumer_key", "consumer_secret", "run_as", "public_key"}, place)
        return ConnectedApp(
            _text(app, "consumer_key", place),
            str(app.get("consumer_secret", "")),
            str(app.get("run_as", DEFAULT_USER.username)),
            public_key=app.get("public_key"),
        )

    def _rule(self, given: Any, place: str) -> DuplicateRule:
        rule = _mapping(given, place)
        _only(rule, {"object", "fields", "blocks"}, place)
        one = self._schema.get(_text(rule, "object", place))
        if one is None:
            raise InvalidSeed(f"{place}: the org has no object {rule['object']!r}")
        fields = [one.field(str(name)) for name in _list(rule.get("fields"), f"{place}.fields")]
        if not fields or None in fields:
            raise InvalidSeed(f"{place}: fields must name fields of {one.name}")
        return DuplicateRule(
            one.name, tuple(field.name for field in fields if field), rule.get("blocks", False) is True
        )

    def _records(self, given: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for name, records in _mapping(given or {}, "records").items():
            one = self._schema.get(str(name))
            if one is None:
                raise InvalidSeed(f"records: the org has no object {name!r}")
            for number, record in enumerate(_list(records, f"records.{name}")):
                place = f"records.{name}[{number}]"
                for field in _mapping(record, place):
                    if one.field(str(field)) is None and one.relationship(str(field)) is None:
                        raise InvalidSeed(f"{place}: {one.name} has no field {field!r}")
                # YAML reads unquoted dates as dates; a request would have sent them as text.
                yield place, one.name, {str(key): _plain(value) for key, value in record.items()}


def _own_fields(label: str, *, auto_number: bool) -> list[dict[str, Any]]:
    read_only = {"createable": False, "updateable": False}
    stamped = {"nillable": False, "defaultedOnCreate": True, **read_only}
    name: dict[str, Any] = {"name": "Name", "type": "string", "label": f"{label} Name", "length": 80, "nameField": True}
    name |= {"autoNumber": True, **stamped} if auto_number else {"idLookup": False}
    return [
        {"name": "Id", "type": "id", "label": "Record ID"},
        {
            "name": "OwnerId",
            "type": "reference",
            "label": "Owner ID",
            "referenceTo": ["Group", "User"],
            "relationshipName": "Owner",
            "nillable": False,
            "defaultedOnCreate": True,
        },
        {"name": "IsDeleted", "type": "boolean", "label": "Deleted", **read_only},
        name,
        *({"name": stamp, "type": "datetime", "label": stamp, **stamped} for stamp in _STAMPS),
        *(
            {
                "name": f"{what}ById",
                "type": "reference",
                "label": f"{what} By ID",
                "referenceTo": ["User"],
                "relationshipName": f"{what}By",
                **stamped,
            }
            for what in ("Created", "LastModified")
        ),
    ]


def _free_prefixes(schema: Schema) -> Iterator[str]:
    """Yield a00, a01, … as an org hands them out to custom objects."""
    for first in ALPHABET:
        for second in ALPHABET:
            prefix = f"a{first}{second}"
            if schema.by_id(prefix) is None:
                yield prefix


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _mapping(given: Any, place: str) -> Mapped:
    if not isinstance(given, dict):
        raise InvalidSeed(f"{place} must be a mapping")
    return given


def _list(given: Any, place: str) -> list[Any]:
    if given is None:
        return []
    if not isinstance(given, list):
        raise InvalidSeed(f"{place} must be a list")
    return given


def _text(given: Mapped, key: str, place: str) -> str:
    value = given.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidSeed(f"{place}: {key} is missing")
    return value


def _only(given: Mapped, allowed: set[str], place: str) -> None:
    unknown = sorted(set(map(str, given)) - allowed)
    if unknown:
        raise InvalidSeed(f"{place}: unknown key {unknown[0]!r}; known are {', '.join(sorted(allowed))}")
