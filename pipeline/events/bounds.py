"""How large an event and a message may be, and how that is found out before anything reads them.

Everything here works in C or step by step, never by recursion, so that what is beyond a bound costs little and ends
nobody. Python values are looked at in events/plain.py, before they are encoded or copied.
"""

import re
from typing import Final

MOST_BYTES: Final = 32 * 1024  # Segment's own bound for one event, as UTF-8 JSON
MOST_NESTING: Final = 32  # real events nest four or five deep; beyond this somebody is testing our stack
MOST_KEYS: Final = 2_000  # an object of Salesforce has 800 custom fields at most
MOST_DIGITS: Final = 400  # characters of a number; a double written out has 309 digits before the point
MOST_EVENTS: Final = 10_000  # in a message; `pipeline send` puts 100 into one
MOST_BODY_BYTES: Final = 12 * 1024 * 1024  # of a message's JSON
MOST_MESSAGE_BYTES: Final = 17 * 1024 * 1024  # of a message in the broker, where its body is base64

# A message's body holds an event in two more lists: [[event], {}, {}], [[[event, ...]], {}, {}].
MOST_BODY_NESTING: Final = MOST_NESTING + 3

_DIGITS: Final = bytes.maketrans(b"123456789+-.eE", b"00000000000000")
_TOO_LONG: Final = b"0" * (MOST_DIGITS + 1)
_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_STRUCTURE: Final = bytes(set(range(256)) - set(b'[]{}:"'))


def json_fault(
    text: bytes, *, most_bytes: int = MOST_BYTES, nesting: int = MOST_NESTING, events: int = 1
) -> str | None:
    """Say which bound JSON exceeds, by default those of one event; None where it is within them.

    What is no JSON may be within them too: up to its first mistake it is looked at rightly, and there a decoder stops.
    """
    if len(text) > most_bytes:
        return f"is {len(text):,} bytes of JSON; at most {most_bytes:,} are taken"
    if _TOO_LONG in text.translate(_DIGITS) and _TOO_LONG in _outside_strings(text).translate(_DIGITS):
        return f"holds a number of more than {MOST_DIGITS} digits"
    most_keys = MOST_KEYS * events
    if text.count(b"[") + text.count(b"{") <= nesting and text.count(b":") <= most_keys:
        return None
    structure = _outside_strings(text, without=_NO_STRUCTURE)
    keys = structure.count(b":")
    if keys > most_keys:
        return f"has {keys:,} keys; at most {most_keys:,} are taken"
    brackets = structure.translate(_BRACKETS, b':"')
    for _ in range(nesting):
        if not brackets:
            return None
        brackets = brackets.replace(b"[]", b"")  # the innermost ones
    return f"is nested deeper than {nesting} levels" if brackets else None


def _outside_strings(text: bytes, *, without: bytes = b"") -> bytes:
    """Return what stands outside the strings of JSON, each of which becomes `"` or nothing."""
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    text = text.translate(None, without)
    if without:
        text = text.replace(b'""', b"")  # which leaves every other quote what it is, an opening or a closing one
    return b'"'.join(text.split(b'"')[::2])


_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]+|[\]}]+|[,:]', re.DOTALL)


def elements(text: bytes) -> list[bytes]:
    """Cut a JSON list into the text of its elements, or an object into its keys and values in turn, at any nesting.

    Raises ValueError where brackets do not match, or it is neither.
    """
    text = text.strip()
    if text[:1] + text[-1:] not in {b"[]", b"{}"}:
        raise ValueError("neither a list nor an object")
    parts, begin, depth, last = [], 1, 0, len(text) - 1
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in b"[{":
            depth += token.end() - token.start()
        elif first in b"]}":
            depth -= token.end() - token.start()
            if depth < 0 or (depth == 0) != (token.end() > last):
                raise ValueError("brackets that do not match")
        elif first in b",:" and depth == 1:
            parts.append(text[begin : token.start()].strip())
            begin = token.end()
    if depth:
        raise ValueError("brackets that do not match")
    rest = text[begin:last].strip()
    return [*parts, rest] if parts or rest else []
