"""plan: which operations an event means, by the destination's rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, cast

from pipeline.destination import Action, Destination, Group, Identify, Rule
from pipeline.errors import InvalidEvent
from pipeline.mapping.actions import Predicate, compile_filter
from pipeline.mapping.defaults import CONTACT, LEAD, PLACEHOLDER, DefaultMapping, account_fields, email_of, traits_of
from pipeline.mapping.values import compile_values, static_options
from pipeline.operation import Json, Operation, Verb
from pipeline.options import Lookup
from pipeline.record_id import long_id

_REPLACES: Final = frozenset(
    {"create", "update", "upsert"}
)  # an action that writes the object stands in for the default


class AcceptedEvent(Protocol):
    """What planning needs of an event: `events.schemas.Event` is one."""

    @property
    def type(self) -> str:
        """Return identify, group, track, page, screen or alias."""

    @property
    def message_id(self) -> str:
        """Return the id of the message."""

    @property
    def time_ms(self) -> int:
        """Return when it happened, in Unix milliseconds."""

    @property
    def body(self) -> Mapping[str, Json]:
        """Return the whole event."""


@dataclass(slots=True)
class Draft:
    """What a rule says about an event, before it becomes an operation."""

    match: dict[str, Json]
    fields: dict[str, Json]
    traits: dict[str, Json]
    on_create: dict[str, Json]
    lookups: dict[str, Lookup]
    refusal: str | None = None


Drafter: TypeAlias = Callable[[Mapping[str, Json]], Draft]


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule, ready to run."""

    name: str
    object: str
    verb: Verb
    options: Mapping[str, Json]
    applies: Predicate | None  # None: to every event of its type
    draft: Drafter
    stands_in: bool = False  # for the default mapping, where it applies
    idempotency_field: str | None = None  # of a create

    def operation(self, event: AcceptedEvent, draft: Draft) -> Operation:
        """Turn a draft into the value that travels."""
        options = dict(self.options)
        if draft.refusal is not None:
            options = {"refusal": draft.refusal}
        elif self.idempotency_field is not None:
            return self._once(event, draft, self.idempotency_field)
        elif draft.lookups:
            options["lookups"] = cast("Json", draft.lookups)
        return Operation(
            id=f"{event.message_id}#{self.name}",
            object=self.object,
            verb=self.verb,
            match=draft.match,
            fields=draft.fields,
            traits=draft.traits,
            on_create=draft.on_create,
            options=options,
            event_time_ms=event.time_ms,
            event=event.body,
        )

    def _once(self, event: AcceptedEvent, draft: Draft, field: str) -> Operation:
        """Make a create an upsert that writes only where no record has the message's id: what exists stays as it is."""
        options = dict(self.options)
        if draft.lookups:
            lookups = {name: {**lookup, "on_create": True} for name, lookup in draft.lookups.items()}
            options["lookups"] = cast("Json", lookups)
        return Operation(
            id=f"{event.message_id}#{self.name}",
            object=self.object,
            verb="upsert",
            match={field: event.message_id},
            on_create={**draft.on_create, **draft.fields, field: event.message_id},
            options=options,
            event_time_ms=event.time_ms,
            event=event.body,
        )


@dataclass(frozen=True, slots=True)
class Planner:
    """The destination's rules, compiled once and run for every event."""

    actions: Mapping[str, tuple[CompiledRule, ...]]  # by type of event
    defaults: Mapping[str, CompiledRule]

    def plan(self, event: AcceptedEvent) -> list[Operation]:
        """Return what the event means for the org: no operation, one, or one for each rule that applies.

        The same message always gives the same operation ids: `<messageId>#identify`, `#group`, `#actions[0]`. Where
        one of several rules cannot be mapped, its operation carries the reason as `options["refusal"]`, so that it is
        buried without stopping the others. Raises InvalidEvent where no rule that applies can be mapped.
        """
        body = event.body
        rules = [rule for rule in self.actions.get(event.type, ()) if rule.applies is None or rule.applies(body)]
        default = self.defaults.get(event.type)
        if default is not None and not any(rule.stands_in for rule in rules):
            rules.insert(0, default)
        drafts = [(rule, rule.draft(body)) for rule in rules]
        refusals = [draft.refusal for _, draft in drafts if draft.refusal is not None]
        if refusals and len(refusals) == len(drafts):
            raise InvalidEvent("; ".join(dict.fromkeys(refusals)))
        return [rule.operation(event, draft) for rule, draft in drafts]


