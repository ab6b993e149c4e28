"""The destination: what destination.yaml decides, as values; reading and checking the file is in the modules below."""

from pipeline.destination.rules import (
    Action,
    Condition,
    Destination,
    Group,
    Identify,
    Quota,
    Rule,
    Salesforce,
    Value,
    Values,
)

__all__ = [
    "Action",
    "Condition",
    "Destination",
    "Group",
    "Identify",
    "Quota",
    "Rule",
    "Salesforce",
    "Value",
    "Values",
]
