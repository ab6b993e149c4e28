"""SOQL and SOSL text into a tree (see tree.py)."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args

from pipeline.emulator.soql.tree import (
    Compare,
    Condition,
    Expression,
    Function,
    Logic,
    Member,
    Order,
    Path,
    Query,
    QueryError,
    Returned,
    Search,
    Selected,
    Source,
    TypeOf,
    Value,
    beyond,
    malformed,
    unexpected,
)

# SOQL and SOSL limits: statement length, and that of a string in WHERE.
MOST_CHARACTERS = 100_000
MOST_STRING_CHARACTERS = 4_000
_STRING = re.compile(r"'([^'\\]*(?:\\.[^'\\]*)*)'", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_PLAIN_ESCAPES = {"n": "\n", "N": "\n", "r": "\r", "R": "\r", "t": "\t", "T": "\t", "b": "\b", "B": "\b", "f": "\f"}
_PLAIN_ESCAPES |= {"F": "\f", '"': '"', "'": "'", "\\": "\\"}
# Alias Notation: keywords that cannot be aliases.
_RESERVED = frozenset(
    [
        "AND",
        "ASC",
        "DESC",
        "EXCLUDES",
        "FIRST",
        "FROM",
        "GROUP",
        "HAVING",
        "IN",
        "INCLUDES",
        "LAST",
        "LIKE",
        "LIMIT",
        "NOT",
        "NULL",
        "NULLS",
        "OR",
        "SELECT",
        "USING",
        "WHERE",
        "WITH",
    ]
)
# WITH clauses of a query and of a search.
QUERY_WITH = ("SECURITY_ENFORCED", "USER_MODE", "SYSTEM_MODE", "DATA CATEGORY", "RecordVisibilityContext")
_SEARCH_WITH = (
    *("DIVISION", "DATA CATEGORY", "HIGHLIGHT", "METADATA", "NETWORK", "PricebookId", "SNIPPET", "SPELL_CORRECTION"),
)
_BOUND = "Bind variables only allowed in Apex code"


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
        if sequence not in _PLAIN_ESCAPES:
            raise malformed(
                f"Invalid string literal '{raw}'. Illegal character sequence '\\{sequence}' in string literal.",
                position,
            )
        return _PLAIN_ESCAPES[sequence]

    return _ESCAPE.sub(one, raw)


def _string(raw: str, position: int) -> Value:
    """Return a string literal; ``%`` and ``_`` may be escaped for LIKE alone, which reads the text anew."""
    if len(raw) > MOST_STRING_CHARACTERS:
        raise malformed(f"a string in WHERE has at most {MOST_STRING_CHARACTERS} characters", position)
    return Value("string", unescape(raw, position), position, raw)


@v_args(inline=True)
class _Build(Transformer[Token, Query]):
    """Turns lark's tree into the values of tree.py."""

    def start(self, query: Query) -> Query:
        return query

    def path(self, *names: Token) -> Path:
        return Path(tuple(str(name) for name in names), names[0].start_pos or 0)

    def function(self, name: Token, *arguments: Expression | Value) -> Function:
        return Function(name.upper(), arguments, name.start_pos or 0)

    def alias(self, *words: Token) -> str:
        name = words[-1]
        if name.upper() in _RESERVED:
            raise unexpected(name, name.start_pos)
        return str(name)

    def selected(self, expression: Expression, alias: str | None = None) -> Selected:
        return Selected(expression, alias)

    def child_query(self, query: Query) -> Query:
        return query

    def select_list(self, *items: Selected | Query | TypeOf | Expression) -> tuple[Selected | Query | TypeOf, ...]:
        return tuple(item if isinstance(item, Selected | Query | TypeOf) else Selected(item) for item in items)

    def when_list(self, *items: Selected) -> tuple[Selected, ...]:
        return items

    def when(self, _: Token, name: Path, __: Token, items: tuple[Selected, ...]) -> tuple[Path, tuple[Selected, ...]]:
        return name, items

    def otherwise(self, _: Token, items: tuple[Selected, ...]) -> tuple[None, tuple[Selected, ...]]:
        return None, items

    def typeof(self, _: Token, path: Path, *parts: Any) -> TypeOf:
        cases = [part for part in parts if isinstance(part, tuple)]
        whens = tuple((name, items) for name, items in cases if name is not None)
        return TypeOf(path, whens, next((items for name, items in cases if name is None), None))

    def value(self, token: Token) -> Value:
        position = token.start_pos or 0
        text = str(token)
        kind = token.type
        if kind == "STRING":
            return Value("string", None, position, text[1:-1])
        if kind == "NUMBER":
            return Value("number", float(text) if re.search(r"[.eE]", text) else int(text), position)
        if kind in {"DATETIME", "DATE"}:
            return Value("datetime" if kind == "DATETIME" else "date", text, position)
        if kind in {"TRUE", "FALSE"}:
            return Value("boolean", kind == "TRUE", position)
        if kind == "NULL":
            return Value("null", None, position)
        if kind == "BIND":
            raise malformed(_BOUND, position)
        return Value("currency" if kind == "CURRENCY" else "date_literal", text.upper(), position)

    def compare(self, left: Expression, operator: Token, right: Value) -> Compare:
        return Compare(left, "!=" if operator == "<>" else str(operator), _read(right))

    def like(self, left: Expression, _: Token, right: Value) -> Compare:
        if right.kind == "string" and len(right.raw) > MOST_STRING_CHARACTERS:
            _string(right.raw, right.position)
        return Compare(left, "LIKE", right)

    def membership(self, *words: Token) -> str:
        return " ".join(word.upper() for word in words)

    multi = membership

    def member(self, left: Expression, operator: str, choices: tuple[Value, ...] | Query) -> Member:
        return Member(left, operator, choices)

    def string_list(self, token: Token) -> tuple[Value, ...]:
        start = token.start_pos or 0
        return tuple(_string(match.group(1), start + match.start()) for match in _STRING.finditer(token))

    def mixed_list(self, *values: Value) -> tuple[Value, ...]:
        return tuple(map(_read, values))

    def bound_list(self, token: Token) -> tuple[Value, ...]:
        raise malformed(_BOUND, token.start_pos)

    def semi_join(self, query: Query) -> Query:
        return query

    def and_condition(self, *parts: Any) -> Logic:
        return Logic("AND", tuple(part for part in parts if not isinstance(part, Token)))

    def or_condition(self, *parts: Any) -> Logic:
        return Logic("OR", tuple(part for part in parts if not isinstance(part, Token)))

    def negation(self, _: Token, part: Condition) -> Logic:
        return Logic("NOT", (part,))

    def source(self, path: Path, *words: Token) -> Source:
        return Source(path, self.alias(words[-1]) if words else None)

    def sources(self, *sources: Source) -> tuple[Source, ...]:
        return sources

    def scope(self, _: Token, __: Token, name: Path) -> tuple[str, Any]:
        return "scope", name

    def where(self, _: Token, condition: Condition) -> tuple[str, Any]:
        return "where", condition

    def with_clause(self, token: Token) -> tuple[str, Any]:
        words = re.sub(r"\s+", " ", token[4:].strip())
        return "with_clause", Value("string", words, token.start_pos or 0, str(token))

    def expression_list(self, *expressions: Expression) -> tuple[Expression, ...]:
        return expressions

    def grouped(self, *parts: Any) -> tuple[str, tuple[Expression, ...]]:
        return (parts[0].upper() if len(parts) > 1 else ""), parts[-1]

    def group(self, _: Token, __: Token, grouped: tuple[str, Any], *having: tuple[str, Any]) -> list[tuple[str, Any]]:
        return [("grouping", grouped[0]), ("group", grouped[1]), *having]

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

    def end(self, *words: Token) -> tuple[str, Any]:
        return "ends", (" ".join(word.upper() for word in words), words[0].start_pos or 0)

    def query(self, select: Token, selected: Any, _: Token, sources: tuple[Source, ...], *clauses: Any) -> Query:
        return _query(select.start_pos or 0, selected, sources, clauses)

    # SOSL.

    def in_group(self, _: Token, name: Token, __: Token) -> tuple[str, Any]:
        return "group", name.upper()

    def returning(self, _: Token, *returned: Returned) -> tuple[str, Any]:
        return "returned", returned

    def list_view(self, *words: Token) -> tuple[str, Any]:
        return "list_view", words[0].start_pos

    def returned_fields(self, *parts: Any) -> tuple[Any, ...]:
        return parts

    def returned(self, name: Path, parts: tuple[Any, ...] = ()) -> Returned:
        if any(kind == "list_view" for kind, _ in parts[1:]):
            raise beyond("USING ListView: the emulator has no list views")
        return Returned(name, _query(name.position, parts[0], (Source(name),), parts[1:]) if parts else None)

    def search_end(self, part: tuple[str, Any] | Token) -> tuple[str, Any]:
        return ("", None) if isinstance(part, Token) else part

    def search(self, _: Token, braced: Token, *parts: tuple[str, Any]) -> Search:
        for kind, part in parts:
            if kind == "with_clause":
                raise not_answered(part, _SEARCH_WITH)
            if kind == "ends":
                raise beyond(part[0])
        return Search(str(braced[1:-1]), **{kind: part for kind, part in parts if kind})


