from redis import Redis

from pipeline.inbox.claims import Batch, Settlement
from pipeline.inbox.inbox import Bounds, Inbox
from pipeline.operation import Operation


def lead(name: str, number: int, *, is_urgent: bool = False) -> Operation:
    return Operation(
        id=f"m{number}",
        object="Lead",
        verb="upsert",
        match={"Email": f"{name}@example.com"},
        event_time_ms=number,
        options={"priority": "high"} if is_urgent else {},
    )


def test_what_becomes_urgent_while_its_record_is_being_written_goes_before_the_others_afterwards(
    redis_client: Redis,
) -> None:
    inbox = Inbox(redis_client, "Lead", Bounds(batch=1, linger_s=0))

    def claimed() -> Batch:
        batch = inbox.claim("deliverer")
        assert isinstance(batch, Batch)
        return batch

    inbox.append([lead("ada", 1)])
    first = claimed()
    inbox.append([lead("bob", 2), lead("eve", 3)])
    inbox.append([lead("ada", 4, is_urgent=True)])
    inbox.commit(first.token, [Settlement(first.claims[0])])
    assert inbox.is_urgent()
    second = claimed()
    assert [one.id for one in second.claims[0].operations] == ["m4"]
    inbox.append([lead("ada", 5)])
    inbox.commit(second.token, [Settlement(second.claims[0])])
    assert not inbox.is_urgent()
    assert not redis_client.exists("pipeline:{Lead}:urgent")


def test_what_becomes_urgent_while_its_record_is_left_to_the_next_batch_goes_before_the_others(
    redis_client: Redis,
) -> None:
    inbox = Inbox(redis_client, "Lead", Bounds(linger_s=0))
    inbox.append([lead("ada", 1)])
    batch = inbox.claim("deliverer")
    assert isinstance(batch, Batch)
    inbox.append([lead("ada", 2, is_urgent=True)])
    inbox.commit(batch.token, [Settlement(batch.claims[0], keep=(0,), keeps_place=True)])
    assert inbox.is_urgent()
    again = inbox.claim("deliverer")
    assert isinstance(again, Batch)
    assert [one.id for one in again.claims[0].operations] == ["m1", "m2"]
