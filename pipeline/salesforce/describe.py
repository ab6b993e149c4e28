"""What an org says about its objects and fields, as values, and the cache that all workers share.

Key
    pipeline:describe:<Object>  hash: fetched_at_s, digest, describe (JSON {v, name, label, key_prefix, fields}, or
                                empty where the org has no such object, which is remembered for minutes only)
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final, Protocol, Self

from redis import Redis

from pipeline.salesforce.client import Subrequest, Subresponse, describe
from pipeline.salesforce.composite import MOST_SUBREQUESTS
from pipeline.salesforce.errors import Refused, UnknownObject

FORMAT: Final = 1  # of a stored describe; what another version wrote is fetched again
# A name that is wrong in the configuration must not cost a call each time it is asked for.
UNKNOWN_FOR_S: Final = 600

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field as the describe of its object gives it (REST API guide, "sObject Describe").

    A field that field-level security hides from the pipeline's user is absent from the describe.
    """

    name: str
    label: str = ""
    type: str  # id, string, boolean, int, double, currency, percent, date, datetime, email, picklist, reference, ...
    length: int = 0  # characters, of text; 0 for other types
    digits: int = 0  # of type int
    precision: int = 0  # digits in all, of double, currency and percent
    scale: int = 0  # digits after the point
    nillable: bool = False
    createable: bool = False
    updateable: bool = False
    defaulted_on_create: bool = False
    external_id: bool = False
    unique: bool = False
    id_lookup: bool = False  # can be named in an upsert, as Lead.Email; says nothing about uniqueness
    restricted_picklist: bool = False  # refuses values outside picklist_values; others accept any text
    picklist_values: frozenset[str] = frozenset()  # the active ones
    reference_to: tuple[str, ...] = ()  # objects whose Ids a reference takes
    filterable: bool = False  # may stand in WHERE; long text areas may not
    case_sensitive: bool = False
    auto_number: bool = False
    calculated: bool = False

    @property
    def required_on_create(self) -> bool:
        """Whether Salesforce refuses a new record without this field (Object Reference, "Required fields")."""
        return self.createable and not self.nillable and not self.defaulted_on_create

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Self:
        """Read one entry of `fields` in a describe. Raises KeyError without a name or a type."""
        values = {ours: described[theirs] for ours, theirs in _KEYS if described.get(theirs) is not None}
        values["picklist_values"] = frozenset(
            choice["value"] for choice in described.get("picklistValues") or () if choice.get("active", True)
        )
        values["reference_to"] = tuple(described.get("referenceTo") or ())
        return cls(name=values.pop("name"), type=values.pop("type"), **values)


# Our attribute and the describe's key, for what is copied as it is.
_KEYS: tuple[tuple[str, str], ...] = (
    ("name", "name"),
    ("label", "label"),
    ("type", "type"),
    ("length", "length"),
    ("digits", "digits"),
    ("precision", "precision"),
    ("scale", "scale"),
    ("nillable", "nillable"),
    ("createable", "createable"),
    ("updateable", "updateable"),
    ("defaulted_on_create", "defaultedOnCreate"),
    ("external_id", "externalId"),
    ("unique", "unique"),
    ("id_lookup", "idLookup"),
    ("restricted_picklist", "restrictedPicklist"),
    ("filterable", "filterable"),
    ("case_sensitive", "caseSensitive"),
    ("auto_number", "autoNumber"),
    ("calculated", "calculated"),
)


