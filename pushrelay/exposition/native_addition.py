"""Adds native histograms bucket by bucket, as Prometheus does for its `sum`.

Unlike histograms are made alike first, at the price of detail: of two zero buckets the
wider one takes in what the other histogram has in its place, and of two resolutions
the coarser one is taken. An observation never gets into a bucket that it may not
belong to.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite
from operator import attrgetter

from pushrelay.errors import InvalidRequest
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.floats import format_float
from pushrelay.exposition.native_histogram import (
    SCHEMAS,
    is_float,
    populated_buckets,
    upper_bound,
)
from pushrelay.exposition.native_validity import check_native_histogram, float_total

_MAX_INT32 = 2**31 - 1
_MAX_INT64 = 2**63 - 1

_Counts = dict[int, int | float]
"""Counts by the number of the bucket, in no order, without empty buckets."""


def add_native_histograms(
    held: pb.Histogram, pushed: pb.Histogram, count: int | float
) -> pb.Histogram:
    """Return the native part of a histogram with the observations of both, which are
    valid; `count` is the sum of their counts.

    It has integers if both have, and `count` is one. Rounding may set the count of a
    float histogram below what its buckets have together: it is raised to that.

    Raises InvalidRequest, with no more than the reason, where they cannot be added.
    """
    total, other = _read("held", held), _read("pushed", pushed)
    while total.zero_threshold != other.zero_threshold:
        narrow, wide = sorted((total, other), key=attrgetter("zero_threshold"))
        narrow.widen_zero_bucket(wide.zero_threshold)
    schema = min(total.schema, other.schema)
    total.downscale(schema)
    other.downscale(schema)
    total.add(other)
    if isinstance(count, float) or is_float(held) or is_float(pushed):
        histogram = _float_histogram(total, float(count))
    else:
        histogram = _integer_histogram(total, count)
    check_native_histogram(histogram)
    return histogram


@dataclass(slots=True)
class _Buckets:
    """What the buckets of a native histogram hold."""

    schema: int
    zero_threshold: float
    zero_count: int | float
    negative: _Counts
    positive: _Counts

    def widen_zero_bucket(self, threshold: float) -> None:
        """Make `threshold` that of the zero bucket, which takes in what lies in it; or
        the end of the bucket that `threshold` would divide."""
        for index in (*self.negative, *self.positive):
            if self._end(index - 1) < threshold < self._end(index):
                threshold = self._end(index)
        self.zero_threshold = threshold
        for counts in (self.positive, self.negative):
            for index in sorted(counts):
                if self._end(index) <= threshold:
                    self.zero_count += counts.pop(index)

    def _end(self, index: int) -> float:
        """Return the bound of a bucket that is farther from zero."""
        return upper_bound(index, self.schema)

    def downscale(self, schema: int) -> None:
        """Join buckets to those of a schema that is not finer."""
        shift = self.schema - schema
        self.schema = schema
        self.negative = _joined(self.negative, shift)
        self.positive = _joined(self.positive, shift)

    def add(self, other: _Buckets) -> None:
        """Add the counts of `other`, which is alike."""
        self.zero_count += other.zero_count
        for mine, more in (
            (self.negative, other.negative),
            (self.positive, other.positive),
        ):
            for index, count in more.items():
                mine[index] = mine.get(index, 0) + count


def _read(whose: str, histogram: pb.Histogram) -> _Buckets:
    if histogram.schema not in SCHEMAS:
        raise InvalidRequest(
            f"the {whose} native histogram has the schema {histogram.schema}, which "
            "has no exponential buckets"
        )
    if not 0 <= histogram.zero_threshold < inf:
        raise InvalidRequest(
            f"the {whose} native histogram has the zero threshold "
            f"{format_float(histogram.zero_threshold)}"
        )
    negative, zero_count, positive = populated_buckets(histogram)
    buckets = _Buckets(
        histogram.schema,
        histogram.zero_threshold,
        zero_count,
        dict(negative),
        dict(positive),
    )
    counts = (*buckets.negative.values(), zero_count, *buckets.positive.values())
    if not all(map(isfinite, counts)):
        raise InvalidRequest(
            f"the {whose} native histogram has a count that is not finite"
        )
    return buckets


def _joined(counts: _Counts, shift: int) -> _Counts:
    joined: _Counts = {}
    for index, count in counts.items():
        coarser = ((index - 1) >> shift) + 1
        joined[coarser] = joined.get(coarser, 0) + count
    return joined


def _integer_histogram(buckets: _Buckets, count: int) -> pb.Histogram:
    negative, positive = _in_order(buckets.negative), _in_order(buckets.positive)
    if max(0, 0, *negative, *positive) > _MAX_INT64:
        raise InvalidRequest(
            "a bucket of both native histograms together has more than 2^63-1 "
            "observations"
        )
    histogram = _without_counts(buckets)
    histogram.sample_count = count
    histogram.zero_count = int(buckets.zero_count)
    histogram.negative_delta.extend(_deltas(negative))
    histogram.positive_delta.extend(_deltas(positive))
    return histogram


def _float_histogram(buckets: _Buckets, count: float) -> pb.Histogram:
    histogram = _without_counts(buckets)
    histogram.zero_count_float = buckets.zero_count
    histogram.negative_count.extend(_in_order(buckets.negative))
    histogram.positive_count.extend(_in_order(buckets.positive))
    histogram.sample_count_float = max(count, float_total(histogram))
    if not isfinite(histogram.sample_count_float + histogram.zero_count_float):
        raise InvalidRequest(
            "both native histograms together have more observations than a float holds"
        )
    return histogram


def _without_counts(buckets: _Buckets) -> pb.Histogram:
    histogram = pb.Histogram(
        schema=buckets.schema, zero_threshold=buckets.zero_threshold
    )
    histogram.negative_span.extend(_spans(sorted(buckets.negative)))
    histogram.positive_span.extend(_spans(sorted(buckets.positive)))
    if not (buckets.negative or buckets.positive):
        # By this, clients tell one before the first observation from a classic one.
        histogram.positive_span.add(offset=0, length=0)
    return histogram


def _spans(indexes: list[int]) -> list[pb.BucketSpan]:
    """Return the spans of the buckets `indexes`, which ascend."""
    spans: list[pb.BucketSpan] = []
    end = 0
    for index in indexes:
        if spans and index == end:
            spans[-1].length += 1
        elif spans and index - end > _MAX_INT32:
            raise InvalidRequest(
                "the buckets of the two native histograms lie too far apart"
            )
        else:
            spans.append(pb.BucketSpan(offset=index - end, length=1))
        end = index + 1
    return spans


def _in_order(counts: _Counts) -> list[int | float]:
    return [counts[index] for index in sorted(counts)]


def _deltas(counts: list[int | float]) -> list[int]:
    return [int(count - previous) for previous, count in pairwise([0, *counts])]
