"""Look for the records of a batch: as few queries as possible, and each row given to the key it belongs to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.delivery.pack import COLLECTION
from pipeline.delivery.work import Work
from pipeline.operation import Json, locks_of, record_key
from pipeline.salesforce.describe import ObjectDescribe
from pipeline.salesforce.soql import lookup_queries


@dataclass(frozen=True, slots=True)
class Question:
    """One query and the keys it asks for."""

    soql: str
    works: tuple[Work, ...]


def questions(works: Iterable[Work], describe: ObjectDescribe) -> list[Question]:
    """Return the queries that find the records of `works`: one for up to 200 keys that match on the same fields."""
    alike: dict[tuple[tuple[str, ...], str, int], list[Work]] = {}
    for work in works:
        change = work.changes[0]
        alike.setdefault((tuple(sorted(change.match)), _join(work), work.company), []).append(work)
    asked = []
    for (names, join, company), group in alike.items():
        size = min(company, COLLECTION)
        for start in range(0, len(group), size):
            part = tuple(group[start : start + size])
            matches = [work.changes[0].match for work in part]
            select = ["Id", *(name for name in names if name != "Id"), *_conversion(describe)]
            asked += [
                Question(soql, part)
                for soql in lookup_queries(describe.name, select, matches, join=join, per_query=size)
            ]
    return asked


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


def choose(rows: Sequence[Mapping[str, Any]], options: Mapping[str, Json]) -> str | None:
    """Return the Id of the record to write, None where a new one is wanted. Raises ValueError when it is ambiguous.

    A converted lead is only chosen where no other record matches; it refuses to be written (Object Reference, "Lead").
    """
    open_rows = [row for row in rows if not row.get("IsConverted")] or list(rows)
    if not open_rows:
        return None
    wish = options.get("on_multiple", "oldest")
    if len(open_rows) > 1 and wish == "error":
        raise ValueError(f"{len(open_rows)} records match; on_multiple: error writes none of them")
    chosen = open_rows[-1] if wish == "newest" else open_rows[0]
    return str(chosen["Id"])


def _values(work: Work) -> set[str]:
    return set(locks_of(record_key(work.changes[0].match)))


def _join(work: Work) -> str:
    return "or" if work.changes[0].options.get("join") == "or" else "and"


def _conversion(describe: ObjectDescribe) -> list[str]:
    return ["IsConverted"] if describe.find("IsConverted") else []
