"""A claimed batch and the org: shape, merge, look up, write, settle."""
