"""Opt-in: which events ask to go to Salesforce, and of one that does not, why not.

The reason is a word, or a spelling that comes close to the opt-in: a closed list, because it is counted and shown.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from pipeline.operation import Json

NAME: Final = "Salesforce"
_NEAR: Final = "near miss: "
_IN_WORDS: Final = {
    "not_opted_in": "it does not name Salesforce under `integrations`, and always_enabled is off",
    "opted_out": "it says no to Salesforce under `integrations`",
    "all_is_true": "it says `All: true`, as RudderStack's SDKs do by default; that does not name Salesforce, and "
    "always_enabled is off",
    "no_rule": "no rule of destination.yaml is for it",
}
# As other destinations for Salesforce are called, and as people write it. Whatever else is folded to one of them is
# counted under one name, because a sender can invent spellings.
_SPELLINGS: Final = (
    *("salesforce", "SalesForce", "SALESFORCE", "sales_force", "Sales Force", "salesForce", "Salesforce.com"),
    *("Salesforce (Actions)", "Salesforce Actions", "salesforce_actions", "actions-salesforce", "salesforce-actions"),
    *("Salesforce (Classic)", "Salesforce Classic", "Salesforce CRM", "salesforce_crm", "Salesforce Sandbox"),
    *("SALESFORCE_OAUTH", "Salesforce OAuth", "salesforce_oauth", "SALESFORCE_OAUTH_SANDBOX", "SFDC", "sfdc"),
)
_OTHER_SPELLING: Final = "another spelling of Salesforce"
_UNLETTERED: Final = re.compile(r"[^a-z0-9]")
_YES: Final = ("true", "yes", "on", "1", "enabled")
_NO: Final = ("false", "no", "off", "0", "disabled", "null", "none", "")


def _folded(name: str) -> str:
    return _UNLETTERED.sub("", name.lower())


_FOLDED: Final = frozenset(map(_folded, (NAME, *_SPELLINGS)))


def opted_in(body: Mapping[str, Json], *, always: bool = False) -> bool:
    """Answer whether an event asks to go to Salesforce.

    It does so with `integrations.Salesforce`, at the top or in `context`, being true or an options object, which PHP
    writes as a list while it is empty. `All: true` does not ask for it. With `always`, every event goes except one that
    says `Salesforce: false`, or `All: false` and nothing about Salesforce.
    """
    wishes = list(_wishes(body))
    said = [wish[NAME] for wish in wishes if NAME in wish]
    if any(answer is False for answer in said):
        return False
    if any(_is_yes(answer) for answer in said):
        return True
    return always and not any(wish.get("All") is False for wish in wishes)


def why_not(body: Mapping[str, Json]) -> str:
    """Return why an event that is not opted in is not: a key of what `in_words` knows, or a near miss."""
    wishes = list(_wishes(body))
    if any(wish.get(name) is False for wish in wishes for name in (NAME, "All")):
        return "opted_out"
    for wish in wishes:
        for name, answer in wish.items():
            if (value := _value(answer)) and _folded(name) in _FOLDED:
                spelling = f'"{name}"' if name in (NAME, *_SPELLINGS) else _OTHER_SPELLING
                return f"{_NEAR}{spelling}: {value}"
    return "all_is_true" if any(wish.get("All") is True for wish in wishes) else "not_opted_in"


def in_words(reason: str) -> str:
    """Say why an event was skipped, in a sentence that can stand behind a colon."""
    if reason.startswith(_NEAR):
        return f'it says `{reason.removeprefix(_NEAR)}`, and only `"{NAME}": true` asks for it'
    return _IN_WORDS.get(reason, reason)


def _wishes(body: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    context = body.get("context")
    for wish in (body.get("integrations"), context.get("integrations") if isinstance(context, dict) else None):
        if isinstance(wish, dict):
            yield wish


def _is_yes(answer: Json) -> bool:
    return answer is True or isinstance(answer, dict) or answer == []


def _value(answer: Json) -> str:
    """Return how an answer that means yes is shown, "" for one that means no."""
    if isinstance(answer, str):
        said = answer.strip().lower()
        return "" if said in _NO else f'"{said}"' if said in _YES else "another text"
    if answer is None or answer is False or answer == 0:
        return ""
    if _is_yes(answer):
        return "true" if answer is True else "{}"
    return "1" if answer == 1 else "another value"
