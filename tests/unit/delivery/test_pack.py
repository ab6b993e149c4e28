"""Packing writes into requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.delivery.pack import COLLECTION, COLLECTIONS, MOST_CHARACTERS, Kind, Write, pack, pack_fewer


def writes(number: int, kind: Kind = "create", company: int = COLLECTION, start: int = 0) -> list[Write]:
    return [
        Write(
            f"k{start + n}", kind, "Lead", {"id": f"id{start + n}"} if kind != "create" else {"LastName": "x"}, company
        )
        for n in range(number)
    ]


def test_a_thousand_records_are_one_request() -> None:
    (request,) = pack(writes(400) + writes(600, "update", start=400))
    assert [(one.kind, len(one.writes)) for one in request] == [
        ("create", 200),
        ("create", 200),
        ("update", 200),
        ("update", 200),
        ("update", 200),
    ]


def test_an_id_stands_once_in_a_request() -> None:
    twice = [Write("a", "update", "Lead", {"id": "x"}), Write("b", "update", "Lead", {"id": "x"})]
    assert [[one.writes[0].key for one in request] for request in pack(twice)] == [["a"], ["b"]]


def upserts(*keys: str | float, by: str = "Key__c") -> list[Write]:
    return [Write(f"k{n}", "upsert", "Lead", {by: key, "Title": "x"}, by=by) for n, key in enumerate(keys)]


def test_a_thousand_upserts_are_one_request_that_names_the_external_id() -> None:
    (request,) = pack(upserts(*(f"u{n}" for n in range(1000))))
    assert [len(one.writes) for one in request] == [200] * 5
    assert {(one.method, one.path) for one in (part.subrequest() for part in request)} == {
        ("PATCH", "composite/sobjects/Lead/Key__c")
    }


def test_an_external_id_stands_once_in_a_request_however_it_is_spelled() -> None:
    packed = pack(upserts("u1", " U1", 7, 7.0, "u2"))
    assert [[write.key for one in request for write in one.writes] for request in packed] == [
        ["k0", "k2", "k4"],
        ["k1", "k3"],
    ]


def test_external_ids_of_two_fields_do_not_share_a_collection() -> None:
    (request,) = pack([*upserts("u1"), *upserts("u1", by="Other__c")])
    assert [one.subrequest().path for one in request] == [
        "composite/sobjects/Lead/Key__c",
        "composite/sobjects/Lead/Other__c",
    ]


def test_long_texts_are_spread_over_requests_that_salesforce_takes() -> None:
    long = [Write(f"k{n}", "create", "Lead", {"Notes__c": "x" * 131_072}) for n in range(200)]
    packed = pack([*long, Write("longer", "create", "Lead", {"Notes__c": "x" * (MOST_CHARACTERS + 1)})])
    sizes = [sum(write.characters for one in request for write in one.writes) for request in packed]
    assert [size for size in sizes if size > MOST_CHARACTERS] == [MOST_CHARACTERS + 1]  # alone
    assert len(packed) == 5


def test_objects_do_not_share_a_collection() -> None:
    mixed = [Write("a", "create", "Lead", {}), Write("b", "create", "Contact", {})]
    assert [one.object for one in pack(mixed)[0]] == ["Contact", "Lead"]


def test_text_that_looks_like_a_reference_travels_in_a_request_that_is_no_composite() -> None:
    odd = Write("odd", "create", "Lead", {"LastName": "@{x}"})
    assert [[len(one.writes) for one in request] for request in pack([odd, *writes(2)])] == [[2], [1]]


@given(
    st.lists(
        st.tuples(st.sampled_from(["create", "update", "delete"]), st.integers(1, 200), st.integers(0, 30)),
        max_size=300,
    )
)
def test_every_write_is_packed_once_and_within_the_bounds(wanted: list[tuple[Kind, int, int]]) -> None:
    given_writes = [
        Write(f"k{n}", kind, "Lead", {} if kind == "create" else {"id": str(record)}, company)
        for n, (kind, company, record) in enumerate(wanted)
    ]
    packed = pack(given_writes)
    assert sorted(write.key for request in packed for one in request for write in one.writes) == sorted(
        write.key for write in given_writes
    )
    for request in packed:
        assert 1 <= len(request) <= COLLECTIONS
        ids = [write.record_id for one in request for write in one.writes if write.record_id]
        assert len(ids) == len(set(ids))
        for one in request:
            assert len(one.writes) <= min(COLLECTION, *(write.company for write in one.writes))


def keys_of(some: list[Write]) -> set[str]:
    return {write.key for write in some}


@pytest.mark.parametrize(
    ("creates", "updates", "company", "left"),
    [
        (500, 500, COLLECTION, 100),
        (10, 990, COLLECTION, 10),
        (990, 10, COLLECTION, 10),
        (1000, 0, COLLECTION, 0),
        (400, 600, COLLECTION, 0),
        (300, 300, COLLECTION, 0),  # four collections, one request
        (490, 510, 50, 10),  # where triggers bear no more: 21 collections, of which 20 are four requests
        (450, 400, 50, 100),  # 17, of which 15 are three requests
        (450, 450, 50, 150),  # 18
        (480, 450, 50, 180),  # 19
        (1000, 0, 150, 0),  # seven, of which the two smallest hold more than goes back
    ],
)
def test_what_takes_a_request_of_its_own_is_left_out(creates: int, updates: int, company: int, left: int) -> None:
    mixed = writes(creates, company=company) + writes(updates, "update", company, start=creates)
    requests, left_out = pack_fewer(mixed, keys_of(mixed))
    assert len(left_out) == left
    assert len(requests) == len(pack(mixed)) - (left > 0)


def test_the_smallest_collection_that_may_wait_is_left_out() -> None:
    mixed = writes(10) + writes(990, "update", start=10)
    requests, left_out = pack_fewer(mixed, keys_of(mixed[1:]))
    assert [len(one.writes) for one in requests[0]] == [10, 200, 200, 200, 200]
    assert left_out == keys_of(mixed[-190:])
    assert pack_fewer(mixed, set()) == (pack(mixed), set())


@given(
    st.lists(
        st.tuples(st.sampled_from(["create", "update", "delete"]), st.integers(1, 200), st.integers(0, 900)),
        max_size=1000,
    ),
    st.integers(0, 400),
)
def test_fewer_requests_hold_all_but_what_may_wait(wanted: list[tuple[Kind, int, int]], first: int) -> None:
    given_writes = [
        Write(f"k{n}", kind, "Lead", {} if kind == "create" else {"id": str(record)}, company)
        for n, (kind, company, record) in enumerate(wanted)
    ]
    requests, left_out = pack_fewer(given_writes, keys_of(given_writes[first:]))
    assert not left_out & keys_of(given_writes[:first])
    assert len(left_out) <= COLLECTION
    assert requests == pack([write for write in given_writes if write.key not in left_out])
    assert len(requests) < len(pack(given_writes)) or not left_out
