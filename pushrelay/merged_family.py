"""One family made of what is held of it and what is pushed of it, series by series."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from pushrelay.addition import Value, add_values, check_increment
from pushrelay.errors import InvalidRequest
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.message_addition import add_messages, check_same_kind
from pushrelay.exposition.model_fidelity import model_holds
from pushrelay.exposition.protobuf_encoder import encode_family
from pushrelay.exposition.protobuf_parser import metrics_of
from pushrelay.findings import Findings, braces, exposed_series
from pushrelay.model import Labels, Metric, MetricFamily
from pushrelay.quoting import quote


class Series(NamedTuple):
    """A metric; with its message where one of the two families is kept as one."""

    metric: Metric
    message: pb.Metric | None


def merge_families(
    held: MetricFamily, pushed: MetricFamily, findings: Findings, *, adds: bool
) -> MetricFamily:
    """Return a family with the series of both, which have one name and one type; those
    of `held` come first.

    Of a series that is in both, the pushed one is taken, or their sum if `adds`: then
    they are counters, summaries or histograms, and what cannot be added is noted in
    `findings`. The help is that of `held` only if `pushed` has none.
    """
    as_messages = held.message is not None or pushed.message is not None
    merged = series_of(held, as_messages)
    for labels, series in series_of(pushed, as_messages).items():
        try:
            merged[labels] = _added(merged.get(labels), series) if adds else series
        except InvalidRequest as reason:
            subject = f"{pushed.type.name.lower()} {quote(pushed.name)}"
            problem = f"{subject} {braces(labels)} cannot be added up: {reason}"
            findings.add(
                "mode",
                problem,
                family=pushed.name,
                series=exposed_series(pushed.name, labels),
            )
    return family_of((pushed, held), merged.values(), as_messages)


def family_of(
    like: Sequence[MetricFamily], series: Collection[Series], as_messages: bool
) -> MetricFamily:
    """Return the family of `series`, which have messages if `as_messages`. Help and
    unit are those of the first in `like` that has one."""
    first = like[0]
    help_ = next((family.help for family in like if family.help), "")
    metrics = [each.metric for each in series]
    family = MetricFamily(first.name, first.type, help_, metrics)
    if as_messages:
        unit = next(filter(None, (_decoded(family).unit for family in like)), b"")
        _take_messages(family, unit, [each.message for each in series])
    return family


def series_of(family: MetricFamily, as_messages: bool) -> dict[Labels, Series]:
    """Return the series of `family` by their labels, with messages if wanted."""
    metrics = family.metrics
    messages = _decoded(family).metric if as_messages else [None] * len(metrics)
    return {
        metric.labels: Series(metric, message)
        for metric, message in zip(metrics, messages, strict=True)
    }


def _decoded(family: MetricFamily) -> pb.MetricFamily:
    return pb.MetricFamily.FromString(encode_family(family))


def _added(held: Series | None, pushed: Series) -> Series:
    value = pushed.metric.value
    assert value is not None  # noqa: S101  # such a push is refused before
    check_increment(value)
    if held is None:
        return pushed
    try:
        return _sum(held, pushed, value)
    except InvalidRequest as reason:
        advice = "to start anew, replace the group with PUT or delete it"
        raise InvalidRequest(f"{reason}; {advice}") from reason


def _sum(held: Series, pushed: Series, value: Value) -> Series:
    before = held.metric.value
    assert before is not None  # noqa: S101  # it was pushed once
    if held.message is None or pushed.message is None:
        return Series(Metric(pushed.metric.labels, add_values(before, value)), None)
    check_same_kind(held.message, pushed.message)
    total = add_values(before, value)
    message = add_messages(held.message, pushed.message, total)
    return Series(Metric(pushed.metric.labels, total), message)


def _take_messages(
    family: MetricFamily, unit: bytes, messages: list[pb.Metric | None]
) -> None:
    """Make the metrics of `family` those of `messages`, and keep these if they say more
    than the model."""
    message = pb.MetricFamily(
        name=family.name.encode(),
        type=pb.MetricType.Name(family.type),
        help=family.help.encode() or None,
        unit=unit or None,
        metric=[metric for metric in messages if metric is not None],
    )
    encoded = message.SerializeToString()
    family.metrics = metrics_of(encoded)
    if not model_holds(message):
        family.message = encoded
