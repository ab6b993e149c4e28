"""Celery's ways of calling a task: each sends the event, or is refused with a sentence that says what to do."""

# ruff: noqa: PLW0108  (each signature is made anew)

import json
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from celery import Celery, canvas, chain, chord, chunks, group, signature
from celery.canvas import xmap, xstarmap
from kombu import Connection, Exchange, Queue
from kombu.exceptions import EncodeError

from pipeline import RefusedCall, app, send_event, send_events
from pipeline.testing import rejection, sent_events

A: dict[str, Any] = {"type": "identify", "userId": "a", "messageId": "a"}
B: dict[str, Any] = {"type": "identify", "userId": "b", "messageId": "b"}
task: Any = send_event  # Celery's stubs know the function, and not that it is a task
tasks: Any = send_events


@pytest.fixture
def sent() -> Iterator[list[dict[str, Any]]]:
    with sent_events() as events:
        yield events


@pytest.fixture
def project() -> Iterator[Celery]:
    """Another application, whose broker is in memory."""
    other = Celery("project", broker="memory://", backend="cache+memory://", set_as_current=False)
    yield other
    other.close()


SENDING: dict[str, Callable[[], Any]] = {
    "delay": lambda: task.delay(A),
    "delay by name": lambda: task.delay(event=A),
    "apply_async": lambda: task.apply_async([A]),
    "apply_async with a tuple": lambda: task.apply_async((A,)),
    "apply_async by name": lambda: task.apply_async(kwargs={"event": A}),
    "apply_async by position": lambda: task.apply_async(None, {"event": A}, "an-id"),
    "queue": lambda: task.apply_async([A], queue="ingest"),
    "queue as an object": lambda: task.apply_async([A], queue=Queue("ingest")),
    "routing key": lambda: task.apply_async([A], exchange="ingest", routing_key="ingest"),
    "exchange as an object": lambda: task.apply_async([A], exchange=Exchange("ingest")),
    "priority": lambda: task.apply_async([A], priority=9),
    "headers": lambda: task.apply_async([A], headers={"trace": "1"}),
    "serializer": lambda: task.apply_async([A], serializer="json"),
    "compression": lambda: task.apply_async([A], compression="zlib"),
    "task id": lambda: task.apply_async([A], task_id="an-id"),
    "ignore_result": lambda: task.apply_async([A], ignore_result=True),
    "retry": lambda: task.apply_async([A], retry=True, retry_policy={"max_retries": 1}),
    "nothing that counts": lambda: task.apply_async([A], countdown=None, eta=None, expires=None, link=[], chord=None),
    "s": lambda: task.s(A).delay(),
    "s later": lambda: task.s().delay(A),
    "s by name": lambda: task.s(event=A).apply_async(),
    "si": lambda: task.si(A).delay(),
    "signature": lambda: task.signature([A]).apply_async(),
    "subtask": lambda: task.subtask([A], priority=3).apply_async(),
    "clone": lambda: task.s().clone([A]).delay(),
    "set": lambda: task.s(A).set(priority=3).delay(),
    "group": lambda: group(task.s(A)).apply_async(),
    "group of a generator": lambda: group(task.s(one) for one in [A]).delay(),
    "group in a group": lambda: group(group(task.s(A))).delay(),
    "chain of one": lambda: chain(task.s(A)).delay(),
    "apply, where events are collected": lambda: task.apply([A]),
    "by name through our application": lambda: app.send_task("pipeline.send_event", [A]),
    "by name with keywords": lambda: app.send_task("pipeline.send_event", kwargs={"event": A}, queue="ingest"),
    "signature by name": lambda: signature("pipeline.send_event", args=[A], app=app).delay(),
    "another mapping": lambda: task.delay(MappingProxyType(A)),
    "an ordered dict": lambda: task.delay(OrderedDict(A)),
    "send_events": lambda: tasks.delay([A]),
    "send_events with a tuple": lambda: tasks.delay((A,)),
    "send_events with a generator": lambda: tasks.delay(one for one in [A]),
    "send_events with one event": lambda: tasks.delay(A),
    "send_events by name": lambda: tasks.delay(events=[A]),
    "send_events as a signature": lambda: tasks.s([A]).delay(),
    "send_events by its name": lambda: app.send_task("pipeline.send_events", [[A]]),
}


