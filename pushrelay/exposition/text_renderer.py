"""Writes metric families in the text format 0.0.4, as the Go client prints them.

Series are rendered once, when they are pushed, and again only for a scraper that
wants names escaped in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

_TYPE_WORDS = {type_: type_.name.lower() for type_ in MetricType}
# The format has no gauge histograms; their series look like any histogram's.
_TYPE_WORDS[MetricType.GAUGE_HISTOGRAM] = "histogram"


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
        shown = _quote(shown)
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
    keys = [
        (len(metric.labels), [value for _, value in metric.labels])
        for metric in metrics
    ]
    return sorted(range(len(keys)), key=keys.__getitem__)


class _LabelPairs(dict[tuple[str, str], str]):
    """Rendered label pairs: most of them stand on all series of a family."""

    def __init__(self, escaping: Escaping) -> None:
        super().__init__()
        self._escaping = escaping

    def __missing__(self, pair: tuple[str, str]) -> str:
        name = escape_label_name(pair[0], self._escaping)
        if not is_legacy_label_name(name):
            name = _quote(name)
        rendered = self[pair] = f"{name}={_quote(pair[1])}"
        return rendered


class _Renderer:
    """Renders the metrics of one family."""

    def __init__(self, name: str, escaping: Escaping) -> None:
        self._name = escape_metric_name(name, escaping)
        self._is_legacy = is_legacy_metric_name(self._name)
        self._pairs = _LabelPairs(escaping)

    def of(self, type_: MetricType) -> Callable[[Labels, Any], str]:
        """Return what renders a metric of `type_` from its labels and its value."""
        if type_ is MetricType.SUMMARY:
            return self._summary
        if type_ in HISTOGRAMS:
            return self._histogram
        return self._number

    def _number(self, labels: Labels, value: float) -> str:
        return self._line("", self._rendered(labels), value)

    def _summary(self, labels: Labels, summary: Summary) -> str:
        shared = self._rendered(labels)
        lines = [
            self._line("", _with_bound(shared, "quantile", quantile), value)
            for quantile, value in summary.quantiles
        ]
        return "".join(lines) + self._totals(shared, summary)

    def _histogram(self, labels: Labels, histogram: Histogram) -> str:
        shared = self._rendered(labels)
        buckets = histogram.buckets
        if not any(bound == inf for bound, _ in buckets):
            buckets = [*buckets, (inf, histogram.sample_count)]
        lines = [
            self._line("_bucket", _with_bound(shared, "le", bound), count)
            for bound, count in buckets
        ]
        return "".join(lines) + self._totals(shared, histogram)

    def _totals(self, labels: str, value: Summary | Histogram) -> str:
        return self._line("_sum", labels, value.sample_sum) + self._line(
            "_count", labels, value.sample_count
        )

    def _rendered(self, labels: Labels) -> str:
        pairs = self._pairs
        return ",".join([pairs[pair] for pair in labels])

    def _line(self, suffix: str, labels: str, value: float) -> str:
        # The format knows only floats, so that large counts lose digits.
        number = format_float(float(value))
        if self._is_legacy:
            braces = f"{{{labels}}}" if labels else ""
            return f"{self._name}{suffix}{braces} {number}\n"
        comma = "," if labels else ""
        name = _quote(self._name + suffix)
        return f"{{{name}{comma}{labels}}} {number}\n"


def _with_bound(labels: str, name: str, bound: float) -> str:
    comma = "," if labels else ""
    return f'{labels}{comma}{name}="{format_float(bound)}"'


def _quote(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'"{escaped}"'
