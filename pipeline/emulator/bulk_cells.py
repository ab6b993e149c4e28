"""The rows of a bulk query as cells: both bulk APIs name a parent's field with dots and leave compounds out."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.emulator.soql.plan import Choice, Leaf, Node
from pipeline.emulator.soql.run import show_leaf
from pipeline.emulator.store import Row

# What a bulk query of an address or a location is refused with (both guides; message as clients quote it).
NO_COMPOUNDS = "Selecting compound data not supported in Bulk Query"


def has_compound(node: Node) -> bool:
    """Whether a query selects an address or a location, which no cell can hold."""
    return any(leaf.field.is_compound for _, leaf in _leaves(node, ()))


def header(node: Node) -> list[str]:
    """Return the names of the columns, such as ``Account.Name``."""
    return [".".join(names) for names, _ in _leaves(node, ())]


def cells(node: Node, row: Row) -> list[str]:
    """Return the cells of a row, empty for null."""
    return [_cell_text(leaf, row) for _, leaf in _leaves(node, ())]


def _leaves(node: Node, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    for entry in node.entries:
        if isinstance(entry, Leaf):
            yield (*above, entry.key), entry
        elif not isinstance(entry, Choice):
            yield from _leaves(entry[1], (*above, entry[0]))


def _cell_text(leaf: Leaf, row: Row) -> str:
    value = show_leaf(leaf, row)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