def _read(value: Value) -> Value:
    """Return a literal of a comparison with a string's escapes read."""
    return _string(value.raw, value.position) if value.kind == "string" and value.value is None else value


def not_answered(clause: Value, known: Sequence[str]) -> QueryError:
    """Return the refusal of a WITH clause; one of an unknown name is no clause at all."""
    words = str(clause.value)
    name = next((name for name in known if words.upper().startswith(name.upper())), None)
    return unexpected("WITH", clause.position) if name is None else beyond(f"WITH {name}")


def _query(position: int, selected: Any, sources: tuple[Source, ...], clauses: Any) -> Query:
    given: dict[str, Any] = {"ends": ()}
    for clause in clauses:
        for kind, part in clause if isinstance(clause, list) else [clause]:
            given[kind] = (*given["ends"], part) if kind == "ends" else part
    return Query(position, selected, sources, **given)


def _whole(number: Token) -> int:
    if number.type == "BIND":
        raise malformed(_BOUND, number.start_pos)
    if not number.isdigit():
        raise unexpected(number, number.start_pos)
    return int(number)


@functools.cache
def _parser() -> Lark:
    grammar = (resources.files("pipeline.emulator.soql") / "grammar.lark").read_text(encoding="utf-8")
    starts = ["start", "search"]
    # The tree's values are made while it is parsed, which takes half the time.
    return Lark(grammar, parser="lalr", lexer="contextual", start=starts, transformer=_Build())


