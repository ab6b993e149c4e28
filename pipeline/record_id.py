"""Record Ids: 15 characters whose case counts, or 18 with a suffix that says which of them are capitals."""

import re
from typing import Final

_ID = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")
_SHORT: Final = 15
_GROUP: Final = 5  # characters that one character of the suffix stands for
_SUFFIX: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def long_id(text: str) -> str | None:
    """Return the 18-character form of an Id, or None for what is none or has a suffix that does not fit its case.

    The suffix's three characters each encode which of five characters are capitals, lowest bit first (Object
    Reference, "ID Field Type"). Salesforce answers with the long form always, and compares without case by it.
    """
    if not _ID.fullmatch(text):
        return None
    short = text[:_SHORT]
    suffix = ""
    for start in range(0, _SHORT, _GROUP):
        capitals = [character.isupper() for character in short[start : start + _GROUP]]
        suffix += _SUFFIX[sum(1 << bit for bit, is_capital in enumerate(capitals) if is_capital)]
    return short + suffix if text[_SHORT:].upper() in ("", suffix) else None
