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
    native = None
    if isinstance(value, Histogram) and is_native(pushed.histogram):
        count = value.sample_count
        native = add_native_histograms(held.histogram, pushed.histogram, count)
    total = with_value(pushed, value, native)
    # Prometheus takes a later one for a reset of what was counted.
    before, after = counting_part(held), counting_part(total)
    after.ClearField("created_timestamp")
    if before.HasField("created_timestamp"):
        after.created_timestamp.CopyFrom(before.created_timestamp)
    return total


def with_value(
    pushed: pb.Metric,
    value: float | Summary | Histogram,
    native: pb.Histogram | None = None,
) -> pb.Metric:
    """Return `pushed` with another value of its kind, of which `native` has what is
    native."""
    metric = pb.Metric()
    metric.CopyFrom(pushed)
    if isinstance(value, Summary):
        metric.summary.sample_count = value.sample_count
        metric.summary.sample_sum = value.sample_sum
    elif isinstance(value, Histogram):
        metric.histogram.CopyFrom(_histogram(pushed.histogram, value, native))
    else:
        metric.counter.value = value
    return metric


def counting_part(metric: pb.Metric) -> pb.Counter | pb.Summary | pb.Histogram:
    """Return what `metric` counts with."""
    if metric.HasField("summary"):
        return metric.summary
    return metric.histogram if metric.HasField("histogram") else metric.counter


def _histogram(
    pushed: pb.Histogram, value: Histogram, native: pb.Histogram | None
) -> pb.Histogram:
    count = value.sample_count
    if native is not None:
        histogram = native
    elif isinstance(count, float):
        histogram = pb.Histogram(sample_count_float=count)
    else:
        histogram = pb.Histogram(sample_count=count)
    histogram.sample_sum = value.sample_sum
    histogram.exemplars.extend(pushed.exemplars)
    if pushed.HasField("created_timestamp"):
        histogram.created_timestamp.CopyFrom(pushed.created_timestamp)
    _add_buckets(histogram, pushed, value)
    return histogram


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
