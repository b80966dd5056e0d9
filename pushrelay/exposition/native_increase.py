"""What a native histogram has observed since it was pushed last.

A restart is what Prometheus takes for a reset of the counter (`DetectReset` in
model/histogram): something fell, the resolution became finer or the zero bucket
narrower. Clients may make their buckets coarser at any time.
"""

from __future__ import annotations

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_buckets import (
    Buckets,
    Counts,
    native_histogram,
    read_buckets,
)
from pushrelay.exposition.native_histogram import is_float


def native_increase(
    last: pb.Histogram, pushed: pb.Histogram, count: int | float
) -> pb.Histogram | None:
    """Return the native part of a histogram with the observations that `pushed` has
    beyond those of `last`; `count` is how many they are. None means a restart.

    Raises InvalidRequest, with no more than the reason, where one cannot be read.
    """
    before, after = read_buckets("last", last), read_buckets("pushed", pushed)
    if not _became_coarser(before, after):
        return None
    increase = _difference(before, after)
    if increase is None:
        return None
    as_floats = is_float(last) or is_float(pushed)
    return native_histogram(increase, count, as_floats=as_floats)


def _became_coarser(before: Buckets, after: Buckets) -> bool:
    """Bring `before` to the resolution and the zero bucket of `after`; return whether
    that was possible without a loss of detail in `after`."""
    is_wider = before.zero_threshold <= after.zero_threshold
    if before.schema < after.schema or not is_wider:
        return False
    if before.zero_threshold < after.zero_threshold:
        before.widen_zero_bucket(after.zero_threshold)
    before.downscale(after.schema)
    # No client has a zero bucket that ends within one of its other buckets.
    return before.zero_threshold == after.zero_threshold


def _difference(before: Buckets, after: Buckets) -> Buckets | None:
    negative = _increases(before.negative, after.negative)
    positive = _increases(before.positive, after.positive)
    zero_count = after.zero_count - before.zero_count
    if negative is None or positive is None or zero_count < 0:
        return None
    return Buckets(after.schema, after.zero_threshold, zero_count, negative, positive)


def _increases(before: Counts, after: Counts) -> Counts | None:
    """Return how much each bucket has grown, None if one fell."""
    if any(count > after.get(index, 0) for index, count in before.items()):
        return None
    grown = {index: count - before.get(index, 0) for index, count in after.items()}
    return {index: count for index, count in grown.items() if count}
