"""Faults on request: rules that make the emulator fail the way a real org or the network in front of it fails.

A rule is a JSON object (docs/emulator.md, "Faults"). Whole-request faults are decided once per request; ``refuse``,
``row_lock`` and ``poison`` are decided for the records of a write that are of ``object`` and ``match``. ``error`` and
``refuse`` answer with any code that an org gives by its own state, such as a validation rule or a maintenance window.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.emulator import errors
from pipeline.emulator.errors import RecordError
from pipeline.emulator.schema import SObject
from pipeline.emulator.store import fold

REQUEST_FAULTS = (
    "error",
    "unavailable",
    "server_error",
    "reset_before",
    "reset_after",
    "truncated",
    "expired_session",
    "quota",
    "concurrent",
    "slow",
)
RECORD_FAULTS = ("refuse", "row_lock", "poison")
DISTRIBUTIONS = ("fixed", "uniform", "exponential", "lognormal")
# What a rule may say, and of which type; a float may be written as an integer.
_PARAMETERS: dict[str, type] = {
    "fault": str,
    "method": str,
    "path": str,
    "probability": float,
    "next": int,
    "seed": int,
    "ms": float,
    "distribution": str,
    "sigma": float,
    "object": str,
    "match": dict,
    "record_probability": float,
    "status": int,
    "code": str,
    "message": str,
    "fields": list,
    "html": bool,
}
_TYPE_NAMES = {
    str: "a text",
    float: "a number",
    int: "a whole number",
    dict: "an object",
    list: "a list",
    bool: "true or false",
}
# Parameters that only some faults have.
_ONLY_FOR = {
    "object": RECORD_FAULTS,
    "match": RECORD_FAULTS,
    "record_probability": ("refuse", "row_lock"),
    "status": ("error",),
    "code": ("error", "refuse"),
    "message": ("error", "refuse"),
    "fields": ("refuse",),
    "html": ("error", "unavailable", "server_error"),
    "ms": ("slow",),
    "distribution": ("slow",),
    "sigma": ("slow",),
}
_NEEDS = {"error": ("code",), "refuse": ("code",), "poison": ("match",)}
_ERROR_STATUSES = range(400, 600)
# What the two ready-made errors answer.
_READY = {
    "unavailable": (503, "SERVER_UNAVAILABLE", "The server is temporarily unavailable"),
    "server_error": (
        500,
        "UNKNOWN_EXCEPTION",
        "An unexpected error occurred. Please include this ErrorId if you contact support: 12345-67890 (-1234567890)",
    ),
}
_TRIGGER = (
    "EmulatorTrigger: execution of BeforeInsert\n\ncaused by: System.NullPointerException: Attempt to de-reference a"
    " null object\n\nTrigger.EmulatorTrigger: line 3, column 1"
)


class InvalidRule(ValueError):  # noqa: N818 - it says what the rule is
    """The rule cannot be understood; the message says why."""


@dataclass
class Rule:
    """One fault: which requests it may hit, how often, and how."""

    fault: str
    method: str | None = None
    path: re.Pattern[str] | None = None
    probability: float = 1.0
    next: int | None = None
    ms: float = 0.0
    distribution: str = "fixed"
    sigma: float = 0.5
    object: str | None = None
    match: dict[str, Any] = field(default_factory=dict)
    record_probability: float = 1.0
    status: int = 400
    code: str = ""
    message: str = ""
    fields: tuple[str, ...] = ()
    html: bool = False
    given: dict[str, Any] = field(default_factory=dict)
    random: random.Random = field(default_factory=random.Random)
    fired: int = 0

    @classmethod
    def read(cls, given: Any) -> Rule:
        """Build a rule from JSON; raise InvalidRule naming what is wrong."""
        if not isinstance(given, dict):
            raise InvalidRule("a rule is a JSON object")
        try:
            json.dumps(given, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidRule("a text of the rule holds half a surrogate pair, which no answer can carry") from None
        said = {name: value for name, value in given.items() if value is not None}
        _check(said)
        chance = random.Random(said.pop("seed", None))  # noqa: S311 - faults are repeatable, not secret
        rule = cls(given=given, random=chance, **said)
        if rule.method is not None:
            rule.method = rule.method.upper()
        rule.fields = tuple(map(str, rule.fields))
        if rule.fault in _READY:
            rule.status, rule.code, rule.message = _READY[rule.fault]
        if "path" in said:
            try:
                rule.path = re.compile(said["path"])
            except re.error as problem:
                raise InvalidRule(f"path is no regular expression: {problem}") from None
        return rule

    @property
    def spent(self) -> bool:
        """Whether the requests it was meant for have all come."""
        return self.next is not None and self.fired >= self.next

    def applies(self, method: str, path: str) -> bool:
        """Whether the rule is about such a request."""
        if self.spent or (self.method is not None and self.method != method):
            return False
        return self.path is None or self.path.search(path) is not None

    def draws(self) -> bool:
        """Decide by the rule's probability whether it fires now, and count it."""
        if self.probability < 1 and self.random.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def delay_s(self) -> float:
        """Return a delay in seconds; ``ms`` is its mean, or its median when it is lognormal."""
        seconds = self.ms / 1000
        if self.distribution == "uniform":
            return self.random.uniform(0, 2 * seconds)
        if self.distribution == "exponential":
            return self.random.expovariate(1 / seconds) if seconds else 0.0
        if self.distribution == "lognormal":
            return seconds * self.random.lognormvariate(0, self.sigma)
        return seconds

    def matches(self, one: SObject, values: Mapping[str, Any]) -> bool:
        """Whether a record is meant, by what the request writes to it; texts are compared without case."""
        if self.object is not None and fold(self.object) != fold(one.name):
            return False
        for name, wanted in self.match.items():
            known = one.field(name)
            if known is None or fold(values.get(known.name)) != fold(wanted):
                return False
        return True

    @property
    def before_the_org(self) -> bool:
        """Whether it answers in the org's stead, before a session or a limit is looked at."""
        return self.fault in _READY or (self.fault == "error" and self.html)

    def problem(self) -> RecordError:
        """Return why a record that is hit is refused."""
        return errors.lock_failed() if self.fault == "row_lock" else RecordError(self.code, self.message, self.fields)

    def shown(self) -> dict[str, Any]:
        """Return the rule as it was given, and how often it fired."""
        return {**self.given, "fired": self.fired}


