"""Fields of a query found in the schema: which table, which column, and through which relationships."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pipeline.emulator.errors import NOT_ON_ENTITY, SEE_DESCRIBE
from pipeline.emulator.schema import Field, Schema, SObject, field_of
from pipeline.emulator.soql.tree import Path, QueryError, Source, malformed
from pipeline.emulator.store import quote

# Relationship fields may be this many steps away, and a query may use this many (Relationship Query Limitations).
MOST_STEPS: Final = 5
MOST_RELATIONSHIPS: Final = 55
# What a record reached through a polymorphic relationship shows (Object Reference: Name), by the objects that fill it;
# None means all that have the field.
_USER = frozenset({"User"})
_PEOPLE = frozenset({"User", "Contact", "Lead"})
_NAME_FIELDS: Final[dict[str, tuple[str, str, frozenset[str] | None]]] = {
    name.lower(): (name, kind, filled_by)
    for name, kind, filled_by in (
        ("Alias", "string", _USER),
        ("Email", "email", None),
        ("FirstName", "string", _PEOPLE),
        ("Id", "id", None),
        ("IsActive", "boolean", _USER),
        ("LastName", "string", _PEOPLE),
        ("LastReferencedDate", "datetime", None),
        ("LastViewedDate", "datetime", None),
        ("MiddleName", "string", _PEOPLE),
        ("Name", "string", None),
        ("Phone", "phone", _USER),
        ("ProfileId", "reference", _USER),
        ("Suffix", "string", _PEOPLE),
        ("Title", "string", _USER),
        ("Username", "string", _USER),
        ("UserRoleId", "reference", _USER),
    )
}
_NAME_RELATIONSHIPS: Final = frozenset({"profile", "userrole"})
_TYPE: Final = field_of({"name": "Type", "type": "string", "label": "Type"})


def no_such_relationship(
    name: str, position: int, *, where: str = "field path", code: str = "INVALID_FIELD"
) -> QueryError:
    """Return the refusal of a relationship that an object has not."""
    message = (
        f"Didn't understand relationship '{name}' in {where}. If you are attempting to use a custom relationship, be"
        " sure to append the '__r' after the custom relationship name. " + SEE_DESCRIBE
    )
    return QueryError(code, message, position)


@dataclass(slots=True)
class Join:
    """A table reached through a reference field; a polymorphic one has a table per target object."""

    reference: Field
    # The SQL expression of the reference's value.
    source: str
    tables: list[tuple[SObject, str]]
    inner: dict[str, Join] = field(default_factory=dict)

    @property
    def is_polymorphic(self) -> bool:
        """Whether the record can be of several objects, and so is seen as a Name."""
        return len(self.reference.reference_to) > 1

    @property
    def entity(self) -> str:
        """The object as error messages call it."""
        return "Name" if self.is_polymorphic or not self.tables else self.tables[0][0].name

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

    def __init__(self, schema: Schema, one: SObject, alias: str, sources: tuple[Source, ...]) -> None:
        self.schema = schema
        self.one = one
        self.alias = alias
        self.joins: dict[str, Join] = {}
        self.relationships = 0
        # Names by which the query may call its own object: its name and its alias.
        self._own = {one.name.lower(), sources[0].path.names[-1].lower()}
        if sources[0].alias:
            self._own.add(sources[0].alias.lower())
        # Short names of relationships: FROM Contact c, c.Account a.
        self._short: dict[str, tuple[str, ...]] = {}
        for source in sources[1:]:
            self._name(source)

    def _name(self, source: Source) -> None:
        names = self.strip(source.path)
        self.reach(names, source.path.position)
        if source.alias:
            if source.alias.lower() in self._own | self._short.keys():
                raise malformed(f"duplicate alias: {source.alias}", source.path.position)
            self._short[source.alias.lower()] = names

    def from_sql(self) -> str:
        """Return the FROM clause."""
        return f"{quote(self.one.name)} AS {self.alias}" + "".join(join.sql() for join in self.joins.values())

    def strip(self, path: Path) -> tuple[str, ...]:
        """Return a path's names without the object's own name in front, short names written out."""
        names = path.names
        first = names[0].lower()
        if len(names) > 1 and first in self._own and self.one.relationship(names[0]) is None:
            return names[1:]
        if len(names) > 1 and first in self._short:
            return (*self._short[first], *names[1:])
        return names

    def find(self, path: Path) -> Column:
        """Return the column of a field; raise QueryError (INVALID_FIELD) when there is none."""
        names = self.strip(path)
        return self.within(self.reach(names[:-1], path.position), names[-1], path.position)

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
                self.count(1)
            join = found
        return join

    def count(self, more: int) -> None:
        """Count relationships; raise QueryError when they are too many."""
        self.relationships += more
        if self.relationships > MOST_RELATIONSHIPS:
            raise malformed(f"a query uses at most {MOST_RELATIONSHIPS} child-to-parent relationships")

    def _new_join(self, above: Join | None, name: str, position: int) -> Join:
        tables = [(self.one, self.alias)] if above is None else above.tables
        if above is not None and above.is_polymorphic:
            # A Name has the relationships of a user alone.
            tables = (
                [(one, alias) for one, alias in tables if one.name == "User"]
                if name.lower() in _NAME_RELATIONSHIPS
                else []
            )
        found = next(((one, alias) for one, alias in tables if one.relationship(name) is not None), None)
        if found is None:
            raise no_such_relationship(name, position)
        one, alias = found
        reference = one.relationship(name)
        assert reference is not None
        prefix = self.alias if above is None else above.tables[0][1]
        number = len(self.joins if above is None else above.inner)
        targets = [self.schema.objects[target] for target in reference.reference_to if target in self.schema.objects]
        tables = [(target, f"{prefix}_{number}_{i}") for i, target in enumerate(targets)]
        return Join(reference, f"{alias}.{quote(reference.name)}", tables)

    def within(self, join: Join | None, name: str, position: int) -> Column:
        """Return the column of a field of the queried object, or of one that a relationship leads to."""
        if join is not None and join.is_polymorphic:
            return self._of_name(join, name, position)
        return self.of_object(join, name, position)

    def of_object(self, join: Join | None, name: str, position: int) -> Column:
        """Return the column of a field that an object itself has, whatever the relationship that leads to it."""
        one, alias = (self.one, self.alias) if join is None else next(iter(join.tables), (None, ""))
        known = one.field(name) if one is not None else None
        if one is None or known is None:
            entity = one.name if one is not None else "Name"
            raise QueryError("INVALID_FIELD", NOT_ON_ENTITY.format(field=name, entity=entity), position)
        return Column(known, f"{alias}.{quote(known.name)}", one.name, join)

    @staticmethod
    def _of_name(join: Join, name: str, position: int) -> Column:
        """Return a field of a Name: what the objects that a relationship may lead to have in common."""
        if name.lower() == "type":
            cases = " ".join(f"WHEN {alias}.Id IS NOT NULL THEN '{one.name}'" for one, alias in join.tables)
            return Column(_TYPE, f"CASE {cases} END" if cases else "NULL", "Name", join)
        if name.lower() not in _NAME_FIELDS:
            raise QueryError("INVALID_FIELD", NOT_ON_ENTITY.format(field=name, entity="Name"), position)
        written, kind, filled_by = _NAME_FIELDS[name.lower()]
        parts = []
        for one, alias in join.tables:
            own = one.name_field if written == "Name" else one.field(written)
            if own is not None and (filled_by is None or one.name in filled_by):
                parts.append(f"{alias}.{quote(own.name)}")
        if written == "Id":
            sql = join.source
        else:
            sql = parts[0] if len(parts) == 1 else f"COALESCE({', '.join(parts)})" if parts else "NULL"
        return Column(field_of({"name": written, "type": kind}), sql, "Name", join)
