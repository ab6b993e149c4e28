"""Operation: what to do to which record, the one value that travels from mapping to the inbox to delivery."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, cast

from lz4.block import LZ4BlockError, compress, decompress

from pipeline.dictionary import DICTIONARY

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Verb: TypeAlias = Literal["create", "read", "update", "upsert", "delete"]

FORMAT: Final = 1  # of an operation as JSON; a reader that meets a newer one must not guess
# What a compressed one begins with: LZ4 with dictionary 1. No JSON begins so, which is all that older versions read.
_COMPRESSED: Final = b"z1 "
_SIZE_BYTES: Final = 4  # of an LZ4 block's length before it was compressed, which stands before it
_BEST_RATIO: Final = 255  # LZ4 counts the length of a match in bytes of at most 255
_UNREADABLE: Final = "not an operation of a format this version reads; deploy workers before producers"


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


# Made once: json.dumps makes an encoder for each call that wants other separators, and json.loads guesses at encodings.
_to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False, ensure_ascii=False).encode
_from_json = json.JSONDecoder(parse_constant=_refuse).decode

# Salesforce's longest indexed text is 255 characters; what is longer matches no record and is only told apart.
_LONGEST_KEY_VALUE = 255
_KEY_SYNTAX = re.compile(r"[%&=\x00-\x20\x7f-\x9f{}]")


def fold(value: Json) -> str:
    """Return the text by which Salesforce compares a match value: `A@x.com ` and `a@x.com` fold alike.

    Text is compared without case and stored trimmed (SOQL reference, "Comparison operators"; SOAP guide, "Strings").
    `lower` and not `casefold`, because two values that Salesforce tells apart must never fold alike.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return unicodedata.normalize("NFC", str(value)).strip().lower()


def record_key(match: Mapping[str, Json]) -> str:
    """Name the record that `match` (field → value) selects: `email=a@x.com`, several fields joined with `&`.

    Field names are compared without case, as Salesforce does. The parts between `&` are the locks of the key.
    """
    return "&".join(sorted(_lock(name, value) for name, value in match.items()))


def locks_of(key: str) -> list[str]:
    """Return the match values that have to be locked while `key` is looked up and written."""
    return key.split("&")


def _lock(name: str, value: Json) -> str:
    text = fold(value)
    if len(text) > _LONGEST_KEY_VALUE:
        text = "sha256-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name.lower()}={_KEY_SYNTAX.sub(_percent, text)}"


def _percent(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one rule wants done to one record because of one event.

    `fields` are named by API name, `traits` by the event's own names: which field a trait means is decided at
    delivery, by the org's describe as it is then. `on_create` is written only where the record does not exist yet.
    """

    id: str  # messageId and rule; the same message always plans the same ids
    object: str  # API name of the object, as "Lead"
    verb: Verb
    match: Mapping[str, Json] = field(default_factory=dict)  # field → value, all of which select the record; or Id
    fields: Mapping[str, Json] = field(default_factory=dict)
    traits: Mapping[str, Json] = field(default_factory=dict)
    on_create: Mapping[str, Json] = field(default_factory=dict)
    options: Mapping[str, Json] = field(default_factory=dict)  # what the rule says about delivery, if not the default
    event_time_ms: int  # Unix time of the event, corrected for the sender's clock
    event: Mapping[str, Json] = field(default_factory=dict, repr=False)  # the accepted event, kept for dead letters

    @property
    def key(self) -> str:
        """The record key: operations with one key are applied in order and never at the same time."""
        return record_key(self.match) if self.match else record_key({"operation": self.id})

    def __repr__(self) -> str:
        """Tell what kind of operation this is without showing anyone's data."""
        return f"<Operation {self.verb} {self.object} {self.id}>"


def encode(operation: Operation) -> bytes:
    """Store an operation: JSON in UTF-8, empty parts left out, as an LZ4 block with a length and a dictionary."""
    document: dict[str, Any] = {
        "v": FORMAT,
        "id": operation.id,
        "object": operation.object,
        "verb": operation.verb,
        "time": operation.event_time_ms,
    }
    for name in ("match", "fields", "traits", "on_create", "options", "event"):
        value = getattr(operation, name)
        if value:
            document[name] = value
    return compressed(document)


def decode(stored: bytes) -> Operation:
    """Read what `encode` wrote. Raises ValueError for anything else, a newer format included."""
    read = read_document(stored)
    if not isinstance(read, dict) or read.get("v") != FORMAT:
        raise ValueError(_UNREADABLE)
    try:
        return Operation(
            id=read["id"],
            object=read["object"],
            verb=cast("Verb", read["verb"]),
            match=read.get("match", {}),
            fields=read.get("fields", {}),
            traits=read.get("traits", {}),
            on_create=read.get("on_create", {}),
            options=read.get("options", {}),
            event_time_ms=read["time"],
            event=read.get("event", {}),
        )
    except KeyError as missing:
        raise ValueError(f"an operation without {missing}") from None


def compressed(document: Any) -> bytes:
    """Return a document that JSON can say as it is stored: in UTF-8, as an LZ4 block with a length and a dictionary."""
    # As text a half of a surrogate pair has no UTF-8, and this is how `json.loads` would read one.
    block: bytes = compress(_to_json(document).encode("utf-8", "surrogatepass"), dict=DICTIONARY)
    return _COMPRESSED + block


def read_document(stored: bytes) -> Any:
    """Read what `compressed` gave or, as dead letters and older versions have it, JSON in words.

    Raises ValueError for what is neither.
    """
    try:
        text = _decompress(stored) if stored.startswith(_COMPRESSED) else stored
        return _from_json(str(text, "utf-8", "surrogatepass"))
    except (ValueError, LZ4BlockError, RecursionError):  # which quote what they are about
        raise ValueError(_UNREADABLE) from None


def in_words(stored: bytes) -> str:
    """Return the JSON of a stored operation in ASCII, for people and older versions. Raises ValueError as above."""
    return json.dumps(read_document(stored), separators=(",", ":"))


def _decompress(stored: bytes) -> bytes:
    block = stored[len(_COMPRESSED) :]
    # What is no operation may claim any length, and memory would be asked for before it is found out.
    if int.from_bytes(block[:_SIZE_BYTES], "little") > _BEST_RATIO * len(block):
        raise ValueError(_UNREADABLE)
    return cast("bytes", decompress(block, dict=DICTIONARY))


def in_order(operations: Sequence[Operation]) -> list[int]:
    """Return the positions of `operations` (given by arrival) in event-time order, arrival being the tie-break."""
    return sorted(range(len(operations)), key=lambda position: operations[position].event_time_ms)
