"""A query compiled against the schema: which clauses it may have, and the plan that answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from pipeline.emulator.errors import SEE_DESCRIBE
from pipeline.emulator.schema import Field, Schema, SObject
from pipeline.emulator.soql import semijoins
from pipeline.emulator.soql.columns import Column, Columns, no_such_relationship
from pipeline.emulator.soql.conditions import Conditions, Sql
from pipeline.emulator.soql.expressions import Expressions
from pipeline.emulator.soql.functions import in_order, is_aggregate, sortable
from pipeline.emulator.soql.groups import Groups, is_grouped
from pipeline.emulator.soql.parse import QUERY_WITH, not_answered
from pipeline.emulator.soql.plan import Children, Plan
from pipeline.emulator.soql.records import Records
from pipeline.emulator.soql.tree import (
    Expression,
    Function,
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
from pipeline.emulator.store import quote

# SOQL limits: rows that OFFSET skips, fields of ORDER BY, queries inside the select list, levels of them.
MOST_OFFSET: Final = 2_000
MOST_ORDERED: Final = 32
MOST_CHILDREN: Final = 20
MOST_LEVELS, MOST_LEVELS_BEFORE_58 = 5, 2
# The first versions of the API that have USING SCOPE, TYPEOF, FIELDS() and deeper queries inside the select list.
_SCOPE_SINCE, _TYPEOF_SINCE, _FIELDS_SINCE, _LEVELS_SINCE = 32, 46, 51, 58
_SCOPES: Final = frozenset(
    {"delegated", "mine_and_my_groups", "my_territory", "my_team_territory", "scopingrule", "team"}
)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: the user, if there is one, and the version of the API."""

    user_id: str = ""
    version: float = 68.0


class Compiler:
    """Compiles queries against a schema; ``looked_up`` is told which fields are searched for exact values."""

    def __init__(
        self, schema: Schema, today: date, looked_up: Callable[[SObject, Field], None], asker: Asker | None = None
    ) -> None:
        self._schema = schema
        self._today = today
        self._looked_up = looked_up
        self._asker = asker or Asker()
        self._zoned = False

    def compile(self, query: Query, *, deleted: bool = False) -> Plan:
        """Return the plan of a query; raise QueryError."""
        self._zoned = False
        _check_clauses(query)
        path = query.sources[0].path
        one = self._schema.get(query.source)
        if one is None or not one.queryable or len(path.names) > 1:
            message = (
                f"sObject type '{query.source}' is not supported. If you are attempting to use a custom object, be sure"
                f" to append the '__c' after the entity name. {SEE_DESCRIBE}"
            )
            raise QueryError("INVALID_TYPE", message, query.source_position)
        plan = self._compile(query, one, deleted=deleted, level=1)
        if query.scope is not None:
            self._scope(query.scope, plan)
        plan.zoned = self._zoned
        return plan

    def _spans_days(self) -> None:
        self._zoned = True

    def _compile(self, query: Query, one: SObject, *, deleted: bool, level: int = 0, alias: str = "t") -> Plan:
        """Compile a query, the outermost (level 1) or one in a select list; level 0 is one inside IN."""
        self._check_version(query)
        _check_numbers(query)
        semijoins.check_places(query, inside="" if level == 1 else "child" if level else "semi-join")
        columns = Columns(self._schema, one, alias, query.sources)
        expressions = Expressions(columns)
        plan = Plan(one, limit=query.limit, offset=query.offset or 0, one_page=query.offset is not None)

        def conditions(column_of: Callable[[Expression], Column]) -> Conditions:
            def looked_up(column: Column) -> None:
                if column.join is None:
                    self._looked_up(one, column.field)

            def semi_join(member: Member, left: Column) -> Sql:
                return self._semi_join(member, left, columns)

            return Conditions(column_of, semi_join, looked_up, self._today, self._spans_days)

        self._filter(query, plan, expressions, conditions, deleted=deleted)
        if level != 1 and is_grouped(query):
            raise malformed("only root queries support aggregate expressions", query.position)
        if _only_counts(query):
            plan.counts = True
        elif is_grouped(query):
            Groups(query, plan, expressions, conditions).select()
        else:

            def children(inner: Query) -> Children:
                return self._children(inner, query, plan, columns, deleted=deleted, level=level)

            Records(query, plan, expressions, children).select()
            _order(query, plan, expressions)
        plan.source = columns.from_sql()
        self._zoned |= expressions.zoned
        return plan

    def _check_version(self, query: Query) -> None:
        version = self._asker.version
        for item in query.selected:
            if isinstance(item, TypeOf) and version < _TYPEOF_SINCE:
                raise unexpected("TYPEOF", item.path.position)
            expression = item.expression if isinstance(item, Selected) else None
            if isinstance(expression, Function) and expression.name == "FIELDS" and version < _FIELDS_SINCE:
                raise unexpected("FIELDS", expression.position)

    def _scope(self, scope: Path, plan: Plan) -> None:
        """Keep the records of USING SCOPE."""
        name = str(scope).lower()
        if self._asker.version < _SCOPE_SINCE:
            raise unexpected("USING", scope.position)
        if name in _SCOPES:
            raise beyond(f"USING SCOPE {scope}")
        if name not in {"everything", "mine"}:
            raise unexpected(scope, scope.position)
        if name == "everything":
            return
        owner = plan.one.field("OwnerId")
        if owner is None:
            raise malformed(f"The scope 'mine' is not supported for {plan.one.name}", scope.position)
        if not self._asker.user_id:
            raise beyond("USING SCOPE mine without a session")
        condition = f"t.{quote(owner.name)} = ?"
        plan.where = f"{plan.where} AND {condition}" if plan.where else condition
        plan.parameters.append(self._asker.user_id)

    def _children(
        self, query: Query, above: Query, plan: Plan, columns: Columns, *, deleted: bool, level: int
    ) -> Children:
        _check_clauses(query)
        if query.scope is not None:
            raise malformed("USING SCOPE is not supported in a query inside a select list", query.scope.position)
        most = MOST_LEVELS if self._asker.version >= _LEVELS_SINCE else MOST_LEVELS_BEFORE_58
        if level >= most:
            raise malformed(
                f"SOQL statements may have at most {most} levels of parent-to-child relationships", query.position
            )
        if len(plan.children) == MOST_CHILDREN:
            raise malformed(f"a query has at most {MOST_CHILDREN} parent-to-child relationships", query.position)
        if query.offset is not None and above.limit != 1:
            raise malformed("OFFSET in a query inside a select list needs LIMIT 1 outside", query.position)
        names = columns.strip(query.sources[0].path)
        for child, reference in self._schema.children(plan.one.name):
            name = reference.child_relationship_name
            if name and len(names) == 1 and name.lower() == names[0].lower():
                inner = self._compile(query, child, deleted=deleted, level=level + 1)
                plan.localized |= inner.localized
                plan.chooses |= inner.chooses
                return Children(name, inner, inner.place(f"t.{quote(reference.name)}"))
        where = "FROM part of query call"
        raise no_such_relationship(query.source, query.source_position, where=where, code="INVALID_TYPE")

    def _semi_join(self, member: Member, left: Column, columns: Columns) -> Sql:
        query = member.choices
        assert isinstance(query, Query)
        _check_clauses(query)
        if member.operator not in {"IN", "NOT IN"}:
            raise unexpected("SELECT", query.position)
        semijoins.check_left(member, left, columns)
        one = self._schema.get(query.source)
        if one is None or not one.queryable:
            raise QueryError("INVALID_TYPE", f"sObject type '{query.source}' is not supported.", query.source_position)
        selected = semijoins.check_inner(query, one, columns.one)
        plan = self._compile(query, one, deleted=False, alias="s")
        inner = Columns(self._schema, one, "s", query.sources).find(selected)
        semijoins.check_match(member, (columns.one, left), (one, inner), selected)
        sql = plan.sql(columns=inner.sql, extra=f"{inner.sql} IS NOT NULL")
        parameters = [*plan.parameters, *plan.tail_parameters]
        if member.operator == "IN":
            return f"{left.sql} IN ({sql})", parameters
        return f"({left.sql} NOT IN ({sql}) OR {left.sql} IS NULL)", parameters

    @staticmethod
    def _filter(
        query: Query, plan: Plan, expressions: Expressions, conditions: Callable[..., Conditions], *, deleted: bool
    ) -> None:
        wheres: list[str] = []
        if query.where is not None:

            def column_of(expression: Expression) -> Column:
                return expressions.column(expression, "WHERE")

            sql, plan.parameters = conditions(column_of).sql(query.where)
            wheres.append(sql)
        if plan.one.has_deleted and not deleted:
            wheres.append(f"{expressions.columns.alias}.IsDeleted = 0")
        plan.where = " AND ".join(wheres)


