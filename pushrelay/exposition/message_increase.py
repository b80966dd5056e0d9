"""What metrics that are kept as protobuf messages have counted since a push."""

from __future__ import annotations

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.message_addition import counting_part, with_value
from pushrelay.exposition.native_histogram import is_native
from pushrelay.exposition.native_increase import native_increase
from pushrelay.model import Histogram, Summary


def message_increase(
    last: pb.Metric, pushed: pb.Metric, value: float | Summary | Histogram
) -> pb.Metric | None:
    """Return `pushed` with what it counts beyond `last`; `value` is that of the two
    values, for which native histograms are compared here. None means a restart.

    Raises InvalidRequest, with no more than the reason, where one cannot be read.
    """
    if _began_later(last, pushed):
        return None
    if is_native(last.histogram) is not is_native(pushed.histogram):
        return None
    native = None
    if isinstance(value, Histogram) and is_native(pushed.histogram):
        native = native_increase(last.histogram, pushed.histogram, value.sample_count)
        if native is None:
            return None
    return with_value(pushed, value, native)


def _began_later(last: pb.Metric, pushed: pb.Metric) -> bool:
    before, after = counting_part(last), counting_part(pushed)
    if not before.HasField("created_timestamp"):
        return False
    then, now = before.created_timestamp, after.created_timestamp
    return (now.seconds, now.nanos) > (then.seconds, then.nanos)
