"""Promise 8, pause and don't burn: what nobody's operation is to blame for costs nobody an attempt.

What breaks it: a fault of the org as a whole that is decided like one of a record (`of_failure` that retries), or a
deliverer that does not ask `Pause.why` before it claims.
"""

from collections.abc import Callable

import requests

from pipeline import send_events
from pipeline.inbox.inbox import Inbox
from pipeline.local import LocalStack, connect_producer, wait_until
from pipeline.salesforce.pause import Pause

OPTED_IN = {"Salesforce": True}
PERSON = {"type": "identify", "userId": "u", "traits": {"email": "a@example.com"}, "integrations": OPTED_IN}
COMPANY = {"type": "group", "userId": "u", "groupId": "g", "traits": {"name": "Acme"}, "integrations": OPTED_IN}


def test_an_object_paused_by_hand_waits_alone_and_goes_on_when_resumed(start_stack: Callable[..., LocalStack]) -> None:
    stack = start_stack(workers={"worker": ()}, destination="linger: 0.05\n", has_beat=False)
    connect_producer(stack.broker_url)
    with stack.redis.client() as redis:
        leads, accounts, pause = Inbox(redis, "Lead"), Inbox(redis, "Account"), Pause(redis)
        pause.hold("Lead", reason="a release")
        send_events.delay([PERSON, COMPANY])
        wait_until(lambda: accounts.counts().get("applied") == 1, what="the other object's delivery")
        said = "object=Lead delivery waits: Lead is paused by hand: a release; `pipeline resume Lead` ends it"
        wait_until(lambda: said in stack.workers["worker"].output(), what="the pause in the log")
        assert leads.waiting().backlog == 1
        pause.resume("Lead")
        wait_until(lambda: leads.counts().get("applied") == 1, what="the delivery after the pause")


def test_an_org_that_is_down_spends_no_attempt_and_is_delivered_to_when_it_is_back(
    start_stack: Callable[..., LocalStack],
) -> None:
    stack = start_stack(workers={"worker": ()}, destination="linger: 0.05\n", has_beat=False)
    connect_producer(stack.broker_url)
    faults = f"{stack.emulator_url}/_emulator/faults"
    send_events.delay([PERSON])
    with stack.redis.client() as redis:
        leads, pause = Inbox(redis, "Lead"), Pause(redis)
        wait_until(lambda: leads.counts().get("applied") == 1, what="a delivery while all is well")
        requests.post(faults, json={"fault": "unavailable", "html": True}, timeout=10).raise_for_status()
        send_events.delay([PERSON])
        wait_until(lambda: requests.get(faults, timeout=10).json()[0]["fired"] >= 3, what="several failed probes")
        state = pause.why("Lead")
        assert state is not None
        assert "503" in state.reason
        assert redis.hlen("pipeline:{Lead}:attempts") == 0
        assert leads.waiting().dead_letters == 0
        requests.post(faults, json={"clear": True}, timeout=10).raise_for_status()
        wait_until(lambda: leads.counts().get("applied") == 2, what="the delivery once the org is back")
        wait_until(lambda: pause.why() is None, what="the end of the pause, told right after the delivery")
