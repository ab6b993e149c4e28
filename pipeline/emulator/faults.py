"""Faults on request: rules that make the emulator fail the way a real org or the network in front of it fails.

A rule is a JSON object (docs/emulator.md, "Faults"). Whole-request faults are decided once per request; ``row_lock``
and ``poison`` are decided for the records of a write that ``match``.
"""

from __future__ import annotations

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
RECORD_FAULTS = ("row_lock", "poison")
DISTRIBUTIONS = ("fixed", "uniform", "exponential", "lognormal")
_PARAMETERS = frozenset(
    {
        "fault",
        "method",
        "path",
        "probability",
        "next",
        "seed",
        "ms",
        "distribution",
        "sigma",
        "match",
        "record_probability",
        "html",
    }
)
_SETTABLE = "fault, method, path, probability, next, seed, ms, distribution, sigma, match, record_probability, html"
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
    probability: float | None = None
    next: int | None = None
    ms: float = 0.0
    distribution: str = "fixed"
    sigma: float = 0.5
    match: dict[str, Any] = field(default_factory=dict)
    record_probability: float = 1.0
    html: bool = False
    given: dict[str, Any] = field(default_factory=dict)
    random: random.Random = field(default_factory=random.Random)
    fired: int = 0

    @classmethod
    def read(cls, given: Any) -> Rule:
        """Build a rule from JSON; raise InvalidRule naming what is wrong."""
        if not isinstance(given, dict):
            raise InvalidRule("a rule is a JSON object")
        unknown = given.keys() - _PARAMETERS
        if unknown:
            raise InvalidRule(f"unknown key {min(unknown)!r}; a rule has {_SETTABLE}")
        fault = given.get("fault")
        if fault not in REQUEST_FAULTS + RECORD_FAULTS:
            raise InvalidRule(f"fault must be one of {', '.join(REQUEST_FAULTS + RECORD_FAULTS)}")
        if given.get("match") and fault not in RECORD_FAULTS:
            raise InvalidRule("match belongs to row_lock and poison")
        if fault == "poison" and not given.get("match"):
            raise InvalidRule("poison needs match, the fields of the poisoned record")
        if given.get("distribution", "fixed") not in DISTRIBUTIONS:
            raise InvalidRule(f"distribution must be one of {', '.join(DISTRIBUTIONS)}")
        try:
            pattern = re.compile(given["path"]) if given.get("path") else None
            rule = cls(
                fault=fault,
                method=given["method"].upper() if given.get("method") else None,
                path=pattern,
                probability=None if given.get("probability") is None else float(given["probability"]),
                next=None if given.get("next") is None else int(given["next"]),
                ms=float(given.get("ms", 0)),
                distribution=given.get("distribution", "fixed"),
                sigma=float(given.get("sigma", 0.5)),
                match=dict(given.get("match") or {}),
                record_probability=float(given.get("record_probability", 1.0)),
                html=bool(given.get("html", False)),
                given=given,
                random=random.Random(given.get("seed")),  # noqa: S311 - faults are repeatable, not secret
            )
        except (re.error, TypeError, ValueError, AttributeError) as problem:
            raise InvalidRule(str(problem)) from None
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
        if self.probability is not None and self.random.random() >= self.probability:
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
        """Whether a record is meant; texts are compared without case."""
        for name, wanted in self.match.items():
            known = one.field(name)
            if known is None or fold(values.get(known.name)) != fold(wanted):
                return False
        return True

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

        A poisoned record fails its whole chunk, as an unhandled exception in a trigger does; a locked row fails alone.
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
                if rule.random.random() < rule.record_probability:
                    found[position] = errors.lock_failed()
        return found
