"""Record Ids: 15 characters that tell case apart, and 3 more that let them be compared without case."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_VALID = frozenset(ALPHABET)
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


class IdSequence:
    """Hands out Ids of one key prefix in ascending order; ``last`` is the number of the newest one."""

    def __init__(self, prefix: str, last: int = 0) -> None:
        self.last = last
        self._head = prefix + _INSTANCE

    def take(self) -> str:
        """Return the next 18-character Id."""
        self.last += 1
        number, digits = self.last, []
        for _ in range(SHORT - len(self._head)):
            number, digit = divmod(number, 62)
            digits.append(ALPHABET[digit])
        short = self._head + "".join(reversed(digits))
        return short + suffix(short)


def number_of(record_id: str) -> int:
    """Return the position in its sequence of an Id that IdSequence handed out."""
    number = 0
    for letter in record_id[6:SHORT]:
        number = number * 62 + _VALUE[letter]
    return number
