"""The version of all that the pipeline keeps in Redis, so that an older worker does not misread what a newer one wrote.

Key
    pipeline:schema   the version, a whole number; absent: nothing was written yet, or by a version before there was one
"""

from importlib.resources import files
from typing import Final

from redis import Redis

from pipeline.errors import ConfigurationError

KEY: Final = "pipeline:schema"
SCHEMA: Final = 1
_RAISE: Final = files(__package__).joinpath("schema_raise.lua").read_text("utf-8")


class NewerState(ConfigurationError):  # noqa: N818  (a fact about Redis, not a fault)
    """What is in Redis was written by a newer version, so this worker must not touch it."""


def check_schema(redis: Redis, *, schema: int = SCHEMA) -> None:
    """Take note that this version writes here. Raises NewerState where a newer one has; RedisError."""
    stored = int(redis.register_script(_RAISE)(keys=[KEY], args=[schema]))
    if stored > schema:
        raise NewerState(
            f"Redis holds the state of a newer version (schema {stored}, and this one reads up to {schema}): start the "
            "newer version; docs/deployment.md says how to go back"
        )
