"""How an operation is stored: small, exact for anything, and never misread."""

import hashlib
import json
import tracemalloc
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dictionary import DICTIONARY
from pipeline.operation import Operation, decode, encode, in_words, read_document

# Half surrogate pairs too, which no producer's event gets past `validate` with.
texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=30) | st.sampled_from(
    [
        "a@example.com",
        "\ud83d",
        "\ude00\ud83d",
        "\ud83d\ude00",
        "😀",
        "\x00",
        "\u2028",
        '"},"event":{"',
        "z1 ",
        "n/a" * 300,
    ]
)
finite = st.floats(allow_nan=False, allow_infinity=False)
numbers = st.integers() | finite | st.sampled_from([-0.0, 1.0, 1, 10**300, 5e-324])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=4)
operations = st.builds(
    Operation,
    id=texts,
    object=texts,
    verb=st.sampled_from(["create", "read", "update", "upsert", "delete"]),
    match=objects,
    fields=objects,
    traits=objects,
    on_create=objects,
    options=objects,
    event_time_ms=st.integers(),
    event=objects,
)

IDENTIFY = Operation(
    id="8a62a490-f8b5-45cc-b3b6-de9a63f0b990#identify",
    object="Lead",
    verb="upsert",
    match={"Email": "ada@example.com"},
    fields={"FirstName": "Ada", "LastName": "Byron", "Email": "ada@example.com", "Company": "Engines Ltd"},
    traits={"plan": "team", "loginCount": 3},
    event_time_ms=1_795_559_948_243,
    event={
        "type": "identify",
        "userId": "u1",
        "timestamp": "2026-11-24T22:39:08.243Z",
        "integrations": {"Salesforce": True},
        "traits": {
            "email": "ada@example.com",
            "firstName": "Ada",
            "lastName": "Byron",
            "company": {"name": "Engines Ltd"},
            "plan": "team",
            "loginCount": 3,
        },
        "messageId": "8a62a490-f8b5-45cc-b3b6-de9a63f0b990",
    },
)
STORED = encode(IDENTIFY)


def exactly(operation: Operation) -> str:
    """Return what tells 1 from 1.0 and True, 0.0 from -0.0, and one order of names from another."""
    return repr(asdict(operation))


@settings(max_examples=60)
@given(operations)
def test_what_is_stored_comes_back_to_the_letter(operation: Operation) -> None:
    assert exactly(decode(encode(operation))) == exactly(operation)


@settings(max_examples=30)
@given(operations)
def test_what_is_shown_in_words_is_json_of_the_same(operation: Operation) -> None:
    words = in_words(encode(operation))
    assert words.isascii()
    assert json.loads(words) == json.loads(json.dumps(read_document(encode(operation))))


@settings(max_examples=30)
@given(operations)
def test_an_older_version_cannot_take_a_compressed_operation_for_one_of_its_own(operation: Operation) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (JSON's own errors are several)
        json.loads(encode(operation))


def test_an_operation_of_an_older_version_is_read() -> None:
    document: dict[str, Any] = {"v": 1, "id": "m1#identify", "object": "Lead", "verb": "upsert", "time": 7}
    stored = json.dumps({**document, "fields": {"LastName": "Müller\ud83d"}, "event": {"userId": "u1"}}).encode()
    expected = Operation(
        id="m1#identify",
        object="Lead",
        verb="upsert",
        event_time_ms=7,
        fields={"LastName": "Müller\ud83d"},
        event={"userId": "u1"},
    )
    assert exactly(decode(stored)) == exactly(expected)


def test_an_identify_takes_less_than_half_of_its_json() -> None:
    assert len(STORED) < len(in_words(STORED)) / 2


@given(st.binary(max_size=60))
def test_garbage_is_a_value_error_and_nothing_else(garbage: bytes) -> None:
    for stored in (garbage, b"z1 " + garbage, STORED[:7] + garbage, STORED[: len(garbage)], b'{"v":1,' + garbage):
        with pytest.raises(ValueError, match=r"^(not an operation of a format|an operation without)"):
            decode(stored)


@given(st.integers(0, len(STORED) - 1), st.integers(0, 255))
def test_a_byte_that_is_spoilt_makes_another_text_or_a_value_error(place: int, byte: int) -> None:
    spoilt = STORED[:place] + bytes([byte]) + STORED[place + 1 :]
    try:
        read = decode(spoilt)
    except ValueError:
        return
    assert isinstance(read, Operation)


@pytest.mark.parametrize(
    "garbage",
    [
        b"[" * 100_000,
        b'{"v":1,"event":' + b'{"":' * 100_000,
        b"z1 " + (2**32 - 1).to_bytes(4, "little") + STORED[7:],
        b"z1 ",
        b"z2 " + STORED[3:],  # of a later version
        STORED + STORED,
    ],
    ids=lambda garbage: repr(garbage[:9]),
)
def test_garbage_that_is_made_for_it_is_a_value_error_too(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="not an operation of a format"):
        decode(garbage)


def test_what_claims_to_be_two_gigabytes_is_given_no_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="not an operation of a format"):
            decode(b"z1 " + (2**31 - 1).to_bytes(4, "little") + STORED[7:])
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_dictionary_is_what_it_was_when_the_first_operation_was_compressed_with_it() -> None:
    # Another one is another format: a mark of its own in operation.py, a file in tests/data/formats, this one kept.
    assert hashlib.sha256(DICTIONARY).hexdigest() == "7162d4f9e0c1a8074bff09a7f4c0845d116c562a757fa0b9f3fa797f3f8b01ac"
