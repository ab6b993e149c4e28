"""What stands between the braces of FIND: words, phrases, wildcards and operators, and which texts have them.

Source: SOQL and SOSL Reference, "FIND {SearchQuery}". The search engine cuts a text into words at spaces and
punctuation; a word is found as a whole, whatever its case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NoReturn

from pipeline.emulator.soql.tree import QueryError, beyond

# Beyond so many characters a search finds nothing; beyond the lesser number its operators are read as OR.
MOST_CHARACTERS: Final = 10_000
MOST_WITH_OPERATORS: Final = 4_000
_SHORTEST: Final = 2
_RESERVED: Final = frozenset("?&|!{}[]()^~*:\\\"'+-")
_WORD = re.compile(r"[^\W_]+")
# Scripts that the search engine cuts into words by their meaning: Thai, kana, hangul, Chinese characters.
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
# Stand for the wildcards, which escaped ones are not.
_ANY, _ONE = "\0", "\1"
_OPERATORS: Final = frozenset({"AND", "OR", "NOT"})

# Whether some texts, cut into words, have what is searched for.
Finder = Callable[[Sequence[Sequence[str]]], bool]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Literal["word", "phrase", "AND", "OR", "NOT", "(", ")"]
    # The words one after the other, with _ANY and _ONE for wildcards.
    words: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def finder(term: str) -> Finder:
    """Return what finds a search query's matches; raise QueryError where it is no search query."""
    if len(term) > MOST_CHARACTERS:
        return lambda _: False
    if len(term.replace("*", "").replace("?", "").strip().strip('"')) < _SHORTEST:
        raise QueryError("INVALID_SEARCH", f"search term must be longer than one character: {term}")
    if _UNSPACED.search(term):
        raise beyond("searches for words in scripts without spaces: Chinese, Japanese, Korean, Thai")
    tokens = list(_tokens(term))
    if len(term) > MOST_WITH_OPERATORS:
        return _any_of([_phrase(token.words) for token in tokens if token.words])
    reading = _Reading(tokens)
    found = reading.either()
    if reading.left():
        _refuse(f"unexpected token: '{reading.left()[0].kind}'")
    return found


def words_of(text: str) -> list[str]:
    """Cut a text into words."""
    return _WORD.findall(text.casefold())


def _refuse(message: str) -> NoReturn:
    raise QueryError("MALFORMED_SEARCH", message)


def _tokens(term: str) -> Iterator[_Token]:
    position = 0
    while position < len(term):
        letter = term[position]
        if letter.isspace():
            position += 1
        elif letter in "()":
            yield _Token("(" if letter == "(" else ")")
            position += 1
        elif letter == '"':
            end = _end_of_phrase(term, position + 1)
            yield _Token("phrase", _patterns(term[position + 1 : end]))
            position = end + 1
        else:
            match = re.compile(r'(?:\\.|[^\s()"\\])+', re.DOTALL).match(term, position)
            if match is None:
                _refuse("a backslash stands at the end of the search query")
            word = match.group()
            upper = word.upper()
            yield _Token(upper) if upper in _OPERATORS else _Token("word", _patterns(word))  # type: ignore[arg-type]
            position = match.end()


def _end_of_phrase(term: str, start: int) -> int:
    match = re.compile(r'(?:\\.|[^"\\])*"', re.DOTALL).match(term, start)
    if match is None:
        _refuse("a phrase has no closing quotation mark")
    return match.end() - 1


def _patterns(raw: str) -> tuple[str, ...]:
    """Return the words of a piece of text; ``*`` and ``?`` stand for letters."""
    letters: list[str] = []
    position = 0
    while position < len(raw):
        letter = raw[position]
        if letter == "\\":
            letters.append(f" {raw[position + 1]} " if raw[position + 1] in _RESERVED else raw[position + 1])
            position += 1
        elif letter == "*":
            letters.append(_ANY)
        elif letter == "?":
            letters.append(_ONE)
        elif letter in _RESERVED:
            _refuse(f"the reserved character {letter} needs a backslash in front of it")
        else:
            letters.append(letter)
        position += 1
    words = re.findall(f"(?:[^\\W_]|[{_ANY}{_ONE}])+", "".join(letters).casefold())
    if any(word[0] in _ANY + _ONE for word in words):
        raise QueryError("INVALID_SEARCH", f"a wildcard cannot be the first character of a search term: {raw}")
    return tuple(words)


def _is_like(word: str, pattern: str) -> bool:
    """Whether a word fits a pattern; in a time that grows with the product of their lengths, and no faster."""
    if _ANY not in pattern and _ONE not in pattern:
        return word == pattern
    here = there = 0
    # Where the last ``*`` stands, and how far the word goes that it stands for.
    star, taken = -1, 0
    while here < len(word):
        if there < len(pattern) and pattern[there] in {_ONE, word[here]}:
            here, there = here + 1, there + 1
        elif there < len(pattern) and pattern[there] == _ANY:
            star, taken, there = there, here, there + 1
        elif star >= 0:
            taken += 1
            here, there = taken, star + 1
        else:
            return False
    return not pattern[there:].strip(_ANY)


class _Reading:
    """Reads tokens: parentheses first, then AND and AND NOT from right to left, then OR."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens

    def left(self) -> list[_Token]:
        """Return the tokens that were not read."""
        return self._tokens

    def _take(self, kind: str) -> bool:
        if self._tokens and self._tokens[0].kind == kind:
            self._tokens.pop(0)
            return True
        return False

    def either(self) -> Finder:
        """Read what OR combines."""
        parts = [self._both()]
        while self._take("OR"):
            parts.append(self._both())
        return _any_of(parts)

    def _both(self) -> Finder:
        """Read what AND and AND NOT combine; words side by side are combined by AND."""
        first = self._one()
        if self._take("AND"):
            if self._take("NOT"):
                excluded = self._both()
                return lambda texts: first(texts) and not excluded(texts)
        elif not self._tokens or self._tokens[0].kind in {"OR", ")", "NOT"}:
            return first
        second = self._both()
        return lambda texts: first(texts) and second(texts)

    def _one(self) -> Finder:
        if self._take("("):
            inner = self.either()
            if not self._take(")"):
                _refuse("a parenthesis is not closed")
            return inner
        if not self._tokens or (token := self._tokens.pop(0)).kind not in {"word", "phrase"}:
            _refuse("an operator stands where a search term should")
        if not token.words:
            _refuse("a search term has no letter and no digit")
        return _phrase(token.words)


def _any_of(parts: Sequence[Finder]) -> Finder:
    return lambda texts: any(part(texts) for part in parts)


def _phrase(words: tuple[str, ...]) -> Finder:
    """Return what finds words one after the other in one text."""
    count = len(words)
    if count == 1:
        (only,) = words
        return lambda texts: any(_is_like(word, only) for text in texts for word in text)

    def found(texts: Sequence[Sequence[str]]) -> bool:
        return any(
            all(_is_like(text[start + place], pattern) for place, pattern in enumerate(words))
            for text in texts
            for start in range(len(text) - count + 1)
        )

    return found