@dataclass
class Faults:
    """The rules in force, in the order they were set."""

    rules: list[Rule] = field(default_factory=list)

    def set(self, given: Any) -> None:
        """Add one rule, or a list of them; all or none. Raise InvalidRule."""
        added = [Rule.read(one) for one in (given if isinstance(given, list) else [given])]
        self.rules.extend(added)

    def clear(self) -> None:
        """Drop every rule."""
        self.rules.clear()

    def of_request(self, method: str, path: str) -> list[Rule]:
        """Return the whole-request rules that fire on a request: every ``slow``, and the first other one."""
        if not self.rules:
            return []
        chosen: list[Rule] = []
        hit = False
        for rule in self.rules:
            if rule.fault in RECORD_FAULTS or not rule.applies(method, path):
                continue
            if rule.fault == "slow":
                if rule.draws():
                    chosen.append(rule)
            elif not hit and rule.draws():
                hit = True
                chosen.append(rule)
        return chosen

    def of_records(
        self, method: str, path: str, one: SObject, records: Sequence[Mapping[str, Any]]
    ) -> list[RecordError | None]:
        """Return, for each record about to be written, why a fault refuses it, or None.

        A poisoned record fails its whole chunk, as an unhandled exception in a trigger does; the others fail alone.
        """
        found: list[RecordError | None] = [None] * len(records)
        for rule in self.rules:
            if rule.fault not in RECORD_FAULTS or not rule.applies(method, path):
                continue
            hits = [position for position, values in enumerate(records) if rule.matches(one, values)]
            if not hits or not rule.draws():
                continue
            if rule.fault == "poison":
                return [RecordError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", _TRIGGER)] * len(records)
            for position in hits:
                if found[position] is None and rule.random.random() < rule.record_probability:
                    found[position] = rule.problem()
        return found


def _check(said: Mapping[str, Any]) -> None:  # noqa: C901  (one test for each way to be wrong)
    """Raise InvalidRule for a rule that makes no sense."""
    unknown = said.keys() - _PARAMETERS
    if unknown:
        raise InvalidRule(f"unknown key {min(unknown)!r}; a rule has {', '.join(_PARAMETERS)}")
    fault = said.get("fault")
    if fault not in REQUEST_FAULTS + RECORD_FAULTS:
        raise InvalidRule(f"fault must be one of {', '.join(REQUEST_FAULTS + RECORD_FAULTS)}")
    for name, value in said.items():
        wanted = _PARAMETERS[name]
        fits = isinstance(value, int | float if wanted is float else wanted)
        if not fits or (isinstance(value, bool) and wanted is not bool):
            raise InvalidRule(f"{name} must be {_TYPE_NAMES[wanted]}")
        if fault not in _ONLY_FOR.get(name, (fault,)):
            raise InvalidRule(f"{name} belongs to {' and '.join(_ONLY_FOR[name])}, not to {fault}")
    missing = [name for name in _NEEDS.get(str(fault), ()) if not said.get(name)]
    if missing:
        raise InvalidRule(f"{fault} needs {missing[0]}")
    for name in ("probability", "record_probability"):
        if not 0 <= said.get(name, 1) <= 1:
            raise InvalidRule(f"{name} must be between 0 and 1")
    for name in ("next", "ms", "sigma"):
        if said.get(name, 0) < 0:
            raise InvalidRule(f"{name} must not be negative")
    if said.get("status", 400) not in _ERROR_STATUSES:
        raise InvalidRule("status must be between 400 and 599")
    if said.get("distribution", "fixed") not in DISTRIBUTIONS:
        raise InvalidRule(f"distribution must be one of {', '.join(DISTRIBUTIONS)}")
