"""What a bulk job's results mean: told by what was sent, whatever their order."""

from pipeline.delivery.bulk_result import Outcomes, Result, sort
from pipeline.inbox.bulk_jobs import Row
from pipeline.salesforce.bulk_csv import digest_of

CREATED = "00Q000000000001AAA"


def created(**cells: str) -> Row:
    return Row(1, "insert", digest=digest_of(cells))


def test_results_of_new_records_are_told_by_all_their_cells() -> None:
    outcomes = Outcomes("insert")
    outcomes.add(
        [
            {"sf__Id": CREATED, "sf__Created": "true", "LastName": "b", "Title": ""},
            {"sf__Id": "", "sf__Error": "A_CODE:no:--", "Title": "", "LastName": "a"},
        ]
    )
    assert outcomes.of(created(LastName="a")) == Result("", "A_CODE:no:--")
    assert outcomes.of(created(LastName="b")) == Result(CREATED)
    assert outcomes.of(created(LastName="c")) is None


def test_each_of_several_results_of_the_same_row_is_given_once() -> None:
    outcomes = Outcomes("insert")
    outcomes.add({"sf__Id": str(number), "LastName": "same"} for number in range(2))
    given = [outcomes.of(created(LastName="same")) for _ in "abc"]
    assert {result.record_id for result in given if result} == {"0", "1"}
    assert given[2] is None


def test_results_of_updates_are_told_by_their_id_and_the_rest_can_be_known_to_have_succeeded() -> None:
    outcomes = Outcomes("update")
    outcomes.add([{"sf__Id": CREATED, "sf__Error": "A_CODE:no:--", "Id": CREATED, "Title": "as Salesforce likes it"}])
    row, another = (Row(1, "update", one) for one in (CREATED, "00Q000000000002AAA"))
    assert outcomes.of(row) == Result(CREATED, "A_CODE:no:--")
    assert outcomes.of(another) is None
    outcomes.rest_succeeded = True
    assert outcomes.of(another) == Result("00Q000000000002AAA")


def test_keys_are_sorted_by_what_became_of_their_rows() -> None:
    outcomes = Outcomes("insert")
    outcomes.add([{"sf__Id": CREATED, "LastName": "a"}, {"sf__Id": "", "sf__Error": "A_CODE:no:--", "LastName": "b"}])
    rows = {"none": None, "known": Row(1, "update", CREATED)} | {one: created(LastName=one) for one in "abc"}
    found = sort(rows, outcomes, "insert")
    assert found.strangers == ["none", "known"]
    assert found.written == {"a": (rows["a"], CREATED)}
    assert found.refused == {"b": Result("", "A_CODE:no:--")}
    assert found.not_reached == {"c": rows["c"]}
