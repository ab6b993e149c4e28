"""Record Ids: 15 characters that tell case apart, and 3 more that let them be compared without case."""

from functools import lru_cache

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_VALID = frozenset(ALPHABET)
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_IS_UPPER = str.maketrans({letter: "01"[letter.isupper()] for letter in ALPHABET})
_VALUE = {letter: value for value, letter in enumerate(ALPHABET)}
# The two characters after the key prefix name the instance an org lives on; the third is reserved.
_INSTANCE = "Em0"
SHORT, LONG = 15, 18


class NotAnId(ValueError):  # noqa: N818 - it says what the text is
    """The text cannot be a record Id: wrong length, wrong characters, or a suffix that does not fit the case."""


def suffix(short: str) -> str:
    """Return the 3 check characters of a 15-character Id.

    Each group of five characters gives one: bit i is set when character i is an upper-case letter (SOAP API guide,
    ID field type).
    """
    bits = int(short[::-1].translate(_IS_UPPER), 2)
    return _SUFFIX[bits & 31] + _SUFFIX[bits >> 5 & 31] + _SUFFIX[bits >> 10]


def canonical(text: object) -> str:
    """Return the 18-character form of an Id of 15 or 18 characters; raise NotAnId for anything else."""
    if not isinstance(text, str) or len(text) not in {SHORT, LONG} or not _VALID.issuperset(text):
        raise NotAnId(text)
    short = text[:SHORT]
    full = short + suffix(short)
    if len(text) == LONG and text != full:
        raise NotAnId(text)
    return full


@lru_cache(maxsize=64)  # of each object's newest Ids, which share all but the last two
def _digits(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


class IdSequence:
    """Hands out Ids of one key prefix in ascending order; ``last`` is the number of the newest one."""

    def __init__(self, prefix: str, last: int = 0) -> None:
        self.last = last
        self._head = prefix + _INSTANCE

    def take(self) -> str:
        """Return the next 18-character Id."""
        self.last += 1
        higher, lowest = divmod(self.last, len(_PAIRS))
        short = self._head + _digits(higher, SHORT - len(self._head) - 2) + _PAIRS[lowest]
        return short + suffix(short)


def number_of(record_id: str) -> int:
    """Return the position in its sequence of an Id that IdSequence handed out."""
    number = 0
    for letter in record_id[6:SHORT]:
        number = number * 62 + _VALUE[letter]
    return number
