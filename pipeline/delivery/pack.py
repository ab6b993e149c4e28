"""Pack writes into as few requests as Salesforce accepts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipeline.operation import Json
from pipeline.salesforce.client import Subrequest, create, delete, mentions_a_reference, update

Kind: TypeAlias = Literal["update", "create", "delete"]

COLLECTION = 200  # records of one sObject Collections request (REST API guide, "sObject Collections")
COLLECTIONS = 5  # of them in one composite request (REST API guide, "Composite")


@dataclass(frozen=True, slots=True)
class Write:
    """One record to write: `record` holds the fields, with `id` where it exists. `company` bounds its collection."""

    key: str
    kind: Kind
    object: str
    record: Mapping[str, Json]
    company: int = COLLECTION

    @property
    def record_id(self) -> str | None:
        """The Id of the record, where it exists."""
        found = self.record.get("id")
        return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class Collection:
    """Writes of one kind to one object that travel in one sObject Collections request."""

    kind: Kind
    object: str
    writes: tuple[Write, ...]

    @property
    def subrequest(self) -> Subrequest:
        """How it is asked for."""
        if self.kind == "delete":
            return delete([str(write.record_id) for write in self.writes])
        records = [write.record for write in self.writes]
        return (create if self.kind == "create" else update)(self.object, records)


def pack(writes: Sequence[Write]) -> list[list[Collection]]:
    """Return requests, each a list of up to 5 collections of up to 200 records.

    An Id stands at most once in a request: a second write to it would fail or hide the first (SOAP API guide,
    "update()"). A write that spoilt a larger collection (`company`) only travels with as few others as it may. Text
    that a composite request would take for a reference travels in a request that is none.
    """
    requests: list[list[Collection]] = []
    left = sorted(
        (write for write in writes if not mentions_a_reference(dict(write.record))),
        key=lambda write: (write.kind, write.object, -write.company),
    )
    while left:
        request, left = _request(left, COLLECTIONS)
        requests.append(request)
    left = [write for write in writes if mentions_a_reference(dict(write.record))]
    while left:
        request, left = _request(left, 1)
        requests.append(request)
    return requests


def _request(writes: Sequence[Write], most_collections: int) -> tuple[list[Collection], list[Write]]:
    collections: list[list[Write]] = []
    ids: set[str] = set()
    left: list[Write] = []
    for write in writes:
        if write.record_id in ids:
            left.append(write)
            continue
        if collections and _fits(write, collections[-1]):
            collections[-1].append(write)
        elif len(collections) < most_collections:
            collections.append([write])
        else:
            left.append(write)
            continue
        if write.record_id:
            ids.add(write.record_id)
    return [Collection(one[0].kind, one[0].object, tuple(one)) for one in collections], left


def _fits(write: Write, collection: Sequence[Write]) -> bool:
    return (
        (write.kind, write.object) == (collection[0].kind, collection[0].object)
        and len(collection) < COLLECTION
        and len(collection) < min(write.company, collection[0].company)
    )
