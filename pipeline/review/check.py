"""check: does what destination.yaml says fit what the org has? One finding for each thing that was looked at."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pipeline.delivery.shape import missing_required
from pipeline.destination import Action, Destination, Rule, Value
from pipeline.mapping.defaults import CONTACT, LEAD, account_fields
from pipeline.review.fields import Verdict, fit_of, match_of, read_of, reference_of, write_of
from pipeline.salesforce.describe import ObjectDescribe

Need: TypeAlias = Literal["queryable", "createable", "updateable", "deletable"]
Describes: TypeAlias = Mapping[str, ObjectDescribe | None]  # None: the org has no such object for this user

_NEEDS: Final[Mapping[str, tuple[Need, ...]]] = {
    "create": ("createable",),
    "read": ("queryable",),
    "update": ("queryable", "updateable"),
    "upsert": ("queryable", "createable", "updateable"),
    "delete": ("queryable", "deletable"),
}
_IN_WORDS: Final[Mapping[Need, str]] = {
    "queryable": "read",
    "createable": "create",
    "updateable": "edit",
    "deletable": "delete",
}
_CREATING: Final = frozenset({"create", "upsert"})
_UPDATING: Final = frozenset({"update", "upsert"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `where` is its place in destination.yaml, `advice` what to do about it."""

    verdict: Verdict
    where: str
    object: str
    field: str  # "" for the object itself
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class _Checked:
    """One rule as what it asks of the org."""

    name: str  # identify, group, actions[0]
    rule: Rule
    object: str
    verb: str
    match: tuple[tuple[str, Value | None], ...]
    by_default: tuple[str, ...] = ()  # fields that the default mapping gives, those with placeholders among them


def check(destination: Destination, describes: Describes) -> list[Finding]:
    """Hold every rule against the describes of `destination.objects`, in the order of the file."""
    rules = list(_rules(destination))
    findings = list(_objects(rules, describes))
    for rule in rules:
        describe = describes.get(rule.object)
        if describe is not None:
            findings += _rule(rule, describe, describes)
    return findings


def _rules(destination: Destination) -> Iterator[_Checked]:
    identify, group = destination.identify, destination.group
    if identify.default is not False:
        table = LEAD if identify.object == "Lead" else CONTACT
        match = dict.fromkeys(("Email", *identify.lookup_fields))
        yield _Checked("identify", identify, identify.object, "upsert", tuple(match.items()), tuple(table))
    if group.default is not False:
        number = dict.fromkeys(("AccountNumber", *group.lookup_fields))
        table = account_fields(group.address)
        yield _Checked("group", group, "Account", "upsert", tuple(number.items()), tuple(table))
    for index, action in enumerate(destination.actions):
        yield _Checked(f"actions[{index}]", action, action.object, action.operation, tuple(action.match.items()))


def _objects(rules: Iterable[_Checked], describes: Describes) -> Iterator[Finding]:
    """Look at each object once, for all that the rules do with its records."""
    needs: dict[str, dict[Need, str]] = {}
    for rule in rules:
        for name, need, where in _needs_of(rule):
            needs.setdefault(name, {}).setdefault(need, where)
    for name, needed in needs.items():
        describe = describes.get(name)
        where = next(iter(needed.values()))
        if describe is None:
            advice = "check its API name (custom objects end in __c) and the user's object permissions"
            yield Finding("error", where, name, "", "the org has no such object, or this user may not see it", advice)
            continue
        denied = [need for need in needed if not getattr(describe, need)]
        if denied:
            told = " and ".join(_IN_WORDS[need] for need in denied)
            advice = f"allow {told} on {name} in the user's profile or a permission set"
            yield Finding("error", needed[denied[0]], name, "", f"this user may not {told} records of it", advice)
        else:
            told = ", ".join(_IN_WORDS[need] for need in needed)
            yield Finding("ok", where, name, "", f"is there, and this user may {told} its records")


def _needs_of(rule: _Checked) -> Iterator[tuple[str, Need, str]]:
    for need in _NEEDS[rule.verb]:
        yield rule.object, need, rule.name
    for place, value in _lookups(rule):
        yield str(value.lookup), "queryable", place
    if rule.object == "Lead" and rule.rule.on_converted == "contact" and rule.verb in _UPDATING:
        yield "Contact", "updateable", f"{rule.name}.on_converted"
    if rule.rule.owner and "@" in rule.rule.owner:
        yield "User", "queryable", f"{rule.name}.owner"
    if rule.rule.record_type:
        yield "RecordType", "queryable", f"{rule.name}.record_type"


