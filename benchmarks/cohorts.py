"""Keys that wait, by the expected number: the parts of `day_model.py` that know neither calls nor clocks."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from pipeline.salesforce.quota import DAY_S

HOURS = 24
HOUR_S = DAY_S / HOURS
_MOST_SPANS = 16  # of a cohort


@dataclass(slots=True)
class Span:
    """Events that arrived between two moments, spread as the curve says."""

    start_s: float
    end_s: float
    events: float


@dataclass(slots=True)
class Cohort:
    """Keys that wait, by class of people, with the events so far; since `open_s` their people send more."""

    keys: tuple[float, ...]
    creates: float  # of them, for people the org does not have
    spans: tuple[Span, ...]
    open_s: float

    @property
    def size(self) -> float:
        """Number of keys."""
        return sum(self.keys)

    def part(self, share: float) -> "Cohort":
        """Return a share (0 to 1) of it."""
        spans = tuple(Span(span.start_s, span.end_s, span.events * share) for span in self.spans)
        return Cohort(tuple(keys * share for keys in self.keys), self.creates * share, spans, self.open_s)


class Curve:
    """Events so far at a moment, and back; the same every day, even within an hour."""

    def __init__(self, weights: Sequence[float], events_a_day: float) -> None:
        if len(weights) != HOURS or min(weights) <= 0:
            raise ValueError("a curve has 24 weights above zero")
        self._day = events_a_day
        self._sums = [0.0, *(part * events_a_day / sum(weights) for part in accumulate(weights))]

    def at(self, moment_s: float) -> float:
        """Return events since the beginning."""
        days, rest = divmod(moment_s, DAY_S)
        hour = min(int(rest / HOUR_S), HOURS - 1)
        within = (self._sums[hour + 1] - self._sums[hour]) * (rest / HOUR_S - hour)
        return days * self._day + self._sums[hour] + within

    def when(self, events: float) -> float:
        """Return the moment at which so many events have come."""
        days, rest = divmod(events, self._day)
        hour = min(bisect_right(self._sums, rest) - 1, HOURS - 1)
        part = (rest - self._sums[hour]) / (self._sums[hour + 1] - self._sums[hour])
        return days * DAY_S + (hour + part) * HOUR_S

    def rate(self, moment_s: float) -> float:
        """Return events a second."""
        hour = int(moment_s % DAY_S / HOUR_S)
        return (self._sums[hour + 1] - self._sums[hour]) / HOUR_S


def together(cohorts: Sequence[Cohort], now_s: float) -> Cohort:
    """Return the cohorts of a batch as one."""
    keys = tuple(sum(numbers) for numbers in zip(*(cohort.keys for cohort in cohorts), strict=True))
    spans = _fewer([span for cohort in cohorts for span in cohort.spans])
    return Cohort(keys, sum(cohort.creates for cohort in cohorts), spans, now_s)


def _fewer(spans: list[Span]) -> tuple[Span, ...]:
    """Return spans joined with their neighbours in time where they are many, as of what was handed back before."""
    if len(spans) <= _MOST_SPANS:
        return tuple(spans)
    spans.sort(key=lambda span: (span.start_s, span.end_s))
    size = math.ceil(len(spans) / _MOST_SPANS)
    groups = [spans[start : start + size] for start in range(0, len(spans), size)]
    return tuple(
        Span(group[0].start_s, max(span.end_s for span in group), sum(span.events for span in group))
        for group in groups
    )
