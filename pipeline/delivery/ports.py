"""What delivery needs of the rooms around it. A rehearsal puts something in their place that writes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pipeline.inbox.claims import Settlement
from pipeline.inbox.results import ReadResult
from pipeline.salesforce.client import Subrequest, Subresponse
from pipeline.salesforce.describe import ObjectDescribe


class Org(Protocol):
    """An org: one API call for a list of subrequests."""

    def send(self, subrequests: Sequence[Subrequest]) -> list[Subresponse]:
        """Send the subrequests in one call; raises SalesforceError when there is no answer to the whole."""
        ...

    def query_rest(self, next_records_url: str) -> Subresponse:
        """Ask for the next page of a query, one call."""
        ...


class Describes(Protocol):
    """The describe cache."""

    def get(self, object_name: str) -> ObjectDescribe:
        """Return the cached describe of an object. Raises UnknownObject where the org has none of this name."""
        ...

    def refresh(self, object_names: Sequence[str]) -> None:
        """Ask the org again."""
        ...


class Claims(Protocol):
    """The inboxes of one object, as far as who holds claims needs them; `inbox.inbox.Inbox` says what each does."""

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
