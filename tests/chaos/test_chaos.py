"""All promises at once, in a minute: the short form of `make chaos`, and the model that judges it."""

from dataclasses import asdict, replace

import pytest

from tests.chaos.run import run
from tests.chaos.story import KEY_FIELD, Step, Story, expect, poisoned, tell
from tests.chaos.verdict import Verdict, judge


@pytest.mark.timeout(180)
def test_a_thousand_events_survive_killed_workers_a_restarted_redis_and_a_failing_org() -> None:
    result = run(events=1_000, keys=150, seed=20_260, pace=60.0, kill_every_s=2.0)
    assert result.verdict == Verdict(), result.as_json()
    assert (result.kills, result.redis_restarts, result.freezes, result.faults) > (3, 1, 0, 20)


@pytest.fixture(scope="module")
def story() -> Story:
    return tell(events=400, keys=60, seed=3)


def org_of(steps: tuple[Step, ...]) -> dict[str, list[dict[str, str]]]:
    org: dict[str, list[dict[str, str]]] = {name: [] for name in KEY_FIELD}
    for (name, key), fields in expect(steps).items():
        org[name].append({KEY_FIELD[name]: key, **fields})
    return org


def test_one_seed_tells_one_story() -> None:
    first, second = (tell(events=300, keys=40, seed=5) for _ in range(2))
    assert [step.key for step in first.steps] == [step.key for step in second.steps]
    assert [event["messageId"] for event in first.sent] == [event["messageId"] for event in second.sent]
    assert len({event["messageId"] for event in first.sent}) == len(first.steps) == 300


def test_the_org_that_the_model_expects_is_clean(story: Story) -> None:
    assert judge(story.steps, org_of(story.steps), sorted(poisoned(story.steps))).is_clean


def test_the_model_sees_what_is_lost_doubled_stale_and_wrong(story: Story) -> None:
    org = org_of(story.steps)
    org["Lead"].append(dict(org["Lead"][0]))
    org["Account"].pop()
    org["Lead"][1]["LastName"] = "nobody said so"
    older = next(
        step.fields["Title"]
        for step in story.steps
        if step.key == ("Lead", org["Lead"][2]["Email"])
        and step.fields.get("Title", "") != org["Lead"][2].get("Title")
        and "Title" in step.fields
    )
    org["Lead"][2]["Title"] = older
    org["Lead"].append({"Email": "stranger@example.com"})
    buried = [story.steps[0].event["messageId"]]
    assert asdict(judge(story.steps, org, buried)) == {"lost": 2, "duplicated": 1, "stale": 1, "wrong": 2}


def test_a_run_with_another_order_of_time_expects_another_org(story: Story) -> None:
    backwards = tuple(replace(step) for step in reversed(story.steps))
    assert expect(backwards) != expect(story.steps)
