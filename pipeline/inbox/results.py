"""What `read` actions have found, kept for a short time under the id of the message that asked.

The values are personal data, so they go into nothing that is logged or shown: no task result, not Flower, no log.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final, cast

from redis import Redis

from pipeline.inbox.scripts import Script

if TYPE_CHECKING:  # a producer that reads results does without what packs operations
    from pipeline.operation import Json

KEPT_S: Final = 900  # who asks is waiting for the answer; a quarter of an hour outlives a pause of the org's
MOST_KEPT: Final = 10_000  # messages; with MOST_BYTES this bounds the memory at 640 MB, in practice at a few MB
MOST_BYTES: Final = 64 * 1024  # of one result as JSON; a long text area alone may hold twice as much

_BASE: Final = "pipeline:{reads}:"
_keep = Script("keep_results")


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What one read action has found: `object` is where, `fields` are the record's values as the REST API gives them.

    Without a matching record `is_found` is False. `error` is why it could not be read, the reason of its dead letter.
    """

    object: str
    is_found: bool = False
    fields: "Mapping[str, Json]" = field(default_factory=dict, repr=False)
    error: str | None = field(default=None, repr=False)  # Salesforce's words may quote what was looked for


def keep_results(redis: Redis, results: Mapping[str, ReadResult]) -> None:
    """Keep results, operation id → result, for KEPT_S seconds; one over MOST_BYTES is kept as an error that says so."""
    arguments: list[str] = []
    for operation_id, result in results.items():
        message_id, _, rule = operation_id.rpartition("#")
        arguments += (message_id, rule, _encoded(result))
    _keep(redis, _BASE, KEPT_S, MOST_KEPT, *arguments)


def results_of(redis: Redis, message_id: str) -> dict[str, ReadResult] | None:
    """Return rule → result of a message, as `actions[0]` → what it found; None where nothing is there (yet, or now)."""
    stored = cast("dict[bytes, bytes]", redis.hgetall(f"{_BASE}result:{message_id}"))
    return {rule.decode(): ReadResult(**json.loads(text)) for rule, text in stored.items()} or None


def _encoded(result: ReadResult) -> str:
    text = json.dumps(asdict(result), separators=(",", ":"))
    if len(text) <= MOST_BYTES:
        return text
    error = f"the fields it found are larger than {MOST_BYTES // 1024} KB; read fewer"
    return json.dumps(asdict(ReadResult(result.object, is_found=True, error=error)))
