"""What delivery needs of the rooms around it: an org, its describes, inboxes.

`salesforce/` and `inbox/` provide them; a rehearsal puts others in their place that write nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pipeline.inbox.claims import Settlement
from pipeline.inbox.results import ReadResult
from pipeline.salesforce.client import Subrequest, Subresponse
from pipeline.salesforce.describe import ObjectDescribe


class Org(Protocol):
    """What delivery needs of an org: one API call for a list of subrequests."""

    def send(self, subrequests: Sequence[Subrequest], *, by: float | None = None) -> list[Subresponse]:
        """Send the subrequests in one call, begun by then (of time.monotonic) or not at all.

        Raises SalesforceError when there is no answer to the whole.
        """
        ...

    def query_rest(self, next_records_url: str) -> Subresponse:
        """Ask for the next page of a query, one call."""
        ...


class Describes(Protocol):
    """What delivery needs of the describe cache."""

    def get(self, object_name: str) -> ObjectDescribe:
        """Return the cached describe of an object. Raises UnknownObject where the org has none of this name."""
        ...

    def missing(self, object_names: Sequence[str]) -> list[str]:
        """Name those of the objects that `get` would have to ask the org about, one call for each."""
        ...

    def refresh(self, object_names: Sequence[str]) -> None:
        """Ask the org again."""
        ...


class Claims(Protocol):
    """What delivery needs of the inboxes of one object; `inbox.inbox.Inbox` says what each does."""

    object: str

    def renew(self, token: str, keys: Iterable[str]) -> set[str]:
        """Extend the lease of keys; returns those that are lost."""
        ...

    def commit(self, token: str, settlements: Iterable[Settlement]) -> set[str]:
        """End claims; returns the keys that were lost."""
        ...

    def release(self, token: str, keys: Iterable[str], *, delay_s: float) -> set[str]:
        """Give keys back untouched; returns those that were lost."""
        ...

    def count_left_out(self, left_out: Mapping[str, int]) -> None:
        """Count values that were not written: what is told of them → times."""
        ...

    def keep_results(self, results: Mapping[str, ReadResult]) -> None:
        """Keep what reads have found: operation id → result."""
        ...

    def chunk(self, most: int) -> int:
        """Return how many records to write at once, `most` at the most."""
        ...

    def shrink_chunk(self, too_many: int) -> None:
        """Take note that so many records at once were too many."""
        ...

    def grow_chunk(self, most: int) -> None:
        """Take note that a full chunk was not too many."""
        ...
