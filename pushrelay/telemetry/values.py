"""Histograms and summaries that grow with each observation."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field
from itertools import accumulate
from random import random

from pushrelay.model import Histogram, Summary


class HistogramValue:
    """Counts observations in buckets of upper bounds `bounds`."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    @property
    def count(self) -> int:
        """How many observations there were."""
        return sum(self._counts)

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def quantile(self, quantile: float) -> float | None:
        """Return about how large so much of the observations, from 0 to 1, were at
        most; None without any. What is above the last bound counts as that."""
        counts = self._counts.copy()
        left = quantile * sum(counts)
        lower = 0.0
        for upper, count in zip(self._bounds, counts, strict=False):
            if count and left <= count:
                return lower + (upper - lower) * left / count
            lower, left = upper, left - count
        return lower if any(counts) else None

    def value(self) -> Histogram:
        totals = list(accumulate(self._counts))
        bounds = (*self._bounds, float("inf"))
        return Histogram(totals[-1], self._sum, list(zip(bounds, totals, strict=True)))


class SlidingSummary:
    """Quantiles of the last ten minutes, from a bounded sample of each two of them."""

    QUANTILES = (0.1, 0.5, 0.9)
    SLICES = 5
    SLICE_SECONDS = 120
    SAMPLE = 500

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._slices: deque[_Slice] = deque(maxlen=self.SLICES)

    def observe(self, value: float, now: float) -> None:
        """Record `value` at `now`, seconds of the monotonic clock."""
        self._count += 1
        self._sum += value
        if not self._slices or now >= self._slices[-1].began_at + self.SLICE_SECONDS:
            self._slices.append(_Slice(now))
        self._slices[-1].add(value, self.SAMPLE)

    def value(self, now: float) -> Summary:
        oldest = now - self.SLICES * self.SLICE_SECONDS
        recent: list[float] = []
        for part in self._slices:
            if part.began_at >= oldest:
                recent += part.values
        # The parts are in order: Python merges them, ten times as fast as it sorts.
        recent.sort()
        quantiles = [(q, self._quantile(recent, q)) for q in self.QUANTILES]
        return Summary(self._count, self._sum, quantiles)

    @staticmethod
    def _quantile(ordered: list[float], quantile: float) -> float:
        if not ordered:
            return float("nan")
        return ordered[min(int(quantile * len(ordered)), len(ordered) - 1)]


@dataclass(slots=True)
class _Slice:
    """A uniform sample (reservoir) of what was observed since `began_at`, in order."""

    began_at: float
    seen: int = 0
    values: list[float] = field(default_factory=list)

    def add(self, value: float, capacity: int) -> None:
        self.seen += 1
        if len(self.values) >= capacity:
            # Any of the sample must be as likely to go; which order they are in does
            # not matter for that.
            slot = int(random() * self.seen)  # noqa: S311  # statistics, no secret
            if slot >= capacity:
                return
            del self.values[slot]
        insort(self.values, value)
