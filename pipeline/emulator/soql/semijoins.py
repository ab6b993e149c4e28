"""Where a query inside IN may stand and what it may be ("Considerations for Semi-Join and Anti-Join Queries")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.emulator.schema import ID_TYPES, Field, SObject
from pipeline.emulator.soql.columns import Column, Columns
from pipeline.emulator.soql.functions import is_aggregate
from pipeline.emulator.soql.tree import Condition, Logic, Member, Path, Query, Selected, malformed

_MOST: Final = 2
_NOT_SUPPORTED: Final = frozenset({"ActivityHistory", "Attachment", "Event", "Note", "OpenActivity", "Task"})
_NESTED: Final = (
    "Semi join sub-selects are only allowed at the top level WHERE expressions and not in nested WHERE expressions."
)


def check_places(query: Query, *, inside: str) -> None:
    """Refuse semi-joins where they may not stand; ``inside`` is "", "semi-join" or "child"."""
    found = list(_semi_joins(query.where, ()))
    for found_in_having, _ in _semi_joins(query.having, ()):
        raise malformed("Semi join sub-selects are not allowed in HAVING", found_in_having.source_position)
    for number, (inner, above) in enumerate(found, start=1):
        position = inner.source_position
        if inside == "semi-join":
            raise malformed("Nesting of semi join sub-selects is not supported", position)
        if "NOT" in above:
            raise malformed("Semi join sub-selects are not allowed with the 'NOT' operator", position)
        if above[:1] == ("OR",):
            raise malformed("Semi join sub-selects are not allowed with the 'OR' operator", position)
        if inside or len(above) > 1:
            raise malformed(_NESTED, position)
        if number > _MOST:
            raise malformed(f"Maximum {_MOST} semi join sub-selects are allowed.", position)


def _semi_joins(condition: Condition | None, above: tuple[str, ...]) -> Iterator[tuple[Query, tuple[str, ...]]]:
    """Yield the queries in a condition, each with the logical operators above it."""
    if isinstance(condition, Member) and isinstance(condition.choices, Query):
        yield condition.choices, above
    elif isinstance(condition, Logic):
        for part in condition.parts:
            yield from _semi_joins(part, (*above, condition.operator))


def check_left(condition: Member, column: Column, columns: Columns) -> None:
    """Refuse a left operand that is no Id or reference of the queried object itself."""
    left = condition.left
    if not isinstance(left, Path) or column.field.type not in ID_TYPES:
        message = (
            "The left operand field in the where expression for outer query should be an id field, cannot use:"
            f" '{left}'"
        )
        raise malformed(message, left.position)
    if len(columns.strip(left)) > 1:
        raise malformed(f"The left operand '{left}' cannot have more than one level of relationships", left.position)


def check_inner(query: Query, one: SObject, outer: SObject) -> Path:
    """Return the field that an inner query selects; raise QueryError for a query that may not stand inside IN."""
    position = query.source_position
    for clause, given in (
        ("USING SCOPE", query.scope),
        ("GROUP BY", query.group),
        ("ORDER BY", query.order),
        ("LIMIT", query.limit is not None),
        ("OFFSET", query.offset is not None),
        *((end, True) for end, _ in query.ends),
    ):
        if given:
            raise malformed(f"{clause} is not supported in a semi join sub-select", position)
    if one.name in _NOT_SUPPORTED:
        raise malformed(f"Entity '{one.name}' is not supported for semi join inner selects", position)
    if one.name == outer.name:
        raise malformed("The inner and outer selects should not be on the same object type", position)
    if len(query.selected) != 1 or not isinstance(query.selected[0], Selected):
        raise malformed("a semi join sub-select must select exactly one field", position)
    (selected,) = query.selected
    assert isinstance(selected, Selected)
    expression = selected.expression
    if is_aggregate(expression):
        raise malformed("only root queries support aggregate expressions", expression.position)
    if selected.alias is not None:
        raise malformed("only aggregate expressions use field aliasing", expression.position)
    if not isinstance(expression, Path):
        raise malformed("a semi join sub-select must select exactly one field", expression.position)
    return expression


def check_match(
    condition: Member, outer: tuple[SObject, Column], inner: tuple[SObject, Column], selected: Path
) -> None:
    """Refuse fields that cannot hold the Id of one record."""
    if inner[1].field.type not in ID_TYPES:
        raise malformed(f"semi join sub-selects can only query id fields, cannot use: '{selected}'", selected.position)
    if inner[1].join is not None:
        message = f"The inner select field '{selected}' cannot have more than one level of relationships"
        raise malformed(message, selected.position)
    if not _targets(outer[0], outer[1].field) & _targets(inner[0], inner[1].field):
        message = (
            f"The selected field '{selected}' in the subquery and the left operand field in the where expression in the"
            f" outer query '{condition.left}' should point to the same object type"
        )
        raise malformed(message, condition.left.position)


def _targets(one: SObject, known: Field) -> set[str]:
    return {one.name} if known.type == "id" else set(known.reference_to)
