"""What a fault of the Redis server means, in words an operator can act on."""

from redis.exceptions import AuthenticationError, NoPermissionError, OutOfMemoryError, ReadOnlyError

_REFUSALS: dict[type[Exception], str] = {
    OutOfMemoryError: "Redis is full (maxmemory) and takes nothing more; what it holds is safe. Give it more memory",
    ReadOnlyError: "this Redis is a replica and takes no writes; point PIPELINE_REDIS_URL at its master",
    AuthenticationError: "Redis refuses the login: check the user and the password in PIPELINE_REDIS_URL, as in "
    "redis://user:password@host:6379/0",
    NoPermissionError: "this user may not do that in Redis: let it use every key and command the pipeline needs (ACL)",
}


def in_words(error: Exception) -> str:
    """Say what happened and what to do; of any other fault, its kind, as its text may quote a command's arguments."""
    return _REFUSALS.get(_kind(error), f"Redis does not answer ({type(error).__name__})")


def is_refusal(error: Exception) -> bool:
    """Tell whether the server has answered, and said no."""
    return _kind(error) in _REFUSALS


def _kind(error: Exception) -> type[Exception]:
    # What a server says to those who wait when it becomes a replica.
    return ReadOnlyError if str(error).startswith("UNBLOCKED") else type(error)
