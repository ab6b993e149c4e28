"""Destination: what destination.yaml says, as values. Reading the file is the work of `settings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:  # a producer, which reads settings, does without what packs operations
    from pipeline.operation import Json, Verb  # noqa: TC004  (annotations only, which are not evaluated)

OnMultiple: TypeAlias = Literal["oldest", "newest", "error"]
OnConverted: TypeAlias = Literal["contact", "skip", "create"]
Join: TypeAlias = Literal["and", "or"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Salesforce:
    """Which org, and how it is asked to behave."""

    sandbox: bool | str = False  # True, or the sandbox's name, which is appended to the username
    api_version: str = "66.0"
    timeout: float = 60  # seconds to wait for an answer; the lease of a claim outlives it
    assignment_rules: bool | str = False  # Sforce-Auto-Assign: off, on, or the Id of one rule
    duplicate_rules: Literal["enforce", "allow_save"] = "enforce"  # allow_save passes rules that only alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much of the org's daily API calls this pipeline may spend."""

    share: float = 0.8  # of the daily maximum
    reserve: int = 1000  # calls a day left to everybody else, beside the share
    weights: Mapping[str, float] = field(default_factory=dict)  # object → its part of scarce calls; 1 where not named


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """When a backlog is written by bulk jobs."""

    threshold: int = 20_000  # records of an object that wait; 0: never


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Where a value comes from: the first of `paths` that holds one, a `template` of paths, or a `constant`.

    With `lookup` the value does not go into the field itself: it selects, by the field `by`, the record of the object
    `lookup` whose Id does.
    """

    paths: tuple[str, ...] = ()
    template: str | None = None
    constant: Json = None
    default: Json = None
    lookup: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One comparison of the value at a path of the event. `operand` fits the comparison."""

    path: str
    comparison: Literal["is", "not", "in", "not_in", "exists", "gt", "gte", "lt", "lte", "matches"]
    operand: Json


Values: TypeAlias = Mapping[str, Value]  # field → where its value comes from


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What every rule can say about the records it writes."""

    fields: Values = field(default_factory=dict)
    on_create: Values = field(default_factory=dict)  # written only where the record does not exist yet
    owner: str | None = None  # Id or username, of new records
    record_type: str | None = None  # developer name, of new records
    join: Join = "and"
    on_multiple: OnMultiple = "oldest"
    on_converted: OnConverted = "contact"
    clear_nulls: bool = False
    priority: Literal["normal", "high"] = "normal"  # high: delivered first while API calls are scarce


@dataclass(frozen=True, slots=True, kw_only=True)
class Identify(Rule):
    """The default mapping of identify events."""

    default: bool | None = None  # None: unless an identify action on the same object applies to the event
    object: Literal["Lead", "Contact"] = "Lead"
    lookup_fields: tuple[str, ...] = ("Email",)
    placeholders: Literal["on_create", "always"] = "on_create"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Rule):
    """The default mapping of group events."""

    default: bool | None = None  # None: unless a group action on Account applies to the event
    address: Literal["billing", "shipping", "both"] = "billing"
    lookup_fields: tuple[str, ...] = ("AccountNumber",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Rule):
    """One configured operation: for which events, on which records, with which values."""

    type: str
    events: tuple[str, ...] = ()  # names of a track event, `*` and `?` as wildcards; none: every one
    where: Sequence[Sequence[Condition]] = ()  # any of these, in which all must hold; none: always
    operation: Verb
    object: str
    match: Values = field(default_factory=dict)
    read: tuple[str, ...] = ()  # the fields that a read returns
    idempotency_field: str | None = None  # of a create: an external ID that takes the messageId
    on_uncertain: Literal["retry", "dead_letter"] = "retry"  # a create whose answer was lost and that has no such field


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Everything that destination.yaml decides; the defaults are those of an empty file."""

    salesforce: Salesforce = Salesforce()
    quota: Quota = Quota()
    bulk: Bulk = Bulk()
    linger: float = 0.5  # seconds: how long the oldest key of a batch waits for company
    always_enabled: bool = False  # events go to Salesforce unless they say no
    trace: bool = True  # for a day, what is known of a message's id tells where it is
    identify: Identify = Identify()
    group: Group = Group()
    actions: tuple[Action, ...] = ()

    @property
    def objects(self) -> tuple[str, ...]:
        """Every object that a delivery may write, read or look something up in, sorted by name."""
        named: set[str] = set()
        rules: list[tuple[str, Rule]] = [(action.object, action) for action in self.actions]
        if self.identify.default is not False:
            rules.append((self.identify.object, self.identify))
        if self.group.default is not False:
            rules.append(("Account", self.group))
        for name, rule in rules:
            named.add(name)
            named.update(_looked_up(rule))
            if name == "Lead" and rule.on_converted == "contact":
                named.add("Contact")
        return tuple(sorted(named))


def _looked_up(rule: Rule) -> set[str]:
    sources = [*rule.fields.values(), *rule.on_create.values()]
    if isinstance(rule, Action):
        sources += rule.match.values()
    named = {source.lookup for source in sources if source.lookup}
    if rule.owner and "@" in rule.owner:
        named.add("User")
    if rule.record_type:
        named.add("RecordType")
    return named
