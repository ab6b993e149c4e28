"""The Segment spec: what the producer stamps on an event, and which events are accepted."""
