"""The org file: YAML that adds objects, fields, users, connected apps, duplicate rules and records to an org."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipeline.emulator.auth import ConnectedApp, User
from pipeline.emulator.duplicates import DuplicateRule
from pipeline.emulator.ids import ALPHABET
from pipeline.emulator.org import DEFAULT_USER, Seed
from pipeline.emulator.org_options import add_standard, read_assignment_rules, read_options, read_record_types
from pipeline.emulator.org_parts import InvalidSeed, Mapped, listed, mapping, only, plain, text
from pipeline.emulator.schema import Field, Schema, SObject, definition_of, field_of

_PARTS = {"objects", "options", "users", "connected_apps", "duplicate_rules", "record_types", "assignment_rules"}
_PARTS |= {"records"}
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
    "byte_length": "byteLength",
    "html_formatted": "htmlFormatted",
    "encrypted": "encrypted",
}
# Values that a field's keys must have; the others are checked where they are used.
_FIELD_VALUES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("length", "precision", "scale", "digits", "byte_length"), (int,)),
    **dict.fromkeys(("unique", "external_id", "case_sensitive", "restricted"), (bool,)),
    **dict.fromkeys(("createable", "updateable", "required", "html_formatted", "encrypted"), (bool,)),
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
        file = mapping(given, "the file")
        only(file, _PARTS, "the file")
        read_options(file.get("options"), self._schema)
        objects = listed(file.get("objects"), "objects")
        for number, one in enumerate(objects):
            self._object(one, f"objects[{number}]")
        for number, one in enumerate(objects):
            self._fields(one, f"objects[{number}]")
        read_record_types(file.get("record_types"), self._schema)
        users = [self._user(one, f"users[{n}]") for n, one in enumerate(listed(file.get("users"), "users"))]
        apps = [
            self._app(one, f"connected_apps[{n}]")
            for n, one in enumerate(listed(file.get("connected_apps"), "connected_apps"))
        ]
        rules = [
            self._rule(one, f"duplicate_rules[{n}]")
            for n, one in enumerate(listed(file.get("duplicate_rules"), "duplicate_rules"))
        ]
        active = {user.username.lower() for user in (DEFAULT_USER, *users) if user.is_active}
        read_assignment_rules(file.get("assignment_rules"), self._schema, active)
        return Seed(users, apps, list(self._records(file.get("records"))), rules)

    def _object(self, given: Any, place: str) -> None:
        """Add an object with the fields that every custom object has; an existing one is only extended."""
        one = mapping(given, place)
        only(one, {"name", "label", "plural", "key_prefix", "fields", "name_field"}, place)
        name = text(one, "name", place)
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
        fields = listed(given.get("fields"), f"{place}.fields")
        one.add_fields([self._field(field, one, f"{place}.fields[{n}]") for n, field in enumerate(fields)])
        # The name may be found by now where it was not before.
        self._schema.add(one)

    def _field(self, given: Any, one: SObject, place: str) -> Field:
        field = mapping(given, place)
        only(field, set(_FIELD_KEYS), place)
        name = text(field, "name", place)
        known = one.field(name)
        if known is None and not name.endswith("__c"):
            if not add_standard(one, name, self._schema.options):
                raise InvalidSeed(
                    f"{place}: a custom field's name ends with __c, {name} does not, and no org switches it on"
                )
            known = one.field(name)
        kind = known.type if known is not None and "type" not in field else text(field, "type", place)
        if kind not in _FIELD_TYPES and known is None:
            raise InvalidSeed(f"{place}: type {kind!r} is none of {', '.join(sorted(_FIELD_TYPES))}")
        _check_values(field, place)
        told = {_FIELD_KEYS[key]: value for key, value in field.items() if key != "required"}
        if kind == "reference" and (known is None or "referenceTo" in told):
            told["referenceTo"] = self._targets(told.get("referenceTo"), place)
        if known is not None and known.type == kind:
            return _changed(known, told, field, place)
        told["custom"] = name.endswith("__c")
        told.setdefault("label", known.label if known else name.removesuffix("__c").replace("_", " "))
        told.setdefault("length", _LENGTHS.get(kind, told.get("length")))
        if told["length"] is None:
            del told["length"]
        # A describe marks every external Id idLookup as well.
        told["idLookup"] = bool(told.get("externalId"))
        told["nillable"] = not field.get("required", False) and kind != "boolean"
        if told.get("htmlFormatted") and kind != "textarea":
            raise InvalidSeed(f"{place}: html_formatted needs the type textarea")
        _check_encrypted(told, place)
        if kind == "reference":
            told.setdefault("relationshipName", name.removesuffix("__c") + "__r")
        return field_of(told)

    def _targets(self, given: Any, place: str) -> list[str]:
        """Return the names of the objects that a reference leads to."""
        targets = [given] if isinstance(given, str) else given
        unknown = [target for target in targets or [""] if self._schema.get(str(target)) is None]
        if unknown:
            raise InvalidSeed(f"{place}: to names no object of the org: {unknown[0]!r}")
        return list(targets)

    def _user(self, given: Any, place: str) -> User:
        user = mapping(given, place)
        allowed = {"username", "password", "security_token", "active", "password_expired", "needs_token"}
        only(user, allowed, place)
        return User(
            text(user, "username", place),
            text(user, "password", place),
            str(user.get("security_token", "")),
            is_active=user.get("active", True) is True,
            password_expired=user.get("password_expired", False) is True,
            needs_token=user.get("needs_token", True) is True,
        )

    def _app(self, given: Any, place: str) -> ConnectedApp:
        app = mapping(given, place)
        only(app, {"consumer_key", "consumer_secret", "run_as", "public_key", "callbacks"}, place)
        return ConnectedApp(
            text(app, "consumer_key", place),
            str(app.get("consumer_secret", "")),
            str(app.get("run_as", DEFAULT_USER.username)),
            public_key=app.get("public_key"),
            callbacks=tuple(map(str, listed(app.get("callbacks"), f"{place}.callbacks"))),
        )

    def _rule(self, given: Any, place: str) -> DuplicateRule:
        rule = mapping(given, place)
        only(rule, {"object", "fields", "blocks"}, place)
        one = self._schema.get(text(rule, "object", place))
        if one is None:
            raise InvalidSeed(f"{place}: the org has no object {rule['object']!r}")
        fields = [one.field(str(name)) for name in listed(rule.get("fields"), f"{place}.fields")]
        if not fields or None in fields:
            raise InvalidSeed(f"{place}: fields must name fields of {one.name}")
        return DuplicateRule(
            one.name, tuple(field.name for field in fields if field), rule.get("blocks", False) is True
        )

    def _records(self, given: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for name, records in mapping(given or {}, "records").items():
            one = self._schema.get(str(name))
            if one is None:
                raise InvalidSeed(f"records: the org has no object {name!r}")
            for number, record in enumerate(listed(records, f"records.{name}")):
                place = f"records.{name}[{number}]"
                for field in mapping(record, place):
                    if one.field(str(field)) is None and one.relationship(str(field)) is None:
                        raise InvalidSeed(f"{place}: {one.name} has no field {field!r}")
                # YAML reads unquoted dates as dates; a request would have sent them as text.
                yield place, one.name, {str(key): plain(value) for key, value in record.items()}


def _changed(known: Field, told: dict[str, Any], field: Mapped, place: str) -> Field:
    """Return a field that is there with the properties that the file names changed, and all others as they are."""
    if "encrypted" in told:
        # Whether it can be looked for, sorted and grouped by follows from that.
        told |= {"idLookup": not told["encrypted"] and known.id_lookup}
        told |= dict.fromkeys(("filterable", "sortable", "groupable"), False) if told["encrypted"] else {}
    if "required" in field:
        told["nillable"] = not field["required"]
    if "length" in told and "byteLength" not in told:
        told["byteLength"] = 3 * told["length"]
    if "externalId" in told:
        told["idLookup"] = bool(told["externalId"])
    changed = definition_of(known) | told
    _check_encrypted(changed, place)
    return field_of(changed)


def _check_values(field: Mapped, place: str) -> None:
    for key, kinds in _FIELD_VALUES.items():
        if key in field and (not isinstance(field[key], kinds) or (isinstance(field[key], bool) and bool not in kinds)):
            raise InvalidSeed(f"{place}: {key} must be {' or '.join(_VALUE_NAMES[one_kind] for one_kind in kinds)}")


def _check_encrypted(told: Mapped, place: str) -> None:
    if told.get("encrypted") and (told.get("unique") or told.get("externalId")):
        raise InvalidSeed(f"{place}: a field that is encrypted can be neither unique nor an external Id")


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
