"""SOQL: a grammar, its meaning in terms of the org's objects, and the SQL that answers it."""
