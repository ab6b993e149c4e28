"""Look for the records of a bulk job: by one query of all there are, or by composite requests where these are many."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.delivery.lookup import choose, give_rows, questions
from pipeline.delivery.org import Org
from pipeline.delivery.pack import COLLECTIONS
from pipeline.delivery.shape import is_lookup
from pipeline.delivery.upsert import is_upsert_key
from pipeline.delivery.work import Work
from pipeline.inbox.claims import Claim
from pipeline.operation import Operation, locks_of, record_key
from pipeline.salesforce.describe import ObjectDescribe
from pipeline.salesforce.soql import bulk_query

# What a CSV gives back as it is compared; numbers and dates are written in more than one way.
_TEXT_TYPES: Final = frozenset({"string", "email", "phone", "url", "picklist", "combobox", "reference", "id"})
_KEYS_OF_A_CALL: Final = 1000  # of a composite lookup
_QUERY_CALLS: Final = 4  # the count, the job, and two looks at it
_ROWS_OF_A_CALL: Final = 50_000  # of a page of results: what is sure; it may be more
_MOST_ROWS_A_KEY: Final = 20  # streamed and thrown away but for one: beyond this it is too much work for what it saves
_CONVERSION: Final = ("IsConverted", "ConvertedContactId")


@dataclass(frozen=True, slots=True)
class Lookups:
    """How the keys of a job are looked up: by which fields, and whether any of them will do."""

    names: tuple[str, ...]
    join: str


def fields_of(key: str) -> str:
    """Return the fields that a record key matches on, as jobs take keys by them: "company&email"."""
    return "&".join(value.partition("=")[0] for value in locks_of(key))


def commonest_fields(keys: Iterable[str], describe: ObjectDescribe) -> str:
    """Return the fields that most of the keys match on which can be looked up by jobs, "" where none can."""
    counted = Counter(map(fields_of, keys)).most_common()
    return next((fields for fields, _ in counted if _names(fields.split("&"), describe)), "")


def commonest_lookup(claims: Sequence[Claim], describe: ObjectDescribe) -> tuple[Lookups | None, float]:
    """Return how most of the claims are looked up that are for a bulk job, and the part of all that are these."""
    wanted = Counter(lookup_of(claim, describe) for claim in claims)
    del wanted[None]
    return next(((one, count / len(claims)) for one, count in wanted.most_common(1)), (None, 0.0))


def lookup_of(claim: Claim, describe: ObjectDescribe) -> Lookups | None:
    """Return how a key is looked up, None where it is not for a bulk job: a first look, without shaping anything.

    What has failed before, or is more than updates and upserts of one record, is delivered the usual way. So is a
    create, which could not be looked up if it were not known whether it was written.
    """
    if claim.attempts or claim.unreadable:
        return None
    wanted = {_lookup_of(operation, describe) for operation in claim.operations}
    return wanted.pop() if len(wanted) == 1 else None


def _lookup_of(operation: Operation, describe: ObjectDescribe) -> Lookups | None:
    options, match = operation.options, operation.match
    if operation.verb not in {"upsert", "update"} or "refusal" in options or options.get("priority") == "high":
        return None
    names = _names(match, describe)
    if not names or any(is_lookup(value) for value in match.values()):
        return None
    return Lookups(names, str(options.get("join", "and")))


def _names(match: Iterable[str], describe: ObjectDescribe) -> tuple[str, ...]:
    """Return the fields of a match as the org spells them; none where a job cannot look records up by them."""
    fields = [describe.find(name) for name in match]
    names = [one.name for one in fields if one and one.filterable and one.type in _TEXT_TYPES]
    # A batch needs no lookup for an external ID, and writes a thousand with one call.
    if len(names) < len(fields) or any(one and is_upsert_key(one) for one in fields):
        return ()
    return tuple(sorted(names))


def is_query_cheaper(records: int | None, keys: int) -> bool:
    """Tell whether a query of all records of an object costs fewer calls than asking for the keys."""
    if records is None or records > most_rows(keys):
        return False
    return _QUERY_CALLS + -(-max(1, records) // _ROWS_OF_A_CALL) < -(-keys // _KEYS_OF_A_CALL)


def most_rows(keys: int) -> int:
    """Return how many records are read at most to find those of so many keys."""
    return keys * _MOST_ROWS_A_KEY


def query_of(describe: ObjectDescribe, names: Sequence[str], join: str) -> str:
    """Return the query of all records that may be those of some key."""
    select = [*names, "CreatedDate", *(name for name in _CONVERSION if describe.find(name))]
    return bulk_query(describe.name, select, names, join=join)


class Found:
    """The rows of a query that are about some of `keys`, which match on `names`."""

    def __init__(self, names: Sequence[str], keys: Iterable[str]) -> None:
        self._names = names
        self._by_value: dict[str, list[dict[str, Any]]] = {value: [] for key in keys for value in locks_of(key)}

    def add(self, rows: Iterable[Mapping[str, str]]) -> None:
        """Keep what is wanted of a page."""
        for cells in rows:
            values = {record_key({name: cells[name]}) for name in self._names if cells.get(name)}
            wanted = [value for value in values if value in self._by_value]
            if wanted:
                row: dict[str, Any] = {name: cell or None for name, cell in cells.items()}
                if "IsConverted" in row:
                    row["IsConverted"] = row["IsConverted"] == "true"
                for value in wanted:
                    self._by_value[value].append(row)

    def give(self, works: Sequence[Work]) -> None:
        """Tell keys their records."""
        rows = {
            row["Id"]: row
            for work in works
            for value in locks_of(record_key(work.changes[0].match))
            for row in self._by_value.get(value, ())
        }
        tell(works, sorted(rows.values(), key=lambda row: (row["CreatedDate"] or "", row["Id"])))


def ask(works: Sequence[Work], org: Org, may_call: Callable[[], None]) -> None:
    """Ask for the records of keys, a thousand with a call; `may_call` raises where none may be made.

    What gets no whole answer is left as it is.
    """
    asked = questions(works)
    for start in range(0, len(asked), COLLECTIONS):
        part = asked[start : start + COLLECTIONS]
        may_call()
        for question, answer in zip(part, org.send([one.subrequest for one in part]), strict=True):
            if answer.ok and answer.body["done"]:
                tell(question.works, answer.body["records"])


def tell(works: Sequence[Work], rows: Sequence[Mapping[str, Any]]) -> None:
    """Tell keys which of the rows is theirs. Where there is a choice to explain, the usual way does it."""
    for work, found in zip(works, give_rows(works, rows).values(), strict=True):
        try:
            chosen = choose(found, work.changes[0].options)
        except ValueError:
            continue
        if not chosen.is_skipped and chosen.contact_id is None:
            work.know(chosen.record_id, fresh=False)
