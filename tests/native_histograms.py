"""Native histograms for tests: made from counts, drawn at random, added."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from google.protobuf import text_format
from hypothesis import strategies as st

from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.native_addition import add_native_histograms
from pushrelay.exposition.native_histogram import is_float, upper_bound
from pushrelay.exposition.native_validity import check_native_histogram

Counts = dict[int, int]


def count_of(histogram: pb.Histogram) -> int | float:
    return (
        histogram.sample_count_float if is_float(histogram) else histogram.sample_count
    )


def add(one: pb.Histogram, other: pb.Histogram) -> pb.Histogram:
    return add_native_histograms(one, other, count_of(one) + count_of(other))


def histogram(text: str) -> pb.Histogram:
    parsed = text_format.Parse(text, pb.Histogram())
    check_native_histogram(parsed)
    return parsed


def spans_and_counts(counts: Counts) -> tuple[list[pb.BucketSpan], list[int]]:
    """Return spans and counts, with empty buckets in small gaps as clients have
    them."""
    spans: list[pb.BucketSpan] = []
    flat: list[int] = []
    end = 0
    for index in sorted(counts):
        gap = index - end
        if spans and gap <= 2:
            spans[-1].length += gap + 1
            flat += [0] * gap
        else:
            spans.append(pb.BucketSpan(offset=gap, length=1))
        flat.append(counts[index])
        end = index + 1
    return spans, flat


def made(
    schema: int,
    positive: Counts,
    negative: Counts | None = None,
    *,
    zero: int = 0,
    threshold: float = 0.0,
    unseen: int = 0,
    floats: bool = False,
) -> pb.Histogram:
    """Return a histogram; `unseen` of its observations are in no bucket."""
    result = pb.Histogram(schema=schema, zero_threshold=threshold)
    total = zero + unseen
    for side, counts in (("positive", positive), ("negative", negative or {})):
        spans, flat = spans_and_counts(counts)
        total += sum(flat)
        getattr(result, f"{side}_span").extend(spans)
        if floats:
            getattr(result, f"{side}_count").extend(flat)
        else:
            deltas = [b - a for a, b in zip([0, *flat], flat, strict=False)]
            getattr(result, f"{side}_delta").extend(deltas)
    if floats:
        result.sample_count_float, result.zero_count_float = total, zero
    else:
        result.sample_count, result.zero_count = total, zero
    check_native_histogram(result)
    return result


indexes = st.one_of(st.integers(-9, 9), st.integers(-600, 600))
counts = st.dictionaries(indexes, st.integers(1, 1000), max_size=6)
THRESHOLDS = (0.0, 2.0**-128, 0.001, 0.4, 0.5, 1.3, 2.0, 100.0)


@st.composite
def histograms(
    draw: st.DrawFn, coarsest: int = -4, thresholds: Sequence[float] = THRESHOLDS
) -> pb.Histogram:
    """Draw a histogram of numbers: no bucket lies in the zero bucket or at infinity."""
    schema, threshold = (
        draw(st.integers(coarsest, 8)),
        draw(st.sampled_from(thresholds)),
    )

    def of_numbers(counts: Counts) -> Counts:
        return {
            index: count
            for index, count in counts.items()
            if upper_bound(index, schema) > threshold
            and upper_bound(index - 1, schema) < inf
        }

    return made(
        schema,
        of_numbers(draw(counts)),
        of_numbers(draw(counts)),
        zero=draw(st.integers(0, 50)),
        threshold=threshold,
        unseen=draw(st.integers(0, 3)),
        floats=draw(st.booleans()),
    )
