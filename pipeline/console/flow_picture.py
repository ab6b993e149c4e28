"""The flow as one picture: producers, queue, inboxes, delivery, org. What is live in it carries its figure's name."""

from collections.abc import Sequence
from typing import Final

from pipeline.console.html import Html, tag
from pipeline.console.overview import BAR, Shown

# The drawing, in its own units.
_WIDTH: Final = 1272
_TOP: Final = 2
_ROW: Final = 30
_HEAD: Final = 48
_LEAST_HEIGHT: Final = 156
_BAR_WIDTH: Final = 76
# Part → left edge and width.
_PLACES: Final = {
    "producers": (0, 144),
    "queue": (224, 150),
    "inboxes": (454, 302),
    "delivery": (836, 180),
    "org": (1096, 176),
}
# From a part to the next: how much goes that way, and of what.
_WAYS: Final = (
    ("producers", "queue", "events-rate", "events"),
    ("queue", "inboxes", "accepted-rate", "accepted"),
    ("inboxes", "delivery", "records-rate", "records"),
    ("delivery", "org", "calls-rate", "calls"),
)
_BELOW: Final = 84  # where dead letters are


def live(name: str, shown: Shown, element: str = "span", **attributes: object) -> Html:
    """Return a text that is kept up to date."""
    return tag(element, shown.text[name], **attributes, data_live=name)


def picture(shown: Shown, rows: Sequence[str]) -> Html:
    """Draw the flow with a row for each object named."""
    extra = _ROW if shown.text["others"] else 0
    height = max(_LEAST_HEIGHT, _HEAD + len(rows) * _ROW + extra + 14)
    middle = _TOP + height / 2
    parts = [
        *(_arrow(way, middle, shown) for way in _WAYS),
        _producers(height),
        _queue(height, shown),
        _inboxes(height, shown, rows),
        _delivery(height, shown),
        _org(height, shown),
        *_dead(height, shown),
    ]
    told = "Producers, the ingest queue, an inbox for each object, delivery, the Salesforce org; dead letters below"
    box = f"0 0 {_WIDTH} {_TOP + height + _BELOW:g}"
    drawn = tag("svg", _head_of_arrows(), parts, viewBox=box, class_="flow", role="group", aria_label=told)
    return tag("div", drawn, class_="scroll flow-scroll", tabindex=0, role="group", aria_label="Flow, scrolls sideways")


def _part(name: str, title: str, height: float, shown: Shown | None, *inside: object) -> Html:
    x, width = _PLACES[name]
    box = tag("rect", x=x + 1, y=_TOP, width=width - 2, height=height, rx=12, class_="box")
    head = tag("text", title, x=x + 16, y=_TOP + 27, class_="title")
    state = None if shown is None else shown.state[name]
    return tag("g", box, head, *inside, class_="part", data_state=state, data_live_state=name if shown else None)


def _figure(name: str, shown: Shown, x: float, y: float, kind: str) -> Html:
    return live(name, shown, "text", x=x, y=y, class_=kind)


def _producers(height: float) -> Html:
    x, _ = _PLACES["producers"]
    lines = ("your apps call", "send_event.delay")
    texts = [tag("text", line, x=x + 16, y=_TOP + 56 + n * 20, class_="small") for n, line in enumerate(lines)]
    return _part("producers", "Producers", height, None, texts)


def _queue(height: float, shown: Shown) -> Html:
    x, _ = _PLACES["queue"]
    return _part(
        "queue",
        "Ingest queue",
        height,
        shown,
        _figure("queued", shown, x + 16, _TOP + 74, "big"),
        tag("text", "messages wait", x=x + 16, y=_TOP + 95, class_="small"),
        _figure("ingest-workers", shown, x + 16, _TOP + height - 16, "small"),
    )


