"""Turns pushed families into what a group keeps, and back.

What is kept is the text that scrapes show. Where that text would not give back what
was pushed, the family is kept as a protobuf message beside it: the pushed one where
the model does not hold all of it, else one made from the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import copysign, inf, isnan
from typing import TypeVar

from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.protobuf_encoder import encode_family
from pushrelay.exposition.protobuf_parser import metrics_of, reorder_message
from pushrelay.exposition.text_parser import parse_series
from pushrelay.exposition.text_renderer import exposition_order, render_series
from pushrelay.groups import FamilyShape, Payload, StoredFamily
from pushrelay.model import (
    BOUND_LABELS,
    Histogram,
    Metric,
    MetricFamily,
    Summary,
    is_legacy_label_name,
    is_legacy_metric_name,
)

_T = TypeVar("_T")


def to_payload(families: Iterable[MetricFamily], pushed_at: int) -> Payload:
    """Return `families` as a group keeps them; `pushed_at` in Unix nanoseconds.

    Labels must be legal and in place: UTF-8, sorted, no name twice.
    """
    return Payload.of(to_stored(family, pushed_at) for family in families)


def to_stored(family: MetricFamily, pushed_at: int) -> StoredFamily:
    """Do `to_payload` for one family."""
    order = exposition_order(family.metrics)
    is_sorted = order == list(range(len(order)))
    exposed = family if is_sorted else pick_metrics(family, order)
    label_names = {
        tuple([name for name, _ in labels])
        for labels in {metric.labels for metric in family.metrics}
    }
    names = {name for sequence in label_names for name in sequence}
    message = exposed.message
    if message is None and not _text_keeps(exposed, names):
        message = encode_family(exposed)
    shape = FamilyShape.of(
        family.name,
        family.type,
        family.help,
        size=len(order),
        pushed_order=None if is_sorted else _inverted(order),
        utf8_names=not (
            is_legacy_metric_name(family.name) and all(map(is_legacy_label_name, names))
        ),
        label_names=tuple(sorted(label_names)),
    )
    series = b"".join(render_series(exposed, Escaping.ALLOW_UTF8))
    return StoredFamily(shape, pushed_at, series, message)


def from_stored(stored: StoredFamily, *, pushed_order: bool = True) -> MetricFamily:
    """Return the family as it was pushed, with its metrics in pushed order; in
    exposition order if not `pushed_order`."""
    if stored.message is None:
        metrics = parse_series(stored.series, stored.name, stored.type)
    else:
        metrics = metrics_of(stored.message)
    family = MetricFamily(
        stored.name, stored.type, stored.help, metrics, message=stored.message
    )
    if not pushed_order or stored.shape.pushed_order is None:
        return family
    return pick_metrics(family, stored.shape.pushed_order)


def stored_metrics(payload: Payload, at: int) -> list[Metric]:
    """Return the metrics of the family at a position of `payload`, in pushed order."""
    return from_stored(payload.family(at)).metrics


def pick_metrics(family: MetricFamily, order: Sequence[int]) -> MetricFamily:
    """Return `family` with some of its metrics, `order[i]` at position i, its message
    likewise."""
    message = family.message
    return replace(
        family,
        metrics=_pick(family.metrics, order),
        message=None if message is None else reorder_message(message, order),
    )


def _pick(items: list[_T], order: Sequence[int]) -> list[_T]:
    return [items[position] for position in order]


def _inverted(order: Sequence[int]) -> tuple[int, ...]:
    inverse = [0] * len(order)
    for position, original in enumerate(order):
        inverse[original] = position
    return tuple(inverse)


def _text_keeps(family: MetricFamily, label_names: set[str]) -> bool:
    """Whether the rendered series of `family`, read again, are the family."""
    if not family.name or BOUND_LABELS.get(family.type) in label_names:
        return False
    return all(_text_keeps_value(metric.value) for metric in family.metrics)


def _text_keeps_value(value: float | Summary | Histogram | None) -> bool:
    if isinstance(value, float):
        return _keeps_number(value)
    if isinstance(value, Summary):
        numbers = [value.sample_sum, *(n for pair in value.quantiles for n in pair)]
        bounds = [quantile for quantile, _ in value.quantiles]
        return (
            _keeps_integer(value.sample_count)
            and all(map(_keeps_number, numbers))
            and not any(map(isnan, bounds))
        )
    return isinstance(value, Histogram) and _text_keeps_histogram(value)


def _text_keeps_histogram(histogram: Histogram) -> bool:
    bounds = [bound for bound, _ in histogram.buckets]
    counts = [histogram.sample_count, *(count for _, count in histogram.buckets)]
    return (
        inf in bounds
        and not any(map(isnan, bounds))
        and all(map(_keeps_number, [histogram.sample_sum, *bounds]))
        and _text_keeps_counts(counts)
    )


def _text_keeps_counts(counts: Sequence[int | float]) -> bool:
    """Whether counts come back with their values and as integers or floats."""
    if all(isinstance(count, int) for count in counts):
        return all(map(_keeps_integer, counts))
    return not any(count < 0 for count in counts) and any(
        _stays_float(count) for count in counts
    )


def _keeps_integer(count: float) -> bool:
    # Integers are printed as floats; 2**64 would not be read as an integer again.
    return float(count) == count < 2**64


def _stays_float(count: float) -> bool:
    return not count < 2**64 or count != int(count)


def _keeps_number(number: float) -> bool:
    return number != 0 or copysign(1.0, number) > 0
