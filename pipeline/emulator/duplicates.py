"""Duplicate rules: off unless the org file or the control API switches them on (SALESFORCE duplicate management)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.emulator.errors import Json, RecordError
from pipeline.emulator.store import fold

if TYPE_CHECKING:
    from pipeline.emulator.drafts import Draft
    from pipeline.emulator.schema import SObject
    from pipeline.emulator.store import Store
    from pipeline.emulator.writes import Options


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """One rule: records of an object are duplicates when all the fields match; it alerts, or it blocks."""

    object: str
    fields: tuple[str, ...]
    blocks: bool = False

    @property
    def name(self) -> str:
        """The rule's developer name, as replies show it."""
        return f"Standard_{self.object}_Duplicate_Rule"


@dataclass(slots=True)
class DuplicateRules:
    """The rules that are switched on."""

    rules: list[DuplicateRule] = field(default_factory=list)

    def check(self, store: Store, one: SObject, drafts: Sequence[Draft], options: Options) -> None:
        """Refuse new records that a rule finds to be duplicates; allowSave passes rules that only alert."""
        for rule in self.rules:
            if rule.object != one.name or (options.allow_duplicates and not rule.blocks):
                continue
            for draft in drafts:
                if draft.problems or any(draft.values.get(name) is None for name in rule.fields):
                    continue
                found = self._matches(store, one, draft, rule)
                if found:
                    fields = _fields(store, one, found) if options.shows_duplicates else {}
                    detail = {"duplicateResult": _result(rule, one, found, fields)}
                    draft.problems.append(RecordError("DUPLICATES_DETECTED", "Use one of these records?", (), detail))

    @staticmethod
    def _matches(store: Store, one: SObject, draft: Draft, rule: DuplicateRule) -> list[str]:
        first = one.fields[rule.fields[0]]
        found = [record_id for _, record_id in store.matching(one, first, [draft.values[first.name]])]
        rest = rule.fields[1:]
        if not rest or not found:
            return found
        rows = store.rows(one, rest, found)
        wanted = tuple(fold(draft.values[name]) for name in rest)
        return [record_id for record_id in found if tuple(fold(value) for value in rows[record_id]) == wanted]


def _fields(store: Store, one: SObject, found: list[str]) -> dict[str, Json]:
    """Return the fields of records that are not null, as ``includeRecordDetails`` asks for them."""
    names = [known.name for known in one.stored if known.name != "Id"]
    switches = {known.name for known in one.stored if known.type == "boolean"}
    rows = store.rows(one, names, found)
    return {
        record_id: {
            name: bool(value) if name in switches else value
            for name, value in zip(names, row, strict=True)
            if value is not None
        }
        for record_id, row in rows.items()
    }


def _result(rule: DuplicateRule, one: SObject, found: list[str], fields: dict[str, Json]) -> Json:
    """Return the duplicateResult object (REST API guide: Sforce-Duplicate-Rule-Header; DuplicateResult)."""
    records = [
        {
            "additionalInformation": [],
            "fieldDiffs": [],
            "matchConfidence": 100.0,
            "record": {
                "attributes": {"type": one.name, "url": f"/services/data/v68.0/sobjects/{one.name}/{record_id}"},
                "Id": record_id,
                **fields.get(record_id, {}),
            },
        }
        for record_id in found
    ]
    match = {
        "entityType": one.name,
        "errors": [],
        "matchEngine": "ExactMatchEngine",
        "matchRecords": records,
        "rule": f"Standard_{one.name}_Match_Rule",
        "size": len(records),
        "success": True,
    }
    return {
        "allowSave": not rule.blocks,
        "duplicateRule": rule.name,
        "duplicateRuleEntityType": one.name,
        "errorMessage": "Use one of these records?",
        "matchResults": [match],
    }
