"""Many messages of one event each: taken in together, and each acknowledged."""

from collections.abc import Callable

from pipeline import send_event
from pipeline.cli.flow import observe
from pipeline.inbox.dead_letters import received
from pipeline.local import LocalStack, connect_producer, wait_until


def test_messages_that_wait_together_are_all_taken_in_and_none_is_held_on_to(
    start_stack: Callable[..., LocalStack],
) -> None:
    stack = start_stack(workers={}, has_beat=False)
    connect_producer(stack.broker_url)
    for number in range(200):
        traits = {"email": f"p{number % 20}@example.com", "lastName": "Doe", "company": "Acme"}
        send_event.delay(
            {"type": "identify", "userId": f"u{number}", "traits": traits, "integrations": {"Salesforce": True}}
        )
    stack.add_worker("worker", "--concurrency", "2")
    with stack.redis.client() as redis:
        wait_until(lambda: received(redis).get("accepted") == 200 and observe(redis).is_idle, what="the end")
        assert redis.hlen("unacked") == redis.zcard("unacked_index") == 0
