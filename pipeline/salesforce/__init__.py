"""The org behind everything: its session, its API calls, its describe, its quota, and when to leave it alone."""
