"""Adds the value of a pushed series to the held one, where both count something.

What cannot be added honestly raises InvalidRequest with no more than the reason.
"""

from __future__ import annotations

from collections import Counter
from math import inf, isfinite

from pushrelay.errors import InvalidRequest
from pushrelay.exposition.floats import format_float, format_go_value
from pushrelay.model import Histogram, Summary

_MAX_UINT64 = 2**64 - 1
_SHOWN_BOUNDS = 10

Bucket = tuple[float, int | float]
Value = float | Summary | Histogram


def check_increment(value: Value) -> None:
    """Raise InvalidRequest if `value`, pushed for a counter, a summary or a histogram,
    must not be added to anything."""
    if isinstance(value, float) and not 0 <= value < inf:
        raise InvalidRequest(
            f"the pushed value {format_float(value)} is not finite and at least 0"
        )
    if isinstance(value, Histogram):
        for count in (value.sample_count, *[count for _, count in value.buckets]):
            if not isfinite(count):
                raise InvalidRequest(
                    f"the pushed count {format_float(count)} is not finite"
                )


def add_values(held: Value, pushed: Value) -> Value:
    """Return the sum of the values of two counters, summaries or histograms.

    Of summaries, count and sum are added and the quantiles are the pushed ones. Of
    histograms, buckets with equal bounds are added; the buckets of the sum ascend.
    """
    if isinstance(held, float) and isinstance(pushed, float):
        return _add_counters(held, pushed)
    if isinstance(held, Summary) and isinstance(pushed, Summary):
        count = _add_counts(held.sample_count, pushed.sample_count)
        total = held.sample_sum + pushed.sample_sum
        return Summary(int(count), total, pushed.quantiles)
    assert isinstance(held, Histogram)  # noqa: S101  # they are of one type
    assert isinstance(pushed, Histogram)  # noqa: S101  # they are of one type
    return _add_histograms(held, pushed)


def _add_counters(held: float, pushed: float) -> float:
    total = held + pushed
    if not isfinite(total):
        raise InvalidRequest(
            f"{format_float(held)} is held and {format_float(pushed)} is pushed, "
            f"together {format_float(total)}"
        )
    return total


def _add_counts(held: int | float, pushed: int | float) -> int | float:
    total = held + pushed
    if total > _MAX_UINT64 if isinstance(total, int) else not isfinite(total):
        raise InvalidRequest(
            f"a count of {format_go_value(held)} is held and one of "
            f"{format_go_value(pushed)} pushed, together more than fits"
        )
    return total


def _add_histograms(held: Histogram, pushed: Histogram) -> Histogram:
    total = Histogram(
        _add_counts(held.sample_count, pushed.sample_count),
        held.sample_sum + pushed.sample_sum,
        _add_buckets(held, pushed),
    )
    return of_one_kind(total)


def of_one_kind(histogram: Histogram) -> Histogram:
    """Return `histogram` with floats for all its counts if one of them is a float."""
    counts = [histogram.sample_count, *[count for _, count in histogram.buckets]]
    if all(isinstance(count, int) for count in counts):
        return histogram
    return Histogram(
        float(histogram.sample_count),
        histogram.sample_sum,
        [(bound, float(count)) for bound, count in histogram.buckets],
    )


def _add_buckets(held: Histogram, pushed: Histogram) -> list[Bucket]:
    return [
        (bound, _add_counts(count, more))
        for bound, count, more in paired_buckets(held, pushed)
    ]


def paired_buckets(
    held: Histogram, pushed: Histogram
) -> list[tuple[float, int | float, int | float]]:
    """Return the bounds of both, ascending, each with its count in `held` and in
    `pushed`. Raises InvalidRequest if they are not the same."""
    ours, theirs = sorted(held.buckets), sorted(pushed.buckets)
    # The last bucket may be left unsaid; then it is said if the other side says it.
    if _is_complete(ours) or _is_complete(theirs):
        ours, theirs = _completed(ours, held), _completed(theirs, pushed)
    if [bound for bound, _ in ours] != [bound for bound, _ in theirs]:
        raise InvalidRequest(_difference(ours, theirs))
    return [
        (bound, count, more)
        for (bound, count), (_, more) in zip(ours, theirs, strict=True)
    ]


def _is_complete(ascending: list[Bucket]) -> bool:
    return bool(ascending) and ascending[-1][0] == inf


def _completed(ascending: list[Bucket], histogram: Histogram) -> list[Bucket]:
    if _is_complete(ascending):
        return ascending
    return [*ascending, (inf, histogram.sample_count)]


def _difference(ours: list[Bucket], theirs: list[Bucket]) -> str:
    held = Counter([bound for bound, _ in ours])
    pushed = Counter([bound for bound, _ in theirs])
    return (
        f"its buckets differ: only held are those up to {_shown(held - pushed)}, only "
        f"pushed those up to {_shown(pushed - held)}"
    )


def _shown(bounds: Counter[float]) -> str:
    ascending = sorted(bounds.elements())
    shown = [format_float(bound) for bound in ascending[:_SHOWN_BOUNDS]]
    if len(ascending) > _SHOWN_BOUNDS:
        shown.append("...")
    return ", ".join(shown) or "none"
