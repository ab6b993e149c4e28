"""Parents: the records that others point to, whose Ids those need before they are written."""

from collections.abc import Callable, Iterable, Mapping

from pipeline.delivery.outcome import RetryAt
from pipeline.delivery.references import Reference
from pipeline.delivery.work import Work

# What points to a record that waits to be created waits for it: closely at first, and for a day at most, since two new
# records that point to each other would wait for ever.
_PARENT_DELAY_S, _LATER_PARENT_DELAY_S = 1.0, 60.0
_CLOSELY_S, _LONGEST_PARENT_WAIT_S = 60.0, 86_400.0


def point_or_wait(
    works: Iterable[Work],
    found: Mapping[Reference, str | None],
    *,
    own_object: str,
    is_waiting: Callable[[str, str], bool],
    now_ms: int,
) -> None:
    """Take the Ids that were looked for, None for no record; what points to one that is on its way waits for it.

    `own_object` is that of the works; `is_waiting` tells whether operations on a record (object, key) wait,
    `now_ms` the Unix time by the clock that they arrived by.
    """
    absent = [reference for reference, record_id in found.items() if record_id is None]
    coming = {one for one in absent if is_waiting(one.object, one.key)}
    for work in works:
        work.found |= found
        # A record that points to itself cannot wait for itself.
        own = (own_object, work.claim.key)
        waited_s = (now_ms - work.claim.arrived_ms) / 1000
        may_wait = waited_s < _LONGEST_PARENT_WAIT_S
        if may_wait and any((one.object, one.key) != own for one in coming & work.references()):
            delay_s = _PARENT_DELAY_S if waited_s < _CLOSELY_S else _LATER_PARENT_DELAY_S
            work.verdict = RetryAt(delay_s, "the record it points to is on its way", counts_attempt=False)
        elif work.references() <= work.found.keys():
            work.point(work.found)
