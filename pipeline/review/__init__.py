"""What would happen, before it does: a destination held against the org, and events planned without a write."""