@pytest.mark.parametrize("call", SENDING.values(), ids=SENDING)
def test_what_celery_s_users_do_with_a_task_sends(call: Callable[[], Any], sent: list[dict[str, Any]]) -> None:
    call()
    assert [event["messageId"] for event in sent] == ["a"]


LATER = datetime.now(UTC) + timedelta(hours=1)
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a call": (lambda: task(A), "send_event(...) sends nothing; write send_event.delay(...)"),
    "a call of a signature": (lambda: task.si(A)(), "write send_event.delay(...)"),
    "a call of many": (lambda: tasks([A]), "write send_events.delay(...)"),
    "link": (lambda: task.apply_async([A], link=task.si(B)), "takes no link: workers run nothing after an event"),
    "link_error": (lambda: task.apply_async([A], link_error=task.si(B)), "takes no link_error"),
    "link by position": (lambda: task.apply_async([A], {}, "id", None, task.si(B)), "takes no link"),
    "linked signature": (lambda: task.s(A).link(task.si(B)) and task.s(A).set(link=task.si(B)).delay(), "no link"),
    "on_error": (lambda: task.s(A).on_error(task.si(B)).delay(), "takes no link_error"),
    "chain": (lambda: chain(task.si(A), task.si(B)).delay(), "takes no chain: workers run nothing after an event"),
    "|": (lambda: (task.si(A) | task.si(B)).apply_async(), "takes no chain"),
    "chain of many": (lambda: chain(tasks.si([A]), tasks.si([B])).delay(), "send_events takes no chain"),
    "map": (lambda: task.map([A, B]), "send_events.delay([event, ...])"),
    "starmap": (lambda: task.starmap([(A,), (B,)]), "send_events.delay([event, ...])"),
    "chunks": (lambda: task.chunks([(A,), (B,)], 10), "send_events.delay([event, ...])"),
    "countdown": (lambda: task.apply_async([A], countdown=60), "to send it later, call delay later"),
    "eta": (lambda: task.apply_async([A], eta=LATER), "an event is sent when it happens"),
    "expires": (lambda: task.apply_async([A], expires=60), "an event that is in the queue is delivered"),
    "expires at once": (lambda: task.apply_async([A], expires=0), "takes no expires"),
    "time limit": (lambda: task.apply_async([A], time_limit=1), "the worker's own setting"),
    "another queue": (lambda: task.apply_async([A], queue="events"), "no worker reads it"),
    "another queue object": (lambda: task.apply_async([A], queue=Queue("events")), "no worker reads it"),
    "another routing key": (lambda: task.apply_async([A], routing_key="events"), "no worker reads it"),
    "pickle": (lambda: task.apply_async([A], serializer="pickle"), "sends 'json'; workers accept nothing else"),
    "brotli": (lambda: task.apply_async([A], compression="brotli"), "compresses with one of gzip, zlib, bzip2"),
    "another connection": (lambda: task.apply_async([A], connection=Connection("memory://")), "PIPELINE_BROKER_URL"),
    "args that are the event": (lambda: task.apply_async(A), "write apply_async([event]), or delay(event)"),
    "args that are text": (lambda: task.apply_async("event"), "write apply_async([event])"),
    "two arguments": (lambda: task.delay(A, B), "the one argument is called event"),
    "none": (lambda: task.delay(), "the one argument is called event"),
    "another name": (lambda: task.delay(payload=A), "write delay(event), or delay(event=event)"),
    "a list": (lambda: task.delay([A, B]), "send_event takes one event; send_events.delay([event, ...]) sends many"),
    "a generator": (lambda: task.delay(one for one in [A]), "send_event takes one event"),
    "None": (lambda: task.delay(None), "an event is a dict, and this is None"),
    "text": (lambda: task.delay('{"type": "identify"}'), "an event is a dict, and this is of type str"),
    "bytes": (lambda: task.delay(b"{}"), "an event is a dict, and this is of type bytes"),
    "a number": (lambda: task.delay(5), "an event is a dict, and this is of type int"),
    "many that are None": (lambda: tasks.delay(None), "send_events takes a list of events, and this is None"),
    "many that are text": (lambda: tasks.delay("events"), "a list of events, and this is of type str"),
    "many as arguments": (lambda: tasks.delay(A, B), "the one argument is called events"),
    "its result": (lambda: task.delay(A).get(), "`pipeline trace` with its messageId"),
    "its result, waited for": (lambda: task.delay(A).wait(timeout=1), "pipeline.read_result(messageId)"),
    "its state": (lambda: task.delay(A).state, "an event has no result to wait for"),
    "whether it is ready": (lambda: task.delay(A).ready(), "an event has no result to wait for"),
    "a group's results": (lambda: group(task.s(A)).delay().get(), "an event has no result to wait for"),
    "a group's readiness": (lambda: group(task.s(A)).delay().ready(), "an event has no result to wait for"),
}


