"""What a fault of the Redis server means, in words an operator can act on."""

from collections.abc import Mapping
from typing import Final

from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError, ReadOnlyError

_LOGIN: Final = (
    "Redis refuses the login: check the user and the password in PIPELINE_REDIS_URL, as in "
    "redis://user:password@host:6379/0, or the password in PIPELINE_REDIS_PASSWORD"
)
_RIGHTS: Final = (
    "this user may not do that in Redis: let it use every key and command the pipeline needs (ACL); docs/security.md "
    "lists them"
)
_REFUSALS: Final[Mapping[type[Exception], str]] = {
    OutOfMemoryError: "Redis is full (maxmemory) and takes nothing more; what it holds is safe. Give it more memory",
    ReadOnlyError: "this Redis is a replica and takes no writes; point PIPELINE_REDIS_URL at its master",
    AuthenticationError: _LOGIN,
    NoPermissionError: _RIGHTS,
}
# What errors of several libraries have in common is their text; it is looked at and never quoted.
_MARKS: Final[Mapping[str, str]] = {
    "CERTIFICATE_VERIFY_FAILED": "the certificate of Redis is not trusted: name its authority in the address, as "
    "rediss://host:6379/0?ssl_ca_certs=/etc/ssl/redis-ca.pem, and the host as the certificate does",
    "WRONG_VERSION_NUMBER": "Redis does not speak TLS on this port; write redis://, or the port of its TLS",
    "invalid username-password pair": _LOGIN,
    "Authentication required": _LOGIN,
    "no permissions": _RIGHTS,
}


def in_words(error: Exception) -> str:
    """Say what happened and what to do; of any other fault, its kind, as its text may quote a command's arguments."""
    return _told(error) or f"Redis does not answer ({type(error).__name__})"


def may_delete(policy: str) -> str:
    """Say what a server whose maxmemory-policy is not `noeviction` does to events."""
    return (
        f"Redis deletes events when it is full (maxmemory-policy {policy}); set maxmemory-policy noeviction there, "
        "docs/deployment.md"
    )


def is_refusal(error: Exception) -> bool:
    """Tell whether the server has answered, and said no, or was not who it should be."""
    return _told(error) is not None


def _told(error: Exception) -> str | None:
    text = str(error)
    # What a server says to those who wait when it becomes a replica.
    kind = ReadOnlyError if text.startswith("UNBLOCKED") else type(error)
    return _REFUSALS.get(kind) or next((words for mark, words in _MARKS.items() if mark in text), None)
