"""Creating, updating, upserting and deleting records: checks in the order Salesforce makes them, then the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.emulator import errors, ids, references
from pipeline.emulator.drafts import Draft
from pipeline.emulator.duplicates import DuplicateRules
from pipeline.emulator.errors import Json, RecordError
from pipeline.emulator.org_rules import rules_for
from pipeline.emulator.rules import Change, Rules
from pipeline.emulator.schema import Field, SObject
from pipeline.emulator.store import Store, fold
from pipeline.emulator.values import Stored, datetime_text, wrong_type_id

# Of one Id in one update call, how many occurrences are applied (SOAP API guide, update()).
MOST_UPDATES_OF_ONE_ID = 12


@dataclass(slots=True)
class Outcome:
    """What became of one record: its Id when it was saved or known, and why it was not saved."""

    record_id: str | None = None
    problems: list[RecordError] = field(default_factory=list)
    created: bool = False

    @property
    def success(self) -> bool:
        """Whether the record was saved."""
        return not self.problems

    def as_result(self, *, tells_created: bool = False) -> Json:
        """Return the result of a collections request (REST API guide: sObject Collections)."""
        if self.problems:
            shown: Json = {"success": False, "errors": [problem.as_status() for problem in self.problems]}
            return {"id": self.record_id, **shown} if self.record_id else shown
        shown = {"id": self.record_id, "success": True, "errors": []}
        return {**shown, "created": self.created} if tells_created else shown


# Says, for the values of records about to be written, which of them a fault refuses.
RecordFaults = Callable[[SObject, Sequence[dict[str, Stored]]], Sequence[RecordError | None]]


@dataclass(slots=True)
class Options:
    """How a request wants its writes done."""

    user_id: str
    allow_duplicates: bool = False
    # Whether a refused duplicate shows the fields of the records it is like.
    shows_duplicates: bool = False
    # TRUE for the active assignment rules, FALSE for none, or the Id of one (REST API guide: Sforce-Auto-Assign).
    assignment: str = "FALSE"
    faults: RecordFaults | None = None


class Writer:
    """Writes drafts. Every method runs in the transaction of its request and returns outcomes in the order given."""

    def __init__(self, store: Store, clock: Callable[[], float], duplicates: DuplicateRules) -> None:
        self._store = store
        self._clock = clock
        self._duplicates = duplicates
        self._sequences: dict[str, ids.IdSequence] = {}
        self._rules: dict[str, Rules] = {}
        # While the org is under maintenance it can only be read.
        self.read_only = False

    def forget(self) -> None:
        """Start Ids again from what the store knows."""
        self._sequences.clear()

    def next_id(self, one: SObject) -> str:
        """Return a new Id of an object."""
        sequence = self._sequence(one)
        record_id = sequence.take()
        self._store.keep_number(one.key_prefix, sequence.last)
        return record_id

    def _rules_of(self, one: SObject) -> Rules:
        rules = self._rules.get(one.name)
        if rules is None:
            rules = self._rules[one.name] = rules_for(self._store.schema, one)
        return rules

    def create(self, one: SObject, drafts: Sequence[Draft], options: Options) -> list[Outcome]:
        """Insert records; those with problems are left out and say why."""
        now = datetime_text(self._clock())
        outcomes = [Outcome(problems=draft.problems) for draft in drafts]
        if self.read_only:
            return _all_refused(outcomes)
        for draft in drafts:
            self._complete(one, draft)
        self._apply_faults(one, drafts, outcomes, options)
        references.check(self._store, one, drafts)
        references.check_owners(self._store, one, drafts)
        rules = self._rules_of(one)
        changes = [Change(draft.values, {}, now, options.assignment) for draft in drafts]
        identities: set[tuple[Stored, ...]] = set()
        for draft, change in zip(drafts, changes, strict=True):
            if "OwnerId" in one.fields and draft.values.get("OwnerId") is None:
                draft.values["OwnerId"] = options.user_id
            if not draft.problems:
                draft.problems.extend(rules.check(change, self._store, identities))
        self._check_unique(one, drafts, [None] * len(drafts))
        self._duplicates.check(self._store, one, drafts, options)
        sequence = self._sequence(one)
        rows: list[dict[str, Stored]] = []
        for draft, change, outcome in zip(drafts, changes, outcomes, strict=True):
            if draft.problems:
                continue
            rules.derive(change, self._store)
            for numbered in one.auto_numbers:
                draft.values[numbered.name] = self._next_number(one, numbered)
            outcome.record_id = sequence.take()
            outcome.created = True
            rows.append({"Id": outcome.record_id, **draft.values, **self._stamps(one, options.user_id, now)})
        if rows:
            with self._store.transaction():
                self._store.insert(one, rows)
                self._store.keep_number(one.key_prefix, sequence.last)
        return outcomes

    def update(self, one: SObject, drafts: Sequence[Draft], options: Options) -> list[Outcome]:
        """Update records by the Ids their drafts carry; an Id may come up to twelve times, and the last one wins."""
        outcomes = [Outcome(problems=draft.problems) for draft in drafts]
        if self.read_only:
            return _all_refused(outcomes)
        waves: list[list[int]] = []
        seen: dict[str, int] = {}
        for position, (draft, outcome) in enumerate(zip(drafts, outcomes, strict=True)):
            record_id = self._own_id(one, draft, "update")
            if record_id is None:
                continue
            outcome.record_id = record_id
            wave = seen[record_id] = seen.get(record_id, 0) + 1
            if wave > MOST_UPDATES_OF_ONE_ID:
                message = (
                    f"Maximum number of duplicate updates in one batch ({MOST_UPDATES_OF_ONE_ID} allowed)."
                    f" Attempt to update Id more than once in this Api call: {record_id}"
                )
                draft.problems.append(RecordError("DUPLICATE_VALUE", message, ("Id",)))
                continue
            if wave > len(waves):
                waves.append([])
            waves[wave - 1].append(position)
        with self._store.transaction():
            for wave_positions in waves:
                chosen = [drafts[position] for position in wave_positions]
                self._update_once(one, chosen, [outcomes[position] for position in wave_positions], options)
        return outcomes

    def _update_once(
        self, one: SObject, drafts: Sequence[Draft], outcomes: Sequence[Outcome], options: Options
    ) -> None:
        now = datetime_text(self._clock())
        rules = self._rules_of(one)
        needs = (*(("IsDeleted",) if one.has_deleted else ()), *rules.needs)
        found = self._store.rows(one, needs, [str(outcome.record_id) for outcome in outcomes])
        changes: list[Change] = []
        for draft, outcome in zip(drafts, outcomes, strict=True):
            row = found.get(str(outcome.record_id))
            old = dict(zip(needs, row, strict=True)) if row else {}
            changes.append(Change(draft.values, old or {"Id": outcome.record_id}, now, options.assignment))
            if row is None:
                draft.problems[:] = [errors.no_such_reference()]
            elif old.get("IsDeleted"):
                draft.problems[:] = [errors.deleted()]
            else:
                self._check_not_emptied(one, draft)
        self._apply_faults(one, drafts, outcomes, options)
        references.check(self._store, one, drafts)
        references.check_owners(self._store, one, drafts)
        for draft, change in zip(drafts, changes, strict=True):
            if not draft.problems:
                draft.problems.extend(rules.check(change, self._store, set()))
        self._check_unique(one, drafts, [outcome.record_id for outcome in outcomes])
        stamps = {"LastModifiedDate": now, "LastModifiedById": options.user_id, "SystemModstamp": now}
        known = {name: value for name, value in stamps.items() if name in one.fields}
        rows: list[tuple[str, dict[str, Stored]]] = []
        for draft, outcome, change in zip(drafts, outcomes, changes, strict=True):
            if not draft.problems:
                rules.derive(change, self._store)
                rows.append((str(outcome.record_id), {**draft.values, **known}))
        self._store.update(one, rows)

    def upsert(  # noqa: C901  (the cases stand in the order in which Salesforce decides them)
        self, one: SObject, key: Field, drafts: Sequence[Draft], options: Options
    ) -> list[Outcome]:
        """Update the one record whose key field has the draft's value, or create it.

        A value that comes twice in the call fails all its rows, several matches fail theirs.
        """
        if key.name == "Id":
            return self._upsert_by_id(one, drafts, options)
        values = [draft.values.get(key.name) for draft in drafts]
        folded = [value if key.case_sensitive else fold(value) for value in values]
        matches: dict[Stored, list[str]] = {}
        for value, record_id in self._store.matching(one, key, [value for value in values if value is not None]):
            matches.setdefault(value, []).append(record_id)
        repeated = {value for value, times in Counter(folded).items() if value is not None and times > 1}
        creates: list[int] = []
        updates: list[int] = []
        for position, (draft, value) in enumerate(zip(drafts, folded, strict=True)):
            found = matches.get(value, [])
            if value is None:
                if not any(key.name in problem.fields for problem in draft.problems):
                    draft.problems.append(RecordError("MISSING_ARGUMENT", f"{key.name} not specified", ()))
            elif value in repeated:
                message = f"Duplicate external id specified: {values[position]}"
                draft.problems.append(RecordError("DUPLICATE_VALUE", message, (key.name,)))
            elif len(found) > 1:
                draft.problems.append(errors.several_found(key.label, found))
            elif found:
                draft.record_id = found[0]
                # The value that matched stays as the record has it.
                draft.values.pop(key.name)
                updates.append(position)
                continue
            creates.append(position)
        for positions, creating in ((creates, True), (updates, False)):
            for position in positions:
                drafts[position].forbid(one, creating=creating, key=key)
        outcomes: dict[int, Outcome] = {}
        with self._store.transaction():
            for positions, write in ((creates, self.create), (updates, self.update)):
                if positions:
                    written = write(one, [drafts[position] for position in positions], options)
                    outcomes.update(zip(positions, written, strict=True))
        return [outcomes[position] for position in range(len(drafts))]

    def _upsert_by_id(self, one: SObject, drafts: Sequence[Draft], options: Options) -> list[Outcome]:
        outcomes: list[Outcome] = []
        with self._store.transaction():
            for draft in drafts:
                draft.forbid(one, creating=not draft.record_id)
                write = self.update if draft.record_id else self.create
                outcomes += write(one, [draft], options)
        return outcomes

    def delete(
        self, one: SObject, record_ids: Sequence[str], options: Options, *, for_good: bool = False
    ) -> list[Outcome]:
        """Put records into the recycle bin, or remove them for good."""
        now = datetime_text(self._clock())
        needs = ("IsDeleted",) if one.has_deleted else ()
        found = self._store.rows(one, needs, record_ids)
        outcomes = [Outcome(record_id=record_id) for record_id in record_ids]
        if self.read_only:
            return _all_refused(outcomes)
        gone: set[str] = set()
        for outcome in outcomes:
            row = found.get(str(outcome.record_id))
            if row is None:
                outcome.problems.append(errors.no_such_reference())
            elif (row and row[0] and not for_good) or outcome.record_id in gone:
                outcome.problems.append(errors.deleted())
            else:
                gone.add(str(outcome.record_id))
        drafts = [Draft(problems=outcome.problems, values={"Id": outcome.record_id}) for outcome in outcomes]
        self._apply_faults(one, drafts, outcomes, options)
        saved = [str(outcome.record_id) for outcome in outcomes if outcome.success]
        with self._store.transaction():
            if for_good or not one.has_deleted:
                self._store.delete_for_good(one, saved)
            else:
                row_values: dict[str, Stored] = {"IsDeleted": 1, "LastModifiedDate": now, "SystemModstamp": now}
                self._store.update(one, [(record_id, dict(row_values)) for record_id in saved])
        return outcomes

    def delete_one(self, text: str, options: Options) -> Outcome:
        """Put the record of any object into the recycle bin, by its Id as a caller wrote it."""
        try:
            record_id = ids.canonical(text)
        except ids.NotAnId:
            return Outcome(text, [RecordError("MALFORMED_ID", f"malformed id {text}", ())])
        one = self._store.schema.by_id(record_id)
        if one is None:
            return Outcome(record_id, [errors.no_such_reference()])
        (outcome,) = self.delete(one, [record_id], options)
        return outcome

    def _sequence(self, one: SObject) -> ids.IdSequence:
        sequence = self._sequences.get(one.key_prefix)
        if sequence is None:
            last = self._store.last_number(one.key_prefix)
            sequence = self._sequences[one.key_prefix] = ids.IdSequence(one.key_prefix, last)
        return sequence

    def _next_number(self, one: SObject, numbered: Field) -> str:
        """Return the next value of an auto-number field; a new org's first case is 00001000."""
        name = f"{one.name}.{numbered.name}"
        first, digits = (1_000, 8) if one.name == "Case" else (1, 5)
        number = max(self._store.last_number(name) + 1, first)
        self._store.keep_number(name, number)
        return f"{number:0{digits}d}"

    def _stamps(self, one: SObject, user_id: str, now: str) -> dict[str, Stored]:
        stamps: dict[str, Stored] = {
            "CreatedDate": now,
            "CreatedById": user_id,
            "LastModifiedDate": now,
            "LastModifiedById": user_id,
            "SystemModstamp": now,
        }
        return stamps if "CreatedDate" in one.fields else {}

    def _complete(self, one: SObject, draft: Draft) -> None:
        """Add defaults, and find what is missing and what must not be there. Links count as given."""
        values = draft.values
        if draft.record_id is not None:
            message = "cannot specify Id in an insert call"
            draft.problems.append(RecordError("INVALID_FIELD_FOR_INSERT_UPDATE", message, ("Id",)))
        for name, default in one.defaults.items():
            if values.get(name) is None:
                values[name] = default
        missing = [name for name in one.required if values.get(name) is None]
        if missing:
            linked = {link[0].name for link in draft.links}
            told = {name for problem in draft.problems for name in problem.fields}
            missing = [name for name in missing if name not in linked and name not in told]
        if missing:
            draft.problems.append(errors.required_missing(tuple(missing)))

    def _check_not_emptied(self, one: SObject, draft: Draft) -> None:
        empty = [
            name
            for name, value in draft.values.items()
            if value is None and not one.fields[name].nillable and one.fields[name].type != "boolean"
        ]
        if empty:
            draft.problems.append(errors.required_missing(tuple(empty)))

    def _own_id(self, one: SObject, draft: Draft, call: str) -> str | None:
        if not draft.record_id:
            draft.problems.append(RecordError("MISSING_ARGUMENT", f"Id not specified in an {call} call", ()))
            return None
        try:
            record_id = ids.canonical(draft.record_id)
        except ids.NotAnId:
            draft.problems.append(RecordError("MALFORMED_ID", f"malformed id {draft.record_id}", ("Id",)))
            return None
        if not record_id.startswith(one.key_prefix):
            draft.problems.append(wrong_type_id(one.fields["Id"], str(draft.record_id)))
            return None
        return record_id

    def _apply_faults(
        self, one: SObject, drafts: Sequence[Draft], outcomes: Sequence[Outcome], options: Options
    ) -> None:
        if options.faults is None:
            return
        shown = [{"Id": outcome.record_id, **draft.values} for draft, outcome in zip(drafts, outcomes, strict=True)]
        for draft, problem in zip(drafts, options.faults(one, shown), strict=True):
            if problem is not None and not draft.problems:
                draft.problems.append(problem)

    def _check_unique(self, one: SObject, drafts: Sequence[Draft], own: Sequence[str | None]) -> None:
        """Refuse values of unique fields that another record has, or an earlier one of the same call."""
        for unique in one.unique:
            given = [(draft.values.get(unique.name), draft, mine) for draft, mine in zip(drafts, own, strict=True)]
            given = [one_given for one_given in given if one_given[0] is not None and not one_given[1].problems]
            if not given:
                continue
            holder: dict[Stored, str] = {}
            for value, record_id in self._store.matching(one, unique, [value for value, _, _ in given]):
                holder.setdefault(value, record_id)
            for value, draft, mine in given:
                folded = value if unique.case_sensitive else fold(value)
                taken_by = holder.get(folded)
                if taken_by is not None and taken_by != mine:
                    message = f"duplicate value found: {unique.name} duplicates value on record with id: {taken_by}"
                    draft.problems.append(RecordError("DUPLICATE_VALUE", message))
                elif taken_by is None:
                    holder[folded] = mine or "<unknown>"


def _all_refused(outcomes: list[Outcome]) -> list[Outcome]:
    for outcome in outcomes:
        outcome.problems[:] = [errors.maintenance()]
    return outcomes