@pytest.mark.parametrize(("call", "why"), REFUSED.values(), ids=REFUSED)
def test_what_would_lose_events_is_refused_at_the_call(
    call: Callable[[], Any], why: str, sent: list[dict[str, Any]]
) -> None:
    with pytest.raises(RefusedCall) as refused:
        call()
    assert why in str(refused.value)
    assert len(sent) <= 1  # what has a result to ask for


def in_other_messages(project: Celery) -> dict[str, Callable[[], Any]]:
    @project.task(name="project.work", shared=False)
    def work(*_: Any) -> None:
        raise AssertionError

    mine: Any = work
    return {
        "link": lambda: mine.apply_async(link=task.si(A)),
        "link_error": lambda: mine.apply_async(link_error=task.si(A)),
        "chain": lambda: chain(mine.si(), task.si(A)).delay(),
        "|": lambda: (mine.si() | task.si(A)).delay(),
        "chord's body": lambda: chord([mine.si(), mine.si()], task.si(A)).delay(),
        "chord's header": lambda: chord([task.si(A), task.si(B)], mine.si()).delay(),
        "group then": lambda: (group(mine.si(), mine.si()) | task.si(A)).delay(),
        "xmap": lambda: xmap(task.s(), [A, B], app=project).delay(),
        "xstarmap": lambda: xstarmap(task.s(), [(A,)], app=project).delay(),
        "chunks": lambda: chunks(task.s(), [(A,)], 1, app=project).delay(),
    }


@pytest.mark.parametrize("name", in_other_messages(Celery("names", set_as_current=False)))
def test_a_signature_does_not_travel_in_another_application_s_message(
    name: str, project: Celery, sent: list[dict[str, Any]]
) -> None:
    with pytest.raises((RefusedCall, EncodeError, NotImplementedError)) as refused:
        in_other_messages(project)[name]()
    # A chord's header is refused by Celery, for want of a result backend.
    is_header = name == "chord's header"
    assert (
        "Starting chords requires a result backend" if is_header else "call send_event.delay(event) in the task instead"
    ) in str(refused.value)
    assert sent == []


def test_a_signature_is_copied_and_shown_and_not_pickled() -> None:
    made = task.s(A)
    assert deepcopy(made) == made
    with pytest.raises(RefusedCall):
        pickle.dumps(made)
    with pytest.raises(RefusedCall):
        made["options"]["pipeline_only_from_here"].__json__()