# What the describe says the user may do with an object's records, under the same names in `ObjectDescribe`.
_PERMISSIONS: Final = ("queryable", "createable", "updateable", "deletable")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDescribe:
    """One object: its names, and its fields by API name as Salesforce spells them."""

    name: str
    label: str = ""
    key_prefix: str | None = None  # the first three characters of its Ids
    queryable: bool = True  # what the user may do with records of it, by its object permissions
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    fields: Mapping[str, Field]
    required: tuple[str, ...] = field(init=False, repr=False, compare=False)  # fields that a new record has to have
    _by_folded_name: Mapping[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the fields by name without case, as Salesforce compares names."""
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))
        folded = {name.lower(): described for name, described in self.fields.items()}
        object.__setattr__(self, "_by_folded_name", folded)
        required = tuple(name for name, described in self.fields.items() if described.required_on_create)
        object.__setattr__(self, "required", required)

    def find(self, name: str) -> Field | None:
        """Return the field of this name, compared without case, or None where the org has none."""
        return self._by_folded_name.get(name.lower())

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Self:
        """Read the answer to GET /sobjects/<Object>/describe. Raises KeyError where it is not one."""
        read = (Field.read(entry) for entry in described["fields"])
        return cls(
            name=described["name"],
            label=described.get("label") or "",
            key_prefix=described.get("keyPrefix"),
            **{allowed: described.get(allowed) is not False for allowed in _PERMISSIONS},
            fields={one.name: one for one in read},
        )

    def condensed(self) -> dict[str, Any]:
        """Return what the cache stores: of each field only what differs from the defaults of `Field`."""
        return {
            "name": self.name,
            "label": self.label,
            "key_prefix": self.key_prefix,
            **{allowed: False for allowed in _PERMISSIONS if not getattr(self, allowed)},
            "fields": [_condensed(one) for one in self.fields.values()],
        }

    @classmethod
    def from_condensed(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `condensed` returned. Raises KeyError or TypeError for anything else."""
        read = [
            Field(
                **{
                    **entry,
                    "picklist_values": frozenset(entry.get("picklist_values", ())),
                    "reference_to": tuple(entry.get("reference_to", ())),
                }
            )
            for entry in stored["fields"]
        ]
        return cls(
            name=stored["name"],
            label=stored["label"],
            key_prefix=stored["key_prefix"],
            **{allowed: stored.get(allowed, True) for allowed in _PERMISSIONS},
            fields={one.name: one for one in read},
        )


def _condensed(described: Field) -> dict[str, Any]:
    values = {one.name: getattr(described, one.name) for one in fields(Field)}
    values["picklist_values"] = sorted(described.picklist_values)
    return {name: value for name, value in values.items() if value or name in {"name", "type"}}


class Org(Protocol):
    """What the cache needs of an org: one API call for a list of subrequests."""

    def send(self, subrequests: Sequence[Subrequest]) -> list[Subresponse]:
        """Send the subrequests in one call."""
        ...


class DescribeCache:
    """The describes of an org, asked for once and shared by all workers through Redis.

    A process keeps what it has read and asks Redis for a digest of 16 characters each time, to see whether it is still
    that.
    """

    def __init__(self, redis: Redis, org: Org) -> None:
        self._redis = redis
        self._org = org
        self._kept: dict[str, tuple[bytes | str, ObjectDescribe | None]] = {}

    def get(self, object_name: str) -> ObjectDescribe:
        """Return the describe of an object, by one API call where it is not in the cache.

        Raises UnknownObject where the org has none of this name, and what `Org.send` raises.
        """
        if not _NAME.fullmatch(object_name):
            raise UnknownObject(object_name)
        found = self._cached(object_name)
        if found is None:
            self.refresh([object_name])
            found = self._cached(object_name)
        described = found[1] if found is not None else None
        if described is None:
            raise UnknownObject(object_name)
        return described

    def missing(self, object_names: Iterable[str]) -> list[str]:
        """Name those of the objects that `get` would have to ask the org about."""
        return [name for name in object_names if self._cached(name) is None]

    def older_than(self, age_s: float, object_names: Iterable[str]) -> list[str]:
        """Return the objects whose describe is older than so many seconds, or is not there."""
        names = list(dict.fromkeys(object_names))
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        for name in names:
            pipe.hget(_key(name), "fetched_at_s")
        (now_s, _), *fetched = pipe.execute()
        return [name for name, at in zip(names, fetched, strict=True) if at is None or now_s - int(at) >= age_s]

    def refresh(self, object_names: Iterable[str]) -> None:
        """Ask the org again, by one API call for up to 25 objects. What it does not know is remembered as unknown.

        Raises Refused where Salesforce refused an object for another reason than not knowing it, after the others
        have been stored; and what `Org.send` raises.
        """
        names = [name for name in dict.fromkeys(object_names) if _NAME.fullmatch(name)]
        failed: Refused | None = None
        for start in range(0, len(names), MOST_SUBREQUESTS):
            part = names[start : start + MOST_SUBREQUESTS]
            for name, answer in zip(part, self._ask(part), strict=True):
                try:
                    self._store(name, _read(name, answer))
                except Refused as refused:
                    failed = refused
        if failed is not None:
            raise failed

    def _ask(self, names: Sequence[str]) -> list[Subresponse]:
        """Ask for all in one call; should the org refuse that, one by one."""
        try:
            return self._org.send([describe(name) for name in names])
        except Refused:
            if len(names) == 1:
                raise
            return [self._org.send([describe(name)])[0] for name in names]

    def _store(self, name: str, described: ObjectDescribe | None) -> None:
        key = _key(name)
        text = "" if described is None else json.dumps({"v": FORMAT, **described.condensed()}, separators=(",", ":"))
        seconds, _ = self._redis.time()
        with self._redis.pipeline() as pipe:
            pipe.hset(key, mapping={"fetched_at_s": seconds, "digest": _digest(text), "describe": text})
            if described is None:
                pipe.expire(key, UNKNOWN_FOR_S)
            else:
                pipe.persist(key)
            pipe.execute()

    def _cached(self, name: str) -> tuple[bytes | str, ObjectDescribe | None] | None:
        """Return (digest, the describe or None for an unknown object); None where nothing is cached."""
        digest = self._redis.hget(_key(name), "digest")
        kept = self._kept.get(name)
        if digest is None:
            return None
        if kept is not None and kept[0] == digest:
            return kept
        digest, text = self._redis.hmget(_key(name), ["digest", "describe"])
        if digest is None or text is None:
            return None
        try:
            stored = json.loads(text) if text else None
            if stored is not None and stored.pop("v") != FORMAT:
                return None
            described = None if stored is None else ObjectDescribe.from_condensed(stored)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        self._kept[name] = (digest, described)
        return self._kept[name]


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _key(name: str) -> str:
    return f"pipeline:describe:{name}"


def _read(name: str, answer: Subresponse) -> ObjectDescribe | None:
    """Read one answer; None where the org has no such object. Raises Refused for any other refusal."""
    if answer.ok:
        try:
            return ObjectDescribe.read(answer.body)
        except (KeyError, TypeError):
            raise Refused(answer.status, resource=f"describe of {name}") from None
    if answer.status == 404 or any(error.code in {"NOT_FOUND", "INVALID_TYPE"} for error in answer.errors):  # noqa: PLR2004
        return None
    raise Refused(answer.status, answer.errors, resource=f"describe of {name}")
