"""The CSV of Bulk API 2.0: what is uploaded, and what its result files say (Bulk API 2.0 guide, "Prepare CSV Files").

An empty cell leaves a field as it is, `#N/A` clears it. No column of our own may stand in a file, and the order of
results is not promised, so a result is told by the cells that were sent with it.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from pipeline.operation import Json
from pipeline.salesforce.errors import ErrorDetail

NULL: Final = "#N/A"
MOST_CELL_CHARACTERS: Final = 131_072  # of one cell (Bulk API 2.0 limits); Python's csv reads as many
_ADDED: Final = frozenset({"sf__Id", "sf__Created", "sf__Error"})  # columns of a result file
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NEWLINES = re.compile(r"\r\n?")
# `CODE:message:fields --`, one after the other; messages hold colons and dashes of their own.
_BETWEEN_ERRORS = re.compile(r"--;?\s*(?=[A-Z][A-Z0-9_]+:|$)")
_ERROR = re.compile(r"(?P<code>[A-Z][A-Z0-9_]+):(?P<message>.*?)(?::(?P<fields>[\w., ]*))?", re.DOTALL)


def cells_of(record: Mapping[str, Json]) -> dict[str, str] | None:
    """Return a record's values as cells, by field; None where CSV cannot say the same as JSON does.

    Null and blank text, which Salesforce stores as null, become `#N/A`, so a text that says `#N/A` cannot be sent; nor
    can a number with an exponent, of which the guide says nothing. Carriage returns, which fail the whole job inside a
    value, become line feeds.
    """
    cells: dict[str, str] = {}
    for name, value in record.items():
        cell = _cell(value)
        if cell is None:
            return None
        cells[name] = cell
    return cells


def _cell(value: Json) -> str | None:
    if value is None:
        return NULL
    if isinstance(value, str):
        text = _NEWLINES.sub("\n", value) if "\r" in value else value
        said = text.strip()
        if not said:
            return NULL
        is_sayable = said != NULL and len(text) <= MOST_CELL_CHARACTERS and "\0" not in text
        return text if is_sayable and _is_unicode(text) else None
    if isinstance(value, bool | int | float):
        text = json.dumps(value)
        return text if isinstance(value, bool) or _NUMBER.fullmatch(text) else None
    return None


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def digest_of(cells: Mapping[str, str]) -> str:
    """Return what tells a row by its cells, in whatever order the columns stand; empty cells say nothing.

    Nor do the columns that a result file adds.
    """
    said = [f"{name}\0{text}" for name, cell in cells.items() if (text := cell.strip()) and name not in _ADDED]
    text = "\0".join(sorted(said))
    if "\r" in text:
        text = _NEWLINES.sub("\n", text)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Table:
    """The rows of one job in the making; columns are added as they come."""

    def __init__(self) -> None:
        self._columns: dict[str, int] = {}
        self._rows: list[tuple[bytes, int]] = []
        self.size = 0  # bytes, about

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def add(self, cells: Mapping[str, str]) -> None:
        """Add a row."""
        for name in cells:
            self._columns.setdefault(name, len(self._columns))
        line = ",".join(_quoted(cells.get(name, "")) for name in self._columns).encode()
        self._rows.append((line, len(self._columns)))
        self.size += len(line) + 1

    def to_csv(self) -> bytes:
        """Return the file: UTF-8 without a mark, lines that end with LF, a header of API names."""
        width = len(self._columns)
        lines = (line + b"," * (width - columns) for line, columns in self._rows)
        return b"\n".join([",".join(self._columns).encode(), *lines, b""])


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if cell else ""


def read_rows(file: bytes) -> Iterator[dict[str, str]]:
    """Return the rows of a result file, column → cell. Raises ValueError for what is no CSV."""
    try:
        rows = csv.reader(io.TextIOWrapper(io.BytesIO(file), "utf-8-sig", newline=""), strict=True)
        header = next(rows, [])
        for row in rows:
            if row:
                yield dict(zip(header, row, strict=True))
    except csv.Error:
        raise ValueError("a result file that is no CSV") from None


def errors_of(text: str) -> tuple[ErrorDetail, ...]:
    """Read `sf__Error`, as `REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --`."""
    return tuple(_error(part.strip()) for part in _BETWEEN_ERRORS.split(text) if part.strip())


def _error(text: str) -> ErrorDetail:
    found = _ERROR.fullmatch(text)
    if found is None:
        return ErrorDetail("UNKNOWN", text)
    fields = [name.strip() for name in (found["fields"] or "").split(",")]
    return ErrorDetail(found["code"], found["message"], tuple(name for name in fields if name))
