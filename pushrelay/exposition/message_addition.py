"""Adds metrics that are kept as protobuf messages, with all that the model lacks."""

from __future__ import annotations

from pushrelay.errors import InvalidRequest
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_addition import add_native_histograms
from pushrelay.exposition.native_histogram import is_native
from pushrelay.model import Histogram, Summary


def check_same_kind(held: pb.Metric, pushed: pb.Metric) -> None:
    """Raise InvalidRequest, with no more than the reason, if one of the two has a
    native histogram and the other does not."""
    if is_native(held.histogram) and not is_native(pushed.histogram):
        raise InvalidRequest("a native histogram is held and a classic one is pushed")
    if is_native(pushed.histogram) and not is_native(held.histogram):
        raise InvalidRequest("a classic histogram is held and a native one is pushed")


def add_messages(
    held: pb.Metric, pushed: pb.Metric, value: float | Summary | Histogram
) -> pb.Metric:
    """Return the sum of two metrics of one kind; `value` is that of their values, to
    which native histograms are added here.

    Exemplars are those of `pushed`, the created timestamp is that of `held`. Raises
    InvalidRequest, with no more than the reason.
    """
    total = pb.Metric()
    total.CopyFrom(pushed)
    if isinstance(value, Summary):
        total.summary.sample_count = value.sample_count
        total.summary.sample_sum = value.sample_sum
        _keep_created(total.summary, held.summary)
    elif isinstance(value, Histogram):
        total.histogram.CopyFrom(
            _add_histograms(held.histogram, pushed.histogram, value)
        )
        _keep_created(total.histogram, held.histogram)
    else:
        total.counter.value = value
        _keep_created(total.counter, held.counter)
    return total


def _keep_created(
    total: pb.Counter | pb.Summary | pb.Histogram,
    held: pb.Counter | pb.Summary | pb.Histogram,
) -> None:
    # Prometheus takes a later one for a reset of what was counted.
    total.ClearField("created_timestamp")
    if held.HasField("created_timestamp"):
        total.created_timestamp.CopyFrom(held.created_timestamp)


def _add_histograms(
    held: pb.Histogram, pushed: pb.Histogram, value: Histogram
) -> pb.Histogram:
    count = value.sample_count
    if is_native(pushed):
        total = add_native_histograms(held, pushed, count)
    elif isinstance(count, float):
        total = pb.Histogram(sample_count_float=count)
    else:
        total = pb.Histogram(sample_count=count)
    total.sample_sum = value.sample_sum
    total.exemplars.extend(pushed.exemplars)
    _add_buckets(total, pushed, value)
    return total


def _add_buckets(total: pb.Histogram, pushed: pb.Histogram, value: Histogram) -> None:
    exemplars = {
        bucket.upper_bound: bucket.exemplar
        for bucket in pushed.bucket
        if bucket.HasField("exemplar")
    }
    for bound, count in value.buckets:
        bucket = total.bucket.add(upper_bound=bound)
        if isinstance(count, float):
            bucket.cumulative_count_float = count
        else:
            bucket.cumulative_count = count
        if bound in exemplars:
            bucket.exemplar.CopyFrom(exemplars[bound])