def compile_plan(destination: Destination) -> Planner:
    """Compile the rules of a destination. Raises ValueError for a path or template that is none."""
    identify, group = destination.identify, destination.group
    replaceable = {
        kind: obj
        for kind, obj, rule in (("identify", identify.object, identify), ("group", "Account", group))
        if rule.default is None
    }
    actions: dict[str, list[CompiledRule]] = {}
    for index, action in enumerate(destination.actions):
        stands_in = action.operation in _REPLACES and replaceable.get(action.type) == action.object
        actions.setdefault(action.type, []).append(_compile_action(action, index, stands_in=stands_in))
    defaults: dict[str, CompiledRule] = {}
    if identify.default is not False:
        defaults["identify"] = _compile_identify(identify)
    if group.default is not False:
        defaults["group"] = _compile_group(group)
    return Planner(actions={kind: tuple(rules) for kind, rules in actions.items()}, defaults=defaults)


def _compile_identify(rule: Identify) -> CompiledRule:
    is_lead = rule.object == "Lead"
    mapping = DefaultMapping(LEAD if is_lead else CONTACT, splits_name=True, keep_nulls=rule.clear_nulls)
    required = ("LastName", "Company") if is_lead else ("LastName",)
    complete = _compile_additions(rule, rule.object)
    placeholders_always = rule.placeholders == "always"

    def draft(event: Mapping[str, Json]) -> Draft:
        mapped = mapping.map(traits_of(event))
        fields = mapped.fields
        email = email_of(fields, event.get("userId"))
        if email is None:
            return _refused("identify has no email trait, and its userId is no email address")
        fields["Email"] = email
        drafted = Draft({"Email": email}, fields, mapped.traits, {}, {})
        complete(event, drafted)
        for name in required:
            if fields.get(name) is None:
                fields.pop(name, None)
                (fields if placeholders_always else drafted.on_create).setdefault(name, PLACEHOLDER)
        if is_lead and "Status" in drafted.traits:  # never written by default, whoever names a trait like the field
            drafted.traits.setdefault("Status__c", drafted.traits.pop("Status"))
        _narrow(drafted, rule.lookup_fields)
        return drafted

    return CompiledRule("identify", rule.object, "upsert", _options(rule, rule.object), None, draft)


def _compile_group(rule: Group) -> CompiledRule:
    mapping = DefaultMapping(account_fields(rule.address), keep_nulls=rule.clear_nulls)
    complete = _compile_additions(rule, "Account")

    def draft(event: Mapping[str, Json]) -> Draft:
        traits = event.get("traits")
        mapped = mapping.map(traits if isinstance(traits, dict) else {})
        number = event.get("groupId")
        number = number.strip() if isinstance(number, str) else number
        drafted = Draft({"AccountNumber": number}, mapped.fields, mapped.traits, {}, {})
        complete(event, drafted)
        drafted.fields["AccountNumber"] = number
        _narrow(drafted, rule.lookup_fields)
        return drafted

    return CompiledRule("group", "Account", "upsert", _options(rule, "Account"), None, draft)


