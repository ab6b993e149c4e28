"""A signature stands for exactly one text and one key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import DecodeError
from kombu.serialization import dumps, loads, unregister

from pipeline.signing import SERIALIZER, register_signing, sign, verified

NEW, OLD = "n" * 32, "o" * 32
texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts)
def test_what_was_signed_is_read_again_with_any_of_the_keys(text: str) -> None:
    assert verified(sign(text, OLD), [NEW, OLD]) == text
    assert verified(sign(text, NEW).encode(), [NEW]) == text


@given(texts, st.data())
def test_a_changed_byte_anywhere_is_noticed(text: str, data: st.DataObject) -> None:
    signed = bytearray(sign(text, NEW).encode())
    signed[data.draw(st.integers(0, len(signed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="signature"):
        verified(bytes(signed), [NEW, OLD])


@pytest.mark.parametrize(
    "body", ["", ".", "[[], {}, {}]", "0" * 64, "0" * 64 + ".{}", sign("{}", "someone else's key")]
)
def test_what_none_of_the_keys_has_signed_is_refused_without_quoting_it(body: str) -> None:
    with pytest.raises(ValueError, match="signature") as refused:
        verified(body, [NEW, OLD])
    assert not body.strip(".") or body not in str(refused.value)


def test_kombu_reads_signed_json_and_nothing_that_only_says_it_is() -> None:
    register_signing([NEW, OLD])
    try:
        kind, encoding, body = dumps({"a": ["ä", 1]}, serializer=SERIALIZER)
        assert loads(body, kind, encoding, accept={kind}) == {"a": ["ä", 1]}
        assert isinstance(body, str)
        for forged in ('{"a": 1}', body[:-1] + " "):
            with pytest.raises(DecodeError):
                loads(forged, kind, encoding, accept={kind})
    finally:
        unregister(SERIALIZER)
