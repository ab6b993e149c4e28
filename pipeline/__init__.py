"""Customer events of the Segment spec into Salesforce.

    from pipeline import send_event

    send_event.delay({"type": "identify", "userId": "u1", "traits": {"email": "a@example.com"},
                      "integrations": {"Salesforce": True}})

A producer needs only the broker's address (`PIPELINE_BROKER_URL` or `PIPELINE_REDIS_URL`). `read_result` gives it what
the `read` actions of a message have found.
"""

from pipeline.app import app
from pipeline.reads import read_result
from pipeline.tasks.ingest import send_event, send_events

__all__ = ["app", "read_result", "send_event", "send_events"]
