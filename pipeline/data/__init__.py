"""Sample data that ships with the project: events captured from Segment's own Python SDK."""
