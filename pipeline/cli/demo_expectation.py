"""What the demo's events must leave in the org, worked out without any of the pipeline's own code.

A second opinion, so that a mistake of the pipeline is not agreed with: it knows the classic destination's keys (an
email, a groupId) and the demo's one action, and nothing of how they get into Salesforce. What is rejected is the
pipeline's to say; an event that stands in the dead letters with its reason is neither lost nor expected.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# As the demo's destination.yaml says it: this track event opens a Case.
_CASE_EVENT = "Issue Submitted"

# The field of each object that tells its records apart; a Case has none, it is one per event.
_KEY_FIELDS = {"Lead": "Email", "Account": "AccountNumber"}

_STAMPS = ("messageId", "timestamp")  # what the producer adds where it is missing


@dataclass(frozen=True, slots=True)
class Expectation:
    """The record keys that must be in the org, by object, and how many events ask for a write."""

    keys: Mapping[str, frozenset[str]] = field(repr=False)  # folded emails, groupIds; for Case a key per event
    possible: Mapping[str, frozenset[str]] = field(repr=False)  # the same, had nothing become a dead letter
    writes: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the org holds, held against what was expected; all figures are records."""

    records: Mapping[str, int]
    duplicates: int
    lost: int
    unexpected: int

    @property
    def is_clean(self) -> bool:
        """Whether every record is there, once, and no other."""
        return not (self.duplicates or self.lost or self.unexpected)


def expect(events: Iterable[Any], dead: Iterable[Any]) -> Expectation:
    """Work out the record keys of `events`, given the events that became dead letters."""
    buried = {_fingerprint(event) for event in dead}
    keys: dict[str, set[str]] = {"Lead": set(), "Account": set(), "Case": set()}
    possible: dict[str, set[str]] = {name: set() for name in keys}
    seen: set[str] = set()
    writes = 0
    for position, event in enumerate(events):
        wanted = _key(event, position)
        if wanted is None or _is_repeated(event, seen):
            continue
        name, key = wanted
        possible[name].add(key)
        if _fingerprint(event) not in buried:
            keys[name].add(key)
            writes += 1
    return Expectation(_frozen(keys), _frozen(possible), writes)


def messages(events: Iterable[Any]) -> int:
    """Count the distinct messages among `events`, at least: what was sent twice with its messageId is one message."""
    seen: set[str] = set()
    return sum(not _is_repeated(event, seen) for event in events)


def judge(expected: Expectation, org: Mapping[str, Sequence[Mapping[str, Any]]]) -> Verdict:
    """Compare what must be in the org with its records, by object."""
    duplicates = lost = unexpected = 0
    for name, key_field in _KEY_FIELDS.items():
        found = Counter(_fold(record.get(key_field)) for record in org.get(name, ()))
        duplicates += sum(count - 1 for count in found.values())
        lost += len(expected.keys[name] - found.keys())
        unexpected += len(found.keys() - expected.possible[name])
    cases = len(org.get("Case", ()))
    duplicates += max(0, cases - len(expected.possible["Case"]))
    lost += max(0, len(expected.keys["Case"]) - cases)
    records = {name: len(rows) for name, rows in org.items() if rows}
    return Verdict(records, duplicates, lost, unexpected)


def _key(event: Any, position: int) -> tuple[str, str] | None:
    if not isinstance(event, dict) or not _is_opted_in(event):
        return None
    match event.get("type"):
        case "identify":
            email = _email(event)
            return ("Lead", _fold(email)) if email else None
        case "group":
            return "Account", _fold(event.get("groupId"))
        case "track" if event.get("event") == _CASE_EVENT:
            return "Case", str(event.get("messageId") or position)
        case _:
            return None


def _is_opted_in(event: Mapping[str, Any]) -> bool:
    context = event.get("context")
    places = [event.get("integrations"), context.get("integrations") if isinstance(context, dict) else None]
    said = [place["Salesforce"] for place in places if isinstance(place, dict) and "Salesforce" in place]
    return not any(answer is False for answer in said) and any(
        answer is True or isinstance(answer, dict) for answer in said
    )


def _email(event: Mapping[str, Any]) -> str | None:
    traits = event.get("traits")
    for name, value in traits.items() if isinstance(traits, dict) else ():
        if name.lower() == "email" and isinstance(value, str) and value.strip():
            return value
    user = event.get("userId")
    return user if isinstance(user, str) and "@" in user else None


def _fold(value: Any) -> str:
    return str(value).strip().lower()


def _is_repeated(event: Any, seen: set[str]) -> bool:
    if isinstance(event, dict):
        message = event.get("messageId")
        if message is None or message == "":
            return False  # the producer gives each one its own
        identity = f"id {message}".strip()
    else:
        identity = f"text {_fingerprint(event)}"
    is_repeated = identity in seen
    seen.add(identity)
    return is_repeated


def _fingerprint(event: Any) -> str:
    said = {key: value for key, value in event.items() if key not in _STAMPS} if isinstance(event, dict) else event
    return json.dumps(said, sort_keys=True)


def _frozen(keys: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(found) for name, found in keys.items()}
