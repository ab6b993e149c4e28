"""SOQL text into a tree of plain values that remember where they stood."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError

from pipeline.emulator.errors import ApiError, refuse

# SOQL and SOSL limits: statement length.
MOST_CHARACTERS = 100_000
# How much of the statement an error message shows around the position.
_BEFORE, _AFTER = 60, 20
_STRING = re.compile(r"'([^'\\]*(?:\\.[^'\\]*)*)'", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_PLAIN_ESCAPES = {"n": "\n", "N": "\n", "r": "\r", "R": "\r", "t": "\t", "T": "\t", "b": "\b", "B": "\b", "f": "\f"}
_PLAIN_ESCAPES |= {"F": "\f", '"': '"', "'": "'", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Path:
    """A field, reached through relationships: ``Account.Owner.Name``."""

    names: tuple[str, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Function:
    """A call such as ``COUNT(Id)`` or ``FIELDS(ALL)``."""

    name: str
    arguments: tuple[Path | Function, ...]
    position: int


Expression = Path | Function


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: its kind, its value, and for a string its text before the escapes were read."""

    kind: Literal["string", "number", "datetime", "date", "boolean", "null", "date_literal"]
    value: Any
    position: int
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Compare:
    """``field operator value``; LIKE is an operator too."""

    left: Expression
    operator: str
    right: Value


@dataclass(frozen=True, slots=True)
class Member:
    """``field IN (...)`` and its kin; ``choices`` are literals or a query of one field."""

    left: Expression
    operator: str
    choices: tuple[Value, ...] | Query


@dataclass(frozen=True, slots=True)
class Logic:
    """AND, OR or NOT over conditions."""

    operator: Literal["AND", "OR", "NOT"]
    parts: tuple[Condition, ...]


Condition = Compare | Member | Logic


@dataclass(frozen=True, slots=True)
class Selected:
    """One item of the select list."""

    expression: Expression
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One item of ORDER BY; nulls come first unless the query says otherwise."""

    expression: Expression
    descending: bool = False
    nulls_last: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query, or one inside another."""

    selected: tuple[Selected | Query, ...]
    source: str
    source_position: int
    alias: str | None = None
    where: Condition | None = None
    group: tuple[Expression, ...] = ()
    having: Condition | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    all_rows: bool = False


@dataclass
class QueryError(Exception):
    """What is wrong with a query, and where; ``position`` counts characters from 0."""

    code: str
    message: str
    position: int | None = None

    def reply(self, text: str) -> ApiError:
        """Return the 400 with the snippet and the caret under the place."""
        if self.position is None:
            return refuse(400, self.code, self.message)
        before = text[: self.position]
        row = before.count("\n") + 1
        column = self.position - (before.rfind("\n") + 1) + 1
        start = max(self.position - _BEFORE, before.rfind("\n") + 1)
        end = text.find("\n", self.position)
        shown = text[start : min(self.position + _AFTER, end if end >= 0 else len(text))]
        caret = " " * (self.position - start) + "^"
        return refuse(400, self.code, f"\n{shown}\n{caret}\nERROR at Row:{row}:Column:{column}\n{self.message}")


def malformed(message: str, position: int | None = None) -> QueryError:
    """Return a MALFORMED_QUERY."""
    return QueryError("MALFORMED_QUERY", message, position)


def unescape(raw: str, position: int, *, like: bool = False) -> str:
    r"""Read the escapes of a string literal (SOQL reference, quoted string escape sequences).

    For LIKE the result is a pattern in which a backslash takes the next character literally, so ``\%`` stays.
    """
    if "\\" not in raw:
        return raw

    def one(match: re.Match[str]) -> str:
        sequence = match.group(1)
        if len(sequence) > 1:
            letter = chr(int(sequence[1:], 16))
            return "\\\\" if like and letter == "\\" else letter
        if like and sequence in "%_\\":
            return "\\" + sequence
        if sequence in "%_":
            return "\\" + sequence if like else sequence
        if sequence not in _PLAIN_ESCAPES:
            raise malformed(
                f"Invalid string literal '{raw}'. Illegal character sequence '\\{sequence}' in string literal.",
                position,
            )
        return _PLAIN_ESCAPES[sequence]

    return _ESCAPE.sub(one, raw)


