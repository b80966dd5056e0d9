"""Reads metric families in the protobuf format, as pushed and as kept.

A pushed body is a stream of `io.prometheus.client.MetricFamily`, each behind its
length. A family of which the model holds only a part keeps its message as well, with
the labels in place.

Fields that this version of the protocol does not have are dropped, those of future
versions too. They may be known ones of a wrong wire type, for which Prometheus would
refuse the whole page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError

from pushrelay.config import Limits
from pushrelay.errors import InvalidRequest, LimitExceeded
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.labels import LabelPlacer
from pushrelay.exposition.model_fidelity import model_holds
from pushrelay.exposition.native_validity import check_native_histogram
from pushrelay.exposition.protobuf_wire import (
    has_more_fields,
    has_other_values,
    split_delimited,
)
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Histogram, Metric, MetricFamily, MetricType, Summary
from pushrelay.quoting import quote

Value = float | Summary | Histogram

_TYPES = frozenset(MetricType)
_HISTOGRAM_TYPES = {MetricType.HISTOGRAM, MetricType.GAUGE_HISTOGRAM}


def parse_protobuf(
    body: bytes, key: GroupingKey | None, limits: Limits
) -> list[MetricFamily]:
    """Return the families of `body` as they are pushed to the group `key`; without a
    key, with the labels that they have.

    The last of two families with one name replaces the first. Neither names nor
    labels are checked, and a metric without a value of the family's type has the
    value None. Labels that are not UTF-8 come with surrogate escapes (PEP 383).

    Raises InvalidRequest for what cannot be read, and LimitExceeded.
    """
    families: dict[str, MetricFamily] = {}
    placer = LabelPlacer(key, limits)
    left = buckets_left = limits.series
    for position, message in enumerate(split_delimited(body), start=1):
        if not message:
            # A family without a name is refused, but one without anything is nothing.
            continue
        _check_series(message, left, limits)
        family = _parse_family(message, position, placer)
        families[family.name] = family
        if len(families) > limits.series:
            raise _exceeded("families", limits)
        left -= len(family.metrics)
        buckets_left -= _native_buckets(family)
        if buckets_left < 0:
            raise _exceeded("buckets of native histograms", limits)
    return list(families.values())


def metrics_of(message: bytes) -> list[Metric]:
    """Return the metrics of a kept message, their labels as they are."""
    family = pb.MetricFamily.FromString(message)
    read = _READERS[MetricType(family.type)]
    return [Metric(tuple(_labels(metric)), read(metric)) for metric in family.metric]


def reorder_message(message: bytes, order: Sequence[int]) -> bytes:
    """Return a kept message with some of its metrics in an order of their own: metric i
    of the result is metric `order[i]` of `message`."""
    source = pb.MetricFamily.FromString(message)
    result = pb.MetricFamily.FromString(message)
    del result.metric[:]
    result.metric.extend(source.metric[position] for position in order)
    return result.SerializeToString()


def _check_series(message: bytes, left: int, limits: Limits) -> None:
    # Before the message is decoded: two bytes of an empty metric take 80 bytes then.
    if len(message) <= 2 * left:
        return
    if has_more_fields(message, pb.MetricFamily.METRIC_FIELD_NUMBER, most=left):
        raise _exceeded("series", limits)


def _native_buckets(family: MetricFamily) -> int:
    """Return how many buckets the native histograms of `family` have: one takes a byte
    of the body, and hundreds when it is added or shown."""
    if family.message is None or family.type not in _HISTOGRAM_TYPES:
        return 0
    histograms = [
        m.histogram for m in pb.MetricFamily.FromString(family.message).metric
    ]
    return sum(
        len(h.negative_delta)
        + len(h.positive_delta)
        + len(h.negative_count)
        + len(h.positive_count)
        for h in histograms
    )


def _exceeded(what: str, limits: Limits) -> LimitExceeded:
    return LimitExceeded(
        "series", f"the push has more {what} than the limit of {limits.series}"
    )


def _parse_family(message: bytes, position: int, placer: LabelPlacer) -> MetricFamily:
    decoded, known = _decode(message)
    name = _name(decoded, position)
    if not known:
        _check_type(message, name)
    family = MetricFamily(name, MetricType(decoded.type), _help(decoded, name))
    read = _READERS[family.type]
    for metric in decoded.metric:
        labels = placer.place(_labels(metric))
        family.metrics.append(Metric(labels, read(metric)))
        if metric.HasField("timestamp_ms"):
            family.timestamped = True
    if not model_holds(decoded):
        if family.type in _HISTOGRAM_TYPES:
            _check_native_histograms(decoded, family)
        family.message = _encode_placed(decoded, family.metrics)
    return family


def _encode_placed(family: pb.MetricFamily, metrics: list[Metric]) -> bytes:
    """Encode `family` with the labels of `metrics`."""
    for encoded, metric in zip(family.metric, metrics, strict=True):
        del encoded.label[:]
        for name, value in metric.labels:
            encoded.label.add(
                name=name.encode(errors="surrogateescape"),
                value=value.encode(errors="surrogateescape"),
            )
    return family.SerializeToString()


def _check_native_histograms(decoded: pb.MetricFamily, family: MetricFamily) -> None:
    for pushed, metric in zip(decoded.metric, family.metrics, strict=True):
        try:
            check_native_histogram(pushed.histogram)
        except InvalidRequest as error:
            shown = ", ".join(f"{name}={quote(value)}" for name, value in metric.labels)
            raise InvalidRequest(
                f"metric {quote(family.name)} {{{shown}}} has an invalid native "
                f"histogram: {error}"
            ) from error


def _decode(message: bytes) -> tuple[pb.MetricFamily, bool]:
    """Return the decoded message without unknown fields, and whether it had none."""
    try:
        decoded = pb.MetricFamily.FromString(message)
    except DecodeError as error:
        raise InvalidRequest("proto: cannot parse invalid wire-format data") from error
    size = decoded.ByteSize()
    decoded.DiscardUnknownFields()
    return decoded, decoded.ByteSize() == size


def _name(family: pb.MetricFamily, position: int) -> str:
    if not family.name:
        raise InvalidRequest(f"metric family {position} of the push has no name")
    return _utf8(family.name, f"the name of metric family {position}")


def _help(family: pb.MetricFamily, name: str) -> str:
    return _utf8(family.help, f"the help text of metric family {quote(name)}")


def _utf8(text: bytes, what: str) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        shown = quote(text.decode(errors="surrogateescape"))
        raise InvalidRequest(f"{what} is not valid UTF-8: {shown}") from error


def _check_type(message: bytes, name: str) -> None:
    # The protobuf package takes a number that an enum does not have for an unknown
    # field, and so it is dropped.
    if has_other_values(message, pb.MetricFamily.TYPE_FIELD_NUMBER, _TYPES):
        raise InvalidRequest(f"metric family {quote(name)} has an unknown type")


def _labels(metric: pb.Metric) -> list[tuple[str, str]]:
    return [
        (
            str(pair.name, "utf-8", "surrogateescape"),
            str(pair.value, "utf-8", "surrogateescape"),
        )
        for pair in metric.label
    ]


def _read_counter(metric: pb.Metric) -> float | None:
    return metric.counter.value if metric.HasField("counter") else None


def _read_gauge(metric: pb.Metric) -> float | None:
    return metric.gauge.value if metric.HasField("gauge") else None


def _read_untyped(metric: pb.Metric) -> float | None:
    return metric.untyped.value if metric.HasField("untyped") else None


def _read_summary(metric: pb.Metric) -> Summary | None:
    if not metric.HasField("summary"):
        return None
    summary = metric.summary
    quantiles = [(quantile.quantile, quantile.value) for quantile in summary.quantile]
    return Summary(summary.sample_count, summary.sample_sum, quantiles)


def _read_histogram(metric: pb.Metric) -> Histogram | None:
    if not metric.HasField("histogram"):
        return None
    histogram = metric.histogram
    count = histogram.sample_count_float
    return Histogram(
        count if count > 0 else histogram.sample_count,
        histogram.sample_sum,
        [(bucket.upper_bound, _bucket_count(bucket)) for bucket in histogram.bucket],
    )


def _bucket_count(bucket: pb.Bucket) -> int | float:
    count = bucket.cumulative_count_float
    return count if count > 0 else bucket.cumulative_count


_READERS: dict[MetricType, Callable[[pb.Metric], Value | None]] = {
    MetricType.COUNTER: _read_counter,
    MetricType.GAUGE: _read_gauge,
    MetricType.SUMMARY: _read_summary,
    MetricType.UNTYPED: _read_untyped,
    MetricType.HISTOGRAM: _read_histogram,
    MetricType.GAUGE_HISTOGRAM: _read_histogram,
}
