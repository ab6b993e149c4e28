"""Which records an event means: from an event of the spec to operations on objects of the org."""
