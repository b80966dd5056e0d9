"""Tells whether Prometheus would take a pushed native histogram.

It refuses a whole page of the protobuf format for one that it would not, and so for
every group on it. The rules are those of Prometheus 2.42 (`Validate` in
model/histogram), as it would apply them to what was pushed.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from math import inf
from typing import TypeVar

from pushrelay.errors import InvalidRequest
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_histogram import SCHEMAS, is_float, is_native

_Count = TypeVar("_Count", int, float)

_MAX_INT32 = 2**31 - 1
_MAX_INT64 = 2**63 - 1


def check_native_histogram(histogram: pb.Histogram) -> None:
    """Raise InvalidRequest, with no more than the reason, if Prometheus would refuse
    `histogram`. One without anything native is not looked at."""
    if not is_native(histogram):
        return
    if histogram.schema not in SCHEMAS:
        raise InvalidRequest(
            f"its schema is {histogram.schema}, not {SCHEMAS[0]} to {SCHEMAS[-1]}"
        )
    negative, positive = histogram.negative_span, histogram.positive_span
    if is_float(histogram):
        _check_spans("negative", negative, len(histogram.negative_count))
        _check_spans("positive", positive, len(histogram.positive_count))
        _check_float_counts(histogram)
    else:
        _check_spans("negative", negative, len(histogram.negative_delta))
        _check_spans("positive", positive, len(histogram.positive_delta))
        _check_integer_counts(histogram)


def float_total(histogram: pb.Histogram) -> float:
    """Return what the buckets of a float histogram have together, as Prometheus adds
    them up: without the zero bucket. Raises InvalidRequest for a negative count."""
    # Prometheus 2 allows for no rounding here, but leaves the zero bucket out.
    negative = _sum("negative", histogram.negative_count, 0.0, inf)
    return negative + _sum("positive", histogram.positive_count, 0.0, inf)


def _check_spans(side: str, spans: Iterable[pb.BucketSpan], buckets: int) -> None:
    needed = last = 0
    for number, span in enumerate(spans, start=1):
        if number > 1 and span.offset < 0:
            raise InvalidRequest(
                f"{side} span {number} has the negative offset {span.offset}"
            )
        needed += span.length
        # From the first bucket, or from 0 if that is beyond: Prometheus joins gaps
        # around empty buckets, and numbers both gaps and buckets in 32 bits.
        last += span.length + (span.offset if number > 1 else max(span.offset, 0))
    if needed != buckets:
        raise InvalidRequest(
            f"its {side} spans need {needed} buckets, but it has {buckets}"
        )
    if last > _MAX_INT32:
        raise InvalidRequest(f"its {side} spans reach too far")


def _check_integer_counts(histogram: pb.Histogram) -> None:
    total = (
        _sum("negative", accumulate(histogram.negative_delta), 0, _MAX_INT64)
        + _sum("positive", accumulate(histogram.positive_delta), 0, _MAX_INT64)
        + histogram.zero_count
    )
    # Prometheus 3 wants the two to be equal; the Pushgateway and Prometheus 2 do not.
    count = histogram.sample_count
    if total > count:
        raise InvalidRequest(
            f"its buckets have {total} observations, but its count is {count}"
        )


def _check_float_counts(histogram: pb.Histogram) -> None:
    count = histogram.sample_count_float
    if count < 0 or histogram.zero_count_float < 0:
        raise InvalidRequest("its count, or that of its zero bucket, is negative")
    total = float_total(histogram)
    if total > count:
        raise InvalidRequest(
            f"its buckets have {total} observations, but its count is {count}"
        )


def _sum(side: str, counts: Iterable[_Count], total: _Count, most: float) -> _Count:
    for number, count in enumerate(counts, start=1):
        if count < 0 or count > most:
            raise InvalidRequest(f"{side} bucket {number} has the count {count}")
        # One by one, for floats to be rounded as in Prometheus; sum() is too exact.
        total += count
    return total
