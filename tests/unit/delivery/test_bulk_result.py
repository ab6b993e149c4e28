"""What a bulk job's results mean: told by what was sent, whatever their order."""

from pipeline.delivery.bulk_result import Outcomes, Result
from pipeline.delivery.pack import Write

CREATED = "00Q000000000001AAA"


def created(key: str, **fields: str) -> Write:
    return Write(key, "create", "Lead", fields)


def test_results_of_new_records_are_told_by_all_their_cells() -> None:
    outcomes = Outcomes("insert")
    outcomes.add(
        [
            {"sf__Id": CREATED, "sf__Created": "true", "LastName": "b", "Title": ""},
            {"sf__Id": "", "sf__Error": "A_CODE:no:--", "Title": "", "LastName": "a"},
        ]
    )
    assert outcomes.of(created("a", LastName="a")) == Result("", "A_CODE:no:--")
    assert outcomes.of(created("b", LastName="b")) == Result(CREATED)
    assert outcomes.of(created("c", LastName="c")) is None


def test_each_of_several_results_of_the_same_row_is_given_once() -> None:
    outcomes = Outcomes("insert")
    outcomes.add({"sf__Id": str(number), "LastName": "same"} for number in range(2))
    given = [outcomes.of(created(key, LastName="same")) for key in "abc"]
    assert {result.record_id for result in given if result} == {"0", "1"}
    assert given[2] is None


def test_results_of_updates_are_told_by_their_id_and_the_rest_can_be_known_to_have_succeeded() -> None:
    outcomes = Outcomes("update")
    outcomes.add([{"sf__Id": CREATED, "sf__Error": "A_CODE:no:--", "Id": CREATED, "Title": "as Salesforce likes it"}])
    write, another = (
        Write(one, "update", "Lead", {"id": one, "Title": "t"}) for one in (CREATED, "00Q000000000002AAA")
    )
    assert outcomes.of(write) == Result(CREATED, "A_CODE:no:--")
    assert outcomes.of(another) is None
    outcomes.rest_succeeded = True
    assert outcomes.of(another) == Result("00Q000000000002AAA")
