"""Line charts as SVG, for docs/images: no more than a benchmark's plots need, and nothing to install.

Colours are readable on light and dark pages alike. Everything is a function of the values given, so a plot changes
only when its figures do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 640, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 78
_COLOURS = ("#2f81f7", "#d9730d", "#3fa45b", "#a371f7")
_GREY = "#8b949e"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: its name and its points, (x, y)."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows. A logarithmic one leaves out what is not above zero."""

    label: str
    is_log: bool = False


def chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """Return a line chart. Raises ValueError where there is no point to show."""
    shown = [Line(line.name, [point for point in line.points if _fits(point, x, y)]) for line in lines]
    points = [point for line in shown for point in line.points]
    if not points:
        raise ValueError(f"nothing to show in {title!r}")
    across = _Scale([one for one, _ in points], x, _LEFT, _WIDTH - _RIGHT)
    up = _Scale([two for _, two in points], y, _HEIGHT - _BOTTOM, _TOP)
    parts = [_text(_LEFT, 22, title, size=15, anchor="start")]
    for tick in across.ticks():
        parts += [_rule(across.at(tick), _TOP, across.at(tick), _HEIGHT - _BOTTOM)]
        parts += [_text(across.at(tick), _HEIGHT - _BOTTOM + 18, _number(tick))]
    for tick in up.ticks():
        parts += [_rule(_LEFT, up.at(tick), _WIDTH - _RIGHT, up.at(tick))]
        parts += [_text(_LEFT - 8, up.at(tick) + 4, _number(tick), anchor="end")]
    parts += [_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - _BOTTOM + 38, x.label)]
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts += [_text(16, middle, y.label, turn=f' transform="rotate(-90 16 {middle:g})"')]
    for index, line in enumerate(shown):
        parts += _line(line, across, up, _COLOURS[index % len(_COLOURS)])
        left = _LEFT + index * (_WIDTH - _LEFT - _RIGHT) / len(shown)
        parts += [f'<rect x="{left:.1f}" y="{_HEIGHT - 22}" width="12" height="12" fill="{_COLOURS[index % 4]}"/>']
        parts += [_text(left + 18, _HEIGHT - 12, line.name, anchor="start")]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
    return "\n".join([f'{head} font-family="sans-serif"><title>{escape(title)}</title>', *parts, "</svg>", ""])


class _Scale:
    """Places values between two ends of the picture."""

    def __init__(self, values: Sequence[float], axis: Axis, start: float, end: float) -> None:
        self._is_log = axis.is_log
        self._start, self._end = start, end
        if axis.is_log:
            self._low, self._high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        else:
            self._step = _step(max(values))
            self._low, self._high = 0.0, self._step * math.ceil(max(values) / self._step)
        if self._high <= self._low:
            self._high = self._low + 1

    def at(self, value: float) -> float:
        place = math.log10(value) if self._is_log else value
        return self._start + (place - self._low) / (self._high - self._low) * (self._end - self._start)

    def ticks(self) -> list[float]:
        if self._is_log:
            return [10.0**power for power in range(int(self._low), int(self._high) + 1)]
        return [self._step * number for number in range(round(self._high / self._step) + 1)]


def _step(highest: float) -> float:
    """Return a round distance that divides 0 to `highest` into four to ten parts."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest / 4))
    return max(power * factor for factor in (1, 2, 5) if power * factor <= highest / 4 or factor == 1)


def _fits(point: tuple[float, float], x: Axis, y: Axis) -> bool:
    return (point[0] > 0 or not x.is_log) and (point[1] > 0 or not y.is_log)


def _line(line: Line, across: _Scale, up: _Scale, colour: str) -> list[str]:
    places = [(across.at(one), up.at(two)) for one, two in line.points]
    path = " ".join(f"{one:.1f},{two:.1f}" for one, two in places)
    dots = [f'<circle cx="{one:.1f}" cy="{two:.1f}" r="2.5" fill="{colour}"/>' for one, two in places]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots]


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{_GREY}" stroke-opacity="0.3" '
        'stroke-width="1"/>'
    )


def _text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "middle", turn: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{_GREY}"'
    return f"<text {place}{turn}>{escape(words)}</text>"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:.6f}".rstrip("0")
