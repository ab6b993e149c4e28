"""What a fault of the Redis server means, in words an operator can act on."""

from collections.abc import Mapping
from typing import Final

from redis.exceptions import OutOfMemoryError, ReadOnlyError

_REFUSALS: Final[Mapping[type[Exception], str]] = {
    OutOfMemoryError: "Redis is full (maxmemory) and takes nothing more; what it holds is safe. Give it more memory",
    ReadOnlyError: "this Redis is a replica and takes no writes; point PIPELINE_REDIS_URL at its master",
}
# What errors of several libraries have in common is their text; it is looked at and never quoted.
_MARKS: Final[Mapping[str, str]] = {
    "CERTIFICATE_VERIFY_FAILED": "the certificate of Redis is not trusted: name its authority in the address, as "
    "rediss://host:6379/0?ssl_ca_certs=/etc/ssl/redis-ca.pem, and the host as the certificate does",
    "WRONG_VERSION_NUMBER": "Redis does not speak TLS on this port; write redis://, or the port of its TLS",
    "invalid username-password pair": "Redis knows the name or the password of its user otherwise: set "
    "PIPELINE_REDIS_PASSWORD, and the name in PIPELINE_REDIS_URL",
    "Authentication required": "Redis wants a password: set PIPELINE_REDIS_PASSWORD",
    "no permissions": "the user of Redis lacks a right; docs/security.md lists those that it needs",
}


def in_words(error: Exception) -> str:
    """Say what happened and what to do; of any other fault, its kind, as its text may quote a command's arguments."""
    return told(error) or f"Redis does not answer ({type(error).__name__})"


def told(error: Exception) -> str | None:
    """Say what happened and what to do, where that is known."""
    text = str(error)
    # What a server says to those who wait when it becomes a replica.
    kind = ReadOnlyError if text.startswith("UNBLOCKED") else type(error)
    return _REFUSALS.get(kind) or next((words for mark, words in _MARKS.items() if mark in text), None)
