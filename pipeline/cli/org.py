"""Calls to the org from the command line: through the same gate as delivery, with advice where it cannot be reached."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.cli import Failure

if TYPE_CHECKING:
    from pipeline.salesforce.client import Subrequest, Subresponse
    from pipeline.salesforce.describe import ObjectDescribe
    from pipeline.tasks.runtime import Runtime

_MOST_CALLS = 10  # that the gate gives at once; more describes than they carry are asked for on credit


@contextmanager
def calling(runtime: "Runtime", calls: int = 1) -> Iterator[None]:
    """Take API calls from the shared budget for what the context does. Raises Failure with what to do about it."""
    from pipeline.salesforce.errors import NoAnswer, Unavailable
    from pipeline.salesforce.quota import Wait

    holder = f"cli:{secrets.token_hex(8)}"
    taken = runtime.gate.take(calls, holder)
    if isinstance(taken, Wait):
        raise Failure(f"no API call can be spared now: {taken.reason}. Try again in {max(1.0, taken.seconds):,.0f} s.")
    try:
        yield
    except (NoAnswer, Unavailable) as error:
        settings = runtime.settings
        if settings.endpoint_url:
            where = f"SALESFORCE_ENDPOINT_URL is {settings.endpoint_url}; start what should be there, or unset it"
        else:
            where = (
                f"SALESFORCE_DOMAIN is {settings.credentials.domain}; check it (that of https://acme.my.salesforce.com "
                "is acme.my), this machine's network and proxy, and https://status.salesforce.com"
            )
        raise Failure(f"the org cannot be reached: {error}. {where}.") from None
    finally:
        runtime.gate.leave(holder)


def describes(runtime: "Runtime", names: Sequence[str], *, is_fresh: bool) -> "dict[str, ObjectDescribe | None]":
    """Return the describes of objects; None for one that the org does not have, or does not show to this user.

    With `is_fresh` all are asked for again, else those that are not in the cache: one call for up to 25 of them.
    """
    from pipeline.salesforce.composite import MOST_SUBREQUESTS
    from pipeline.salesforce.errors import UnknownObject

    asked = names if is_fresh else runtime.describes.missing(names)
    if asked:
        with calling(runtime, min(_MOST_CALLS, -(-len(asked) // MOST_SUBREQUESTS))):
            runtime.describes.refresh(asked)
    found: dict[str, ObjectDescribe | None] = {}
    for name in names:
        try:
            found[name] = runtime.describes.get(name)
        except UnknownObject:
            found[name] = None
    return found


class GatedOrg:
    """The org for who only looks: every call goes through the gate, and is counted."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self.calls = 0

    def send(self, subrequests: "Sequence[Subrequest]", *, by: float | None = None) -> "list[Subresponse]":
        """Send subrequests in one call. Raises Failure where the gate gives none or the org cannot be reached."""
        self.calls += 1
        with calling(self._runtime):
            return self._runtime.org.send(subrequests, by=by)

    def query_rest(self, next_records_url: str) -> "Subresponse":
        """Ask for the next page of a query, as `send`."""
        self.calls += 1
        with calling(self._runtime):
            return self._runtime.org.query_rest(next_records_url)
