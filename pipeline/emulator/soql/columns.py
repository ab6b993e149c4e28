"""Fields of a query found in the schema: which table, which column, and through which relationships."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.emulator.errors import NOT_ON_ENTITY, SEE_DESCRIBE
from pipeline.emulator.schema import Field, Schema, SObject, field_of
from pipeline.emulator.soql.parse import Path, QueryError
from pipeline.emulator.store import quote

# Relationship fields may be this many steps away (SOQL limits: child-to-parent relationships).
MOST_STEPS = 5
# What a record reached through a polymorphic relationship shows beside the fields all its targets have.
_TYPE = field_of({"name": "Type", "type": "string", "label": "Type"})


@dataclass(slots=True)
class Join:
    """A table reached through a reference field; a polymorphic one has a table per target object."""

    reference: Field
    # The SQL expression of the reference's value.
    source: str
    tables: list[tuple[SObject, str]]
    inner: dict[str, Join] = field(default_factory=dict)

    def sql(self) -> str:
        """Return the LEFT JOIN clauses, inner relationships last."""
        own = [f" LEFT JOIN {quote(one.name)} AS {alias} ON {alias}.Id = {self.source}" for one, alias in self.tables]
        return "".join(own) + "".join(join.sql() for join in self.inner.values())


@dataclass(slots=True)
class Column:
    """A field as SQL: its expression, and the relationship it was reached through (None for the queried object)."""

    field: Field
    sql: str
    entity: str
    join: Join | None = None


class Columns:
    """Finds the fields of one query and remembers the joins they need."""

    def __init__(self, schema: Schema, one: SObject, alias: str, names: Sequence[str]) -> None:
        self.schema = schema
        self.one = one
        self.alias = alias
        # Names by which the query may call its own object: its name and its alias.
        self._own = {name.lower() for name in names}
        self.joins: dict[str, Join] = {}

    def from_sql(self) -> str:
        """Return the FROM clause."""
        return f"{quote(self.one.name)} AS {self.alias}" + "".join(join.sql() for join in self.joins.values())

    def strip(self, path: Path) -> tuple[str, ...]:
        """Return a path's names without the object's own name in front."""
        names = path.names
        if len(names) > 1 and names[0].lower() in self._own and self.one.relationship(names[0]) is None:
            return names[1:]
        return names

    def find(self, path: Path) -> Column:
        """Return the column of a field; raise QueryError (INVALID_FIELD) when there is none."""
        names = self.strip(path)
        join = self.reach(names[:-1], path.position)
        return self._in(join, names[-1], path.position)

    def reach(self, relationships: tuple[str, ...], position: int) -> Join | None:
        """Return the last join on the way, creating the joins that are missing."""
        if len(relationships) > MOST_STEPS:
            message = "SOQL statements may reference at most 5 levels of child-to-parent relationships"
            raise QueryError("INVALID_FIELD", message, position)
        join: Join | None = None
        for name in relationships:
            joins = self.joins if join is None else join.inner
            found = joins.get(name.lower())
            if found is None:
                found = joins[name.lower()] = self._new_join(join, name, position)
            join = found
        return join

    def _new_join(self, above: Join | None, name: str, position: int) -> Join:
        tables = [(self.one, self.alias)] if above is None else above.tables
        sources: list[str] = []
        reference: Field | None = None
        for one, alias in tables:
            own = one.relationship(name)
            if own is not None:
                reference = reference or own
                sources.append(f"{alias}.{quote(own.name)}")
        if reference is None:
            message = (
                f"Didn't understand relationship '{name}' in field path. If you are attempting to use a custom"
                " relationship, be sure to append the '__r' after the custom relationship name. " + SEE_DESCRIBE
            )
            raise QueryError("INVALID_FIELD", message, position)
        source = sources[0] if len(sources) == 1 else f"COALESCE({', '.join(sources)})"
        prefix = self.alias if above is None else above.tables[0][1]
        number = len(self.joins if above is None else above.inner)
        targets = [self.schema.objects[target] for target in reference.reference_to if target in self.schema.objects]
        return Join(reference, source, [(one, f"{prefix}_{number}{i}") for i, one in enumerate(targets)])

    def _in(self, join: Join | None, name: str, position: int) -> Column:
        if join is None:
            known = self.one.field(name)
            if known is None:
                raise QueryError("INVALID_FIELD", NOT_ON_ENTITY.format(field=name, entity=self.one.name), position)
            return Column(known, f"{self.alias}.{quote(known.name)}", self.one.name)
        several = len(join.reference.reference_to) > 1
        if several and name.lower() == "type":
            cases = " ".join(f"WHEN {alias}.Id IS NOT NULL THEN '{one.name}'" for one, alias in join.tables)
            return Column(_TYPE, f"CASE {cases} END", "Name", join)
        found = [(one.field(name), alias) for one, alias in join.tables]
        known_here = [(known, alias) for known, alias in found if known is not None]
        if not known_here:
            entity = "Name" if several or not join.tables else join.tables[0][0].name
            raise QueryError("INVALID_FIELD", NOT_ON_ENTITY.format(field=name, entity=entity), position)
        parts = [f"{alias}.{quote(known.name)}" for known, alias in known_here]
        sql = parts[0] if len(parts) == 1 else f"COALESCE({', '.join(parts)})"
        return Column(known_here[0][0], sql, join.tables[0][0].name, join)
