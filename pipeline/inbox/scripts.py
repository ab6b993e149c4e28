"""Run the Lua scripts that own every contended change of state; each stands in a file of its own beside this one."""

import hashlib
from importlib.resources import files
from typing import Any, cast

from redis import Redis
from redis.exceptions import NoScriptError


class Script:
    """One Lua file. Called by its digest, sent in full only where the server does not know it yet."""

    def __init__(self, name: str) -> None:
        self._text = files(__package__).joinpath(f"{name}.lua").read_text("utf-8")
        self._digest = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, redis: Redis, base: str, *arguments: str | bytes | float) -> Any:
        """Run the script on the keys below `base`, for instance `pipeline:{Lead}:`, and return what it returns."""
        try:
            return cast("Any", redis.evalsha(self._digest, 1, base, *arguments))
        except NoScriptError:
            return cast("Any", redis.eval(self._text, 1, base, *arguments))
