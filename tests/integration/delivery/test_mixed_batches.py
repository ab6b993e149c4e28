"""Full batches of new and known people: six collections, of which a request carries five."""

from collections import Counter
from dataclasses import replace

import pytest
from redis import Redis

from pipeline.delivery.pack import ALWAYS_WRITTEN, COLLECTION
from pipeline.delivery.report import Report
from pipeline.inbox.claims import Batch, Claim
from tests.integration.delivery.delivery import Delivery, lead


@pytest.fixture
def delivery(redis_client: Redis, emulator_url: str) -> Delivery:
    delivery = Delivery(redis_client, emulator_url)
    delivery.describes.get("Lead")
    return delivery


def fill(delivery: Delivery, keys: int, *, new_every: int = 2, options: dict[str, str] | None = None) -> None:
    """Let so many people wait, of whom one in `new_every` is new to the org."""
    for start in range(0, keys, 400):
        numbers = range(start, min(keys, start + 400))
        known = [{"LastName": "x", "Company": "y", "Email": f"p{n}@example.com"} for n in numbers if n % new_every]
        for some in (known[:200], known[200:]):
            if some:
                delivery.create_all("Lead", some)
        leads = [lead(f"p{n}@example.com", Title="first") for n in numbers]
        delivery.inbox.append([replace(one, options=options or {}) for one in leads])


def claim(delivery: Delivery) -> Batch | None:
    batch = delivery.inbox.claim("deliverer")
    return batch if isinstance(batch, Batch) else None


@pytest.mark.parametrize(
    ("keys", "new_every", "calls"),
    [(4_000, 2, 10), (1_200, 100, 4)],  # 12 and 5 if each batch wrote all that it claims
)
def test_a_backlog_of_new_and_known_people_costs_a_lookup_and_a_write_for_each_batch(
    keys: int, new_every: int, calls: int, delivery: Delivery
) -> None:
    fill(delivery, keys, new_every=new_every)
    known = {f"email=p{n}@example.com" for n in range(keys) if n % new_every}
    total, times = Report("Lead"), Counter[str]()
    left: list[Claim] = []
    while (batch := claim(delivery)) is not None:
        claims = {one.key: one for one in batch.claims}
        times.update(claims.keys())
        first = [one.key for one in batch.claims][: len(left)]
        assert {one.key for one in left} == set(first)  # before what came later
        # The Id that was found goes with the key; whether a person is still new is asked again.
        assert all((claims[one.key].record_id is not None) == (one.key in known) for one in left)

        report = Report("Lead")
        delivery.deliver_batch(batch, report)
        assert report.calls == 2
        left = [one for one in batch.claims if delivery.inbox.holds(one.key)]
        assert len(left) == report.retried <= COLLECTION
        assert not {one.key for one in left} & {one.key for one in batch.claims[:ALWAYS_WRITTEN]}
        if not total.calls:
            late = left[0].key.removeprefix("email=")
            delivery.inbox.append([lead(late, Title="second")])
        total.add(report)
    assert total.calls == calls
    assert (total.created, total.updated, total.dead) == (keys // new_every, keys - keys // new_every, 0)
    assert total.why_retried == {"next_batch": total.retried}
    assert max(times.values()) == 2
    titles = {record["Email"]: record["Title"] for record in delivery.records()}
    assert len(titles) == len(delivery.records()) == keys
    assert {email for email, title in titles.items() if title != "first"} == {late}


@pytest.mark.parametrize("why", ["nothing else is due", "all is urgent", "all was tried before"])
def test_a_batch_is_written_as_a_whole_where(why: str, delivery: Delivery) -> None:
    fill(delivery, 1_000, options={"priority": "high"} if why == "all is urgent" else None)
    batch = claim(delivery)
    assert batch is not None
    assert batch.due_behind == 0
    if why != "nothing else is due":
        batch = replace(batch, due_behind=1)
    if why == "all was tried before":
        batch = replace(batch, claims=tuple(replace(one, attempts=1) for one in batch.claims))
    report = Report("Lead")
    delivery.deliver_batch(batch, report)
    assert (report.calls, report.created, report.updated, report.retried) == (3, 500, 500, 0)
