"""Resources: what a call asks for, as it may be logged, and what it is counted as."""

from collections.abc import Sequence
from typing import Final

COMPOSITE: Final = "composite"

# What a call is counted as, by its resource.
_KINDS: Final = {
    "query": "lookup",
    "composite/sobjects": "write",
    "describe": "describe",
    "limits": "limits",
    "jobs": "bulk",
}


def resource_of(path: str) -> str:
    """Name the kind of resource: what may be counted and logged, no Ids and no values."""
    parts = path.partition("?")[0].strip("/").split("/")
    if parts[0] == "sobjects":
        return "/".join(parts if parts[-1] == "describe" else parts[:2])
    return "/".join(parts[:2]) if parts[0] == COMPOSITE else parts[0]


def kind_of(resources: Sequence[str]) -> str:
    """Say what a call is counted as: what all that it asks for is, and a write where it is of several kinds."""
    kinds = {_KINDS.get(one.rpartition("/")[2] if one.endswith("/describe") else one, "other") for one in resources}
    return kinds.pop() if len(kinds) == 1 else "write"
