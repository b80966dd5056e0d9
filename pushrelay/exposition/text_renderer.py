"""Writes metric families in the text format 0.0.4, as the Go client prints them.

Series are rendered once, when they are pushed, and again only for a scraper that
wants names escaped in another way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import inf
from typing import Any

from pushrelay.exposition.escaping import (
    Escaping,
    escape_label_name,
    escape_metric_name,
)
from pushrelay.exposition.floats import format_float
from pushrelay.model import (
    HISTOGRAMS,
    Histogram,
    Labels,
    Metric,
    MetricFamily,
    MetricType,
    Summary,
    is_legacy_label_name,
    is_legacy_metric_name,
)
from pushrelay.quoting import quote_label

_TYPE_WORDS = {type_: type_.name.lower() for type_ in MetricType}
# The format has no gauge histograms; their series look like any histogram's.
_TYPE_WORDS[MetricType.GAUGE_HISTOGRAM] = "histogram"
_SORTED_AT_ONCE = 4096
_REMEMBERED = 4096
_LONGEST_REMEMBERED = 256


def render_header(
    name: str,
    type: MetricType,  # the word of the format
    help: str,
    escaping: Escaping,
) -> bytes:
    """Return the lines that precede the series of a family; HELP only if there is
    one."""
    shown = escape_metric_name(name, escaping)
    if not is_legacy_metric_name(shown):
        shown = quote_label(shown)
    type_line = f"# TYPE {shown} {_TYPE_WORDS[type]}\n"
    if not help:
        return type_line.encode()
    text = help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {shown} {text}\n{type_line}".encode()


def render_series(family: MetricFamily, escaping: Escaping) -> list[bytes]:
    """Return the lines of each metric of `family`, in the order of its metrics.

    Names outside of the legacy character set are escaped, or quoted with ALLOW_UTF8.
    A histogram without a `+Inf` bucket gets one. A metric without a value has no lines.
    """
    render = _Renderer(family.name, escaping).of(family.type)
    return [
        b"" if metric.value is None else render(metric.labels, metric.value).encode()
        for metric in family.metrics
    ]


def exposition_order(metrics: Sequence[Metric]) -> list[int]:
    """Return the positions of `metrics` in the order in which they are exposed: by
    number of labels, then by their values in the order of the names; stable."""
    if len(metrics) < 2:
        return list(range(len(metrics)))
    values = [[value for _, value in metric.labels] for metric in metrics]
    order = _sorted_positions(values)
    lengths = list(map(len, values))
    if len(set(lengths)) > 1:
        order.sort(key=lengths.__getitem__)
    return order


def _sorted_positions(values: list[list[str]]) -> list[int]:
    positions = range(len(values))
    if len(values) <= _SORTED_AT_ONCE:
        return sorted(positions, key=values.__getitem__)
    # Other threads wait while a list is sorted. So what is between every two of a
    # sample is sorted by itself.
    sample = sorted(values[:: _SORTED_AT_ONCE // 8])
    parts: list[list[int]] = [[] for _ in range(len(sample) + 1)]
    for position in positions:
        parts[bisect_right(sample, values[position])].append(position)
    for part in parts:
        part.sort(key=values.__getitem__)
    return [position for part in parts for position in part]


class _LabelPairs(dict[tuple[str, str], str]):
    """Rendered label pairs. The last ones are remembered: most of them stand on many
    series of a push, and of the next push to its group."""

    def __init__(self, escaping: Escaping) -> None:
        self._escaping = escaping
        self._names: dict[str, str] = {}

    def __missing__(self, pair: tuple[str, str]) -> str:
        name, value = pair
        shown = self._names.get(name) or self._shown(name)
        rendered = f"{shown}={quote_label(value)}"
        if len(rendered) <= _LONGEST_REMEMBERED:
            if len(self) >= _REMEMBERED:
                self.clear()
                self._names.clear()
            self[pair] = rendered
            self._names[name] = shown
        return rendered

    def _shown(self, name: str) -> str:
        shown = escape_label_name(name, self._escaping)
        return shown if is_legacy_label_name(shown) else quote_label(shown)


_LABEL_PAIRS = {escaping: _LabelPairs(escaping) for escaping in Escaping}
# Bounds are few, and the same in one push after the other.
_bound_text = lru_cache(maxsize=1024)(format_float)


class _Renderer:
    """Renders the metrics of one family."""

    def __init__(self, name: str, escaping: Escaping) -> None:
        self._name = escape_metric_name(name, escaping)
        self._is_legacy = is_legacy_metric_name(self._name)
        self._pair = _LABEL_PAIRS[escaping].__getitem__
        self._values = self._start("")

    def of(self, type_: MetricType) -> Callable[[Labels, Any], str]:
        """Return what renders a metric of `type_` from its labels and its value."""
        if type_ is MetricType.SUMMARY:
            return self._summary
        if type_ in HISTOGRAMS:
            return self._histogram
        return self._number

    def _number(self, labels: Labels, value: float) -> str:
        if not labels:
            return self._line("", "", value)
        return f"{self._values}{self._rendered(labels)}}} {format_float(value)}\n"

    def _summary(self, labels: Labels, summary: Summary) -> str:
        shared = self._rendered(labels)
        start = self._values + _before_others(shared)
        lines = [
            f'{start}quantile="{_bound_text(quantile)}"}} {format_float(value)}\n'
            for quantile, value in summary.quantiles
        ]
        return "".join(lines) + self._totals(shared, summary)

    def _histogram(self, labels: Labels, histogram: Histogram) -> str:
        buckets = histogram.buckets
        if not any(bound == inf for bound, _ in buckets):
            buckets = [*buckets, (inf, histogram.sample_count)]
        shared = self._rendered(labels)
        start = self._start("_bucket") + _before_others(shared)
        lines = [
            f'{start}le="{_bound_text(bound)}"}} {format_float(float(count))}\n'
            for bound, count in buckets
        ]
        return "".join(lines) + self._totals(shared, histogram)

    def _rendered(self, labels: Labels) -> str:
        return ",".join(map(self._pair, labels))

    def _totals(self, labels: str, value: Summary | Histogram) -> str:
        return self._line("_sum", labels, value.sample_sum) + self._line(
            "_count", labels, value.sample_count
        )

    def _start(self, suffix: str) -> str:
        """Return what precedes the labels of a line."""
        name = self._name + suffix
        return f"{name}{{" if self._is_legacy else f"{{{quote_label(name)},"

    def _line(self, suffix: str, labels: str, value: float) -> str:
        # The format knows only floats, so that large counts lose digits.
        number = format_float(float(value))
        if labels:
            return f"{self._start(suffix)}{labels}}} {number}\n"
        name = self._name + suffix
        return f"{name if self._is_legacy else f'{{{quote_label(name)}}}'} {number}\n"


def _before_others(labels: str) -> str:
    return f"{labels}," if labels else ""