def _inboxes(height: float, shown: Shown, rows: Sequence[str]) -> Html:
    x, width = _PLACES["inboxes"]
    right = x + width - 16
    inside: list[Html] = [_figure("backlog", shown, right, _TOP + 27, "total")]
    for number, name in enumerate(rows):
        y = _TOP + _HEAD + number * _ROW
        bar_x = x + 114
        inside.append(
            tag(
                "g",
                tag("title", f"{name}: operations that wait"),
                tag("text", _short(name), x=x + 16, y=y + 15, class_="label"),
                tag("rect", x=bar_x, y=y + 6, width=_BAR_WIDTH, height=10, rx=5, class_="track"),
                tag(
                    "rect",
                    x=bar_x,
                    y=y + 6,
                    width=shown.width[f"bar:{name}"] * _BAR_WIDTH / BAR,
                    height=10,
                    rx=5,
                    class_="bar",
                    data_live_width=f"bar:{name}",
                    data_full=_BAR_WIDTH,
                ),
                _figure(f"backlog:{name}", shown, right - 48, y + 15, "value"),
                _figure(f"oldest:{name}", shown, right, y + 15, "value soft"),
                class_="row",
                data_state=shown.state[f"row:{name}"],
                data_live_state=f"row:{name}",
            )
        )
    if shown.text["others"]:
        inside.append(_figure("others", shown, x + 16, _TOP + _HEAD + len(rows) * _ROW + 15, "small"))
    if not rows:
        inside.append(tag("text", "nothing was ever sent", x=x + 16, y=_TOP + 74, class_="small"))
    return _part("inboxes", "Inboxes", height, shown, inside)


def _delivery(height: float, shown: Shown) -> Html:
    x, _ = _PLACES["delivery"]
    return _part(
        "delivery",
        "Delivery",
        height,
        shown,
        _figure("delivery", shown, x + 16, _TOP + 70, "word"),
        _figure("in-flight", shown, x + 16, _TOP + 93, "small"),
        _figure("delivery-workers", shown, x + 16, _TOP + height - 16, "small"),
    )


def _org(height: float, shown: Shown) -> Html:
    x, width = _PLACES["org"]
    full = width - 32
    return _part(
        "org",
        "Salesforce",
        height,
        shown,
        _figure("calls-per-event", shown, x + 16, _TOP + 70, "word"),
        tag("text", "calls / 1,000 events", x=x + 16, y=_TOP + 91, class_="small"),
        tag("rect", x=x + 16, y=_TOP + height - 44, width=full, height=10, rx=5, class_="track"),
        tag(
            "rect",
            x=x + 16,
            y=_TOP + height - 44,
            width=shown.width["quota"] * full / BAR,
            height=10,
            rx=5,
            class_="bar",
            data_live_width="quota",
            data_full=full,
        ),
        _figure("quota", shown, x + 16, _TOP + height - 16, "small"),
    )


def _dead(height: float, shown: Shown) -> list[Html]:
    left, width = _PLACES["inboxes"]
    y, bottom = _TOP + height + 38, _TOP + height
    queue_x, queue_width = _PLACES["queue"]
    delivery_x, delivery_width = _PLACES["delivery"]
    center = y + 22
    paths = [
        f"M{queue_x + queue_width / 2:g} {bottom:g}V{center - 10:g}q0 10 10 10H{left - 7:g}",
        f"M{delivery_x + delivery_width / 2:g} {bottom:g}V{center - 10:g}q0 10 -10 10H{left + width + 7:g}",
    ]
    arrows = [tag("path", d=path, class_="arrow", marker_end="url(#head)") for path in paths]
    labels = [
        live("dead-rejected", shown, "text", x=left - 14, y=center - 9, class_="edge end"),
        live("dead-refused", shown, "text", x=left + width + 14, y=center - 9, class_="edge start"),
    ]
    box = tag("rect", x=left + 1, y=y, width=width - 2, height=44, rx=12, class_="box")
    inside = tag(
        "a",
        box,
        tag("text", "Dead letters", x=left + 16, y=y + 28, class_="title"),
        live("dead", shown, "text", x=left + width - 16, y=y + 28, class_="total"),
        href="/dead-letters",
    )
    return [*arrows, *labels, tag("g", inside, class_="part", data_state=shown.state["dead"], data_live_state="dead")]


def _arrow(way: tuple[str, str, str, str], y: float, shown: Shown) -> Html:
    start, end, figure, noun = way
    x, to = sum(_PLACES[start]), _PLACES[end][0]
    center = (x + to) / 2
    return tag(
        "g",
        tag("path", d=f"M{x + 2} {y:g}H{to - 7}", class_="arrow", marker_end="url(#head)"),
        live(figure, shown, "text", x=center, y=y - 10, class_="edge"),
        tag("text", noun, x=center, y=y + 20, class_="edge soft"),
    )


def _head_of_arrows() -> Html:
    head = tag("path", d="M0 0L8 4L0 8z", class_="head")
    marker = {"viewBox": "0 0 8 8", "refX": 3, "refY": 4, "markerWidth": 8, "markerHeight": 8, "orient": "auto"}
    return tag("defs", tag("marker", head, id="head", markerUnits="userSpaceOnUse", **marker))


def _short(name: str) -> str:
    longest = 13
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
