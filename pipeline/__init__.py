"""Customer events of the Segment spec into Salesforce.

    from pipeline import send_event

    send_event.delay({"type": "identify", "userId": "u1", "traits": {"email": "a@example.com"},
                      "integrations": {"Salesforce": True}})

A producer needs only the broker's address (`PIPELINE_BROKER_URL` or `PIPELINE_REDIS_URL`). `delay` returns the ids of
the events. It raises `NotSent` after a few seconds, and `RefusedCall` for a call that would lose events.
`read_result` gives what the `read` actions of a message have found.
"""

import warnings

from pipeline.app import app
from pipeline.errors import RefusedCall
from pipeline.extras import name_is_taken
from pipeline.reads import read_result
from pipeline.sending import NotSent
from pipeline.tasks.ingest import send_event, send_events

__all__ = ["NotSent", "RefusedCall", "app", "read_result", "send_event", "send_events"]

if _taken := name_is_taken():
    warnings.warn(_taken, stacklevel=2)