# Statements that are worth remembering; long ones carry lists of keys and do not come again.
_REMEMBERED_CHARACTERS = 500


def parse(text: str) -> Query:
    """Read a query; raise QueryError (MALFORMED_QUERY) where it is none."""
    if len(text) <= _REMEMBERED_CHARACTERS:
        return _parse_remembered(text)
    return _parse_query(text)


@functools.lru_cache(maxsize=512)
def _parse_remembered(text: str) -> Query:
    return _parse_query(text)


def _parse_query(text: str) -> Query:
    if not text.strip():
        raise malformed("A query string has to be specified")
    if len(text) > MOST_CHARACTERS:
        raise malformed("SOQL statements cannot be longer than 100000 characters.")
    built: Query = _build(text, "start")
    return built


def parse_search(text: str) -> Search:
    """Read a SOSL statement; raise QueryError (MALFORMED_SEARCH) where it is none."""
    if len(text) > MOST_CHARACTERS:
        raise QueryError("MALFORMED_SEARCH", "SOSL statements cannot be longer than 100000 characters.")
    if re.match(r"\s*FIND\b", text, re.IGNORECASE) is None:
        raise QueryError("MALFORMED_SEARCH", "No FIND clause found at the beginning of the search string")
    try:
        built: Search = _build(text, "search")
    except QueryError as problem:
        if problem.code == "MALFORMED_QUERY":
            problem.code = "MALFORMED_SEARCH"
        raise
    return built


def _build(text: str, start: str) -> Any:
    try:
        return _parser().parse(text, start=start)
    except UnexpectedToken as problem:
        token = problem.token
        if token.type == "$END":
            raise unexpected("<EOF>", len(text)) from None
        raise unexpected(token, token.start_pos) from None
    except UnexpectedCharacters as problem:
        word = re.match(r"[A-Za-z0-9_]+|.", text[problem.pos_in_stream :], re.DOTALL)
        shown = word.group(0) if word else ""
        if shown in {"'", '"', "\\"}:
            raise malformed(f"line 1:{problem.pos_in_stream} no viable alternative at character '{shown}'") from None
        raise unexpected(shown, problem.pos_in_stream) from None
    except UnexpectedInput:
        raise malformed("unexpected token", 0) from None
