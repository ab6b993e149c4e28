"""Configured actions: for which events, and what to which record."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, cast

from pipeline.destination import Action, Condition
from pipeline.mapping.paths import MISSING, compile_path
from pipeline.mapping.values import is_blank
from pipeline.operation import Json

Event: TypeAlias = Mapping[str, Json]
Predicate: TypeAlias = Callable[[Event], bool]

_ORDER: Final = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def compile_filter(action: Action) -> Predicate:
    """Return whether an event of the action's type is one it is for. Raises ValueError for a path that is none."""
    named = _compile_names(action.events)
    alternatives = [[_compile_condition(condition) for condition in all_of] for all_of in action.where]

    def applies(event: Event) -> bool:
        if named is not None and not named(event.get("event")):
            return False
        return not alternatives or any(all(holds(event) for holds in all_of) for all_of in alternatives)

    return applies


def _compile_names(names: Sequence[str]) -> Callable[[Json], bool] | None:
    if not names:
        return None
    exact = {name for name in names if not _is_pattern(name)}
    patterns = [_wildcard(name) for name in names if _is_pattern(name)]

    def named(name: Json) -> bool:
        return isinstance(name, str) and (name in exact or any(pattern.fullmatch(name) for pattern in patterns))

    return named


def _compile_condition(condition: Condition) -> Predicate:
    get = compile_path(condition.path)
    holds = _compile_comparison(condition.comparison, condition.operand)

    def predicate(event: Event) -> bool:
        value = get(event)
        return holds(None if value is MISSING else value)  # type: ignore[arg-type]  # MISSING is the only Missing

    return predicate


def _compile_comparison(comparison: str, operand: Json) -> Callable[[Json], bool]:
    if comparison == "exists":
        return lambda value: is_blank(value) is not operand
    if comparison in ("in", "not_in"):
        choices = operand if isinstance(operand, list) else [operand]
        wanted = comparison == "in"
        return lambda value: any(_same(value, choice) for choice in choices) is wanted
    if comparison in ("is", "not"):
        wanted = comparison == "is"
        return lambda value: _same(value, operand) is wanted
    if comparison == "matches":
        pattern = _wildcard(str(operand))
        return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None
    compare, bound = _ORDER[comparison], cast("float", operand)
    return lambda value: (number := _number(value)) is not None and compare(number, bound)


def _same(value: Json, other: Json) -> bool:
    """Compare as JSON does: true is not 1."""
    return value == other and isinstance(value, bool) is isinstance(other, bool)


def _number(value: Json) -> float | None:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def _wildcard(pattern: str) -> re.Pattern[str]:
    """Compile `Order *`: `*` is any text, `?` one character, and nothing else is special."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
