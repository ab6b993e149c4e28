"""What a composite request can carry."""

from typing import Final

from pipeline.operation import Json

# REST API guide, "Composite".
MOST_SUBREQUESTS: Final = 25
MOST_COLLECTIONS: Final = 5  # of the subrequests, collections and queries together

# Our own code, for what Salesforce would refuse with a text about references: see `mentions_a_reference`.
REFERENCE_IN_VALUE: Final = "REFERENCE_IN_VALUE"


def mentions_a_reference(value: Json) -> bool:
    """Whether a record's text holds `@{`, which a composite request would read as a reference to another answer.

    No way to escape it is documented, and one such text fails its whole collection. Such records have to travel in a
    collection that is sent alone: `send` refuses a composite that holds one, with Refused and REFERENCE_IN_VALUE.
    """
    if isinstance(value, str):
        return "@{" in value
    if isinstance(value, dict):
        return any(mentions_a_reference(part) for part in value.values())
    if isinstance(value, list):
        return any(mentions_a_reference(part) for part in value)
    return False
