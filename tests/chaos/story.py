"""The events of a chaos run, all drawn from one seed, and the org that they must leave: a model of a few lines."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

Event: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["identify", "group", "leave", "issue", "poison"]
# (object, folded key) of a record.
Key: TypeAlias = tuple[str, str]

# Of every hundred events: so many go to the hot keys, so many are sent again, so many are opened as cases.
_HOT_PERCENT, _REPEATED_PERCENT, _ISSUE_PERCENT = 25, 4, 5
_HOT_KEYS = 6
# Of every ten records two are accounts, and one person of ten leaves: the last thing known of them is a deletion.
_ACCOUNTS_OF_TEN, _LEAVERS_OF_TEN = 2, 1
# Of every thousand events two are for people whose record a trigger of the org fails on, and its whole chunk with it.
_POISONED_OF_1000 = 2
POISON = {"LastName": "poison"}
# How far an event may arrive from its place in time, in events; one of a hundred comes from anywhere.
_DISORDER = 300
_LONG_LATE_PERCENT = 1

_PERSON = {
    "lastName": "LastName",
    "company": "Company",
    "title": "Title",
    "phone": "Phone",
    "city": "City",
    "industry": "Industry",
}
_COMPANY = {"name": "Name", "phone": "Phone", "industry": "Industry", "description": "Description"}
FIELDS = {"Lead": tuple(_PERSON.values()), "Account": tuple(_COMPANY.values())}
# What a new Lead gets where no event says it (placeholders: on_create).
_PLACEHOLDERS = {"LastName": "n/a", "Company": "n/a"}
KEY_FIELD = {"Lead": "Email", "Account": "AccountNumber", "Case": "MessageId__c"}


@dataclass(frozen=True, slots=True)
class Step:
    """One event as the model sees it: what happens to which record, `number` being its place in time."""

    number: int
    kind: Kind
    key: Key
    fields: dict[str, str]
    event: Event


@dataclass(frozen=True, slots=True)
class Story:
    """The events in the order of time, and the order in which they are sent, repetitions included."""

    steps: tuple[Step, ...]
    sent: tuple[Event, ...]


def tell(events: int, keys: int, seed: int) -> Story:
    """Draw `events` events over `keys` records: hot ones, late ones, repeated ones, and people who leave."""
    draw = random.Random(seed)
    begun = datetime.now(UTC) - timedelta(hours=2)
    leavers = [number for number in range(_HOT_KEYS, keys) if _is_leaver(number)][: events // 10]
    open_steps = events - len(leavers)
    numbers = [*range(min(keys, open_steps)), *(_draw_key(draw, keys) for _ in range(max(0, open_steps - keys)))]
    draw.shuffle(numbers)
    steps = [_step(draw, place, number, begun, seed) for place, number in enumerate(numbers)]
    for number in leavers:
        steps.append(_leave(len(steps), number, begun, seed))
    order = sorted(range(len(steps)), key=lambda place: _arrival(draw, place, len(steps)))
    sent = [steps[place].event for place in order]
    for event in draw.choices(sent, k=len(sent) * _REPEATED_PERCENT // 100):
        sent.insert(draw.randrange(len(sent)), event)
    return Story(tuple(steps), tuple(sent))


def expect(steps: Iterable[Step]) -> dict[Key, dict[str, str]]:
    """Return what the org must hold: every step applied alone, in the order of time."""
    org: dict[Key, dict[str, str]] = {}
    for step in steps:
        if step.kind == "poison":
            continue  # the org refuses it, alone
        if step.kind == "leave":
            org.pop(step.key, None)
        elif step.key in org or step.kind != "identify":
            org.setdefault(step.key, {}).update(step.fields)
        else:
            org[step.key] = _PLACEHOLDERS | step.fields
    return org


def poisoned(steps: Iterable[Step]) -> set[str]:
    """Return the ids of the messages that may end as dead letters; newer values may have replaced them before."""
    return {step.event["messageId"] for step in steps if step.kind == "poison"}


def history(steps: Iterable[Step]) -> dict[tuple[Key, str], set[str]]:
    """Return every value that a field was ever given, by which a stale one can be told from a wrong one."""
    given: dict[tuple[Key, str], set[str]] = {}
    for step in steps:
        for name, value in step.fields.items():
            given.setdefault((step.key, name), set()).add(value)
    return given


def _is_account(number: int) -> bool:
    return number % 10 < _ACCOUNTS_OF_TEN


def _is_leaver(number: int) -> bool:
    return number % 10 >= 10 - _LEAVERS_OF_TEN


def _draw_key(draw: random.Random, keys: int) -> int:
    return draw.randrange(_HOT_KEYS) if draw.randrange(100) < _HOT_PERCENT else draw.randrange(keys)


def _arrival(draw: random.Random, place: int, steps: int) -> float:
    if draw.randrange(100) < _LONG_LATE_PERCENT:
        return draw.uniform(0, steps)
    return place + draw.uniform(0, min(_DISORDER, steps))


def _step(draw: random.Random, place: int, number: int, begun: datetime, seed: int) -> Step:
    if draw.randrange(100) < _ISSUE_PERCENT and number >= _HOT_KEYS:
        return _issue(place, number, begun, seed)
    if _is_account(number):
        chosen = {"name", *draw.sample(sorted(_COMPANY), draw.randint(1, 3))}
        traits = {trait: f"{trait} {place}" for trait in sorted(chosen)}
        group = f"G{number}"
        event = {"type": "group", "userId": f"u{number}", "groupId": group, "traits": traits}
        fields = {_COMPANY[trait]: value for trait, value in traits.items()}
        return Step(place, "group", ("Account", group.lower()), fields, _stamped(event, place, begun, seed))
    email = f"p{number}@example.com"
    if draw.randrange(1_000) < _POISONED_OF_1000:
        event = {"type": "identify", "userId": f"u{number}", "traits": {"email": email, "lastName": POISON["LastName"]}}
        return Step(place, "poison", ("Lead", email), {}, _stamped(event, place, begun, seed))
    traits = {trait: f"{trait} {place}" for trait in draw.sample(sorted(_PERSON), draw.randint(1, 4))}
    fields = {_PERSON[trait]: value for trait, value in traits.items()}
    spelling = draw.choice((email, email, email.upper(), f" {email.title()} "))
    event = {"type": "identify", "userId": f"u{number}", "traits": {"email": spelling, **traits}}
    return Step(place, "identify", ("Lead", email), fields, _stamped(event, place, begun, seed))


def _leave(place: int, number: int, begun: datetime, seed: int) -> Step:
    email = f"p{number}@example.com"
    event = {
        "type": "track",
        "event": "Account Closed",
        "userId": f"u{number}",
        "properties": {"email": email},
    }
    return Step(place, "leave", ("Lead", email), {}, _stamped(event, place, begun, seed))


def _issue(place: int, number: int, begun: datetime, seed: int) -> Step:
    event = {
        "type": "track",
        "event": "Issue Submitted",
        "userId": f"u{number}",
        "properties": {"subject": f"subject {place}"},
    }
    stamped = _stamped(event, place, begun, seed)
    return Step(place, "issue", ("Case", stamped["messageId"]), {"Subject": f"subject {place}"}, stamped)


def _stamped(event: Event, place: int, begun: datetime, seed: int) -> Event:
    # A hundredth of a second apart: no two events have one time, so there is one right answer for every field.
    moment = begun + timedelta(milliseconds=10 * place)
    return {
        **event,
        "messageId": f"chaos-{seed}-{place}",
        "timestamp": moment.isoformat(timespec="milliseconds"),
        "integrations": {"Salesforce": True},
    }
