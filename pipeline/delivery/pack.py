"""Pack writes into as few requests as Salesforce accepts."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipeline.operation import Json, record_key
from pipeline.salesforce.client import Subrequest, create, delete, update, upsert
from pipeline.salesforce.composite import mentions_a_reference

Kind: TypeAlias = Literal["update", "create", "upsert", "delete"]

COLLECTION = 200  # records of one sObject Collections request (REST API guide, "sObject Collections")
COLLECTIONS = 5  # of them in one composite request (REST API guide, "Composite")
# The first keys of a batch are never left to the next one, where what was left comes first: else a few new records were
# left ten times, or a hundred, until they were as many as the others left over.
ALWAYS_WRITTEN = COLLECTION // 2
# Of one request. A character of text takes at most six bytes in JSON, and Salesforce refuses 50 MB (App Limits).
MOST_CHARACTERS = 8_000_000


@dataclass(frozen=True, slots=True)
class Write:
    """One record to write: `record` holds the fields, with `id` for an update or a delete.

    `company` bounds its collection. An upsert holds among its fields the external ID `by`, which finds the record.
    """

    key: str
    kind: Kind
    object: str
    record: Mapping[str, Json]
    company: int = COLLECTION
    by: str = ""

    @property
    def record_id(self) -> str | None:
        """The Id of the record, where it is known."""
        found = self.record.get("id")
        return found if isinstance(found, str) else None

    @property
    def identity(self) -> str | None:
        """What may stand once in a request: the Id, or the external ID; None for a new record."""
        return record_key({self.by: self.record[self.by]}) if self.by else self.record_id

    @property
    def characters(self) -> int:
        """How much text it holds."""
        return sum(len(value) for value in self.record.values() if isinstance(value, str))


@dataclass(frozen=True, slots=True)
class Collection:
    """Writes of one kind to one object that travel in one sObject Collections request."""

    kind: Kind
    object: str
    writes: tuple[Write, ...]

    def subrequest(self) -> Subrequest:
        """Return it as the client sends it."""
        records = [write.record for write in self.writes]
        if self.kind == "delete":
            return delete([str(write.record_id) for write in self.writes])
        if self.kind == "upsert":
            return upsert(self.object, self.writes[0].by, records)
        return (create if self.kind == "create" else update)(self.object, records)


def pack(writes: Sequence[Write]) -> list[list[Collection]]:
    """Return requests, each a list of up to 5 collections of up to 200 records.

    An Id or external ID stands at most once in a request: a second write to it would fail or hide the first (SOAP API
    guide, "update()" and "upsert()"). A write that spoilt a larger collection (`company`) only travels with as few
    others as it may. Text that a composite request would take for a reference travels in a request that is none. A
    request holds at most `MOST_CHARACTERS`, or one write.
    """
    requests: list[list[Collection]] = []
    left = sorted(
        (write for write in writes if not mentions_a_reference(dict(write.record))),
        key=lambda write: (write.kind, write.object, write.by, -write.company),
    )
    while left:
        request, left = _request(left, COLLECTIONS)
        requests.append(request)
    left = [write for write in writes if mentions_a_reference(dict(write.record))]
    while left:
        request, left = _request(left, 1)
        requests.append(request)
    return requests


def pack_fewer(writes: Sequence[Write], may_wait: AbstractSet[str]) -> tuple[list[list[Collection]], set[str]]:
    """Pack all but what takes a request of its own and may wait; returns the requests and the keys that are left out.

    A thousand records, some new and some not, are six collections, one more than a request carries. Left out are the
    smallest collections, whose keys are all in `may_wait`, if the others then take a request less and if together they
    are no more than a collection holds: as a fifth of another batch they cost less than half a call.
    """
    requests = pack(writes)
    collections = [one for request in requests for one in request]
    can_wait = [one for one in collections if all(write.key in may_wait for write in one.writes)]
    smallest = sorted(can_wait, key=lambda one: len(one.writes))[: len(collections) % COLLECTIONS]
    left_out = {write.key for one in smallest for write in one.writes}
    if len(requests) > 1 and 0 < len(left_out) <= COLLECTION:
        fewer = pack([write for write in writes if write.key not in left_out])
        if len(fewer) < len(requests):
            return fewer, left_out
    return requests, set()


def _request(writes: Sequence[Write], most_collections: int) -> tuple[list[Collection], list[Write]]:
    collections: list[list[Write]] = []
    ids: set[str] = set()
    left: list[Write] = []
    room = MOST_CHARACTERS
    for write in writes:
        identity, characters = write.identity, write.characters
        if identity in ids or (collections and characters > room):
            left.append(write)
            continue
        if collections and _fits(write, collections[-1]):
            collections[-1].append(write)
        elif len(collections) < most_collections:
            collections.append([write])
        else:
            left.append(write)
            continue
        room -= characters
        if identity:
            ids.add(identity)
    return [Collection(one[0].kind, one[0].object, tuple(one)) for one in collections], left


def _fits(write: Write, collection: Sequence[Write]) -> bool:
    return (
        (write.kind, write.object, write.by) == (collection[0].kind, collection[0].object, collection[0].by)
        and len(collection) < COLLECTION
        and len(collection) < min(write.company, collection[0].company)
    )
