"""Signed messages: who can write into the broker but has no key cannot make a worker run anything.

A serializer for kombu beside its own JSON. A body is `<HMAC-SHA256 in hex>.<JSON>`; the JSON is read once the signature
was found good, and no other way. Celery's own `auth` serializer signs with certificates, which every producer would
need a key pair for, and its content type is one that kombu also hands out unread to workers without it.

Bodies are signed, headers are not: a signed message can be sent again (its messageId makes that harmless), and its
arguments fit no other task.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Final

from kombu.serialization import register
from kombu.utils.json import dumps

from pipeline.plain_json import loads_body

SERIALIZER: Final = "signed-json"
CONTENT_TYPE: Final = "application/x-signed-json"
_SIGNATURE_CHARACTERS: Final = hashlib.sha256().digest_size * 2
_registered: Final[list[str]] = []


def sign(text: str, key: str) -> str:
    """Return `text` with its signature before it."""
    return f"{_signature(text.encode(), key)}.{text}"


def verified(signed: str | bytes, keys: Sequence[str]) -> str:
    """Return the text that one of `keys` has signed. Raises ValueError for anything else, without quoting it."""
    raw = signed.encode() if isinstance(signed, str) else bytes(signed)
    signature, dot, text = (
        raw[:_SIGNATURE_CHARACTERS],
        raw[_SIGNATURE_CHARACTERS:][:1],
        raw[_SIGNATURE_CHARACTERS + 1 :],
    )
    # All are compared, and each in constant time: how long it takes tells nothing.
    good = [hmac.compare_digest(signature, _signature(text, key).encode()) for key in keys]
    if dot != b"." or not any(good):
        raise ValueError("the signature is missing or wrong")
    return text.decode()


def register_signing(keys: Sequence[str]) -> None:
    """Make `signed-json` known to kombu: the first of `keys` signs, all of them verify."""
    _registered[:] = keys

    def encode(data: Any) -> str:
        return sign(dumps(data), keys[0])

    def decode(signed: str | bytes) -> Any:
        return loads_body(verified(signed, keys).encode())

    register(SERIALIZER, encode, decode, content_type=CONTENT_TYPE, content_encoding="utf-8")


def verified_text(signed: bytes) -> bytes:
    """Return the text that one of the registered keys has signed. Raises ValueError for anything else."""
    return verified(signed, _registered).encode()


def _signature(text: bytes, key: str) -> str:
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest()
