"""The events that are measured with: plausible identify events, the same ones every time."""

from collections.abc import Iterator
from typing import Any, Final

from pipeline.operation import record_key

OBJECT: Final = "Lead"  # what an identify becomes

_TITLES: Final = ("Software engineer", "Data analyst", "Product manager", "Head of sales", "Support agent")
_CITIES: Final = ("London", "Paris", "Berlin", "Madrid", "Vienna", "Dublin", "Lisbon")


def identify(number: int, key: int) -> dict[str, Any]:
    """Return an identify event about the person `key`; `number` tells the events about one person apart."""
    return {
        "type": "identify",
        "userId": f"u{key}",
        "anonymousId": None,
        "traits": {
            "email": email(key),
            "firstName": "Ada",
            "lastName": f"Byron {key}",
            "company": {"name": f"Engines {key % 97} Ltd", "industry": "Software", "employee_count": key % 1000},
            "title": _TITLES[number % len(_TITLES)],
            "phone": f"+44 20 7946 {number % 10_000:04d}",
            "street": f"{key % 300} Crystal Fort",
            "city": _CITIES[key % len(_CITIES)],
            "postalCode": f"{key % 100_000:05d}",
            "country": "GBR",
            "plan": "team",
            "loginCount": number,
        },
        "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
        "integrations": {"Salesforce": True},
    }


def messages(events: int, keys: int, per_message: int) -> Iterator[list[dict[str, Any]]]:
    """Return identify events about `keys` people in turn, `per_message` of them together, the last ones fewer.

    In turn, because events about one person that stand side by side would be merged too easily.
    """
    for start in range(0, events, per_message):
        numbers = range(start, min(start + per_message, events))
        yield [identify(number, number % keys) for number in numbers]


def email(key: int) -> str:
    """Return the address of the person `key`."""
    return f"ada.byron{key}@engines.example.com"


def key_of(event: dict[str, Any]) -> str:
    """Return the record key under which the pipeline delivers an event."""
    return record_key({"Email": event["traits"]["email"]})