@v_args(inline=True)
class _Build(Transformer[Token, Query]):
    """Turns lark's tree into the values above."""

    def start(self, query: Query) -> Query:
        return query

    def path(self, *names: Token) -> Path:
        return Path(tuple(str(name) for name in names), names[0].start_pos or 0)

    def function(self, name: Token, *arguments: Expression) -> Function:
        return Function(name.upper(), arguments, name.start_pos or 0)

    def alias(self, name: Token) -> str:
        return str(name)

    def selected(self, expression: Expression, alias: str | None = None) -> Selected:
        return Selected(expression, alias)

    def child_query(self, query: Query) -> Query:
        return query

    def select_list(self, *items: Selected | Query | Expression) -> tuple[Selected | Query, ...]:
        return tuple(item if isinstance(item, Selected | Query) else Selected(item) for item in items)

    def value(self, token: Token) -> Value:
        position = token.start_pos or 0
        text = str(token)
        if token.type == "STRING":
            return Value("string", unescape(text[1:-1], position), position, text[1:-1])
        if token.type == "NUMBER":
            return Value("number", float(text) if re.search(r"[.eE]", text) else int(text), position)
        if token.type in {"DATETIME", "DATE"}:
            return Value("datetime" if token.type == "DATETIME" else "date", text, position)
        if token.type in {"TRUE", "FALSE"}:
            return Value("boolean", token.type == "TRUE", position)
        if token.type == "NULL":
            return Value("null", None, position)
        return Value("date_literal", text.upper(), position)

    def compare(self, left: Expression, operator: Token, right: Value) -> Compare:
        return Compare(left, "!=" if operator == "<>" else str(operator), right)

    def like(self, left: Expression, _: Token, right: Value) -> Compare:
        return Compare(left, "LIKE", right)

    def membership(self, *words: Token) -> str:
        return " ".join(word.upper() for word in words)

    multi = membership

    def member(self, left: Expression, operator: str, choices: tuple[Value, ...] | Query) -> Member:
        return Member(left, operator, choices)

    multi_member = member

    def string_list(self, token: Token) -> tuple[Value, ...]:
        start = token.start_pos or 0
        if "\\" not in token:
            return tuple(Value("string", raw, start, raw) for raw in _STRING.findall(token))
        found = [(match.group(1), start + match.start()) for match in _STRING.finditer(token)]
        return tuple(Value("string", unescape(raw, position), position, raw) for raw, position in found)

    def mixed_list(self, *values: Value) -> tuple[Value, ...]:
        return values

    def semi_join(self, query: Query) -> Query:
        return query

    def and_condition(self, *parts: Any) -> Logic:
        return Logic("AND", tuple(part for part in parts if not isinstance(part, Token)))

    def or_condition(self, *parts: Any) -> Logic:
        return Logic("OR", tuple(part for part in parts if not isinstance(part, Token)))

    def negation(self, _: Token, part: Condition) -> Logic:
        return Logic("NOT", (part,))

    def source(self, name: Token, *rest: Token) -> tuple[str, int, str | None]:
        kinds = [token.type for token in rest]
        if "USING" in kinds:
            rest = rest[: kinds.index("USING")]
        names = [str(token) for token in rest if token.type == "NAME"]
        return str(name), name.start_pos or 0, names[0] if names else None

    def where(self, _: Token, condition: Condition) -> tuple[str, Any]:
        return "where", condition

    def group(self, _: Token, __: Token, *expressions: Expression) -> tuple[str, Any]:
        return "group", expressions

    def having(self, _: Token, condition: Condition) -> tuple[str, Any]:
        return "having", condition

    def direction(self, token: Token) -> tuple[str, bool]:
        return "descending", token.type == "DESC"

    def nulls(self, _: Token, token: Token) -> tuple[str, bool]:
        return "nulls_last", token.type == "LAST"

    def order_item(self, expression: Expression, *parts: tuple[str, bool]) -> Order:
        return Order(expression, **dict(parts))

    def order(self, _: Token, __: Token, *items: Order) -> tuple[str, Any]:
        return "order", items

    def limit(self, _: Token, number: Token) -> tuple[str, Any]:
        return "limit", _whole(number)

    def offset(self, _: Token, number: Token) -> tuple[str, Any]:
        return "offset", _whole(number)

    def for_clause(self, *words: Token) -> tuple[str, Any]:
        return "all_rows", words[0].type == "ALL"

    def query(self, _: Token, selected: Any, __: Token, source: tuple[str, int, str | None], *clauses: Any) -> Query:
        name, position, alias = source
        return Query(selected, name, position, alias, **dict(clauses))


def _whole(number: Token) -> int:
    if not number.isdigit():
        raise malformed(f"unexpected token: '{number}'", number.start_pos)
    return int(number)


@functools.cache
def _parser() -> Lark:
    grammar = (resources.files("pipeline.emulator.soql") / "grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=False, maybe_placeholders=False)


# Statements that are worth remembering; long ones carry lists of keys and do not come again.
_REMEMBERED_CHARACTERS = 500


def parse(text: str) -> Query:
    """Read a query; raise QueryError (MALFORMED_QUERY) where it is none."""
    if len(text) <= _REMEMBERED_CHARACTERS:
        return _parse_remembered(text)
    return _parse(text)


@functools.lru_cache(maxsize=512)
def _parse_remembered(text: str) -> Query:
    return _parse(text)


def _parse(text: str) -> Query:
    if not text.strip():
        raise malformed("A query string has to be specified")
    if len(text) > MOST_CHARACTERS:
        raise malformed("SOQL statements cannot be longer than 100000 characters.")
    try:
        tree = _parser().parse(text)
        return _Build().transform(tree)
    except VisitError as wrapped:
        raise wrapped.orig_exc from None
    except UnexpectedToken as problem:
        token = problem.token
        if token.type == "$END":
            raise malformed("unexpected token: '<EOF>'", len(text)) from None
        raise malformed(f"unexpected token: '{token}'", token.start_pos) from None
    except UnexpectedCharacters as problem:
        word = re.match(r"[A-Za-z0-9_]+|.", text[problem.pos_in_stream :], re.DOTALL)
        shown = word.group(0) if word else ""
        if shown in {"'", '"', "\\"}:
            raise malformed(f"line 1:{problem.pos_in_stream} no viable alternative at character '{shown}'") from None
        raise malformed(f"unexpected token: '{shown}'", problem.pos_in_stream) from None
    except UnexpectedInput:
        raise malformed("unexpected token", 0) from None
