"""The select list of a query that returns records: fields, parents, children, TYPEOF, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pipeline.emulator.schema import SObject
from pipeline.emulator.soql.columns import Column, Join
from pipeline.emulator.soql.expressions import Expressions
from pipeline.emulator.soql.formats import formatted
from pipeline.emulator.soql.functions import DATE_FUNCTIONS, SHOWN_AS, argument
from pipeline.emulator.soql.plan import Children, Choice, Leaf, Node, Plan
from pipeline.emulator.soql.tree import (
    Compare,
    Function,
    Logic,
    Member,
    Path,
    Query,
    QueryError,
    Selected,
    TypeOf,
    beyond,
    malformed,
    unexpected,
)

MOST_FIELDS_ROWS: Final = 200
_SELECTORS: Final = frozenset({"ALL", "STANDARD", "CUSTOM"})
_NO_ALIAS: Final = "only aggregate expressions use field aliasing"


class Records:
    """Puts the items of a select list into a plan; ``children`` compiles a query inside the list."""

    def __init__(
        self, query: Query, plan: Plan, expressions: Expressions, children: Callable[[Query], Children]
    ) -> None:
        self._query = query
        self._plan = plan
        self._expressions = expressions
        self._columns = expressions.columns
        self._children = children

    def select(self) -> None:
        """Fill the plan."""
        plan = self._plan
        plan.node = Node([(plan.one, plan.place(f"{self._columns.alias}.Id"))])
        for item in self._query.selected:
            if isinstance(item, Query):
                children = self._children(item)
                _claim(plan.node, children.key, item.position)
                plan.children.append(children)
            elif isinstance(item, TypeOf):
                self._choice(item)
            else:
                self._item(item)
        if not plan.node.entries and not plan.children:
            # FIELDS(CUSTOM) of an object without custom fields.
            raise malformed("The SOQL FIELDS function selected no fields", self._query.position)

    def _item(self, item: Selected) -> None:
        expression = item.expression
        if isinstance(expression, Function) and expression.name == "FIELDS":
            if item.alias is not None:
                raise malformed(_NO_ALIAS, expression.position)
            for path in fields_of(expression, self._query, self._plan.one):
                self._field(path)
        elif isinstance(expression, Path):
            if item.alias is not None:
                raise malformed(_NO_ALIAS, expression.position)
            self._field(expression)
        else:
            self._shown(expression, item.alias)

    def _shown(self, expression: Function, alias: str | None) -> None:
        """Place a function of the select list: FORMAT, toLabel, DISTANCE."""
        if expression.name in DATE_FUNCTIONS:
            raise malformed(f"Field must be grouped or aggregated: {expression}", expression.position)
        column = self._expressions.column(expression, "SELECT")
        if expression.name == "DISTANCE":
            if alias is None:
                raise beyond("DISTANCE in the select list without an alias")
            self._leaf((), alias, column, position=expression.position)
            return
        path = argument(expression)
        while isinstance(path, Function):
            if path.name not in SHOWN_AS:
                raise unexpected(path.name, path.position)
            path = argument(path)
        formats = expression.name == "FORMAT"
        self._plan.localized |= formats
        names = self._columns.strip(path)
        # An alias is a key of the record itself, whatever relationship its field is reached through.
        above = () if alias else names[:-1]
        self._leaf(above, alias or column.field.name, column, formats=formats, position=expression.position)

    def _field(self, path: Path) -> None:
        names = self._columns.strip(path)
        column = self._columns.find(path)
        self._leaf(names[:-1], column.field.name, column, position=path.position, written=str(path))

    def _leaf(
        self,
        above: Sequence[str],
        key: str,
        column: Column,
        *,
        position: int,
        formats: bool = False,
        written: str = "",
    ) -> None:
        node = self._node(above, position)
        _claim(node, key, position, written)
        show = formatted(column.field) if formats else None
        node.entries.append(Leaf(key, self._positions(column), column.field, show))

    def _node(self, above: Sequence[str], position: int) -> Node:
        """Return the record at the end of some relationships, creating those that are missing."""
        node = self._plan.node
        assert node is not None
        for depth, name in enumerate(above, start=1):
            join = self._columns.reach(tuple(above[:depth]), position)
            assert join is not None
            node = self._inner(node, join, name, position)
        return node

    def _inner(self, node: Node, join: Join, name: str, position: int) -> Node:
        key = join.reference.relationship_name or name
        inner = node.inner.get(key)
        if inner is None:
            _claim(node, key, position)
            inner = node.inner[key] = Node([(one, self._plan.place(f"{alias}.Id")) for one, alias in join.tables])
            node.entries.append((key, inner))
        return inner

    def _positions(self, column: Column) -> tuple[int, ...]:
        if not column.field.is_compound:
            return (self._plan.place(column.sql),)
        return tuple(self._plan.place(sql) if sql else -1 for sql in self._expressions.parts(column))

    # TYPEOF.

    def _choice(self, item: TypeOf) -> None:
        path = item.path
        if any(
            isinstance(other, Selected) and isinstance(other.expression, Function) for other in self._query.selected
        ):
            raise malformed("TYPEOF cannot be used with functions in the select list", path.position)
        names = self._columns.strip(path)
        join = self._columns.reach(names, path.position)
        assert join is not None
        if not join.is_polymorphic:
            raise malformed(f"TYPEOF takes a polymorphic relationship, which '{path}' is not", path.position)
        self._columns.count(len(item.whens))
        choice = Choice(join.reference.relationship_name or names[-1], [])
        node = self._node(names[:-1], path.position)
        _claim(node, choice.key, path.position)
        for name, items in item.whens:
            choice.nodes.append(self._when(join, name, items, item))
        if item.otherwise is not None:
            other = Node([(one, self._plan.place(f"{alias}.Id")) for one, alias in join.tables])
            for selected in item.otherwise:
                self._choose(other, join, selected, self._columns.within)
            choice.nodes.append(other)
        node.entries.append(choice)
        self._plan.chooses = True

    def _when(self, join: Join, name: Path, items: Sequence[Selected], item: TypeOf) -> Node:
        written = str(name)
        target = next((one for one in join.reference.reference_to if one.lower() == written.lower()), None)
        if target is None:
            message = f"sObject type '{written}' is not supported for the relationship '{item.path}'."
            raise QueryError("INVALID_TYPE", message, name.position)
        tables = [(one, alias) for one, alias in join.tables if one.name == target]
        if not tables:
            raise beyond(f"the object {target}")
        # Fields of the object itself, and not of the Name that all objects of the relationship have in common.
        alone = Join(join.reference, join.source, tables)
        node = Node([(tables[0][0], self._plan.place(f"{tables[0][1]}.Id"))])
        for selected in items:
            self._choose(node, alone, selected, self._columns.of_object)
        return node

    def _choose(self, node: Node, join: Join, selected: Selected, find: Callable[[Join, str, int], Column]) -> None:
        """Place a field of a WHEN or ELSE list."""
        path = selected.expression
        if isinstance(path, Function):
            raise malformed("TYPEOF cannot be used with functions in the select list", path.position)
        if selected.alias is not None:
            raise malformed(_NO_ALIAS, path.position)
        if len(path.names) > 1:
            raise beyond(f"relationships within TYPEOF ({path})")
        column = find(join, path.names[0], path.position)
        _claim(node, column.field.name, path.position, str(path))
        node.entries.append(Leaf(column.field.name, self._positions(column), column.field))


def _claim(node: Node, key: str, position: int, written: str = "") -> None:
    """Take a key of a record; raise QueryError when a field, a parent or a list of children has it."""
    if key.lower() in node.keys:
        raise QueryError("INVALID_FIELD", f"duplicate field selected: {written or key}", position)
    node.keys.add(key.lower())


def fields_of(expression: Function, query: Query, one: SObject) -> list[Path]:
    """Return the fields that FIELDS(ALL), FIELDS(STANDARD) or FIELDS(CUSTOM) stands for."""
    which = argument(expression)
    word = str(which).upper()
    if word not in _SELECTORS:
        raise unexpected(which, which.position)
    if word != "STANDARD" and not _is_bounded(query):
        raise malformed("The SOQL FIELDS function must have a LIMIT of at most 200", expression.position)
    chosen = [known for known in one.fields.values() if word == "ALL" or known.custom == (word == "CUSTOM")]
    return [Path((known.name,), expression.position) for known in chosen]


def _is_bounded(query: Query) -> bool:
    """Whether a query returns at most 200 rows: by its LIMIT, or by the Ids it asks for."""
    if query.limit is not None and query.limit <= MOST_FIELDS_ROWS:
        return True
    where = query.where
    parts = where.parts if isinstance(where, Logic) and where.operator != "NOT" else (where,)
    count = 0
    for part in parts:
        left = getattr(part, "left", None)
        if not isinstance(left, Path) or left.names[-1].lower() != "id":
            return False
        if isinstance(part, Compare) and part.operator == "=":
            count += 1
        elif isinstance(part, Member) and part.operator == "IN" and isinstance(part.choices, tuple):
            count += len(part.choices)
        else:
            return False
    return count <= MOST_FIELDS_ROWS
