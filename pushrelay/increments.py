"""Families of running totals as increments: what they count beyond earlier ones."""

from __future__ import annotations

from pushrelay.errors import InvalidRequest
from pushrelay.exposition.floats import format_float
from pushrelay.exposition.message_increase import message_increase
from pushrelay.exposition.stored import from_stored, to_stored
from pushrelay.groups import StoredFamily
from pushrelay.increase import increase_of, increase_of_counter
from pushrelay.merged_family import Series, family_of, series_of
from pushrelay.merged_lines import lines_of
from pushrelay.model import Metric, MetricFamily, MetricType


def increments_of(last: StoredFamily, pushed: StoredFamily) -> StoredFamily:
    """Return `pushed`, counters, summaries or histograms, with what each series counts
    beyond `last`, which has the same name and type.

    A series that is not in `last`, or has begun anew, is kept as it is, and so is one
    that no addition takes.
    """
    if pushed.type is MetricType.COUNTER and not (last.message or pushed.message):
        return _by_lines(last, pushed)
    family = _by_series(from_stored(last), from_stored(pushed))
    return to_stored(family, pushed.pushed_at)


def _by_lines(last: StoredFamily, pushed: StoredFamily) -> StoredFamily:
    before = dict(lines_of(last))
    lines = []
    for series, written in lines_of(pushed):
        lines.append(b"%s %s\n" % (series, _increase(before.get(series), written)))
    return StoredFamily(pushed.shape, pushed.pushed_at, b"".join(lines))


def _increase(before: bytes | None, written: bytes) -> bytes:
    if before is None:
        return written
    increase = increase_of_counter(float(before), float(written))
    return written if increase is None else format_float(increase).encode()


def _by_series(last: MetricFamily, pushed: MetricFamily) -> MetricFamily:
    as_messages = last.message is not None or pushed.message is not None
    before = series_of(last, as_messages)
    grown = [
        _grown(before.get(labels), series)
        for labels, series in series_of(pushed, as_messages).items()
    ]
    return family_of((pushed, last), grown, as_messages)


def _grown(last: Series | None, pushed: Series) -> Series:
    if last is None:
        return pushed
    try:
        return _increment(last, pushed) or pushed
    except InvalidRequest:
        # What cannot be compared cannot be added either, and the addition says why.
        return pushed


def _increment(last: Series, pushed: Series) -> Series | None:
    before, after = last.metric.value, pushed.metric.value
    assert before is not None  # noqa: S101  # it was pushed once
    assert after is not None  # noqa: S101  # such a push is refused before
    value = increase_of(before, after)
    if value is None:
        return None
    metric = Metric(pushed.metric.labels, value)
    if last.message is None or pushed.message is None:
        return Series(metric, None)
    message = message_increase(last.message, pushed.message, value)
    return None if message is None else Series(metric, message)
