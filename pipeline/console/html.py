"""HTML from plain values: whatever is not marked as HTML already is escaped, so that no caller can forget to.

The emulator's page is written the same way and shares no code with this one, as nothing of the emulator does.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

_VOID: Final = frozenset({"input", "link", "meta", "br"})


class Html(str):
    """Text that is HTML; made by `tag` and `join` alone."""

    __slots__ = ()


def tag(name: str, /, *inside: object, **attributes: object) -> Html:
    """Return an element of HTML or SVG; what is `inside` is escaped unless it is Html, None and lists are unfolded.

    Attributes that are None or False are left out; `_` stands for `-`, and one at the end is dropped, as in `class_`.
    """
    given = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    return Html(f"<{name}{given}>" if name in _VOID else f"<{name}{given}>{join(*inside)}</{name}>")


def join(*inside: object) -> Html:
    """Return values one after the other, each escaped unless it is Html."""
    return Html("".join(_written(part) for part in inside))


def section(title: object, *inside: object, class_: str | None = None, **attributes: object) -> Html:
    """Return a part of a page under a heading."""
    return tag("section", tag("h2", title), *inside, class_=class_, **attributes)


def table(heads: Sequence[object], rows: Iterable[Sequence[object]], *, numeric: Sequence[int] = ()) -> Html:
    """Return a table that scrolls sideways by itself; columns at the `numeric` positions stand to the right."""

    def line(cells: Sequence[object], name: str, **attributes: object) -> Html:
        classes = ["number" if at in numeric else None for at in range(len(cells))]
        return tag("tr", [tag(name, it, class_=one, **attributes) for it, one in zip(cells, classes, strict=True)])

    body = tag("tbody", [line(row, "td") for row in rows])
    return tag("div", tag("table", tag("thead", line(heads, "th", scope="col")), body), class_="scroll")


def empty(told: object, *next_step: object) -> Html:
    """Return what stands where there is nothing to show: what that means, and what to do next."""
    return tag("p", tag("b", told), " ", *next_step, class_="empty")


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def _written(part: object) -> str:
    if part is None:
        return ""
    if isinstance(part, list | tuple):
        return join(*part)
    return part if isinstance(part, Html) else escape(str(part))
