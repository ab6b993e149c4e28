"""Plots: what happened in the last day, in steps of a quarter of an hour, as SVG that needs no script."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from pipeline.console.html import Html, join, tag
from pipeline.console.words import count
from pipeline.metrics.history import Row

DAY_S: Final = 86_400.0
STEP_S: Final = 900.0
_STEPS: Final = int(DAY_S / STEP_S)
_TICK_S: Final = 6 * 3600
# The drawing, in its own units.
_LEFT, _TOP, _WIDTH, _HEIGHT, _BELOW = 0.0, 14.0, 384.0, 76.0, 18.0
_STEP: Final = _WIDTH / _STEPS


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot: counts of a step are added up, of levels the highest is shown; a limit is drawn as a line."""

    name: str
    kind: Literal["count", "level"]
    value: Callable[[Row], float | None]
    noun: str
    limit: Callable[[Row], float | None] | None = None


FIGURES: Final = (
    Figure("Events in", "count", lambda row: row.accepted + row.skipped + row.rejected, "events"),
    Figure("Records written", "count", lambda row: row.created + row.updated + row.deleted, "records"),
    Figure("API calls", "count", lambda row: row.calls, "calls"),
    Figure("Backlog", "level", lambda row: row.backlog, "operations waiting"),
    Figure("Quota used", "level", lambda row: row.quota_used, "calls in 24 hours", lambda row: row.quota_limit),
    Figure("Dead letters", "level", lambda row: row.dead_letters, "dead letters"),
)


@dataclass(frozen=True, slots=True)
class Series:
    """The values of the steps of a day that ends at `end_s`; None where nothing is known."""

    end_s: float
    values: tuple[float | None, ...]

    @property
    def highest(self) -> float:
        """The highest value, 0 where nothing is known."""
        return max((value for value in self.values if value is not None), default=0.0)


def steps(rows: Sequence[Row], figure: Figure) -> Series:
    """Gather rows into the steps of the day that the last of them ends."""
    end_s = rows[-1].start_s + rows[-1].seconds
    last = int(end_s // STEP_S)
    values: list[float | None] = [None] * _STEPS
    for row in rows:
        value, at = figure.value(row), int((row.start_s + row.seconds / 2) // STEP_S) - last + _STEPS - 1
        if value is not None and 0 <= at < _STEPS:
            before = values[at]
            values[at] = value if before is None else before + value if figure.kind == "count" else max(before, value)
    return Series((last + 1) * STEP_S, tuple(values))


def plots(rows: Sequence[Row]) -> Html:
    """Return all plots; where there is no history yet, what makes one."""
    if not rows:
        told = tag("b", "No history yet.")
        how = "Workers take a sample each minute: start one with ", tag("code", "pipeline worker"), "."
        return tag("p", told, " ", *how, class_="empty")
    return tag("div", [_plot(rows, figure) for figure in FIGURES], class_="plots")


def _plot(rows: Sequence[Row], figure: Figure) -> Html:
    series = steps(rows, figure)
    limit = figure.limit(rows[-1]) if figure.limit is not None else None
    if figure.kind == "count":
        now = sum(figure.value(row) or 0 for row in rows)
        said = f"{now:,.0f} {figure.noun} in 24 hours"
        head = join(tag("b", count(now)), tag("small", " in 24 h"))
    else:
        latest = figure.value(rows[-1])
        said = "not known" if latest is None else f"{latest:,.0f} {figure.noun} now"
        head = join(tag("b", count(latest)), tag("small", f" of {count(limit)}" if limit else " now"))
    drawn = _drawn(series, figure, said, limit)
    return tag("figure", tag("figcaption", tag("span", figure.name), tag("span", head)), drawn)


def _drawn(series: Series, figure: Figure, said: str, limit: float | None) -> Html:
    top = _round_up(max(series.highest, 1.0 if limit is None else min(limit, series.highest * 4)))
    told = f"{figure.name}: {said}, at most {series.highest:,.0f} in a quarter of an hour"
    bars = [_bar(series, at, value, top, figure) for at, value in enumerate(series.values) if value is not None]
    line = None
    if limit is not None and limit <= top:
        line = _line(_y(limit, top), "limit")
    return tag(
        "svg",
        _line(_TOP, "grid"),
        _line(_TOP + _HEIGHT / 2, "grid"),
        _line(_TOP + _HEIGHT, "axis"),
        tag("text", count(top), x=_LEFT, y=_TOP - 4, class_="scale"),
        bars,
        line,
        _ticks(series),
        viewBox=f"0 0 {_WIDTH:g} {_TOP + _HEIGHT + _BELOW:g}",
        role="img",
        aria_label=told,
        class_=f"plot {figure.kind}",
    )


def _bar(series: Series, at: int, value: float, top: float, figure: Figure) -> Html:
    start = datetime.fromtimestamp(series.end_s - (_STEPS - at) * STEP_S, UTC)
    height = max(_HEIGHT * value / top, 1.0 if value else 0.0)
    x, width = _LEFT + at * _STEP, _STEP - (0.6 if figure.kind == "count" else 0)
    told = tag("title", f"{start:%H:%M} UTC: {value:,.0f} {figure.noun}")
    shape = tag("rect", x=f"{x:g}", y=f"{_TOP + _HEIGHT - height:.2f}", width=f"{width:g}", height=f"{height:.2f}")
    # All of the column answers to the pointer, also where the bar is low.
    column = tag("rect", x=f"{x:g}", y=_TOP, width=f"{_STEP:g}", height=_HEIGHT, class_="column")
    return tag("g", told, column, shape)


def _ticks(series: Series) -> list[Html]:
    start_s = series.end_s - DAY_S
    first = int(start_s // _TICK_S + 1) * _TICK_S
    ticks = []
    for tick_s in range(first, int(series.end_s), _TICK_S):
        x = _LEFT + (tick_s - start_s) / DAY_S * _WIDTH
        anchor = "start" if x < _WIDTH / 20 else "end" if x > _WIDTH * 19 / 20 else "middle"
        time = datetime.fromtimestamp(tick_s, UTC)
        ticks.append(
            tag("text", f"{time:%H:%M}", x=f"{x:g}", y=_TOP + _HEIGHT + 13, text_anchor=anchor, class_="scale")
        )
    return ticks


def _line(y: float, kind: str) -> Html:
    return tag("path", d=f"M{_LEFT:g} {y:.2f}H{_LEFT + _WIDTH:g}", class_=kind)


def _y(value: float, top: float) -> float:
    return _TOP + _HEIGHT * (1 - value / top)


def _round_up(value: float) -> float:
    """Return the next number that is easily read: 1, 2 or 5 times a power of ten."""
    power = 1.0
    while value > 10 * power:
        power *= 10
    return next(one * power for one in (1.0, 2.0, 5.0, 10.0) if value <= one * power)
