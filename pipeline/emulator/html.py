"""HTML from plain values: whatever is not marked as HTML already is escaped, so that no caller can forget to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from urllib.parse import quote, urlencode

_STYLE = (resources.files("pipeline.emulator") / "page.css").read_text(encoding="utf-8")
_VOID = frozenset({"input", "link", "meta"})


class Html(str):
    """Text that is HTML; made by the functions of this file alone."""

    __slots__ = ()


def tag(name: str, /, *inside: object, **attributes: object) -> Html:
    """Return an element; everything ``inside`` that is not Html is escaped, None and lists are unfolded.

    Attributes that are None or False are left out; ``class_`` and ``for_`` stand for the words that Python keeps.
    """
    given = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    end = "" if name in _VOID else f"{join(*inside)}</{name}>"
    return Html(f"<{name}{given}>{end}")


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def join(*inside: object) -> Html:
    """Return values one after the other, each escaped unless it is Html."""
    parts: list[str] = []
    for part in inside:
        if isinstance(part, Html):
            parts.append(part)
        elif isinstance(part, (list, tuple)):
            parts.append(join(*part))
        elif part is not None:
            parts.append(escape(str(part)))
    return Html("".join(parts))


def link(text: object, *segments: str, class_: str | None = None, **query: object) -> Html:
    """Return a link to an address of this page, given by its path's segments and its query."""
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    return tag("a", text, href=f"{path}?{urlencode(query)}" if query else path, class_=class_)


def table(heads: Sequence[object], rows: Iterable[Sequence[object]], *, numeric: Sequence[int] = ()) -> Html:
    """Return a table that scrolls sideways; columns at the ``numeric`` positions are aligned to the right."""

    def line(cells: Sequence[object], name: str) -> Html:
        return tag("tr", [tag(name, cell, class_="number" if at in numeric else None) for at, cell in enumerate(cells)])

    body = tag("tbody", [line(row, "td") for row in rows])
    return tag("div", tag("table", tag("thead", line(heads, "th")), body), class_="scroll")


def section(title: object, *inside: object, class_: str | None = None) -> Html:
    """Return a part of a page under a heading."""
    return tag("section", tag("h2", title), *inside, class_=class_)


def document(title: str, *inside: object) -> bytes:
    """Return a whole page, complete without scripts and without anything to be fetched."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        # A browser that finds an icon here asks for none.
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{title} · Salesforce emulator"),
        tag("style", Html(_STYLE)),
    )
    banner = tag("header", link("Salesforce emulator", class_="home"), tag("span", "an org on this machine"))
    page = tag("html", head, tag("body", banner, tag("main", *inside)), lang="en")
    return f"<!doctype html>{page}".encode(errors="replace")