def _lookups(rule: _Checked) -> Iterator[tuple[str, Value]]:
    parts = {"fields": rule.rule.fields, "on_create": rule.rule.on_create, "match": dict(rule.match)}
    for part, values in parts.items():
        for name, value in values.items():
            if value is not None and value.lookup:
                yield f"{rule.name}.{part}.{name}", value


def _rule(rule: _Checked, describe: ObjectDescribe, describes: Describes) -> Iterator[Finding]:
    creates, updates = rule.verb in _CREATING, rule.verb in _UPDATING
    for name, value in rule.match:
        place = f"{rule.name}.match.{name}" if isinstance(rule.rule, Action) else f"{rule.name}.lookup_fields"
        judged = match_of(name, describe, is_upsert=rule.verb == "upsert", by_key=_upserts_by_key(rule, describe))
        yield Finding(*judged.at(place, describe.name, name))
        yield from _source(place, name, value, describe, describes)
    yield from _default_fields(rule, describe)
    for part, values in (("fields", rule.rule.fields), ("on_create", rule.rule.on_create)):
        for name, value in values.items():
            place = f"{rule.name}.{part}.{name}"
            written = write_of(name, describe, creates=creates, updates=updates and part == "fields")
            yield Finding(*written.at(place, describe.name, name))
            yield from _source(place, name, value, describe, describes)
    for name in rule.rule.read if isinstance(rule.rule, Action) else ():
        yield Finding(*read_of(name, describe).at(f"{rule.name}.fields", describe.name, name))
    for key, name, said in (
        ("owner", "OwnerId", rule.rule.owner),
        ("record_type", "RecordTypeId", rule.rule.record_type),
    ):
        if said:
            written = write_of(name, describe, creates=True, updates=False)
            yield Finding(*written.at(f"{rule.name}.{key}", describe.name, name))
    if creates:
        yield from _required(rule, describe)


def _upserts_by_key(rule: _Checked, describe: ObjectDescribe) -> bool:
    """Tell whether a rule writes the same to new records as to known ones; see `delivery.upsert`."""
    said = rule.rule
    written = [field for name in said.fields if (field := describe.find(name))]
    return (
        rule.verb == "upsert"
        and len(rule.match) == 1
        and (said.join, said.on_multiple, said.on_converted) == ("and", "oldest", "contact")
        and not (said.on_create or said.owner or said.record_type)
        and all(field.createable and field.updateable for field in written)
    )


def _source(
    place: str, name: str, value: Value | None, describe: ObjectDescribe, describes: Describes
) -> Iterator[Finding]:
    """Hold where a value comes from against the field it goes to; says nothing where nothing is to be said."""
    field = describe.find(name)
    if field is None or value is None:
        return
    judged = reference_of(field, value, describes.get(value.lookup)) if value.lookup else fit_of(value, field)
    if judged is not None:
        yield Finding(*judged.at(place, describe.name, field.name))


def _default_fields(rule: _Checked, describe: ObjectDescribe) -> Iterator[Finding]:
    """Look at the default mapping's fields: what is well takes one row together."""
    named = {name.lower() for name in (*rule.rule.fields, *rule.rule.on_create, *dict(rule.match))}
    well = 0
    for name in rule.by_default:
        if name.lower() in named:
            continue
        judged = write_of(name, describe, creates=True, updates=True, by_default=True)
        if judged.verdict == "ok":
            well += 1
        else:
            yield Finding(*judged.at(rule.name, describe.name, name))
    if well:
        yield Finding("ok", rule.name, describe.name, "", f"{well} more fields of the default mapping can be written")


def _required(rule: _Checked, describe: ObjectDescribe) -> Iterator[Finding]:
    given = {*rule.by_default, *dict(rule.match), *rule.rule.fields, *rule.rule.on_create}
    given |= {"OwnerId"} if rule.rule.owner else set()
    given |= {"RecordTypeId"} if rule.rule.record_type else set()
    folded = {name.lower() for name in given}
    values = {name: True for name in describe.fields if name.lower() in folded}
    for name in missing_required(values, describe):
        found = "Salesforce refuses a new record without it, and nothing is mapped to it"
        advice = f"write it under {rule.name}.on_create, as {name}: {{value: ...}}, or map a path of the event to it"
        yield Finding("error", rule.name, describe.name, name, found, advice)
