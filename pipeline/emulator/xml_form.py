"""XML as the SOAP and the bulk API take it and give it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

XSI = "http://www.w3.org/2001/XMLSchema-instance"
_NIL = f"{{{XSI}}}nil"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


class InvalidXml(ValueError):  # noqa: N818 - it says what the text is
    """The text is no XML, or has a document type."""


def parse(raw: bytes) -> ET.Element:
    """Return the outermost element; raise InvalidXml, for a document type as well, which could define entities."""
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise InvalidXml("a document type is not allowed")
    try:
        return ET.fromstring(raw)  # noqa: S314 - without a document type there are no entities to expand
    except (ET.ParseError, RecursionError) as problem:
        raise InvalidXml(f"the request is no XML: {problem}") from None


def local(element: ET.Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def find(root: ET.Element, name: str) -> ET.Element | None:
    """Return the first element of a name inside another, whatever its namespace and however deep."""
    return next((element for element in root.iter() if local(element) == name), None)


def children(element: ET.Element, name: str) -> Iterator[ET.Element]:
    """Yield the elements of a name right inside another."""
    return (child for child in element if local(child) == name)


def text_of(element: ET.Element | None) -> str:
    """Return an element's text without blanks around it; empty for no element."""
    return (element.text or "").strip() if element is not None else ""


def is_nil(element: ET.Element) -> bool:
    """Whether an element says that it stands for null."""
    return element.get(_NIL, "").lower() in {"true", "1"}


def element(name: str, value: Any, /, **attributes: str) -> str:
    """Return an element; a mapping becomes elements inside it, a list several elements, None ``xsi:nil``.

    ``attributes`` with two underscores have a colon there: ``xsi__type``.
    """
    given = "".join(f" {key.replace('__', ':')}={quoteattr(text)}" for key, text in attributes.items())
    if isinstance(value, list | tuple):
        return "".join(element(name, one, **attributes) for one in value)
    if value is None:
        return f'<{name}{given} xsi:nil="true"/>'
    if isinstance(value, Raw):
        return f"<{name}{given}>{value}</{name}>"
    if isinstance(value, Mapping):
        return f"<{name}{given}>{elements(value)}</{name}>"
    return f"<{name}{given}>{escape(scalar(value))}</{name}>"


class Raw(str):
    """Text that is XML already."""

    __slots__ = ()


def elements(values: Mapping[str, Any]) -> Raw:
    """Return the elements of a mapping, in its order."""
    return Raw("".join(element(name, value) for name, value in values.items()))


def scalar(value: Any) -> str:
    """Return a value as XML Schema writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def document(name: str, namespace: str, inside: Raw) -> bytes:
    """Return a whole document whose outermost element has a namespace, and knows ``xsi``."""
    return f'{_DECLARATION}<{name} xmlns="{namespace}" xmlns:xsi="{XSI}">{inside}</{name}>'.encode()
