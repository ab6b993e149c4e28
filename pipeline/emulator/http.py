"""A call and its reply, apart from any server: composite subrequests travel as the same values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pipeline.emulator import errors

JSON_TYPE = "application/json;charset=UTF-8"


class HeaderName(bytes):
    """A header's name that is sent as it is written: uvicorn sends what ``lower`` returns.

    Salesforce writes ``Sforce-Locator``, and some clients look headers up in a plain dict (Airbyte's declarative
    streams: ``headers["Sforce-Locator"]``).
    """

    def lower(self) -> Self:
        """Return the name itself."""
        return self


class _LengthName(HeaderName):
    """Content-Length, which uvicorn looks for among the names."""

    def __eq__(self, other: object) -> bool:
        """Compare without case, as header names are."""
        return isinstance(other, bytes) and bytes.lower(self) == bytes.lower(other)

    __hash__ = bytes.__hash__


@cache
def header_name(name: str) -> HeaderName:
    """Return a header's name, ready to be sent; the emulator's own names are few."""
    return (_LengthName if name == "Content-Length" else HeaderName)(name.encode("latin-1"))


@dataclass(slots=True)
class Call:
    """One REST request: ``path`` holds the unquoted segments after ``/services/data/vXX.0``."""

    method: str
    version: str
    path: tuple[str, ...]
    query: dict[str, str]
    headers: Mapping[str, str]
    raw: bytes = b""
    user_id: str = ""
    # The decoded body of a composite subrequest; a top-level call decodes ``raw`` when it is asked for.
    decoded: Any = None
    inner: bool = False
    # Where the URLs in replies point: scheme and host as the client reached the emulator.
    base_url: str = ""

    @property
    def root(self) -> str:
        """The path that URLs in replies begin with."""
        return f"/services/data/v{self.version}"

    @property
    def number(self) -> float:
        """The version as a number."""
        return float(self.version)

    def json(self) -> Any:
        """Return the body; raise 400 JSON_PARSER_ERROR with line and column when it is no JSON, 415 when it says so."""
        if self.inner or self.decoded is not None:
            return self.decoded
        kind = self.headers.get("content-type", JSON_TYPE)
        if "json" not in kind.lower():
            message = f"Content-Type header specified in HTTP request is not supported: {kind}"
            raise errors.refuse(415, "UNSUPPORTED_MEDIA_TYPE", message)
        self.decoded = parse_json(self.raw)
        return self.decoded


@dataclass(slots=True)
class Reply:
    """An answer: ``body`` is JSON data, or bytes with their own content type, or None for an empty reply."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE

    def encode(self, *, pretty: bool = False) -> bytes:
        """Return the body as bytes."""
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        if pretty:
            return json.dumps(self.body, ensure_ascii=False, indent=2).encode()
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


def parse_json(raw: bytes) -> Any:
    """Decode a JSON body as Salesforce's parser does: UTF-8, no NaN; raise 400 JSON_PARSER_ERROR."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise errors.json_invalid("Invalid UTF-8 start byte") from None
    if not text.strip():
        raise errors.json_invalid("No content to map to Object due to end of input")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as problem:
        raise errors.json_invalid(_unexpected(text, problem), problem.lineno, problem.colno) from None
    except _ConstantError as problem:
        raise errors.json_invalid(
            f"Non-standard token '{problem}': enable JsonParser.Feature.ALLOW_NON_NUMERIC_NUMBERS to allow"
        ) from None
    except (ValueError, RecursionError):
        # A number of more than 4,300 digits, or lists in lists without end.
        raise errors.json_invalid("The body is too deep, or a number in it too long") from None


class _ConstantError(ValueError):
    """The body holds NaN or Infinity, which are no JSON."""


def _no_constant(name: str) -> Any:
    raise _ConstantError(name)


def _unexpected(text: str, problem: json.JSONDecodeError) -> str:
    """Word a syntax error as the Jackson parser, which Salesforce uses, does."""
    if problem.pos >= len(text.rstrip()):
        return "Unexpected end-of-input: expected close marker for OBJECT"
    letter = text[problem.pos]
    expected = {
        "Expecting property name enclosed in double quotes": "double-quote to start field name",
        "Expecting ',' delimiter": "comma to separate OBJECT entries",
        "Expecting ':' delimiter": "a colon to separate field name and value",
        "Expecting value": "a valid value (number, String, array, object, 'true', 'false' or 'null')",
    }.get(problem.msg, "a valid value")
    return f"Unexpected character ('{letter}' (code {ord(letter)})): was expecting {expected}"


def split_path(path: str) -> tuple[str, ...]:
    """Return the unquoted segments of a path, without empty ones."""
    return tuple(unquote(segment) for segment in path.split("/") if segment)


def parse_query(query: str) -> dict[str, str]:
    """Return query parameters; of a repeated one the last counts, but a search may name several objects so."""
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    if "sobject" in given:
        given["sobject"] = ",".join(value for name, value in pairs if name == "sobject")
    return given


def split_url(url: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the path segments and the query parameters of a subrequest's URL."""
    parts = urlsplit(url)
    return split_path(parts.path), parse_query(parts.query)


def header_options(value: str | None) -> dict[str, str]:
    """Read a header such as ``allowSave=true; includeRecordDetails=true``; names are lower-cased."""
    pairs = (part.partition("=") for part in (value or "").replace(",", ";").split(";"))
    return {name.strip().lower(): given.strip() for name, _, given in pairs if name.strip()}


def read_options(call: Call, header: str, known: frozenset[str]) -> dict[str, str]:
    """Return the options of a header of Salesforce's; raise ApiError for one that nobody would read."""
    value = call.headers.get(header)
    if not value:
        return {}
    options = header_options(value)
    unread = min(options.keys() - known, default=None)
    if unread is not None:
        raise errors.not_covered(f"{unread} of the header {header}")
    return options
