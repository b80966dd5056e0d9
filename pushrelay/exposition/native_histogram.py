"""The buckets of native histograms, spelled out as the query API shows them.

A native histogram names its buckets by number: spans of consecutive ones, the gaps
between them, and a count each. Bucket i of schema n ends at 2^(i * 2^-n).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from math import inf, ldexp
from sys import float_info

from pushrelay.exposition import metrics_pb2 as pb

NativeBucket = tuple[int, float, float, int | float]
"""Which bounds belong to it, lower bound, upper bound, count.

The first is 0 for (lower, upper], 1 for [lower, upper), 2 for neither bound and 3 for
both. The count is an int, and a float in a float histogram.
"""

NumberedCount = tuple[int, int | float]
"""Number of a bucket and its count, an int or a float as in NativeBucket."""

_FINEST_SCHEMA = 8
SCHEMAS = range(-4, _FINEST_SCHEMA + 1)
# 2^(2^-n) for n = 1 to 8 as Go's math.Exp2 has it, now and then a digit below the
# nearest float: Prometheus made its bounds from these.
_ROOTS_OF_TWO = (
    1.414213562373095,
    1.189207115002721,
    1.0905077326652577,
    1.0442737824274138,
    1.0218971486541166,
    1.0108892860517005,
    1.0054299011128027,
    1.0027112750502025,
)


def native_buckets_of(
    message: bytes, most: int | None = None
) -> list[list[NativeBucket] | None]:
    """Return the buckets of each metric of an encoded family, or of the first `most`;
    None for a metric that has no native histogram, or one that was never observed."""
    family = pb.MetricFamily.FromString(message)
    return [
        native_buckets(metric.histogram) if _has_spans(metric.histogram) else None
        for metric in family.metric[:most]
    ]


def native_buckets(histogram: pb.Histogram) -> list[NativeBucket]:
    """Return the buckets of `histogram` that are not empty, in ascending order: the
    negative ones, the zero bucket, the positive ones.

    There are none for a schema without exponential buckets.
    """
    if histogram.schema not in SCHEMAS:
        return []
    schema, threshold = histogram.schema, histogram.zero_threshold
    negative, zero_count, positive = populated_buckets(histogram)
    buckets = [
        _bucket(-upper_bound(index, schema), -upper_bound(index - 1, schema), n)
        for index, n in negative
    ]
    buckets.reverse()
    if zero_count:
        buckets.append((3, -threshold, threshold, zero_count))
    buckets += [
        _bucket(upper_bound(index - 1, schema), upper_bound(index, schema), n)
        for index, n in positive
    ]
    return buckets


def populated_buckets(
    histogram: pb.Histogram,
) -> tuple[Iterator[NumberedCount], int | float, Iterator[NumberedCount]]:
    """Return the negative buckets of `histogram` that are not empty, the count of its
    zero bucket, and the positive buckets that are not empty.

    Spans that reach beyond the counts are cut.
    """
    negative, zero_count, positive = _counts(histogram)
    return (
        _populated(histogram.negative_span, negative),
        zero_count,
        _populated(histogram.positive_span, positive),
    )


def upper_bound(index: int, schema: int) -> float:
    """Return the upper bound of the positive bucket `index`."""
    if schema < 0:
        fraction, exponent = 0.5, (index << -schema) + 1
    else:
        finest = (index & ((1 << schema) - 1)) << (_FINEST_SCHEMA - schema)
        fraction, exponent = _FRACTIONS[finest], (index >> schema) + 1
    if fraction == 0.5 and exponent == float_info.max_exp + 1:
        # The last bucket of finite numbers; the next one is that of infinity.
        return float_info.max
    try:
        return ldexp(fraction, exponent)
    except OverflowError:
        return inf


def is_native(histogram: pb.Histogram) -> bool:
    """Whether `histogram` has anything native, if only what tells it from a classic
    one before the first observation."""
    # Versions of Prometheus differ: some go by the spans, some by the counts.
    return bool(
        histogram.negative_span
        or histogram.positive_span
        or histogram.zero_threshold > 0
        or histogram.zero_count
        or histogram.negative_delta
        or histogram.positive_delta
        or histogram.negative_count
        or histogram.positive_count
    )


def is_float(histogram: pb.Histogram) -> bool:
    """Whether the buckets of `histogram` have counts, and not deltas."""
    return histogram.sample_count_float > 0 or histogram.zero_count_float > 0


def _has_spans(histogram: pb.Histogram) -> bool:
    return bool(histogram.negative_span or histogram.positive_span)


def _counts(
    histogram: pb.Histogram,
) -> tuple[Iterable[int | float], int | float, Iterable[int | float]]:
    """Return the counts of the negative, of the zero and of the positive buckets."""
    if is_float(histogram):
        return (
            histogram.negative_count,
            histogram.zero_count_float,
            histogram.positive_count,
        )
    return (
        map(_uint64, accumulate(histogram.negative_delta)),
        histogram.zero_count,
        map(_uint64, accumulate(histogram.positive_delta)),
    )


def _uint64(count: int) -> int:
    return count % 2**64


def _populated(
    spans: Iterable[pb.BucketSpan], counts: Iterable[int | float]
) -> Iterator[NumberedCount]:
    left = iter(counts)
    index = 0
    for span in spans:
        index += span.offset
        for count in islice(left, span.length):
            if count:
                yield index, count
            index += 1


def _bucket(lower: float, upper: float, count: int | float) -> NativeBucket:
    # The bound farther from zero belongs to the bucket, unless it is so small that it
    # is zero as a float.
    if lower < 0:
        return 1, lower, upper, count
    return (0 if upper > 0 else 2), lower, upper, count


def _fractions() -> list[float]:
    """Return the bounds from 0.5 up to 1 of the finest schema; those of a coarser one
    are among them."""
    bounds = [0.5]
    for root in _ROOTS_OF_TWO:
        bounds = [bound * factor for bound in bounds for factor in (1.0, root)]
    return bounds


_FRACTIONS = _fractions()
