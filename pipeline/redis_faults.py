"""What a fault of the Redis server means, in words an operator can act on."""

from redis.exceptions import OutOfMemoryError, ReadOnlyError

_REFUSALS: dict[type[Exception], str] = {
    OutOfMemoryError: "Redis is full (maxmemory) and takes nothing more; what it holds is safe. Give it more memory",
    ReadOnlyError: "this Redis is a replica and takes no writes; point PIPELINE_REDIS_URL at its master",
}


def in_words(error: Exception) -> str:
    """Say what happened and what to do; of any other fault, its kind, as its text may quote a command's arguments."""
    # What a server says to those who wait when it becomes a replica.
    kind = ReadOnlyError if str(error).startswith("UNBLOCKED") else type(error)
    return _REFUSALS.get(kind, f"Redis does not answer ({type(error).__name__})")
