"""The values of a family as a person reads them: tables, and drawn histograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf, isnan

from markupsafe import Markup

from pushrelay.exposition.floats import format_float
from pushrelay.exposition.native_histogram import native_buckets_of
from pushrelay.exposition.stored import from_stored
from pushrelay.groups import Group, StoredFamily
from pushrelay.model import Histogram, Metric, Summary, exposed_labels
from pushrelay.web.charts import Bucket, histogram, single_counts, spelled_out
from pushrelay.web.pages.layout import cut, moment

MOST_READ = 256 * 1024
"""Bytes; a larger family is shown as text only, for reading it takes long."""

LABEL_CHARACTERS = 300
MOST_BUCKETS = 40
"""So many are told in words; neighbours are joined until there are not more."""

_SECOND = 10**9
_TIMES = (10**8, 10**11)
"""Between these Unix seconds, 1973 and 5138, a point in time is told as one."""


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """A value; labels: without those of the group. at: the same, where it is a point in
    time."""

    labels: str
    value: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DrawnHistogram:
    """A histogram; buckets: bounds and count in words, for who cannot see the chart."""

    labels: str
    count: str
    sum: str
    mean: str
    chart: Markup
    buckets: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Values:
    """What is shown of a family; left_out: how many of its series are not."""

    rows: list[SeriesRow] = field(default_factory=list)
    histograms: list[DrawnHistogram] = field(default_factory=list)
    left_out: int = 0


def values_of(
    group: Group, family: StoredFamily, most: int, *, is_timestamp: bool
) -> Values | None:
    """Return the values of the first `most` series of `family`; None if it is too large
    to be read for a page."""
    if len(family.series) + len(family.message or b"") > MOST_READ:
        return None
    metrics = from_stored(family, pushed_order=False).metrics
    native: Sequence[list[Bucket] | None] = [None] * most
    if family.message is not None:
        native = [
            None if each is None else spelled_out(each)
            for each in native_buckets_of(family.message, most)
        ]
    values = Values(left_out=max(len(metrics) - most, 0))
    for metric, buckets in zip(metrics[:most], native, strict=False):
        _add(values, family.name, metric, group, buckets, is_timestamp=is_timestamp)
    return values


def _add(
    values: Values,
    name: str,
    metric: Metric,
    group: Group,
    native: list[Bucket] | None,
    *,
    is_timestamp: bool,
) -> None:
    labels = _own_labels(metric, group)
    match metric.value:
        case Summary() as summary:
            values.rows.extend(_summary_rows(labels, summary))
        case Histogram() as classic:
            buckets = _classic_buckets(classic) if native is None else native
            values.histograms.append(_drawn(name, labels, classic, buckets))
        case None:
            values.rows.append(SeriesRow(labels, "no value"))
        case value:
            at = _point_in_time(value) if is_timestamp else None
            values.rows.append(SeriesRow(labels, format_float(value), at))


def _own_labels(metric: Metric, group: Group) -> str:
    """Return the labels that a series has beside those of its group."""
    held = dict(group.key.labels)
    held.setdefault("instance", "")
    own = [(n, v) for n, v in metric.labels if held.get(n) != v]
    return cut(exposed_labels(own), LABEL_CHARACTERS)


def _point_in_time(value: float) -> datetime | None:
    first, last = _TIMES
    return moment(round(value * _SECOND)) if first < value < last else None


def _summary_rows(labels: str, summary: Summary) -> list[SeriesRow]:
    before = f"{labels}," if labels else ""
    rows = [
        SeriesRow(f'{before}quantile="{format_float(q)}"', format_float(value))
        for q, value in summary.quantiles
    ]
    spaced = f"{labels} " if labels else ""
    rows.append(SeriesRow(f"{spaced}count", format_float(summary.sample_count)))
    rows.append(SeriesRow(f"{spaced}sum", format_float(summary.sample_sum)))
    return rows


def _classic_buckets(value: Histogram) -> list[Bucket]:
    """Return the buckets, each for itself, with that of all larger values."""
    pairs = [(bound, count) for bound, count in value.buckets if not isnan(bound)]
    if all(bound != inf for bound, _ in pairs):
        pairs.append((inf, value.sample_count))
    return single_counts(pairs)


def _drawn(
    name: str, labels: str, value: Histogram, buckets: list[Bucket]
) -> DrawnHistogram:
    count = value.sample_count
    return DrawnHistogram(
        labels,
        format_float(count),
        format_float(value.sample_sum),
        f"{value.sample_sum / count:.4g}" if count else "",
        histogram(buckets, f"{name}{{{labels}}}" if labels else name),
        [
            (_bounds(lower, upper), format_float(n))
            for lower, upper, n in joined(buckets, MOST_BUCKETS)
        ],
    )


def joined(buckets: list[Bucket], most: int) -> list[Bucket]:
    """Return `buckets`, or fewer that hold the same: neighbours are joined."""
    while len(buckets) > most:
        pairs = [buckets[at : at + 2] for at in range(0, len(buckets), 2)]
        buckets = [
            (pair[0][0], pair[-1][1], sum([count for _, _, count in pair]))
            for pair in pairs
        ]
    return buckets


def _bounds(lower: float, upper: float) -> str:
    if upper == inf:
        return "all others" if lower == -inf else f"more than {lower:.4g}"
    if lower == -inf:
        return f"up to {upper:.4g}"
    return f"{lower:.4g} to {upper:.4g}"
