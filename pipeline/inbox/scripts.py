"""Run the Lua scripts that own every contended change of state; each stands in a file of its own beside this one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

from redis import Redis
from redis.exceptions import NoScriptError, RedisError


class Script:
    """One Lua file. Called by its digest, sent in full only where the server does not know it yet."""

    def __init__(self, name: str) -> None:
        self._text = files(__package__).joinpath(f"{name}.lua").read_text("utf-8")
        self.digest = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, redis: Redis, base: str, *arguments: str | bytes | float) -> Any:
        """Run the script on the keys below `base`, for instance `pipeline:{Lead}:`, and return what it returns."""
        try:
            return cast("Any", redis.evalsha(self.digest, 1, base, *arguments))
        except NoScriptError:
            return cast("Any", redis.eval(self._text, 1, base, *arguments))

    def call(self, base: str, *arguments: str | bytes | float) -> "Call":
        """Return a call that `run_together` makes along with others."""
        return Call(self, base, arguments)


@dataclass(frozen=True, slots=True)
class Call:
    """One script with its arguments, not run yet."""

    script: Script
    base: str
    arguments: Sequence[str | bytes | float]


def run_together(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    """Run scripts in the order given, in one round trip, and return what each returns.

    This is no transaction: their keys lie in different slots, and whoever calls has to stand a crash between any two of
    them. Raises the first RedisError once all have been tried.
    """
    pipe = redis.pipeline(transaction=False)
    for call in calls:
        pipe.evalsha(call.script.digest, 1, call.base, *call.arguments)
    answers = pipe.execute(raise_on_error=False)
    for position, call in enumerate(calls):
        if isinstance(answers[position], NoScriptError):
            answers[position] = call.script(redis, call.base, *call.arguments)
    for answer in answers:
        if isinstance(answer, RedisError):
            raise answer
    return answers
