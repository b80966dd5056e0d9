"""What one of the relay's own families is, and what it is read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pushrelay.model import (
    Histogram,
    Labels,
    Metric,
    MetricFamily,
    MetricType,
    Summary,
)
from pushrelay.telemetry import process

if TYPE_CHECKING:
    from pushrelay.telemetry.telemetry import Gauges, Telemetry

LabelValues = tuple[str, ...]
"""Values of a family's labels; where the last ones are missing, so are the labels."""

Reading = Mapping[LabelValues, float | Summary | Histogram]


@dataclass(frozen=True, slots=True)
class Scrape:
    """What own families are read from; now: monotonic clock, seconds."""

    telemetry: Telemetry
    gauges: Gauges
    usage: process.Usage
    now: float


Read = Callable[[Scrape], Reading]


@dataclass(frozen=True, slots=True)
class OwnFamily:
    """One of the relay's own families."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...]
    read: Read

    def family(self, scrape: Scrape) -> MetricFamily:
        """Return the family as it is now."""
        metrics = [
            Metric(_labels(self.labels, values), value)
            for values, value in sorted(self.read(scrape).items(), key=_order)
        ]
        return MetricFamily(self.name, self.type, self.help, metrics)


def _order(sample: tuple[LabelValues, object]) -> tuple[int, LabelValues]:
    """Sort by number of labels, as all series of a page are, and then by values."""
    values, _ = sample
    return len(values), values


@lru_cache(maxsize=1024)
def _labels(names: tuple[str, ...], values: LabelValues) -> Labels:
    return tuple(sorted(zip(names, values, strict=False)))
