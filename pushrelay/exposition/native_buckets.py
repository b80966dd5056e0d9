"""The buckets of native histograms as numbers that can be computed with, both ways."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite

from pushrelay.errors import InvalidRequest
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.floats import format_float
from pushrelay.exposition.native_histogram import (
    SCHEMAS,
    populated_buckets,
    upper_bound,
)
from pushrelay.exposition.native_validity import float_total

_MAX_INT32 = 2**31 - 1
_MAX_INT64 = 2**63 - 1

Counts = dict[int, int | float]
"""Counts by the number of the bucket, in no order, without empty buckets."""


@dataclass(slots=True)
class Buckets:
    """What the buckets of a native histogram hold."""

    schema: int
    zero_threshold: float
    zero_count: int | float
    negative: Counts
    positive: Counts

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

    def add(self, other: Buckets) -> None:
        """Add the counts of `other`, which is alike."""
        self.zero_count += other.zero_count
        for mine, more in (
            (self.negative, other.negative),
            (self.positive, other.positive),
        ):
            for index, count in more.items():
                mine[index] = mine.get(index, 0) + count


def read_buckets(whose: str, histogram: pb.Histogram) -> Buckets:
    """Return the buckets of the native `histogram`.

    Raises InvalidRequest, with no more than the reason, if they are not exponential or
    not finite; `whose` says in it which histogram this is.
    """
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
    buckets = Buckets(
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


def _joined(counts: Counts, shift: int) -> Counts:
    joined: Counts = {}
    for index, count in counts.items():
        coarser = ((index - 1) >> shift) + 1
        joined[coarser] = joined.get(coarser, 0) + count
    return joined


def native_histogram(
    buckets: Buckets, count: int | float, *, as_floats: bool
) -> pb.Histogram:
    """Return the native part of a histogram with `buckets` and `count` observations,
    which is one of floats if `as_floats`, or if `count` is a float.

    Rounding may set the count of a float histogram below what its buckets have
    together: it is raised to that. Raises InvalidRequest where numbers are too large.
    """
    if as_floats or isinstance(count, float):
        return _float_histogram(buckets, float(count))
    return _integer_histogram(buckets, count)


def _integer_histogram(buckets: Buckets, count: int) -> pb.Histogram:
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


def _float_histogram(buckets: Buckets, count: float) -> pb.Histogram:
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


def _without_counts(buckets: Buckets) -> pb.Histogram:
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


def _in_order(counts: Counts) -> list[int | float]:
    return [counts[index] for index in sorted(counts)]


def _deltas(counts: list[int | float]) -> list[int]:
    return [int(count - previous) for previous, count in pairwise([0, *counts])]
