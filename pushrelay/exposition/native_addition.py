"""Adds native histograms bucket by bucket, as Prometheus does for its `sum`.

Unlike histograms are made alike first, at the price of detail: of two zero buckets the
wider one takes in what the other histogram has in its place, and of two resolutions
the coarser one is taken. An observation never gets into a bucket that it may not
belong to.
"""

from __future__ import annotations

from operator import attrgetter

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_buckets import native_histogram, read_buckets
from pushrelay.exposition.native_histogram import is_float
from pushrelay.exposition.native_validity import check_native_histogram


def add_native_histograms(
    held: pb.Histogram, pushed: pb.Histogram, count: int | float
) -> pb.Histogram:
    """Return the native part of a histogram with the observations of both, which are
    valid; `count` is the sum of their counts.

    It has integers if both have, and `count` is one.

    Raises InvalidRequest, with no more than the reason, where they cannot be added.
    """
    total, other = read_buckets("held", held), read_buckets("pushed", pushed)
    while total.zero_threshold != other.zero_threshold:
        narrow, wide = sorted((total, other), key=attrgetter("zero_threshold"))
        narrow.widen_zero_bucket(wide.zero_threshold)
    schema = min(total.schema, other.schema)
    total.downscale(schema)
    other.downscale(schema)
    total.add(other)
    as_floats = is_float(held) or is_float(pushed)
    histogram = native_histogram(total, count, as_floats=as_floats)
    check_native_histogram(histogram)
    return histogram
