"""Record Ids: the three characters that stand for the case of the other fifteen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.emulator.ids import ALPHABET, IdSequence, NotAnId, canonical, number_of, suffix

SHORT_IDS = st.text(ALPHABET, min_size=15, max_size=15)


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        ("001D000000IqhSL", "IAZ"),
        ("000000000000000", "AAA"),
        ("AAAAAAAAAAAAAAA", "555"),
        ("aaaaaaaaaaaaaaa", "AAA"),
        ("0000A0000A0000A", "QQQ"),
        ("A0000A0000A0000", "BBB"),
    ],
)
def test_the_suffix_is_the_one_of_documented_ids(short: str, expected: str) -> None:
    assert suffix(short) == expected


@given(short=SHORT_IDS)
def test_fifteen_and_eighteen_characters_mean_one_id(short: str) -> None:
    full = canonical(short)
    assert len(full) == 18
    assert canonical(full) == full


@given(one=SHORT_IDS, other=SHORT_IDS)
def test_ids_that_differ_in_case_alone_differ_without_case(one: str, other: str) -> None:
    if one != other:
        assert canonical(one).upper() != canonical(other).upper()


@given(short=SHORT_IDS)
def test_an_id_with_another_case_is_refused(short: str) -> None:
    swapped = short.swapcase()
    if swapped != short:
        with pytest.raises(NotAnId):
            canonical(swapped + suffix(short))


@pytest.mark.parametrize(
    "text", ["", "001", "001D000000IqhS", "001D000000IqhSLIA", "001D000000Iqh-L", None, 5, "x" * 19]
)
def test_what_is_no_id_is_refused(text: object) -> None:
    with pytest.raises(NotAnId):
        canonical(text)


@given(last=st.integers(min_value=0, max_value=62**9 - 2))
def test_a_sequence_hands_out_ids_that_know_their_number(last: int) -> None:
    sequence = IdSequence("00Q", last)
    given_out = sequence.take()
    assert canonical(given_out) == given_out
    assert canonical(given_out[:15]) == given_out
    assert number_of(given_out) == sequence.last == last + 1


@given(last=st.integers(min_value=0, max_value=62**9 - 3))
def test_ids_sort_in_the_order_they_were_handed_out(last: int) -> None:
    sequence = IdSequence("a0X", last)
    assert sequence.take() < sequence.take()
