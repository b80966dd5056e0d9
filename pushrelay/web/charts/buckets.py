"""Buckets of histograms as a chart has them: bounds, and the count of each alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import copysign, exp, inf, isfinite, log

from pushrelay.exposition.native_histogram import NativeBucket

Bucket = tuple[float, float, float]
"""Lower bound, upper bound, count; bounds may be infinite."""

_MOST_GAP = 40
_MOST_COLUMNS = 200


def single_counts(cumulative: Iterable[tuple[float, float]]) -> list[Bucket]:
    """Return the buckets of a classic histogram from its pairs of `le` and the count of
    all that is not above it, in any order.

    The first has no lower bound. Counts that fall, as of a histogram that was read
    while it changed, make empty buckets.
    """
    buckets: list[Bucket] = []
    lower, below = -inf, 0.0
    for upper, count in sorted(cumulative):
        buckets.append((lower, upper, max(count - below, 0)))
        lower, below = upper, max(count, below)
    return buckets


def spelled_out(native: Iterable[NativeBucket]) -> list[Bucket]:
    """Return the buckets of a native histogram."""
    return [(lower, upper, float(count)) for _, lower, upper, count in native]


def columns(buckets: Sequence[Bucket]) -> list[Bucket]:
    """Return buckets in ascending order, with empty ones in the gaps between them, as
    many as buckets of the size of their neighbours would fill, but not too many.

    If there are more than a chart has room for, neighbours are taken together.
    """
    ordered = sorted(buckets)
    filled = ordered[:1]
    for before, after in pairwise(ordered):
        filled += _gap(before, after)
        filled.append(after)
    while len(filled) > _MOST_COLUMNS:
        filled = [_together(filled[n : n + 2]) for n in range(0, len(filled), 2)]
    return filled


def _gap(before: Bucket, after: Bucket) -> list[Bucket]:
    begin, end = before[1], after[0]
    if not begin < end:
        return []
    count = min(_buckets_between(begin, end, before, after), _MOST_GAP)
    if count == 1:
        return [(begin, end, 0.0)]
    sign, first, last = copysign(1, begin), log(abs(begin)), log(abs(end))
    between = [first + (last - first) * n / count for n in range(1, count)]
    bounds = [begin, *[sign * exp(exponent) for exponent in between], end]
    return [(lower, upper, 0.0) for lower, upper in pairwise(bounds)]


def _buckets_between(begin: float, end: float, before: Bucket, after: Bucket) -> int:
    """Return how many buckets would be between, one if nothing tells."""
    lower, upper = (before if begin < 0 else after)[:2]
    if not all(isfinite(bound) for bound in (begin, end, lower, upper)):
        return 1
    if begin * end <= 0 or lower * upper <= 0 or lower == upper:
        return 1
    # Quotients of floats may be infinite where differences of logarithms are not.
    size = abs(log(abs(upper)) - log(abs(lower)))
    if not size:
        return 1
    return max(round(abs(log(abs(end)) - log(abs(begin))) / size), 1)


def _together(buckets: Sequence[Bucket]) -> Bucket:
    return buckets[0][0], buckets[-1][1], sum([count for _, _, count in buckets], 0.0)