def _compile_action(action: Action, index: int, *, stands_in: bool) -> CompiledRule:
    match = compile_values(action.match)
    complete = _compile_additions(action, action.object)
    wanted = tuple(action.match)
    any_will_do = action.join == "or"
    writes_match = action.operation == "upsert"
    needed = f"any of {', '.join(wanted)}" if any_will_do else ", ".join(wanted)
    refusal = f"actions[{index}] finds no value in the event to match {needed} of {action.object} by"

    def draft(event: Mapping[str, Json]) -> Draft:
        drafted = Draft({}, {}, {}, {}, {})
        drafted.match = _selecting(match.values(event))
        references = match.lookups_of(event)
        drafted.match.update(cast("dict[str, Json]", references))
        if wanted and (not drafted.match if any_will_do else len(drafted.match) < len(wanted)):
            return _refused(refusal)
        complete(event, drafted)
        if writes_match:
            drafted.lookups |= references
            drafted.fields |= {name: value for name, value in drafted.match.items() if name not in references}
        return drafted

    options = _options(action, action.object)
    if action.read:
        options["read"] = list(action.read)
    if action.operation == "delete":
        # What is gone is gone: never one of several, and never the contact that a lead became.
        options["on_multiple"] = "error"
        if action.object == "Lead":
            options["on_converted"] = "skip"
    applies = compile_filter(action)
    if action.on_uncertain != "retry":
        options["on_uncertain"] = action.on_uncertain
    name, field = f"actions[{index}]", action.idempotency_field
    return CompiledRule(name, action.object, action.operation, options, applies, draft, stands_in, field)


def _compile_additions(rule: Rule, obj: str) -> Callable[[Mapping[str, Json], Draft], None]:
    """Compile what a rule's own `fields`, `on_create`, `owner` and `record_type` add to a draft."""
    fields, on_create = compile_values(rule.fields), compile_values(rule.on_create)
    set_fields, set_lookups = static_options(owner=rule.owner, record_type=rule.record_type, of=obj)
    if not (rule.fields or rule.on_create or set_fields or set_lookups):
        return lambda _event, _draft: None

    def complete(event: Mapping[str, Json], draft: Draft) -> None:
        draft.fields |= fields.values(event, keep_nulls=rule.clear_nulls)
        draft.on_create |= set_fields | on_create.values(event)
        draft.lookups |= set_lookups | on_create.lookups_of(event, on_create=True) | fields.lookups_of(event)

    return complete


def _narrow(draft: Draft, lookup_fields: tuple[str, ...]) -> None:
    """Add the further lookup fields to the match, as far as the event says them."""
    for name in lookup_fields:
        if name in draft.match:
            continue
        value = draft.fields.get(name)
        if value is None:
            value = _trait_named(draft.traits, name)
        if value is not None:
            draft.match[name] = draft.fields[name] = value


def _selecting(found: Mapping[str, Json]) -> dict[str, Json]:
    """Return the values that can select a record: an object or a list cannot.

    An Id gets its long form, which keys can compare without case as they compare everything.
    """
    match: dict[str, Json] = {name: value for name, value in found.items() if not isinstance(value, dict | list)}
    for name, value in match.items():
        if name.lower() == "id" and isinstance(value, str):
            match[name] = long_id(value.strip()) or value
    return match


def _trait_named(traits: Mapping[str, Json], field: str) -> Json:
    bare = _bare(field)
    for name, value in traits.items():
        if _bare(name) == bare and isinstance(value, str | int | float) and value != "":
            return value
    return None


def _bare(name: str) -> str:
    return name.removesuffix("__c").replace("_", "").lower()


def _options(rule: Rule, obj: str) -> dict[str, Json]:
    options: dict[str, Json] = {}
    if rule.join == "or":
        options["join"] = "or"
    if rule.on_multiple != "oldest":
        options["on_multiple"] = rule.on_multiple
    if rule.on_converted != "contact" and obj == "Lead":
        options["on_converted"] = rule.on_converted
    if rule.clear_nulls:
        options["clear_nulls"] = True
    if rule.priority != "normal":
        options["priority"] = rule.priority
    return options


def _refused(reason: str) -> Draft:
    return Draft({}, {}, {}, {}, {}, refusal=reason)
