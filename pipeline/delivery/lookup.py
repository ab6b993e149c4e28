"""Look for the records of a batch: as few queries as possible, and each row given to the key it belongs to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

from pipeline.delivery.references import Reference
from pipeline.delivery.work import Work
from pipeline.operation import Json, locks_of, record_key
from pipeline.salesforce.client import Subrequest, query
from pipeline.salesforce.describe import ObjectDescribe
from pipeline.salesforce.soql import lookup_queries

Join: TypeAlias = Literal["and", "or"]
_Member = TypeVar("_Member")


@dataclass(frozen=True, slots=True)
class Question:
    """One query, the keys it was asked for, and the references it resolves; none where it looks for their records."""

    soql: str
    works: tuple[Work, ...]
    references: tuple[Reference, ...] = ()

    @property
    def size(self) -> int:
        """How many records it looks for."""
        return len(self.references or self.works)

    @property
    def subrequest(self) -> Subrequest:
        """How it is asked."""
        return query(self.soql)


def questions(works: Iterable[Work]) -> list[Question]:
    """Return the queries that find what `works` need next: one for up to 200 records that match on the same fields.

    A key whose operations point to other records has these looked for first; its own record may depend on them.
    """
    asked: list[Question] = []
    alike: dict[tuple[str, tuple[str, ...], Join, int], list[Work]] = {}
    pointing: dict[tuple[str, tuple[str, ...], int], dict[Reference, list[Work]]] = {}
    for work in works:
        references = work.references()
        for reference in references:
            names = tuple(sorted(reference.match))
            pointing.setdefault((reference.object, names, work.company), {}).setdefault(reference, []).append(work)
        if not references and work.needs_lookup:
            names = tuple(sorted(work.changes[0].match))
            alike.setdefault((work.describe.name, names, _join(work), work.company), []).append(work)
    for (object_name, names, company), askers in pointing.items():
        for group in _parts_of(list(askers), company):
            matches = [reference.match for reference in group]
            for soql, part in lookup_queries(object_name, names, matches):
                owners = {work.claim.key: work for reference in group[part] for work in askers[reference]}
                asked.append(Question(soql, tuple(owners.values()), group[part]))
    for (object_name, names, join, company), alike_works in alike.items():
        for alike_part in _parts_of(alike_works, company):
            select = [*names, *_conversion(alike_part[0].describe), *_wanted(alike_part)]
            matches = [work.changes[0].match for work in alike_part]
            queries = lookup_queries(object_name, select, matches, join=join)
            asked += [Question(soql, alike_part[part]) for soql, part in queries]
    return asked


def find_references(references: Iterable[Reference], rows: Sequence[Mapping[str, Any]]) -> dict[Reference, str | None]:
    """Return the Id each reference points to, the oldest of several, None where no record matches.

    The references are those of one question: they match on the same fields.
    """
    found: dict[Reference, str | None] = dict.fromkeys(references)
    by_key = {reference.key: reference for reference in found}
    names = [*next(iter(found)).match] if found else []
    for row in rows:
        reference = by_key.get(record_key({name: row.get(name) for name in names}))
        if reference is not None and found[reference] is None:
            found[reference] = str(row["Id"])
    return found


def give_rows(question_works: Sequence[Work], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return for each key its rows, in the order in which the org gave them (oldest first)."""
    found: dict[str, list[Mapping[str, Any]]] = {work.claim.key: [] for work in question_works}
    wanted: dict[str, list[Work]] = {}
    for work in question_works:
        for value in _values(work):
            wanted.setdefault(value, []).append(work)
    names = {name for work in question_works for name in work.changes[0].match}
    for row in rows:
        values = {record_key({name: row[name]}) for name in names if row.get(name) is not None}
        given: set[str] = set()
        for value in values:
            for work in wanted.get(value, ()):
                key = work.claim.key
                if key in given:
                    continue
                asked = _values(work)
                if asked <= values or (_join(work) == "or" and asked & values):
                    given.add(key)
                    found[key].append(row)
    return found


def answered(question: Question, rows: Sequence[Mapping[str, Any]]) -> Question | None:
    """Return the part of a question to which the first of its rows are the answer, whatever rows follow; None: none."""
    if question.references:
        found = find_references(question.references, rows)
        part = replace(question, references=tuple(one for one, record_id in found.items() if record_id is not None))
    else:
        given = give_rows(question.works, rows)
        works = (one for one in question.works if _suffices(given[one.claim.key], one.changes[0].options))
        part = replace(question, works=tuple(works))
    return part if (part.references if question.references else part.works) else None


def _suffices(rows: Sequence[Mapping[str, Any]], options: Mapping[str, Json]) -> bool:
    wish = options.get("on_multiple", "oldest")
    candidates = sum(not row.get("IsConverted") for row in rows)
    return wish != "newest" and candidates > (1 if wish == "error" else 0)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The record to write: its Id (None: a new one), or that of the contact a lead became; or nothing at all."""

    record_id: str | None = None
    contact_id: str | None = None
    is_skipped: bool = False


def choose(rows: Sequence[Mapping[str, Any]], options: Mapping[str, Json]) -> Chosen:
    """Choose among the rows of one key, oldest first, by the rule's `on_multiple` and `on_converted`.

    Converted leads refuse to be written (Object Reference, "Lead"), so one counts only where no other record matches.
    Raises ValueError when the rule wants no choice made, or where a converted lead has lost its contact.
    """
    candidates = [row for row in rows if not row.get("IsConverted")]
    is_converted = bool(rows) and not candidates
    if is_converted:
        if options.get("on_converted") == "skip":
            return Chosen(is_skipped=True)
        if options.get("on_converted") == "create":
            return Chosen()
        candidates = list(rows)
    if not candidates:
        return Chosen()
    wish = options.get("on_multiple", "oldest")
    if len(candidates) > 1 and wish == "error":
        raise ValueError(f"{len(candidates)} records match, and on_multiple: error writes none of them")
    row = candidates[-1 if wish == "newest" else 0]
    if not is_converted:
        return Chosen(record_id=str(row["Id"]))
    if not row.get("ConvertedContactId"):
        raise ValueError("the lead was converted, and its contact is gone")
    return Chosen(contact_id=str(row["ConvertedContactId"]))


def _parts_of(members: Sequence[_Member], size: int) -> list[tuple[_Member, ...]]:
    return [tuple(members[start : start + size]) for start in range(0, len(members), size)]


def _values(work: Work) -> set[str]:
    return set(locks_of(record_key(work.changes[0].match)))


def _join(work: Work) -> Join:
    return "or" if work.changes[0].options.get("join") == "or" else "and"


def _wanted(works: Iterable[Work]) -> list[str]:
    """Name what the reads among the keys return, each once."""
    return list(dict.fromkeys(name for work in works for name in work.changes[0].reads))


def _conversion(describe: ObjectDescribe) -> list[str]:
    return [name for name in ("IsConverted", "ConvertedContactId") if describe.find(name)]