def test_stamps_travel_as_headers(sent: list[dict[str, Any]]) -> None:
    stamping: Any = canvas

    class Visitor(stamping.StampingVisitor):  # type: ignore[misc]  # the stubs leave it out
        def on_signature(self, sig: Any, **_: Any) -> dict[str, Any]:
            return {"of": "test", "stamped_headers": ["of"]}

    made = task.s(A)
    made.stamp(Visitor())
    made.delay()
    assert [event["messageId"] for event in sent] == ["a"]


def test_a_group_with_another_application_s_task_is_refused_before_that_task_goes_astray(project: Celery) -> None:
    @project.task(name="project.work", shared=False)
    def work() -> None:
        raise AssertionError

    mine: Any = work
    with sent_events() as sent, pytest.raises(RefusedCall, match=r"project.work is no task of the pipeline's"):
        group(task.s(A), mine.si()).delay()
    assert len(sent) == 1
    # The other way round the project's connections are offered, and not taken.
    with sent_events() as sent:
        group(mine.si(), task.s(B)).delay()
    assert [event["messageId"] for event in sent] == ["b"]


def test_what_delay_returns_tells_the_ids(sent: list[dict[str, Any]]) -> None:
    one = task.delay({"type": "identify"})
    assert one.message_id == sent[0]["messageId"]
    assert one.id != one.message_id
    many = tasks.delay([A, {"type": "track"}, {"type": "track", "messageId": 7}, "no event"])
    assert many.message_ids[0] == "a"
    assert many.message_ids[1] == sent[2]["messageId"]
    assert many.message_ids[2] == "7"
    assert many.message_ids[3].startswith("sha256-")
    with pytest.raises(ValueError, match="too many values"):
        _ = many.message_id
    results: Any = group(task.s(A)).delay()
    with pytest.raises(ValueError, match="not known of a group's tasks"):
        _ = results.children[0].message_ids
    assert tasks.delay([]).message_ids == ()


def test_the_caller_s_event_is_not_changed(sent: list[dict[str, Any]]) -> None:
    event = {"type": "identify", "traits": {"tags": ["a"]}}
    before = deepcopy(event)
    task.delay(event)
    tasks.delay([event])
    task.s(event).delay()
    assert event == before
    event["traits"]["tags"].append("b")  # type: ignore[index]
    assert [one["traits"] for one in sent] == [{"tags": ["a"]}] * 3


def test_eager_mode_refuses_and_says_what_tests_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.conf, "task_always_eager", True)
    calls: tuple[Callable[[], Any], ...] = (lambda: task.delay(A), lambda: tasks.delay([A]), lambda: task.s(A).delay())
    for call in calls:
        with pytest.raises(RefusedCall, match=r"pipeline.testing.sent_events\(\)"):
            call()
    with sent_events() as sent:
        task.delay(A)
    assert sent[0]["messageId"] == "a"


def test_apply_refuses_and_says_what_tests_use() -> None:
    calls: tuple[Callable[[], Any], ...] = (lambda: task.apply([A]), lambda: task.s(A).apply())
    for call in calls:
        with pytest.raises(RefusedCall, match=r"pipeline.testing.sent_events\(\)"):
            call()


def test_what_tests_see_is_what_the_queue_would_hold() -> None:
    with sent_events() as outer:
        task.delay({"type": "track", "properties": {"items": (1, 2)}})
        with sent_events() as inner:
            task.delay(B)
        assert [event["messageId"] for event in inner] == ["b"]
    (event,) = outer
    assert event["properties"] == {"items": [1, 2]}
    assert event["messageId"]
    assert event["timestamp"].endswith("Z")
    assert json.loads(json.dumps(event)) == event


def test_what_the_pipeline_would_reject_can_be_asked() -> None:
    assert rejection(A) is None
    assert rejection({"type": "identify"}) == "identify needs userId or anonymousId"
    assert rejection("no event")
