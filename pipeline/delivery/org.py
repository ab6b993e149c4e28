"""What delivery needs of an org; `salesforce/` provides it, a test may provide another."""

from collections.abc import Sequence
from typing import Protocol

from pipeline.salesforce.client import Subrequest, Subresponse
from pipeline.salesforce.describe import ObjectDescribe


class Org(Protocol):
    """What delivery needs of an org: one API call for a list of subrequests."""

    def send(self, subrequests: Sequence[Subrequest], *, by: float) -> list[Subresponse]:
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
        """Return the cached describe of an object."""
        ...

    def refresh(self, object_names: Sequence[str]) -> None:
        """Ask the org again."""
        ...