def _check_clauses(query: Query) -> None:
    """Refuse clauses that the emulator does not answer."""
    if query.with_clause is not None:
        raise not_answered(query.with_clause, QUERY_WITH)
    for end, position in query.ends:
        if end == "ALL ROWS":
            raise malformed("ALL ROWS not allowed in this context", position)
        raise beyond(end)


def _check_numbers(query: Query) -> None:
    """Refuse an offset or an order beyond the limits."""
    if query.offset is not None and query.offset > MOST_OFFSET:
        raise QueryError("NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000")
    if len(query.order) > MOST_ORDERED:
        position = query.order[MOST_ORDERED].expression.position
        raise malformed(f"ORDER BY has at most {MOST_ORDERED} fields", position)


def _only_counts(query: Query) -> bool:
    """Whether a query is SELECT COUNT(), which stands alone."""
    counts = [
        item
        for item in query.selected
        if isinstance(item, Selected)
        and isinstance(item.expression, Function)
        and item.expression.name == "COUNT"
        and not item.expression.arguments
    ]
    if not counts:
        return False
    position = counts[0].expression.position
    if counts[0].alias is not None:
        raise unexpected(counts[0].alias, position)
    if len(query.selected) > 1 or query.group:
        message = "Grouped query with COUNT() or COUNT() beside other fields is not supported"
        raise malformed(message, position)
    if query.order:
        raise malformed("SELECT COUNT() cannot also use ORDER BY", query.order[0].expression.position)
    return True


def _order(query: Query, plan: Plan, expressions: Expressions) -> None:
    """Sort records."""
    items: list[str] = []
    for item in query.order:
        expression = item.expression
        if is_aggregate(expression):
            raise malformed(f"Ordered field must be grouped or aggregated: {expression}", expression.position)
        column = expressions.column(expression, "ORDER BY")
        if isinstance(expression, Path) and not sortable(column.field):
            raise malformed(f"field '{column.field.name}' can not be sorted in a query call", expression.position)
        if isinstance(expression, Function) and expression.name != "DISTANCE":
            raise malformed(f"Ordered field must be grouped or aggregated: {expression}", expression.position)
        direction = "DESC" if item.descending else "ASC"
        # NULLS LAST does not work for references (ORDER BY).
        nulls_last = item.nulls_last and column.field.type != "reference"
        nulls = f"NULLS {'LAST' if nulls_last else 'FIRST'}"
        items += [f"{sql} {direction} {nulls}" for sql in in_order(column.field, column.sql)]
    # Salesforce promises no order without ORDER BY; creation order is what it mostly shows.
    items.append(f"{expressions.columns.alias}.rowid")
    plan.tail += f" ORDER BY {', '.join(items)}"
