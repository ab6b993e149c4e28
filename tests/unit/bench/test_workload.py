import time

from pipeline.bench.workload import key_of, messages
from pipeline.destination import Destination
from pipeline.events.schemas import opted_in, validate
from pipeline.mapping.plan import compile_plan


def test_a_workload_is_the_same_every_time_and_takes_people_in_turn() -> None:
    sent = list(messages(10, 3, 4))
    assert [len(message) for message in sent] == [4, 4, 2]
    assert sent == list(messages(10, 3, 4))
    people = [event["userId"] for message in sent for event in message]
    assert people == [f"u{number % 3}" for number in range(10)]


def test_its_events_are_accepted_and_go_where_the_probe_looks() -> None:
    ((event,),) = messages(1, 1, 1)
    valid = validate({**event, "messageId": "m1"}, received_ms=time.time_ns() // 1_000_000)
    assert opted_in(valid)
    (operation,) = compile_plan(Destination()).plan(valid)
    assert (operation.object, operation.key) == ("Lead", key_of(event))
